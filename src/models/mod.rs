//! What stands in for the system under the model checkers (`--cfg ioq_loom`, `--cfg ioq_shuttle`), and the models of whole
//! queues. Models of the parts are beside those.

#[cfg(ioq_loom)]
pub mod atomics;
pub mod eventfd;
pub mod machine;
#[cfg(all(test, ioq_shuttle))]
mod queues;
pub mod thread;
pub mod uring;
