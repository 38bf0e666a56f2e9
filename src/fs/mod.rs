//! File systems: the library's own directories and stats, and whose are used in this process.

pub mod dir;
pub mod host;
pub mod stat;
