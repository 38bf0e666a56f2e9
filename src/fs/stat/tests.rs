//! What C programs see of files.

use super::bfs_stat_field::*;
use super::bfs_stat_flags::*;
use super::convert::{from_stat, from_statx, mask};
use super::*;
use crate::fs::dir::tests::{TempDir, checked};
use libc::{AT_FDCWD, EBADF, EINVAL, ELOOP, ENOENT, ENOTDIR};
use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::{fs, mem};

fn stat_at(fd: c_int, path: Option<&Path>, flags: bfs_stat_flags) -> Result<bfs_stat, c_int> {
    let path = path.map(|path| CString::new(path.as_os_str().as_bytes()).unwrap());
    let mut buf = MaybeUninit::uninit();
    // SAFETY: the path is NULL or a string, and the buffer is filled on success.
    unsafe {
        let path = path.as_ref().map_or(null(), |path| path.as_ptr());
        checked(|| super::bfs_stat(fd, path, flags as c_uint, buf.as_mut_ptr()))?;
        Ok(buf.assume_init())
    }
}

fn stat_path(path: &Path, flags: bfs_stat_flags) -> Result<bfs_stat, c_int> {
    stat_at(AT_FDCWD, Some(path), flags)
}

/// What identifies a file.
fn id(stat: &bfs_stat) -> (dev_t, u64) {
    (stat.dev, stat.ino)
}

/// Everything that any stat tells.
fn basics(stat: bfs_stat) -> impl PartialEq + std::fmt::Debug {
    let times = [stat.atime, stat.ctime, stat.mtime].map(|time| (time.tv_sec, time.tv_nsec));
    (id(&stat), stat.mode, stat.nlink, (stat.uid, stat.gid), stat.size, stat.blocks, stat.rdev, times)
}

#[test]
fn every_field_is_that_of_the_file() {
    let temp = TempDir::new();
    let file = temp.file("file");
    fs::write(&file, [1; 10_000]).unwrap();
    fs::hard_link(&file, temp.0.join("other")).unwrap();

    let (stat, expected) = (stat_path(&file, BFS_STAT_FOLLOW).unwrap(), fs::metadata(&file).unwrap());
    assert_eq!(id(&stat), (expected.dev(), expected.ino()));
    assert_eq!((stat.mode, stat.nlink, stat.size), (expected.mode(), 2, 10_000));
    assert_eq!((stat.uid, stat.gid, stat.blocks as u64), (expected.uid(), expected.gid(), expected.blocks()));
    assert_eq!((stat.mtime.tv_sec, stat.mtime.tv_nsec), (expected.mtime(), expected.mtime_nsec()));
    let all = BFS_STAT_MNT_ID as c_uint * 2 - 1;
    assert_eq!(stat.mask | mask(&[BFS_STAT_BTIME, BFS_STAT_ATTRS]), all, "the rest depends on the system");
}

#[test]
fn devices_have_device_numbers() {
    let stat = stat_path(Path::new("/dev/null"), BFS_STAT_FOLLOW).unwrap();
    assert_eq!((stat.mode & libc::S_IFMT, stat.rdev), (libc::S_IFCHR, libc::makedev(1, 3)));
}

#[test]
fn statx_and_fstatat_agree() {
    let temp = TempDir::new();
    symlink("nowhere", temp.0.join("link")).unwrap();
    for path in [temp.file("file").as_path(), &temp.0, &temp.0.join("link"), Path::new("/dev/null"), Path::new("/")] {
        let string = CString::new(path.as_os_str().as_bytes()).unwrap();
        let flags = statx_flags(BFS_STAT_NOFOLLOW as c_uint | BFS_STAT_NOSYNC as c_uint);
        // SAFETY: a string.
        let fallback = unsafe { query::by_fstatat(AT_FDCWD, string.as_ptr(), flags) }.unwrap();
        let statx = stat_path(path, BFS_STAT_NOFOLLOW).unwrap();
        assert_eq!(basics(convert::from_stat(&fallback)), basics(statx), "{}", path.display());

        // SAFETY: integers.
        let mut instead: libc::statx = unsafe { std::mem::zeroed() };
        convert::to_statx(&fallback, &mut instead);
        assert_eq!(basics(convert::from_statx(&instead).unwrap()), basics(statx), "{}", path.display());
    }
}

