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
    // The kernel takes no size that is negative as an int.
    let len = buf.len().min(1 << 30);
    // SAFETY: the kernel writes at most as many bytes as it is told.
    let size = retry(|| unsafe { libc::syscall(libc::SYS_getdents64, fd, buf.as_mut_ptr(), len) })?;
    Ok(size as usize)
}

/// Where a directory is read on, if it is one.
pub fn position(fd: c_int) -> Option<i64> {
    let position = seek(fd, 0, libc::SEEK_CUR);
    (position >= 0).then_some(position)
}

/// Has a directory read on from where it was.
pub fn go_back(fd: c_int, position: i64) {
    // It was there. If the file system has forgotten that, nobody can help it.
    seek(fd, position, libc::SEEK_SET);
}

fn seek(fd: c_int, offset: i64, whence: c_int) -> i64 {
    // SAFETY: it takes numbers alone.
    unsafe { libc::lseek64(fd, offset, whence) }
}

fn retry(mut call: impl FnMut() -> c_long) -> Result<c_int, Errno> {
    // Neither a descriptor nor the size of a buffer is larger than an int.
    let result = errno::uninterrupted(|| errno::negated(call() as c_int));
    if result < 0 { Err(Errno(-result)) } else { Ok(result) }
}
