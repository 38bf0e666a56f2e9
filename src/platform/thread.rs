//! Threads, as the system has them.

use crate::platform::errno::Errno;
use crate::platform::sync::Instant;
use libc::{c_void, pthread_t};
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::time::Duration;

/// Signals that a thread's own instruction raises. A program may handle them there: to emulate what a filter traps, or
/// because its own functions read files through their mappings.
const SYNCHRONOUS: [libc::c_int; 6] =
    [libc::SIGSYS, libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP];

/// What a thread does.
pub trait Body: Sync {
    fn run(&self);
}

/// A thread that was started and not joined.
pub struct Thread(pthread_t);

// SAFETY: any thread may join another. What names one is a pointer in some C libraries.
unsafe impl Send for Thread {}

impl Thread {
    /// Starts a thread, with a stack of that size or a little more.
    ///
    /// A thread that frees what another has allocated, or allocates anything itself, first gets a heap of its own, which
    /// takes longer than to start it. So it is told what to do by reference.
    ///
    /// # Safety
    ///
    /// `body` must stay valid, and where it is, until the thread was joined.
    pub unsafe fn start<B: Body>(body: NonNull<B>, stack_size: usize) -> Result<Self, Errno> {
        // SAFETY: all arguments are valid for these calls.
        unsafe {
            let mut attr = MaybeUninit::uninit();
            let error = libc::pthread_attr_init(attr.as_mut_ptr());
            if error != 0 {
                return Err(Errno(error));
            }
            // Whole pages, or some systems refuse it.
            let stack_size = stack_size.max(libc::PTHREAD_STACK_MIN).checked_next_multiple_of(1 << 16);
            libc::pthread_attr_setstacksize(attr.as_mut_ptr(), stack_size.unwrap_or(usize::MAX));

            // A thread inherits its creator's mask, and no other handler of the program's may ever run on a worker.
            let (mut mask, mut saved) = (MaybeUninit::uninit(), MaybeUninit::uninit());
            libc::sigfillset(mask.as_mut_ptr());
            for signal in SYNCHRONOUS {
                libc::sigdelset(mask.as_mut_ptr(), signal);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, mask.as_ptr(), saved.as_mut_ptr());

            let body = body.as_ptr().cast();
            let mut thread = MaybeUninit::uninit();
            let mut error = libc::pthread_create(thread.as_mut_ptr(), attr.as_ptr(), enter::<B>, body);
            if error == libc::EINVAL {
                // The program's thread-local variables take more than the stack. The default has room for them.
                error = libc::pthread_create(thread.as_mut_ptr(), ptr::null(), enter::<B>, body);
            }

            libc::pthread_sigmask(libc::SIG_SETMASK, saved.as_ptr(), ptr::null_mut());
            libc::pthread_attr_destroy(attr.as_mut_ptr());
            if error == 0 { Ok(Self(thread.assume_init())) } else { Err(Errno(error)) }
        }
    }

    /// Waits for the thread to end.
    pub fn join(self) {
        // SAFETY: a thread that was started and not joined.
        unsafe { libc::pthread_join(self.0, ptr::null_mut()) };
    }
}

extern "C" fn enter<B: Body>(body: *mut c_void) -> *mut c_void {
    // SAFETY: `start` was given it, and promised that it stays valid.
    unsafe { &*body.cast::<B>() }.run();
    ptr::null_mut()
}

/// Names this thread: what its queue's threads are called, and which it is.
pub fn set_name(prefix: &[u8], which: fmt::Arguments) {
    // The kernel takes 15 bytes and a NUL.
    let mut buf = [0u8; 16];
    buf[..prefix.len()].copy_from_slice(prefix);
    let mut rest = &mut buf[prefix.len()..15];
    // What is too long for that is cut off.
    let _ = std::io::Write::write_fmt(&mut rest, which);
    // SAFETY: a string that ends in NUL, since the last byte was never written.
    unsafe { libc::prctl(libc::PR_SET_NAME, buf.as_ptr()) };
}

/// How often this thread has slept up to a moment, and how long a processor was its.
pub struct Usage {
    at: Instant,
    sleeps: i64,
    ran: Duration,
}

impl Usage {
    pub fn now() -> Self {
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: the pointer is valid for writes. Zeros are a valid `rusage`, should the call fail.
        let usage = unsafe {
            libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
            usage.assume_init()
        };
        let duration = |t: libc::timeval| Duration::from_micros(t.tv_sec as u64 * 1_000_000 + t.tv_usec as u64);
        Self {
            at: Instant::now(),
            sleeps: usage.ru_nvcsw as _,
            ran: duration(usage.ru_utime) + duration(usage.ru_stime),
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.at.elapsed()
    }

    /// How long it has waited since then: for nothing but a processor, if it has not slept.
    pub fn waited_since(&self, before: &Self) -> Duration {
        if self.sleeps == before.sleeps {
            return Duration::ZERO;
        }
        (self.at - before.at).saturating_sub(self.ran.saturating_sub(before.ran))
    }
}