#[test]
fn a_link_is_followed_or_not() {
    let temp = TempDir::new();
    let (file, link) = (temp.file("file"), temp.0.join("link"));
    symlink("file", &link).unwrap();

    let target = id(&stat_path(&file, BFS_STAT_FOLLOW).unwrap());
    assert_eq!(id(&stat_path(&link, BFS_STAT_FOLLOW).unwrap()), target);
    assert_eq!(id(&stat_path(&link, BFS_STAT_TRYFOLLOW).unwrap()), target);
    assert_eq!(stat_path(&link, BFS_STAT_NOFOLLOW).unwrap().mode & libc::S_IFMT, libc::S_IFLNK);
}

#[test]
fn a_link_to_nowhere_is_itself_on_request() {
    let temp = TempDir::new();
    temp.file("file");
    for (target, error) in [("nowhere", ENOENT), ("file/nowhere", ENOTDIR)] {
        let link = temp.0.join(error.to_string());
        symlink(target, &link).unwrap();
        assert_eq!(stat_path(&link, BFS_STAT_FOLLOW).err(), Some(error));
        let stat = stat_path(&link, BFS_STAT_TRYFOLLOW).unwrap();
        assert_eq!((stat.mode & libc::S_IFMT, stat.size), (libc::S_IFLNK, target.len() as i64));
    }
}

#[test]
fn what_is_not_there_is_not_found_either_way() {
    let temp = TempDir::new();
    let nothing = temp.0.join("nothing");
    assert_eq!(stat_path(&nothing, BFS_STAT_FOLLOW).err(), Some(ENOENT));
    assert_eq!(stat_path(&nothing, BFS_STAT_TRYFOLLOW).err(), Some(ENOENT));
    assert_eq!(stat_path(Path::new(""), BFS_STAT_TRYFOLLOW).err(), Some(ENOENT));
}

#[test]
fn a_loop_is_an_error_though_one_tries_to_follow() {
    let temp = TempDir::new();
    let link = temp.0.join("link");
    symlink("link", &link).unwrap();
    assert_eq!(stat_path(&link, BFS_STAT_TRYFOLLOW).err(), Some(ELOOP));
}

#[test]
fn without_a_path_it_is_the_descriptor() {
    let temp = TempDir::new();
    let path = temp.file("file");
    let (file, dir) = (fs::File::open(&path).unwrap(), fs::File::open(&temp.0).unwrap());
    for flags in [BFS_STAT_FOLLOW, BFS_STAT_NOFOLLOW, BFS_STAT_TRYFOLLOW] {
        let by_path = stat_path(&path, BFS_STAT_FOLLOW).unwrap();
        assert_eq!(id(&stat_at(file.as_raw_fd(), None, flags).unwrap()), id(&by_path));
        let relative = stat_at(dir.as_raw_fd(), Some(Path::new("file")), flags).unwrap();
        assert_eq!(id(&relative), id(&by_path));
    }
    assert_eq!(stat_at(-1, None, BFS_STAT_FOLLOW).err(), Some(EBADF));
}

#[test]
fn mounts_have_different_ids() {
    let mnt_id = |path| stat_path(Path::new(path), BFS_STAT_FOLLOW).unwrap().mnt_id;
    assert_eq!(mnt_id("/proc"), mnt_id("/proc/self/"));
    assert_ne!(mnt_id("/proc"), mnt_id("/"));
}

