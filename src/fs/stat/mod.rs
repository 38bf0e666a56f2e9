//! The library's own stat, for programs that have none.
//!
//! It behaves as bfs's does on Linux. `include/ioq/stat.h` is generated from this file, the C surface. Below it, `query`
//! asks the kernel, and `convert` translates questions and answers.

#![allow(non_camel_case_types)]

mod convert;
mod query;

pub use convert::{STATX_MASK, follows_if_it_can, statx_flags};
pub use query::{by_statx, convert, does_without_statx, raw, stat};

use crate::platform::errno::{self, Errno};
use libc::{c_char, c_int, c_uint, c_ulonglong, dev_t, gid_t, mode_t, uid_t};

/// Fields of `struct bfs_stat`.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum bfs_stat_field {
    /// `mode` is filled.
    BFS_STAT_MODE = 1 << 0,
    /// `dev` is filled.
    BFS_STAT_DEV = 1 << 1,
    /// `ino` is filled.
    BFS_STAT_INO = 1 << 2,
    /// `nlink` is filled.
    BFS_STAT_NLINK = 1 << 3,
    /// `gid` is filled.
    BFS_STAT_GID = 1 << 4,
    /// `uid` is filled.
    BFS_STAT_UID = 1 << 5,
    /// `size` is filled.
    BFS_STAT_SIZE = 1 << 6,
    /// `blocks` is filled.
    BFS_STAT_BLOCKS = 1 << 7,
    /// `rdev` is filled.
    BFS_STAT_RDEV = 1 << 8,
    /// `attrs` is filled.
    BFS_STAT_ATTRS = 1 << 9,
    /// `atime` is filled.
    BFS_STAT_ATIME = 1 << 10,
    /// `btime` is filled.
    BFS_STAT_BTIME = 1 << 11,
    /// `ctime` is filled.
    BFS_STAT_CTIME = 1 << 12,
    /// `mtime` is filled.
    BFS_STAT_MTIME = 1 << 13,
    /// `mnt_id` is filled.
    BFS_STAT_MNT_ID = 1 << 14,
}

/// Flags of `bfs_stat()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum bfs_stat_flags {
    /// Follow symbolic links. This is 0, and so the default.
    #[allow(dead_code, reason = "the absence of flags")]
    BFS_STAT_FOLLOW = 0,
    /// Stat a symbolic link itself.
    BFS_STAT_NOFOLLOW = 1 << 0,
    /// Follow symbolic links, but stat the link itself if it leads nowhere. Without meaning beside
    /// `BFS_STAT_NOFOLLOW`.
    BFS_STAT_TRYFOLLOW = 1 << 1,
    /// Be content with what a network file system has cached (`AT_STATX_DONT_SYNC`).
    BFS_STAT_NOSYNC = 1 << 2,
}

/// The integer behind C's `enum bfs_stat_field`: any number of fields together.
pub type RawFields = c_uint;

/// A time. `struct timespec` is not the same in every program on a 32-bit machine; where it is, it is this.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct bfs_timespec {
    /// Seconds since 1970.
    pub tv_sec: i64,
    /// Nanoseconds.
    pub tv_nsec: i64,
}

/// What is known about a file.
///
/// It is the same on every machine and in every program, whatever `_FILE_OFFSET_BITS` and `_TIME_BITS` are there.
///
/// After a success of `bfs_stat()`, all fields are valid, except that the times and `attrs` are so only if `mask` has
/// them. A field that is not in `mask` is 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct bfs_stat {
    /// The fields that are filled.
    pub mask: RawFields,
    /// File type and permissions, as in `inode(7)`.
    pub mode: mode_t,
    /// The device that holds the file.
    pub dev: dev_t,
    /// The inode number, unique on that device.
    pub ino: u64,
    /// The number of hard links.
    pub nlink: u64,
    /// The group that the file belongs to.
    pub gid: gid_t,
    /// The user that the file belongs to.
    pub uid: uid_t,
    /// The size in bytes.
    pub size: i64,
    /// The space that is allocated for the file, in units of 512 bytes.
    pub blocks: i64,
    /// The device that the file stands for, if it is a device.
    pub rdev: dev_t,
    /// The mount that holds the file. Since Linux 6.8 an ID that is never used again (`STATX_MNT_ID_UNIQUE`), since
    /// Linux 5.8 that of `/proc/self/mountinfo`, and before that, or where `statx(2)` is refused, the same as `dev`.
    pub mnt_id: u64,
    /// `STATX_ATTR_*`, as in `statx(2)`.
    pub attrs: c_ulonglong,
    /// When the file was last read.
    pub atime: bfs_timespec,
    /// When the file was created.
    pub btime: bfs_timespec,
    /// When the inode was last changed.
    pub ctime: bfs_timespec,
    /// When the contents were last changed.
    pub mtime: bfs_timespec,
}

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<bfs_stat_field>() == 4 && size_of::<bfs_stat_flags>() == 4);
    assert!(size_of::<bfs_timespec>() == 16 && size_of::<bfs_stat>() == 144);
    assert!(offset_of!(bfs_stat, mask) == 0 && offset_of!(bfs_stat, mode) == 4);
    assert!(offset_of!(bfs_stat, dev) == 8 && offset_of!(bfs_stat, ino) == 16);
    assert!(offset_of!(bfs_stat, nlink) == 24 && offset_of!(bfs_stat, gid) == 32);
    assert!(offset_of!(bfs_stat, uid) == 36 && offset_of!(bfs_stat, size) == 40);
    assert!(offset_of!(bfs_stat, blocks) == 48 && offset_of!(bfs_stat, rdev) == 56);
    assert!(offset_of!(bfs_stat, mnt_id) == 64 && offset_of!(bfs_stat, attrs) == 72);
    assert!(offset_of!(bfs_stat, atime) == 80 && offset_of!(bfs_stat, btime) == 96);
    assert!(offset_of!(bfs_stat, ctime) == 112 && offset_of!(bfs_stat, mtime) == 128);
};

