//! The library's own directory streams, for programs that have none.
//!
//! They behave as bfs's do on Linux. `include/ioq/dir.h` is generated from this file, the C surface. Below it, `stream`
//! reads the directory by `calls`, and `dirent` knows what the kernel wrote. `whole` is for lists, which no program's
//! functions are called for.

#![allow(non_camel_case_types)]

pub mod calls;
mod dirent;
mod stream;
mod whole;

pub use stream::{close, open, poll};
pub use whole::Records;

use crate::entry::bfs_dir;
use crate::platform::errno;
use libc::{c_char, c_int, c_uint};

/// The type of a file.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(dead_code, reason = "not every kind of file exists on Linux")]
pub enum bfs_type {
    /// Its type could not be found out. Never in a directory entry.
    BFS_ERROR = -1,
    /// The file system does not tell without a stat.
    BFS_UNKNOWN = 0,
    /// Block device.
    BFS_BLK = 1,
    /// Character device.
    BFS_CHR = 2,
    /// Directory.
    BFS_DIR = 3,
    /// Door, on Solaris.
    BFS_DOOR = 4,
    /// Pipe.
    BFS_FIFO = 5,
    /// Symbolic link.
    BFS_LNK = 6,
    /// Event port, on Solaris.
    BFS_PORT = 7,
    /// Regular file.
    BFS_REG = 8,
    /// Socket.
    BFS_SOCK = 9,
    /// Whiteout: hides a file in a lower layer of a union mount.
    BFS_WHT = 10,
}

/// Flags of `bfs_opendir()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum bfs_dir_flags {
    /// List whiteouts too.
    BFS_DIR_WHITEOUTS = 1,
}

/// A directory entry.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct bfs_dirent {
    /// The type of the file; `BFS_UNKNOWN` on some file systems.
    pub r#type: bfs_type,
    /// The name of the file, without the directory. It may be longer than `NAME_MAX`, which some file systems do not keep
    /// to. It is the directory's, and valid until the next call with that directory other than `bfs_dirfd()`.
    pub name: *const c_char,
}

