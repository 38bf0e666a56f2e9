//! What the kernel is asked, and what its answers mean.

#![forbid(unsafe_code)]

use super::bfs_stat_field::{self, *};
use super::bfs_stat_flags::{self, *};
use super::{bfs_stat, bfs_timespec};
use crate::platform::errno::Errno;
use libc::{c_int, c_uint};

/// What `statx()` is asked for.
pub const STATX_MASK: c_uint =
    libc::STATX_BASIC_STATS | libc::STATX_BTIME | libc::STATX_MNT_ID | libc::STATX_MNT_ID_UNIQUE;

/// What an answer must have, so that callers need to look at the mask for little more than the times.
const REQUIRED: c_uint = libc::STATX_BASIC_STATS & !(libc::STATX_ATIME | libc::STATX_CTIME | libc::STATX_MTIME);

/// The fields that every answer has.
const ALWAYS: c_uint = mask(&[
    BFS_STAT_MODE,
    BFS_STAT_DEV,
    BFS_STAT_INO,
    BFS_STAT_NLINK,
    BFS_STAT_GID,
    BFS_STAT_UID,
    BFS_STAT_SIZE,
    BFS_STAT_BLOCKS,
    BFS_STAT_RDEV,
    BFS_STAT_MNT_ID,
]);

const NEVER: bfs_timespec = bfs_timespec { tv_sec: 0, tv_nsec: 0 };

/// The flags of `statx()` for `enum bfs_stat_flags`.
pub fn statx_flags(flags: c_uint) -> c_int {
    let mut at_flags = libc::AT_NO_AUTOMOUNT;
    if has(flags, BFS_STAT_NOFOLLOW) {
        at_flags |= libc::AT_SYMLINK_NOFOLLOW;
    }
    if has(flags, BFS_STAT_NOSYNC) {
        at_flags |= libc::AT_STATX_DONT_SYNC;
    }
    at_flags
}

/// Whether a link that leads nowhere, which means `ENOENT` or `ENOTDIR`, is to be taken for itself.
pub fn follows_if_it_can(flags: c_uint) -> bool {
    has(flags, BFS_STAT_TRYFOLLOW) && !has(flags, BFS_STAT_NOFOLLOW)
}

/// Translates the answer of `statx()`, if it has what it must.
pub fn from_statx(src: &libc::statx) -> Result<bfs_stat, Errno> {
    if src.stx_mask & REQUIRED != REQUIRED {
        return Err(Errno(libc::ENOTSUP));
    }
    let dev = libc::makedev(src.stx_dev_major, src.stx_dev_minor);
    let mut dest = bfs_stat {
        mask: ALWAYS | BFS_STAT_ATTRS as c_uint,
        mode: src.stx_mode.into(),
        dev,
        ino: src.stx_ino,
        nlink: src.stx_nlink.into(),
        gid: src.stx_gid,
        uid: src.stx_uid,
        size: src.stx_size as i64,
        blocks: src.stx_blocks as i64,
        rdev: libc::makedev(src.stx_rdev_major, src.stx_rdev_minor),
        // Without mounts, devices come nearest.
        mnt_id: dev,
        attrs: src.stx_attributes,
        atime: NEVER,
        btime: NEVER,
        ctime: NEVER,
        mtime: NEVER,
    };
    if src.stx_mask & (libc::STATX_MNT_ID | libc::STATX_MNT_ID_UNIQUE) != 0 {
        dest.mnt_id = src.stx_mnt_id;
    }
    for (bit, from, field, to) in [
        (libc::STATX_ATIME, &src.stx_atime, BFS_STAT_ATIME, &mut dest.atime),
        (libc::STATX_BTIME, &src.stx_btime, BFS_STAT_BTIME, &mut dest.btime),
        (libc::STATX_CTIME, &src.stx_ctime, BFS_STAT_CTIME, &mut dest.ctime),
        (libc::STATX_MTIME, &src.stx_mtime, BFS_STAT_MTIME, &mut dest.mtime),
    ] {
        if src.stx_mask & bit != 0 {
            *to = time(from.tv_sec, from.tv_nsec);
            dest.mask |= field as c_uint;
        }
    }
    Ok(dest)
}

fn time(tv_sec: impl Into<i64>, tv_nsec: impl Into<i64>) -> bfs_timespec {
    bfs_timespec { tv_sec: tv_sec.into(), tv_nsec: tv_nsec.into() }
}

/// Translates the answer of `fstatat()`, which knows neither birth times nor mounts nor attributes.
pub fn from_stat(src: &libc::stat64) -> bfs_stat {
    bfs_stat {
        mask: ALWAYS | mask(&[BFS_STAT_ATIME, BFS_STAT_CTIME, BFS_STAT_MTIME]),
        mode: src.st_mode,
        dev: src.st_dev,
        ino: src.st_ino,
        nlink: src.st_nlink as _,
        gid: src.st_gid,
        uid: src.st_uid,
        size: src.st_size,
        blocks: src.st_blocks,
        rdev: src.st_rdev,
        mnt_id: src.st_dev,
        attrs: 0,
        atime: time(src.st_atime, src.st_atime_nsec),
        btime: NEVER,
        ctime: time(src.st_ctime, src.st_ctime_nsec),
        mtime: time(src.st_mtime, src.st_mtime_nsec),
    }
}

/// Fills in what `statx()` would have answered, as far as `fstatat()` knows. The rest is left as it is.
pub fn to_statx(src: &libc::stat64, dest: &mut libc::statx) {
    dest.stx_mask = libc::STATX_BASIC_STATS;
    dest.stx_blksize = src.st_blksize as u32;
    dest.stx_nlink = src.st_nlink as u32;
    dest.stx_uid = src.st_uid;
    dest.stx_gid = src.st_gid;
    dest.stx_mode = src.st_mode as u16;
    dest.stx_ino = src.st_ino;
    dest.stx_size = src.st_size as u64;
    dest.stx_blocks = src.st_blocks as u64;
    (dest.stx_rdev_major, dest.stx_rdev_minor) = (libc::major(src.st_rdev), libc::minor(src.st_rdev));
    (dest.stx_dev_major, dest.stx_dev_minor) = (libc::major(src.st_dev), libc::minor(src.st_dev));
    for (to, from) in [
        (&mut dest.stx_atime, time(src.st_atime, src.st_atime_nsec)),
        (&mut dest.stx_ctime, time(src.st_ctime, src.st_ctime_nsec)),
        (&mut dest.stx_mtime, time(src.st_mtime, src.st_mtime_nsec)),
    ] {
        (to.tv_sec, to.tv_nsec) = (from.tv_sec, from.tv_nsec as u32);
    }
}

/// The mask of some fields.
pub const fn mask(fields: &[bfs_stat_field]) -> c_uint {
    let (mut mask, mut i) = (0, 0);
    while i < fields.len() {
        mask |= fields[i] as c_uint;
        i += 1;
    }
    mask
}

fn has(flags: c_uint, flag: bfs_stat_flags) -> bool {
    flags & flag as c_uint != 0
}
