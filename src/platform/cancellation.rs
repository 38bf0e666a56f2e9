//! Keeping the calling thread from being cancelled (`pthread_cancel(3)`) in the middle of its work.
//!
//! Many system calls are cancellation points. A thread that ended in one of them, inside of a queue, would take the
//! requests that it has in hand with it, and unwind through functions that cannot be unwound.

use libc::c_int;
use std::ptr;

/// The same in glibc and musl.
const PTHREAD_CANCEL_DISABLE: c_int = 1;

unsafe extern "C" {
    // The libc crate has it for other systems only.
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}

/// Runs `f` with cancellation disabled. If this thread is cancelled meanwhile, that takes effect at the program's next
/// cancellation point.
pub fn disabled<R>(f: impl FnOnce() -> R) -> R {
    let mut state = 0;
    // SAFETY: a valid state, and a place for the one before.
    unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &mut state) };
    let ret = f();
    // SAFETY: the state that was; nobody asks for the other.
    unsafe { pthread_setcancelstate(state, ptr::null_mut()) };
    ret
}