#[test]
fn no_buffer_is_an_error() {
    let (src, mut dest) = (statx(libc::STATX_BASIC_STATS), MaybeUninit::uninit());
    // SAFETY: NULL is allowed here.
    unsafe {
        assert_eq!(checked(|| super::bfs_stat(AT_FDCWD, c"/".as_ptr(), 0, null_mut())), Err(EINVAL));
        assert_eq!(checked(|| bfs_statx_convert(null_mut(), &src)), Err(EINVAL));
        assert_eq!(checked(|| bfs_statx_convert(dest.as_mut_ptr(), null())), Err(EINVAL));
    }
}

/// An answer in which every field is 0.
fn statx(mask: c_uint) -> libc::statx {
    // SAFETY: integers.
    let mut answer: libc::statx = unsafe { mem::zeroed() };
    answer.stx_mask = mask;
    answer
}

#[test]
fn an_answer_must_have_all_but_times() {
    let times = libc::STATX_ATIME | libc::STATX_CTIME | libc::STATX_MTIME;
    let stat = from_statx(&statx(libc::STATX_BASIC_STATS & !times)).ok().unwrap();
    assert_eq!(stat.mask & mask(&[BFS_STAT_ATIME, BFS_STAT_BTIME, BFS_STAT_CTIME, BFS_STAT_MTIME]), 0);
    let error = from_statx(&statx(libc::STATX_BASIC_STATS & !libc::STATX_UID)).err();
    assert_eq!(error, Some(Errno(libc::ENOTSUP)));
}

#[test]
fn birth_times_and_attributes_are_kept() {
    let mut answer = statx(STATX_MASK);
    (answer.stx_btime.tv_sec, answer.stx_btime.tv_nsec, answer.stx_attributes) = (-5, 7, 1 << 40);
    let stat = from_statx(&answer).ok().unwrap();
    assert_eq!(((stat.btime.tv_sec, stat.btime.tv_nsec), stat.attrs), ((-5, 7), 1 << 40));
    assert_ne!(stat.mask & BFS_STAT_BTIME as c_uint, 0);
}

#[test]
fn devices_stand_in_for_mounts() {
    let mut answer = statx(libc::STATX_BASIC_STATS);
    (answer.stx_dev_major, answer.stx_dev_minor, answer.stx_mnt_id) = (8, 1, 42);
    assert_eq!(from_statx(&answer).ok().unwrap().mnt_id, libc::makedev(8, 1));
    answer.stx_mask |= libc::STATX_MNT_ID;
    assert_eq!(from_statx(&answer).ok().unwrap().mnt_id, 42);

    // SAFETY: integers.
    let mut plain: libc::stat64 = unsafe { mem::zeroed() };
    plain.st_dev = 17;
    assert_eq!(from_stat(&plain).mnt_id, 17);
}

#[test]
fn flags_have_their_counterparts() {
    let flags = |flags: bfs_stat_flags| bfs_statx_flags(flags as c_uint) & !libc::AT_NO_AUTOMOUNT;
    assert_eq!(flags(BFS_STAT_FOLLOW), 0);
    assert_eq!(flags(BFS_STAT_NOFOLLOW), libc::AT_SYMLINK_NOFOLLOW);
    assert_eq!(flags(BFS_STAT_TRYFOLLOW), 0);
    assert_eq!(flags(BFS_STAT_NOSYNC), libc::AT_STATX_DONT_SYNC);
    assert_eq!(bfs_statx_flags(!0), libc::AT_NO_AUTOMOUNT | libc::AT_SYMLINK_NOFOLLOW | libc::AT_STATX_DONT_SYNC);
}

#[test]
fn only_trying_to_follow_is_trying_to_follow() {
    let both = BFS_STAT_TRYFOLLOW as c_uint | BFS_STAT_NOFOLLOW as c_uint;
    assert!(follows_if_it_can(BFS_STAT_TRYFOLLOW as c_uint));
    assert!(!follows_if_it_can(both) && !follows_if_it_can(BFS_STAT_FOLLOW as c_uint));
}
