//! C's `struct timespec` with times of 64 bits, whatever the machine.
//!
//! On a machine of 32 bits a C program may have either: `_TIME_BITS=64` chooses (and so do some systems by default), and
//! the C library, like this one, has functions for both. The kernel's `struct __kernel_timespec` is the same.

use crate::platform::errno::Errno;
use crate::platform::sync::Deadline;
use libc::{c_char, c_int, c_long};

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Timespec64 {
    sec: i64,
    /// In C a `long`, at whichever end the machine has the low bits, beside what is padding.
    nsec: i64,
}

impl Timespec64 {
    /// `EINVAL` if it is no time.
    pub fn deadline(&self) -> Result<Deadline, Errno> {
        Deadline::new(self.sec, self.nsec as c_long)
    }
}

/// `utimensat(2)` with such times. On a machine of 32 bits, since Linux 5.1.
///
/// # Safety
///
/// `path` must be NULL or a string, and `times` NULL or valid for two.
pub unsafe fn utimensat(dfd: c_int, path: *const c_char, times: *const Timespec64, flags: c_int) -> c_int {
    #[cfg(target_pointer_width = "64")]
    const NUMBER: c_long = libc::SYS_utimensat;
    #[cfg(not(target_pointer_width = "64"))]
    const NUMBER: c_long = crate::platform::calls::SYS_UTIMENSAT_TIME64;
    // SAFETY: passed on to the caller.
    unsafe { libc::syscall(NUMBER, dfd, path, times, flags) as c_int }
}
