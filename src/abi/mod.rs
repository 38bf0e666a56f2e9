//! The C functions of `ioq.h`: check the arguments, call the core, convert the result. Nothing else happens here.
//!
//! `include/ioq.h` is generated from these files and `entry.rs`; what C programmers read is what stands there.

mod changes;
pub mod extensible;
pub mod list;
pub mod queue;
pub mod requests;
pub mod types;
