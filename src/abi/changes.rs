//! The functions of `ioq.h` that submit requests to change names, and what is known of files.

use super::requests::submit;
use crate::ops::{Chmod, Chown, Link, Mkdir, Rename, Symlink, Unlink, Utimens};
use crate::platform::time64::Timespec64;
use crate::queue::Ioq;
use libc::{c_char, c_int, c_uint, c_void, gid_t, mode_t, timespec, uid_t};

/// Submit an `unlinkat(2)`.
///
/// No order is kept between requests; see `ioq_nop()`.
///
/// What changes names, which is this, `ioq_rename()`, `ioq_mkdir()`, `ioq_link()` and `ioq_symlink()`, is done once. A
/// file system that is interrupted, as a ring's requests are when they are cancelled, may have done what it was to do all
/// the same, and to do it again would not tell.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `dfd`: the directory that `path` is relative to, or `AT_FDCWD`; it must stay open until the entry is popped.
/// - `path`: the path, which must stay valid until the entry is popped.
/// - `flags`: `AT_REMOVEDIR` for a directory, or 0.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`, and to `EINVAL` if `path` is NULL. The entry's result is:
///
/// - 0.
/// - the negated `errno` of `unlinkat(2)`.
/// - `-EINTR` if the queue was cancelled first, or the file system was interrupted: then it may have been done.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the path as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_unlink(
    ioq: *mut Ioq,
    dfd: c_int,
    path: *const c_char,
    flags: c_int,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the path is as this function's contract says.
    unsafe { submit(ioq, Unlink::request(dfd, path, flags), ptr) }
}

/// Submit a `renameat2(2)`.
///
/// Without flags it is a `renameat(2)`.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `olddfd`, `newdfd`: the directories that the paths are relative to, or `AT_FDCWD`; they must stay open until the
///   entry is popped.
/// - `oldpath`, `newpath`: the paths, which must stay valid until the entry is popped.
/// - `flags`: `RENAME_NOREPLACE` and the like, or 0.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`, and to `EINVAL` if a path is NULL. The entry's result is 0, the negated
/// `errno` of `renameat2(2)`, or `-EINTR`; see `ioq_unlink()`.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the paths as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_rename(
    ioq: *mut Ioq,
    olddfd: c_int,
    oldpath: *const c_char,
    newdfd: c_int,
    newpath: *const c_char,
    flags: c_uint,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the paths are as this function's contract says.
    unsafe { submit(ioq, Rename::request(olddfd, oldpath, newdfd, newpath, flags), ptr) }
}

/// Submit a `mkdirat(2)`.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `dfd`: the directory that `path` is relative to, or `AT_FDCWD`; it must stay open until the entry is popped.
/// - `path`: the path, which must stay valid until the entry is popped.
/// - `mode`: the mode of the new directory, less the process's `umask(2)` when the request runs.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`, and to `EINVAL` if `path` is NULL. The entry's result is 0, the negated
/// `errno` of `mkdirat(2)`, or `-EINTR`; see `ioq_unlink()`.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the path as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_mkdir(
    ioq: *mut Ioq,
    dfd: c_int,
    path: *const c_char,
    mode: mode_t,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the path is as this function's contract says.
    unsafe { submit(ioq, Mkdir::request(dfd, path, mode), ptr) }
}

/// Submit a `linkat(2)`.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `olddfd`, `newdfd`: the directories that the paths are relative to, or `AT_FDCWD`; they must stay open until the
///   entry is popped.
/// - `oldpath`, `newpath`: the paths of the file and of the new link, which must stay valid until the entry is popped.
/// - `flags`: `AT_SYMLINK_FOLLOW` and `AT_EMPTY_PATH`, or 0.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`, and to `EINVAL` if a path is NULL. The entry's result is 0, the negated
/// `errno` of `linkat(2)`, or `-EINTR`; see `ioq_unlink()`.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the paths as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_link(
    ioq: *mut Ioq,
    olddfd: c_int,
    oldpath: *const c_char,
    newdfd: c_int,
    newpath: *const c_char,
    flags: c_int,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the paths are as this function's contract says.
    unsafe { submit(ioq, Link::request(olddfd, oldpath, newdfd, newpath, flags), ptr) }
}

