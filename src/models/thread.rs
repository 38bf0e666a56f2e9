//! Threads, as the models have them.

use super::machine;
use crate::platform::errno::Errno;
use std::fmt;
use std::ptr::NonNull;

#[cfg(ioq_loom)]
use loom::thread;
#[cfg(ioq_shuttle)]
use shuttle::thread;

pub use machine::Usage;

/// What a thread does.
pub trait Body: Sync {
    fn run(&self);
}

/// A thread that was started and not joined. One that does nothing is none.
pub struct Thread(Option<thread::JoinHandle<()>>);

/// A body on its way to its thread.
struct Sent<B>(NonNull<B>);
// SAFETY: bodies can be shared.
unsafe impl<B: Body> Send for Sent<B> {}

impl Thread {
    /// Starts a thread, if the machine can.
    ///
    /// # Safety
    ///
    /// `body` must stay valid, and where it is, until the thread was joined.
    pub unsafe fn start<B: Body + 'static>(body: NonNull<B>, _: usize) -> Result<Self, Errno> {
        if machine::get().lacks_threads.comes() {
            return Err(Errno(libc::EAGAIN));
        }
        if machine::get().threads_are_idle {
            return Ok(Self(None));
        }
        let body = Sent(body);
        Ok(Self::spawn(move || {
            let Sent(body) = { body };
            // SAFETY: passed on to the caller.
            unsafe { body.as_ref() }.run();
        }))
    }

    /// Starts a thread that runs `f`.
    pub fn spawn(f: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(thread::spawn(f)))
    }

    /// Waits for the thread to end.
    pub fn join(self) {
        if let Some(thread) = self.0 {
            thread.join().expect("a thread of the library's does not panic");
        }
    }
}

pub fn set_name(_: &[u8], _: fmt::Arguments) {}
