//! Hash tables without secrets.
//!
//! Those of the standard library ask the system for random numbers, and panic where a filter refuses that. They are for keys
//! that a stranger may choose; here these are addresses and inodes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

pub type Table<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;
