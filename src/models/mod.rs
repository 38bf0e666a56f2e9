//! What stands in for the system under the model checkers (`--cfg ioq_loom`, `--cfg ioq_shuttle`), and the models of whole
//! queues. Models of the parts are beside those.

#[cfg(ioq_loom)]
pub mod atomics;
pub mod eventfd;
#[cfg(all(test, ioq_loom))]
mod explore;
pub mod machine;
pub mod thread;
pub mod uring;

#[cfg(all(test, ioq_shuttle))]
mod hanging;
#[cfg(all(test, ioq_shuttle))]
mod lists;
#[cfg(all(test, ioq_shuttle))]
mod pace;
#[cfg(all(test, ioq_shuttle))]
mod program;
#[cfg(all(test, ioq_shuttle))]
mod queues;
#[cfg(all(test, ioq_shuttle))]
mod runner;
#[cfg(all(test, ioq_loom))]
mod shared;

#[cfg(all(test, ioq_loom))]
pub use explore::explore;
