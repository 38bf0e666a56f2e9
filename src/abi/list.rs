//! The functions and types of `ioq.h` that are about whole directories.

#![allow(non_camel_case_types)]

use super::requests::submit;
use crate::ops::{self, List};
use crate::queue::Ioq;
use libc::{c_char, c_int, c_uchar, c_uint, c_void, statx};

/// Flags of `ioq_list()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum ioq_list_flags {
    /// Stat each entry. Symbolic links are not followed, and automounts not triggered.
    IOQ_LIST_STAT = 1 << 0,
    /// Sort the entries by name, byte by byte, as `strcmp()` does.
    IOQ_LIST_SORT_NAME = 1 << 1,
    /// Sort the entries by inode number. On many disks that is the order in which they are found, so they are statted in it.
    IOQ_LIST_SORT_INODE = 1 << 2,
    /// If the path's last component is a symbolic link, without a slash behind it, fail with `ENOTDIR`.
    IOQ_LIST_NOFOLLOW = 1 << 3,
    /// Keep the directory's descriptor open, in the list's `fd`.
    IOQ_LIST_FD = 1 << 4,
    /// List some thousand entries at most. The list's `more` says whether there may be others. The first part takes
    /// `IOQ_LIST_FD`; each further one takes that descriptor as `dfd`, NULL as `path` and no `IOQ_LIST_FD`, and goes on from
    /// where the descriptor is, which stays open. Ask for one part at a time. Each is sorted by itself. If a further part
    /// fails or is cancelled, the descriptor is where it was before.
    IOQ_LIST_PART = 1 << 5,
    /// Stat the directory itself once it is open, for the list's `stat`. If that fails, so does the list.
    IOQ_LIST_SELF = 1 << 6,
}

/// An entry of a directory.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_list_ent {
    /// The inode number, as the directory has it: of a mount point, that is the one of the directory below the mount.
    pub ino: u64,
    /// The name, without the directory. It may be longer than `NAME_MAX`: some file systems have names of 255 characters, of
    /// several bytes each.
    pub name: *const c_char,
    /// What `statx(2)` filled in, or NULL if it failed, or was not asked for. Where `statx(2)` is refused, what
    /// `fstatat(2)` knows; `stx_mask` tells.
    pub stat: *const statx,
    /// The `errno` of the stat, or 0.
    pub error: c_int,
    /// The type, `DT_REG` and the like of `<dirent.h>`. `DT_UNKNOWN` if the directory does not tell and there is no stat
    /// that does.
    pub r#type: c_uchar,
}

/// A whole directory, or a part of it. Everything in it is in one piece of memory, and stays where it is until
/// `ioq_list_free()`.
#[repr(C)]
pub struct ioq_list {
    /// The entries, without "." and "..": in the order of the directory, unless a flag says otherwise.
    pub ents: *const ioq_list_ent,
    /// How many there are.
    pub count: usize,
    /// 0, or the `errno` of the read that broke off after some entries, which are here.
    pub error: c_int,
    /// With `IOQ_LIST_FD`, a descriptor of the directory, which is close-on-exec and now the program's to close.
    /// Otherwise -1.
    pub fd: c_int,
    /// With `IOQ_LIST_SELF`, what `statx(2)` says of the directory itself; otherwise NULL.
    pub stat: *const statx,
    /// With `IOQ_LIST_PART`, whether the directory was not read to its end: there may be other entries.
    pub more: bool,
}

const _: () = {
    use std::mem::{offset_of, size_of};
    const POINTER: usize = size_of::<*mut ()>();
    assert!(size_of::<ioq_list_flags>() == 4);
    assert!(offset_of!(ioq_list_ent, name) == 8 && offset_of!(ioq_list_ent, stat) == 8 + POINTER);
    assert!(offset_of!(ioq_list_ent, error) == 8 + 2 * POINTER && offset_of!(ioq_list_ent, r#type) == 12 + 2 * POINTER);
    assert!(size_of::<ioq_list_ent>() == 16 + 2 * POINTER);
    assert!(offset_of!(ioq_list, count) == POINTER && offset_of!(ioq_list, error) == 2 * POINTER);
    assert!(offset_of!(ioq_list, fd) == 2 * POINTER + 4 && offset_of!(ioq_list, stat) == 2 * POINTER + 8);
    assert!(offset_of!(ioq_list, more) == 3 * POINTER + 8 && size_of::<ioq_list>() == 4 * POINTER + 8);
};

/// List a whole directory, and stat its entries.
///
/// This is what `open(2)`, `readdir(3)` and a `statx(2)` for each entry would find, in one request. Where files are at hand,
/// one worker does all of it. Where stats have to wait for something, they go through the ring, or to other workers, many
/// at once. No `bfs_*` function is called.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `dfd`: the directory that `path` is relative to, or `AT_FDCWD`; it must stay open until the entry is popped.
/// - `path`: the path, which must stay valid until the entry is popped; NULL lists `dfd` itself, from its start, by another
///   descriptor. The caller's is neither moved nor closed. The directory is opened as "." there, which takes the permission
///   to search it. With `IOQ_LIST_PART`, NULL is the next part of `dfd`; see there.
/// - `flags`: `enum ioq_list_flags`, or 0.
/// - `mask`: with `IOQ_LIST_STAT` or `IOQ_LIST_SELF`, what `statx(2)` is asked for, such as `STATX_BASIC_STATS`.
/// - `list`: where to put the list. Set to NULL by this call, and to be left alone then until the entry is popped.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`, and to `EINVAL` if `list` is NULL, `flags` has unknown bits, both ways to
/// sort, or `IOQ_LIST_FD` for the next part, or `mask` has `STATX__RESERVED`.
///
/// If the entry's result is 0, `*list` is the program's, to be freed with `ioq_list_free()`. Otherwise it is NULL, and the
/// result the negated `errno` of what failed to open or read the directory, `-ENOMEM`, or, if the list was cancelled before
/// it was complete, `-EINTR` or `-ECANCELED`; see `ioq_cancel()` and `ioq_cancel_one()`. An entry that cannot be statted says
/// so itself. A directory that is removed meanwhile ends there.
///
/// # Time
///
/// A list counts as many requests as it has stats: where `ioq_create()` promises something as long as some requests hang and
/// more workers were asked for than those are, each stat that hangs is one of them. The list itself comes back when all of
/// its stats have.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the pointers as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_list(
    ioq: *mut Ioq,
    dfd: c_int,
    path: *const c_char,
    flags: c_uint,
    mask: c_uint,
    list: *mut *mut ioq_list,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the pointers are as this function's contract says.
    unsafe { submit(ioq, List::request(dfd, path, flags, mask, list), ptr) }
}

/// Free a list, with all that it points to. Ignored if `list` is NULL.
///
/// Its `fd` stays open. Any thread may do this, at any time: a list that was popped has nothing to do with its queue any
/// more, which may be destroyed.
///
/// # Safety
///
/// `list` must be NULL or come from an entry of `ioq_list()`, and not be used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_list_free(list: *mut ioq_list) {
    // SAFETY: passed on to the caller.
    unsafe { ops::list::free(list) };
}
