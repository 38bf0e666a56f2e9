//! Errors are `errno` values, and this is the one place that writes `errno`.

use libc::c_int;
use std::ptr;

/// A value of `errno`, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub c_int);

impl Errno {
    /// What the last failed call of this thread left behind.
    pub fn last() -> Self {
        // SAFETY: the location is valid for the life of the thread.
        Self(unsafe { *libc::__errno_location() })
    }
}

/// Sets this thread's `errno`.
pub fn set(value: c_int) {
    // SAFETY: the location is valid for the life of the thread.
    unsafe { *libc::__errno_location() = value };
}

/// A C result as this library's: what was returned, or the negated `errno`.
pub fn negated(ret: c_int) -> c_int {
    if ret >= 0 { ret } else { -Errno::last().0 }
}

/// A Rust result as this library's: 0, or the negated `errno`.
pub fn negated_result(result: Result<(), Errno>) -> c_int {
    result.map_or_else(|e| -e.0, |()| 0)
}

/// For functions that return 0, or -1 with `errno` set.
pub fn or_minus_one(result: Result<(), Errno>) -> c_int {
    number_or_minus_one(result.map(|()| 0))
}

/// For functions that return a number, or -1 with `errno` set.
pub fn number_or_minus_one(result: Result<c_int, Errno>) -> c_int {
    match result {
        Ok(number) => number,
        Err(e) => {
            set(e.0);
            -1
        }
    }
}

/// For functions that return a pointer, or NULL with `errno` set.
pub fn or_null<T>(result: Result<ptr::NonNull<T>, Errno>) -> *mut T {
    match result {
        Ok(p) => p.as_ptr(),
        Err(e) => {
            set(e.0);
            ptr::null_mut()
        }
    }
}

/// Runs `f` and leaves `errno` as it was.
pub fn preserved<R>(f: impl FnOnce() -> R) -> R {
    let saved = Errno::last().0;
    let ret = f();
    set(saved);
    ret
}

/// How often to make a call again that a signal, or the file system, interrupts.
const TRIES: u32 = 32;

/// Repeats a call while its result is `-EINTR`, which to who pops a response would mean that it was cancelled. But a
/// file system may give that answer for ever (FUSE lets it), and then it is the result.
pub fn uninterrupted(mut call: impl FnMut() -> c_int) -> c_int {
    let interrupted = -libc::EINTR;
    (1..TRIES).map(|_| call()).find(|&result| result != interrupted).unwrap_or_else(call)
}
