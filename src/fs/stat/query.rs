//! Asking the kernel about files.

use super::convert::{from_stat, from_statx, to_statx};
use super::{STATX_MASK, bfs_stat, follows_if_it_can, statx_flags};
use crate::entry;
use crate::platform::errno::{self, Errno};
use libc::{c_char, c_int, c_uint, statx};
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
        match ask(dfd, path, at_flags) {
            Err(Errno(libc::ENOENT | libc::ENOTDIR)) if follows_if_it_can(flags) => {
                ask(dfd, path, at_flags | libc::AT_SYMLINK_NOFOLLOW)
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
pub unsafe fn convert(dest: *mut entry::bfs_stat, src: &statx) -> Result<(), Errno> {
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

/// Asks for what the library's `struct bfs_stat` has.
///
/// # Safety
///
/// `path` must be a string.
unsafe fn ask(dfd: c_int, path: *const c_char, at_flags: c_int) -> Result<bfs_stat, Errno> {
    let mut buf = MaybeUninit::<statx>::zeroed();
    let by_statx = || {
        // SAFETY: passed on to the caller. The buffer is integers, all of them zero or written by the kernel.
        unsafe {
            by_statx(dfd, path, at_flags, STATX_MASK, buf.as_mut_ptr())?;
            from_statx(buf.assume_init_ref())
        }
    };
    // SAFETY: passed on to the caller.
    query(by_statx, || unsafe { by_fstatat(dfd, path, at_flags) }.map(|stat| from_stat(&stat)))
}

/// `statx()`, or what comes nearest where that is refused: 0 or a negated `errno`. Repeated if it is interrupted.
///
/// # Safety
///
/// `path` must be a string, and `buf` valid for writes.
pub unsafe fn raw(dfd: c_int, path: *const c_char, at_flags: c_int, mask: c_uint, buf: *mut statx) -> c_int {
    // SAFETY: passed on to the caller.
    errno::uninterrupted(|| unsafe {
        let by_fstatat = || {
            let stat = by_fstatat(dfd, path, at_flags)?;
            // Zeros are a valid answer, that nothing is known.
            buf.write_bytes(0, 1);
            to_statx(&stat, &mut *buf);
            Ok(())
        };
        errno::negated_result(query(|| by_statx(dfd, path, at_flags, mask, buf), by_fstatat))
    })
}

/// Asks by the best system call there is.
fn query<T>(
    by_statx: impl FnOnce() -> Result<T, Errno>,
    by_fstatat: impl FnOnce() -> Result<T, Errno>,
) -> Result<T, Errno> {
    if STATX.load(Ordering::Relaxed) != REFUSED {
        match by_statx() {
            Err(Errno(libc::ENOSYS | libc::EPERM | libc::EOPNOTSUPP)) if statx_is_refused() => {
                STATX.store(REFUSED, Ordering::Relaxed);
            }
            result => return result,
        }
    }
    by_fstatat()
}

/// `statx(2)` and nothing else.
///
/// # Safety
///
/// `path` must be a string, and `buf` valid for writes.
pub unsafe fn by_statx(
    dfd: c_int,
    path: *const c_char,
    at_flags: c_int,
    mask: c_uint,
    buf: *mut statx,
) -> Result<(), Errno> {
    // Not the C library's function, which old ones lack, and which hides that the system call is missing.
    // SAFETY: `path` is a string, and the kernel writes nothing but the buffer.
    let ret = unsafe { libc::syscall(libc::SYS_statx, dfd, path, at_flags, mask, buf) };
    if ret == 0 { Ok(()) } else { Err(Errno::last()) }
}

/// # Safety
///
/// `path` must be a string.
pub unsafe fn by_fstatat(dfd: c_int, path: *const c_char, at_flags: c_int) -> Result<libc::stat64, Errno> {
    let mut buf = MaybeUninit::zeroed();
    // SAFETY: `path` is a string, and the kernel writes nothing but the buffer.
    let ret = unsafe { libc::fstatat64(dfd, path, buf.as_mut_ptr(), at_flags & !libc::AT_STATX_DONT_SYNC) };
    // SAFETY: integers, all of them zero or written by the kernel.
    if ret == 0 { Ok(unsafe { buf.assume_init() }) } else { Err(Errno::last()) }
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
