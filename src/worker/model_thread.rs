//! A worker's thread, as the models have it.

use super::{Job, work};
use crate::errno::Errno;
use crate::machine;
use std::ptr::NonNull;

#[cfg(ioq_loom)]
use loom::thread;
#[cfg(ioq_shuttle)]
use shuttle::thread;

pub use machine::sleeps;

/// A thread that was started and not joined.
pub struct Thread(thread::JoinHandle<()>);

/// A job on its way to its thread.
struct Sent(NonNull<Job>);
// SAFETY: a job is there for the thread that it is given to.
unsafe impl Send for Sent {}

impl Thread {
    /// Starts a thread, if the machine can.
    ///
    /// # Safety
    ///
    /// `job` must be as `work` asks.
    pub unsafe fn start(job: NonNull<Job>) -> Result<Self, Errno> {
        if machine::get().lacks_threads.comes() {
            return Err(Errno(libc::EAGAIN));
        }
        let job = Sent(job);
        Ok(Self(thread::spawn(move || {
            let Sent(job) = { job };
            // SAFETY: passed on to the caller.
            unsafe { work(job) }
        })))
    }

    /// Waits for the thread to end.
    pub fn join(self) {
        self.0.join().expect("a worker does not panic");
    }
}

pub fn set_name(_: usize) {}
