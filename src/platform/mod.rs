//! What the system and the compiler give, as the library uses it.
//!
//! - `alloc`: memory that may fail to come
//! - `calls`: numbers of system calls
//! - `cancellation`: of the calling thread, which waits
//! - `clock`: one that is cheap to read, and deadlines
//! - `descriptors`: the library's own
//! - `errno`: errors
//! - `prefetch`: cache lines ahead of their use
//! - `processors`: how many
//! - `sync`: atomics and locks, or those of the model checkers
//! - `table`: hash tables
//! - `thread`: starting threads
//! - `time64`: times of 64 bits on machines of 32

pub mod alloc;
pub mod calls;
pub mod cancellation;
#[cfg(not(any(ioq_loom, ioq_shuttle)))]
mod clock;
#[cfg(not(any(ioq_loom, ioq_shuttle)))]
pub mod descriptors;
pub mod errno;
pub mod prefetch;
pub mod processors;
pub mod sync;
pub mod table;
#[cfg(not(any(ioq_loom, ioq_shuttle)))]
pub mod thread;
pub mod time64;