const _: () = {
    use std::mem::offset_of;
    const POINTER: usize = size_of::<*mut ()>();
    assert!(size_of::<bfs_type>() == 4);
    assert!(size_of::<bfs_dirent>() == 2 * POINTER);
    assert!(offset_of!(bfs_dirent, r#type) == 0 && offset_of!(bfs_dirent, name) == POINTER);
};

/// Allocate a directory, which is not open.
///
/// It takes 64 KiB, most of which hold entries that were read ahead.
///
/// # Returns
///
/// The directory, to be released with `free()` once it is not open any more, or NULL with `errno` set to `ENOMEM`.
#[cfg_attr(not(feature = "static"), unsafe(no_mangle))]
pub extern "C" fn bfs_allocdir() -> *mut bfs_dir {
    errno::or_null(stream::alloc())
}

/// Open a directory.
///
/// The descriptor is close-on-exec, unless the caller brings it.
///
/// # Parameters
///
/// - `dir`: a directory from `bfs_allocdir()` that is not open. It can be opened again after it was closed.
/// - `at_fd`: the directory that `at_path` is relative to, or `AT_FDCWD`.
/// - `at_path`: the path; NULL opens `at_fd` itself. The descriptor then belongs to `dir`, which closes it, and the
///   entries are those from its current position on. Whether it is a directory is found out on reading.
/// - `flags`: `enum bfs_dir_flags`, or 0. Other bits are ignored.
///
/// # Returns
///
/// 0, or -1 with `errno` set, in which case `dir` is still not open, and `at_fd` still the caller's:
///
/// - `EINVAL`: `dir` is NULL.
/// - `EBADF`: `at_path` is NULL and `at_fd` negative.
/// - what `openat(2)` fails with, such as `ENOENT`, `ENOTDIR`, `EACCES`, `ELOOP` or `EMFILE`. Not `EINTR`: the call is
///   repeated if a signal interrupts it.
///
/// # Safety
///
/// `dir` and `at_path` must be as described, and nobody else may be using `dir`.
#[cfg_attr(not(feature = "static"), unsafe(no_mangle))]
pub unsafe extern "C" fn bfs_opendir(dir: *mut bfs_dir, at_fd: c_int, at_path: *const c_char, flags: c_uint) -> c_int {
    // SAFETY: passed on to the caller.
    errno::or_minus_one(unsafe { stream::open(dir, at_fd, at_path, flags) })
}

/// The descriptor of an open directory, which still owns it: it is not to be closed.
///
/// # Returns
///
/// The descriptor, or -1 with `errno` set to `EBADF` if `dir` is not open, or to `EINVAL` if it is NULL.
///
/// # Safety
///
/// `dir` must be NULL or a directory from `bfs_allocdir()`, and nobody else may be changing it.
#[cfg_attr(not(feature = "static"), unsafe(no_mangle))]
pub unsafe extern "C" fn bfs_dirfd(dir: *const bfs_dir) -> c_int {
    // SAFETY: passed on to the caller.
    errno::number_or_minus_one(unsafe { stream::fd(dir) })
}

/// Do the reading that the next `bfs_readdir()` needs, so that it need not wait.
///
/// # Returns
///
/// 1 if entries were read ahead, perhaps only such as `bfs_readdir()` leaves out; 0 at the end of the directory; or -1
/// with `errno` set:
///
/// - `EINVAL`: `dir` is NULL.
/// - what `getdents64(2)` fails with, such as `ENOTDIR`, `EBADF` if `dir` is not open, `ENOENT` if the directory was
///   removed since it was opened, or `EIO`. Not `EINTR`: the call is repeated if a signal interrupts it.
///
/// # Safety
///
/// `dir` must be NULL or a directory from `bfs_allocdir()`, and nobody else may be using it.
#[cfg_attr(not(feature = "static"), unsafe(no_mangle))]
pub unsafe extern "C" fn bfs_polldir(dir: *mut bfs_dir) -> c_int {
    // SAFETY: passed on to the caller.
    errno::number_or_minus_one(unsafe { stream::poll(dir) }.map(c_int::from))
}

/// Read the next entry of a directory, in the order of the file system.
///
/// "." and ".." are left out, and whiteouts without `BFS_DIR_WHITEOUTS`.
///
/// # Parameters
///
/// - `dir`: an open directory.
/// - `de`: where to put the entry, or NULL to pass over it. Left as it was unless the result is 1.
///
/// # Returns
///
/// 1 for an entry, 0 at the end of the directory, or -1 with `errno` set as for `bfs_polldir()`.
///
/// # Safety
///
/// `dir` must be NULL or a directory from `bfs_allocdir()`, and nobody else may be using it; `de` must be NULL or valid
/// for writes.
#[cfg_attr(not(feature = "static"), unsafe(no_mangle))]
pub unsafe extern "C" fn bfs_readdir(dir: *mut bfs_dir, de: *mut bfs_dirent) -> c_int {
    // SAFETY: passed on to the caller.
    errno::number_or_minus_one(unsafe { stream::read(dir) }.map(|entry| match entry {
        Some(entry) => {
            if !de.is_null() {
                // SAFETY: not NULL, so valid for writes.
                unsafe { de.write(entry) };
            }
            1
        }
        None => 0,
    }))
}

/// Close a directory.
///
/// It is closed whatever the result, and can be opened again. Its memory stays the caller's.
///
/// # Returns
///
/// 0, or -1 with `errno` set:
///
/// - `EINVAL`: `dir` is NULL.
/// - `EBADF`: `dir` is not open.
/// - what `close(2)` fails with. It is never repeated: the descriptor is gone, on Linux, even after `EINTR`.
///
/// # Safety
///
/// `dir` must be NULL or a directory from `bfs_allocdir()`, and nobody else may be using it.
#[cfg_attr(not(feature = "static"), unsafe(no_mangle))]
pub unsafe extern "C" fn bfs_closedir(dir: *mut bfs_dir) -> c_int {
    // SAFETY: passed on to the caller.
    errno::or_minus_one(unsafe { stream::close(dir) })
}

/// Take the descriptor out of an open directory.
///
/// The directory is not open any more then, but can be opened again. Its memory stays the caller's. What was read ahead
/// is lost: the descriptor's position is behind it.
///
/// # Returns
///
/// The descriptor, which the caller closes, or -1 with `errno` set to `EBADF` if `dir` is not open, or to `EINVAL` if it
/// is NULL.
///
/// # Safety
///
/// `dir` must be NULL or a directory from `bfs_allocdir()`, and nobody else may be using it.
#[cfg_attr(not(feature = "static"), unsafe(no_mangle))]
pub unsafe extern "C" fn bfs_unwrapdir(dir: *mut bfs_dir) -> c_int {
    // SAFETY: passed on to the caller.
    errno::number_or_minus_one(unsafe { stream::unwrap(dir) })
}

#[cfg(test)]
pub mod tests;
