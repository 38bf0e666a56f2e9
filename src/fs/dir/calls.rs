//! The system calls on directories, again if a signal gets in between.

use crate::platform::errno::{self, Errno};
use libc::{c_char, c_int, c_long};
use std::mem::MaybeUninit;

/// How directories are opened, by whatever means.
pub const OPEN_FLAGS: c_int = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;

/// Opens a directory, with these flags beside the usual ones.
///
/// # Safety
///
/// `path` must be a string.
pub unsafe fn open(dfd: c_int, path: *const c_char, flags: c_int) -> Result<c_int, Errno> {
    // SAFETY: passed on to the caller.
    retry(|| unsafe { libc::openat(dfd, path, OPEN_FLAGS | flags) }.into())
}

/// Reads as many records as fit into the buffer, from its start. Returns how many bytes they take: 0 at the end.
pub fn read(fd: c_int, buf: &mut [MaybeUninit<u8>]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes at most as many bytes as it is told.
    let size = retry(|| unsafe { libc::syscall(libc::SYS_getdents64, fd, buf.as_mut_ptr(), buf.len()) })?;
    Ok(size as usize)
}

fn retry(mut call: impl FnMut() -> c_long) -> Result<c_int, Errno> {
    // Neither a descriptor nor the size of a buffer is larger than an int.
    let result = errno::uninterrupted(|| errno::negated(call() as c_int));
    if result < 0 { Err(Errno(-result)) } else { Ok(result) }
}
