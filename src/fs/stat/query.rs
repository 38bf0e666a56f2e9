//! Asking the kernel about files.

use super::convert::{from_stat, from_statx};
use super::{STATX_MASK, bfs_stat, follows_if_it_can, statx_flags};
use crate::entry;
use crate::platform::errno::Errno;
use libc::{c_char, c_int};
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, Ordering};

/// Stats a file.
///
/// # Safety
///
/// `path` must be NULL or a string, and `buf` NULL or valid for writes of this library's `struct bfs_stat`.
pub unsafe fn stat(dfd: c_int, path: *const c_char, flags: u32, buf: *mut entry::bfs_stat) -> Result<(), Errno> {
    let buf = NonNull::new(buf.cast::<bfs_stat>()).ok_or(Errno(libc::EINVAL))?;
    let (path, at_flags) = if path.is_null() {
        (c"".as_ptr(), statx_flags(flags) | libc::AT_EMPTY_PATH)
    } else {
        (path, statx_flags(flags))
    };
    // SAFETY: `path` is a string now.
    let result = unsafe {
        match query(dfd, path, at_flags) {
            Err(Errno(libc::ENOENT | libc::ENOTDIR)) if follows_if_it_can(flags) => {
                query(dfd, path, at_flags | libc::AT_SYMLINK_NOFOLLOW)
            }
            result => result,
        }
    };
    // SAFETY: not NULL, so valid for writes.
    result.map(|stat| unsafe { buf.write(stat) })
}

/// Converts what `statx()` filled in.
///
/// # Safety
///
/// `dest` must be NULL or valid for writes of this library's `struct bfs_stat`.
pub unsafe fn convert(dest: *mut entry::bfs_stat, src: &libc::statx) -> Result<(), Errno> {
    let dest = NonNull::new(dest.cast::<bfs_stat>()).ok_or(Errno(libc::EINVAL))?;
    // SAFETY: not NULL, so valid for writes.
    from_statx(src).map(|stat| unsafe { dest.write(stat) })
}

/// What is known of `statx()` in this process: one of the three below.
static STATX: AtomicU8 = AtomicU8::new(UNTRIED);
const UNTRIED: u8 = 0;
const ALLOWED: u8 = 1;
const REFUSED: u8 = 2;

/// Whether this process does without `statx()`. Then rings must do without it too, although no filter reaches there: the
/// ID of a file's mount, its birth time and attributes must not depend on who looked.
pub fn does_without_statx() -> bool {
    let mut known = STATX.load(Ordering::Relaxed);
    if known == UNTRIED {
        known = if statx_is_refused() { REFUSED } else { ALLOWED };
        STATX.store(known, Ordering::Relaxed);
    }
    known == REFUSED
}

/// Asks by the best system call there is.
///
/// # Safety
///
/// `path` must be a string.
unsafe fn query(dfd: c_int, path: *const c_char, at_flags: c_int) -> Result<bfs_stat, Errno> {
    // SAFETY: passed on to the caller.
    unsafe {
        if STATX.load(Ordering::Relaxed) != REFUSED {
            match by_statx(dfd, path, at_flags) {
                Err(Errno(libc::ENOSYS | libc::EPERM | libc::EOPNOTSUPP)) if statx_is_refused() => {
                    STATX.store(REFUSED, Ordering::Relaxed);
                }
                result => return result,
            }
        }
        by_fstatat(dfd, path, at_flags)
    }
}

/// # Safety
///
/// `path` must be a string.
unsafe fn by_statx(dfd: c_int, path: *const c_char, at_flags: c_int) -> Result<bfs_stat, Errno> {
    let mut buf = MaybeUninit::<libc::statx>::zeroed();
    // Not the C library's function, which old ones lack, and which hides that the system call is missing.
    // SAFETY: `path` is a string, and the kernel writes nothing but the buffer.
    let ret = unsafe { libc::syscall(libc::SYS_statx, dfd, path, at_flags, STATX_MASK, buf.as_mut_ptr()) };
    if ret != 0 {
        return Err(Errno::last());
    }
    // SAFETY: integers, all of them zero or written by the kernel.
    from_statx(unsafe { buf.assume_init_ref() })
}

/// # Safety
///
/// `path` must be a string.
pub unsafe fn by_fstatat(dfd: c_int, path: *const c_char, at_flags: c_int) -> Result<bfs_stat, Errno> {
    let mut buf = MaybeUninit::<libc::stat64>::zeroed();
    // SAFETY: `path` is a string, and the kernel writes nothing but the buffer.
    let ret = unsafe { libc::fstatat64(dfd, path, buf.as_mut_ptr(), at_flags & !libc::AT_STATX_DONT_SYNC) };
    if ret != 0 {
        return Err(Errno::last());
    }
    // SAFETY: integers, all of them zero or written by the kernel.
    Ok(from_stat(unsafe { buf.assume_init_ref() }))
}

/// Whether it was the system that refused `statx()`, and not a file: kernels before 4.11 do, with `ENOSYS`, and so do
/// containers whose filter does not know it, some of them with `EPERM` or `EOPNOTSUPP`. Those do so whatever the
/// arguments, while a kernel that has the call finds fault with these.
fn statx_is_refused() -> bool {
    let null = ptr::null_mut::<c_char>();
    // SAFETY: the kernel checks every pointer, and NULL is none that it would write to.
    let ret = unsafe { libc::syscall(libc::SYS_statx, -1, null, 0, 0, null) };
    ret < 0 && matches!(Errno::last(), Errno(libc::ENOSYS | libc::EPERM | libc::EOPNOTSUPP))
}