/// Stat a file.
///
/// This is `statx(2)`, or `fstatat(2)` where that is not allowed or too new. Automounts are not triggered.
///
/// # Parameters
///
/// - `at_fd`: the directory that `at_path` is relative to, or `AT_FDCWD`.
/// - `at_path`: the path; NULL stats `at_fd` itself, which may be any kind of file.
/// - `flags`: `enum bfs_stat_flags`, or 0. Other bits are ignored.
/// - `buf`: where to put the result. Left as it was on failure.
///
/// # Returns
///
/// 0, or -1 with `errno` set:
///
/// - `EINVAL`: `buf` is NULL.
/// - `ENOTSUP`: the file system does not tell one of mode, number of links, owner, group, inode number, size and blocks.
/// - what `statx(2)` fails with, such as `ENOENT`, `ENOTDIR`, `EACCES`, `ELOOP`, `EBADF`, or `EINTR` on file systems that
///   a signal can interrupt. With `BFS_STAT_TRYFOLLOW`, `ENOENT` and `ENOTDIR` mean that there is no link either.
///
/// # Safety
///
/// `at_path` must be NULL or a string, and `buf` NULL or valid for writes.
#[cfg_attr(not(feature = "static"), unsafe(no_mangle))]
pub unsafe extern "C" fn bfs_stat(at_fd: c_int, at_path: *const c_char, flags: c_uint, buf: *mut bfs_stat) -> c_int {
    // SAFETY: passed on to the caller.
    errno::or_minus_one(unsafe { query::stat(at_fd, at_path, flags, buf.cast()) })
}

/// The flags of `statx(2)` for `enum bfs_stat_flags`: those of `AT_SYMLINK_NOFOLLOW` and `AT_STATX_DONT_SYNC` that were
/// asked for, and `AT_NO_AUTOMOUNT`.
///
/// `BFS_STAT_TRYFOLLOW` has no flag: the caller tries again with `AT_SYMLINK_NOFOLLOW` after `ENOENT` or `ENOTDIR`.
#[cfg_attr(not(feature = "static"), unsafe(no_mangle))]
pub extern "C" fn bfs_statx_flags(flags: c_uint) -> c_int {
    convert::statx_flags(flags)
}

/// The mask to give to `statx(2)`: basic stats, birth time and mount ID.
#[cfg_attr(not(feature = "static"), unsafe(no_mangle))]
pub extern "C" fn bfs_statx_mask() -> c_uint {
    convert::STATX_MASK
}

/// Convert the result of `statx(2)`.
///
/// # Parameters
///
/// - `dest`: where to put the converted result. Left as it was on failure.
/// - `src`: what `statx(2)` filled in.
///
/// # Returns
///
/// 0, or -1 with `errno` set:
///
/// - `EINVAL`: `dest` or `src` is NULL.
/// - `ENOTSUP`: any of the basic stats is missing, the times apart.
///
/// # Safety
///
/// `dest` must be NULL or valid for writes, and `src` NULL or a filled `struct statx`.
#[cfg_attr(not(feature = "static"), unsafe(no_mangle))]
pub unsafe extern "C" fn bfs_statx_convert(dest: *mut bfs_stat, src: *const libc::statx) -> c_int {
    // SAFETY: NULL or filled, by this function's contract.
    let result = unsafe { src.as_ref() }.ok_or(Errno(libc::EINVAL));
    // SAFETY: passed on to the caller.
    errno::or_minus_one(result.and_then(|src| unsafe { query::convert(dest.cast(), src) }))
}

#[cfg(test)]
mod tests;