/// Submit a `symlinkat(2)`.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `target`: what the link is to contain, which must stay valid until the entry is popped.
/// - `dfd`: the directory that `path` is relative to, or `AT_FDCWD`; it must stay open until the entry is popped.
/// - `path`: the path of the new link, which must stay valid until the entry is popped.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`, and to `EINVAL` if `target` or `path` is NULL. The entry's result is 0, the
/// negated `errno` of `symlinkat(2)`, or `-EINTR`; see `ioq_unlink()`.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the strings as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_symlink(
    ioq: *mut Ioq,
    target: *const c_char,
    dfd: c_int,
    path: *const c_char,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the strings are as this function's contract says.
    unsafe { submit(ioq, Symlink::request(target, dfd, path), ptr) }
}

/// Submit an `fchmodat(2)`, or where there are flags, an `fchmodat2(2)`.
///
/// Before Linux 6.6, flags are the C library's business, which knows `AT_SYMLINK_NOFOLLOW` at most.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `dfd`: the directory that `path` is relative to, or `AT_FDCWD`; it must stay open until the entry is popped.
/// - `path`: the path, which must stay valid until the entry is popped.
/// - `mode`: the new mode.
/// - `flags`: `AT_SYMLINK_NOFOLLOW` and `AT_EMPTY_PATH`, or 0.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`, and to `EINVAL` if `path` is NULL. The entry's result is 0, the negated
/// `errno` of `fchmodat2(2)` (`EOPNOTSUPP` for a symbolic link itself), or `-EINTR` if the queue was cancelled first.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the path as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_chmod(
    ioq: *mut Ioq,
    dfd: c_int,
    path: *const c_char,
    mode: mode_t,
    flags: c_int,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the path is as this function's contract says.
    unsafe { submit(ioq, Chmod::request(dfd, path, mode, flags), ptr) }
}

/// Submit an `fchownat(2)`.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `dfd`: the directory that `path` is relative to, or `AT_FDCWD`; it must stay open until the entry is popped.
/// - `path`: the path, which must stay valid until the entry is popped.
/// - `uid`, `gid`: the new owner and group; -1 leaves one as it is.
/// - `flags`: `AT_SYMLINK_NOFOLLOW` and `AT_EMPTY_PATH`, or 0.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`, and to `EINVAL` if `path` is NULL. The entry's result is 0, the negated
/// `errno` of `fchownat(2)`, or `-EINTR` if the queue was cancelled first.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the path as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_chown(
    ioq: *mut Ioq,
    dfd: c_int,
    path: *const c_char,
    uid: uid_t,
    gid: gid_t,
    flags: c_int,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the path is as this function's contract says.
    unsafe { submit(ioq, Chown::request(dfd, path, uid, gid, flags), ptr) }
}

/// Submit a `utimensat(2)`.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `dfd`: the directory that `path` is relative to, or `AT_FDCWD`; it must stay open until the entry is popped.
/// - `path`: the path, which must stay valid until the entry is popped.
/// - `times`: two times, of the last access and the last modification, which must stay valid until the entry is popped;
///   `UTIME_NOW` and `UTIME_OMIT` are as in `utimensat(2)`. NULL stands for now: when the request runs.
/// - `flags`: `AT_SYMLINK_NOFOLLOW` and `AT_EMPTY_PATH`, or 0.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`, and to `EINVAL` if `path` is NULL. The entry's result is 0, the negated
/// `errno` of `utimensat(2)`, or `-EINTR` if the queue was cancelled first.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the pointers as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_utimens(
    ioq: *mut Ioq,
    dfd: c_int,
    path: *const c_char,
    times: *const timespec,
    flags: c_int,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the pointers are as this function's contract says.
    unsafe { submit(ioq, Utimens::request(dfd, path, times, flags), ptr) }
}

/// `ioq_utimens()` with times of 64 bits, which programs with such times call by that name on machines of 32 bits.
///
/// # Safety
///
/// As for `ioq_utimens()`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_utimens_time64(
    ioq: *mut Ioq,
    dfd: c_int,
    path: *const c_char,
    times: *const Timespec64,
    flags: c_int,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the pointers are as this function's contract says.
    unsafe { submit(ioq, Utimens::request64(dfd, path, times, flags), ptr) }
}
