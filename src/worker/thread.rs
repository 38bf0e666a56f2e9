//! A worker's thread, as the system has it.

use super::{Job, work};
use crate::errno::Errno;
use libc::{c_void, pthread_t};
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

/// Room for the host's functions to run in. Below the size of a huge page, lest the kernel back each stack with one.
const STACK_SIZE: usize = 1 << 20;

/// A thread that was started and not joined.
pub struct Thread(pthread_t);

impl Thread {
    /// Starts a thread.
    ///
    /// # Safety
    ///
    /// `job` must be as `work` asks.
    pub unsafe fn start(job: NonNull<Job>) -> Result<Self, Errno> {
        let job = job.as_ptr().cast();
        // SAFETY: all arguments are valid for these calls.
        unsafe {
            let mut attr = MaybeUninit::uninit();
            let error = libc::pthread_attr_init(attr.as_mut_ptr());
            if error != 0 {
                return Err(Errno(error));
            }
            libc::pthread_attr_setstacksize(attr.as_mut_ptr(), STACK_SIZE);

            // A thread inherits its creator's mask, and no handler of the program's may ever run on a worker.
            let (mut all, mut saved) = (MaybeUninit::uninit(), MaybeUninit::uninit());
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), saved.as_mut_ptr());

            let mut thread = MaybeUninit::uninit();
            let mut error = libc::pthread_create(thread.as_mut_ptr(), attr.as_ptr(), enter, job);
            if error == libc::EINVAL {
                // The program's thread-local variables take more than the stack. The default has room for them.
                error = libc::pthread_create(thread.as_mut_ptr(), ptr::null(), enter, job);
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

extern "C" fn enter(job: *mut c_void) -> *mut c_void {
    if let Some(job) = NonNull::new(job.cast()) {
        // SAFETY: the job is the one that `start` was given.
        unsafe { work(job) };
    }
    ptr::null_mut()
}

/// Names this thread `ioq-N`.
pub fn set_name(index: usize) {
    // The kernel takes 15 bytes and a NUL.
    let mut name = [0u8; 16];
    let mut rest = &mut name[..15];
    // A number too long for that is cut off.
    let _ = std::io::Write::write_fmt(&mut rest, format_args!("ioq-{index}"));
    // SAFETY: a string that ends in NUL, since the last byte was never written.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// How often this thread has slept so far.
pub fn sleeps() -> i64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid for writes. Zeros are a valid `rusage`, should the call fail.
    unsafe {
        libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
        usage.assume_init().ru_nvcsw
    }
}
