//! What one request is: the C-visible entry, its operation and its arguments.
//!
//! These types are the ABI. bfs reads their members by name and was compiled against its own declaration of them, so
//! names, order, size and alignment are fixed; the assertions at the end, and their twins in the generated header,
//! hold both sides to it. They keep their C names here because cbindgen writes `include/ioq.h` from this file.
//!
//! Enumerations that C code passes in are plain integers on this side: C may pass any value, a Rust `enum` may not hold
//! any.

#![allow(non_camel_case_types)]

use crate::abi::list::ioq_list;
use libc::{c_char, c_int, c_uint, c_void, gid_t, mode_t, open_how, statx, timespec, uid_t};

/// A directory stream. Opaque here: whoever provides `bfs_opendir()` defines it.
#[repr(C)]
pub struct bfs_dir {
    _opaque: [u8; 0],
}

/// The result of a stat. Opaque here: whoever provides `bfs_stat()` defines it.
#[repr(C)]
pub struct bfs_stat {
    _opaque: [u8; 0],
}

/// The operation of a request.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ioq_op {
    /// `ioq_nop()`.
    IOQ_NOP = 0,
    /// `ioq_close()`.
    IOQ_CLOSE = 1,
    /// `ioq_opendir()`.
    IOQ_OPENDIR = 2,
    /// `ioq_closedir()`.
    IOQ_CLOSEDIR = 3,
    /// `ioq_stat()`.
    IOQ_STAT = 4,
    /// `ioq_call()`.
    IOQ_CALL = 5,
    /// `ioq_statx()`.
    IOQ_STATX = 6,
    /// `ioq_list()`.
    IOQ_LIST = 7,
    /// `ioq_openat()`.
    IOQ_OPENAT = 8,
    /// `ioq_readlink()`.
    IOQ_READLINK = 9,
    /// `ioq_getxattr()`.
    IOQ_GETXATTR = 10,
    /// `ioq_access()`.
    IOQ_ACCESS = 11,
    /// `ioq_unlink()`.
    IOQ_UNLINK = 12,
    /// `ioq_rename()`.
    IOQ_RENAME = 13,
    /// `ioq_mkdir()`.
    IOQ_MKDIR = 14,
    /// `ioq_link()`.
    IOQ_LINK = 15,
    /// `ioq_symlink()`.
    IOQ_SYMLINK = 16,
    /// `ioq_chmod()`.
    IOQ_CHMOD = 17,
    /// `ioq_chown()`.
    IOQ_CHOWN = 18,
    /// `ioq_utimens()`.
    IOQ_UTIMENS = 19,
}

/// How much work an `ioq_nop()` does.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ioq_nop_type {
    /// None: the request only travels through the queue.
    IOQ_NOP_LIGHT = 0,
    /// One trivial system call.
    IOQ_NOP_HEAVY = 1,
}

/// Arguments of `ioq_nop()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_nop {
    /// How much work to do.
    pub r#type: ioq_nop_type,
}

/// Arguments of `ioq_close()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_close {
    /// The file descriptor to close.
    pub fd: c_int,
}

/// Arguments of `ioq_opendir()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_opendir {
    /// The caller's directory, open when the result is 0.
    pub dir: *mut bfs_dir,
    /// The path, or NULL for `dfd` itself.
    pub path: *const c_char,
    /// The base file descriptor.
    pub dfd: c_int,
    /// `enum bfs_dir_flags`.
    pub flags: c_uint,
}

/// Arguments of `ioq_closedir()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_closedir {
    /// The caller's directory, closed whatever the result.
    pub dir: *mut bfs_dir,
}

/// Arguments of `ioq_stat()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_stat {
    /// The path, or NULL for `dfd` itself.
    pub path: *const c_char,
    /// The caller's buffer, filled when the result is 0.
    pub buf: *mut bfs_stat,
    /// The queue's own while the request is on its way; NULL in what is popped.
    pub xbuf: *mut c_void,
    /// The base file descriptor.
    pub dfd: c_int,
    /// `enum bfs_stat_flags`.
    pub flags: c_uint,
}

/// Arguments of `ioq_call()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_call {
    /// The program's function.
    pub r#fn: unsafe extern "C" fn(arg: *mut c_void) -> c_int,
    /// Its argument.
    pub arg: *mut c_void,
}

/// Arguments of `ioq_statx()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_statx {
    /// The path, or NULL for `dfd` itself.
    pub path: *const c_char,
    /// The caller's buffer, filled when the result is 0; or NULL.
    pub buf: *mut statx,
    /// The base file descriptor.
    pub dfd: c_int,
    /// Flags of `statx(2)`.
    pub flags: c_int,
    /// What to ask for, as `statx(2)` has it.
    pub mask: c_uint,
}

/// Arguments of `ioq_list()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_list_args {
    /// The path, or NULL for `dfd` itself.
    pub path: *const c_char,
    /// Where the list is when the result is 0.
    pub list: *mut *mut ioq_list,
    /// The base file descriptor.
    pub dfd: c_int,
    /// `enum ioq_list_flags`.
    pub flags: c_uint,
    /// What each entry's `statx(2)` is asked for.
    pub mask: c_uint,
}

/// Arguments of `ioq_openat()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_openat {
    /// The path.
    pub path: *const c_char,
    /// How to open it.
    pub how: *const open_how,
    /// The caller's buffer, filled when the result is at least 0; or NULL.
    pub buf: *mut statx,
    /// The base file descriptor.
    pub dfd: c_int,
    /// What to ask for, as `statx(2)` has it.
    pub mask: c_uint,
}

/// Arguments of `ioq_readlink()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_readlink {
    /// The path of the link.
    pub path: *const c_char,
    /// The caller's buffer, filled as far as the result says.
    pub buf: *mut c_char,
    /// The size of the buffer.
    pub size: usize,
    /// The base file descriptor.
    pub dfd: c_int,
}

/// Arguments of `ioq_getxattr()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_getxattr {
    /// The path.
    pub path: *const c_char,
    /// The name of the attribute.
    pub name: *const c_char,
    /// The caller's buffer, filled as far as the result says.
    pub value: *mut c_void,
    /// The size of the buffer.
    pub size: usize,
    /// The base file descriptor.
    pub dfd: c_int,
    /// `AT_SYMLINK_NOFOLLOW`, or 0.
    pub flags: c_int,
}

/// Arguments of `ioq_access()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_access {
    /// The path.
    pub path: *const c_char,
    /// The base file descriptor.
    pub dfd: c_int,
    /// `R_OK`, `W_OK` and `X_OK`, or `F_OK`.
    pub mode: c_int,
    /// Flags of `faccessat2(2)`.
    pub flags: c_int,
}

/// Arguments of `ioq_unlink()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_unlink {
    /// The path.
    pub path: *const c_char,
    /// The base file descriptor.
    pub dfd: c_int,
    /// `AT_REMOVEDIR`, or 0.
    pub flags: c_int,
}

/// Arguments of `ioq_rename()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_rename {
    /// The path that there is.
    pub oldpath: *const c_char,
    /// The path that there is to be.
    pub newpath: *const c_char,
    /// The base file descriptor of the first.
    pub olddfd: c_int,
    /// The base file descriptor of the second.
    pub newdfd: c_int,
    /// Flags of `renameat2(2)`.
    pub flags: c_uint,
}

/// Arguments of `ioq_mkdir()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_mkdir {
    /// The path.
    pub path: *const c_char,
    /// The base file descriptor.
    pub dfd: c_int,
    /// The mode, without those bits that `umask(2)` takes away.
    pub mode: mode_t,
}

/// Arguments of `ioq_link()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_link {
    /// The path that there is.
    pub oldpath: *const c_char,
    /// The path that there is to be.
    pub newpath: *const c_char,
    /// The base file descriptor of the first.
    pub olddfd: c_int,
    /// The base file descriptor of the second.
    pub newdfd: c_int,
    /// Flags of `linkat(2)`.
    pub flags: c_int,
}

/// Arguments of `ioq_symlink()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_symlink {
    /// What the link contains.
    pub target: *const c_char,
    /// The path.
    pub path: *const c_char,
    /// The base file descriptor.
    pub dfd: c_int,
}

/// Arguments of `ioq_chmod()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_chmod {
    /// The path.
    pub path: *const c_char,
    /// The base file descriptor.
    pub dfd: c_int,
    /// The mode.
    pub mode: mode_t,
    /// Flags of `fchmodat2(2)`.
    pub flags: c_int,
}

/// Arguments of `ioq_chown()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_chown {
    /// The path.
    pub path: *const c_char,
    /// The base file descriptor.
    pub dfd: c_int,
    /// The owner, or -1.
    pub uid: uid_t,
    /// The group, or -1.
    pub gid: gid_t,
    /// Flags of `fchownat(2)`.
    pub flags: c_int,
}

/// Arguments of `ioq_utimens()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_utimens {
    /// The path.
    pub path: *const c_char,
    /// Two times, or NULL for now.
    pub times: *const timespec,
    /// The base file descriptor.
    pub dfd: c_int,
    /// Flags of `utimensat(2)`.
    pub flags: c_int,
    /// The queue's own: whether the times are of 64 bits on a machine of 32.
    pub time64: bool,
}

/// The arguments of a request; `ioq_ent.op` says which member is in use.
#[repr(C)]
#[derive(Clone, Copy)]
pub union ioq_args {
    /// Arguments of `ioq_nop()`.
    pub nop: ioq_nop,
    /// Arguments of `ioq_close()`.
    pub close: ioq_close,
    /// Arguments of `ioq_opendir()`.
    pub opendir: ioq_opendir,
    /// Arguments of `ioq_closedir()`.
    pub closedir: ioq_closedir,
    /// Arguments of `ioq_stat()`.
    pub stat: ioq_stat,
    /// Arguments of `ioq_call()`.
    pub call: ioq_call,
    /// Arguments of `ioq_statx()`.
    pub statx: ioq_statx,
    /// Arguments of `ioq_list()`.
    pub list: ioq_list_args,
    /// Arguments of `ioq_openat()`.
    pub openat: ioq_openat,
    /// Arguments of `ioq_readlink()`.
    pub readlink: ioq_readlink,
    /// Arguments of `ioq_getxattr()`.
    pub getxattr: ioq_getxattr,
    /// Arguments of `ioq_access()`.
    pub access: ioq_access,
    /// Arguments of `ioq_unlink()`.
    pub unlink: ioq_unlink,
    /// Arguments of `ioq_rename()`.
    pub rename: ioq_rename,
    /// Arguments of `ioq_mkdir()`.
    pub mkdir: ioq_mkdir,
    /// Arguments of `ioq_link()`.
    pub link: ioq_link,
    /// Arguments of `ioq_symlink()`.
    pub symlink: ioq_symlink,
    /// Arguments of `ioq_chmod()`.
    pub chmod: ioq_chmod,
    /// Arguments of `ioq_chown()`.
    pub chown: ioq_chown,
    /// Arguments of `ioq_utimens()`.
    pub utimens: ioq_utimens,
}

/// A request on its way to a worker, and the response on its way back.
///
/// A popped entry belongs to the caller until `ioq_free()`. Everything in it but `result` is as it was submitted.
#[repr(C, align(64))]
pub struct ioq_ent {
    /// The operation.
    pub op: ioq_op,
    /// At least 0 on success, the negated `errno` on failure.
    pub result: c_int,
    /// Whatever the caller passed as `ptr`.
    pub ptr: *mut c_void,
    /// The arguments.
    pub args: ioq_args,
}

const _: () = {
    use std::mem::{align_of, offset_of, size_of};
    const POINTER: usize = size_of::<*mut ()>();
    assert!(size_of::<ioq_op>() == 4 && size_of::<ioq_nop_type>() == 4);
    assert!(size_of::<ioq_ent>() == 64 && align_of::<ioq_ent>() == 64);
    assert!(offset_of!(ioq_ent, op) == 0);
    assert!(offset_of!(ioq_ent, result) == 4);
    assert!(offset_of!(ioq_ent, ptr) == 8);
    assert!(offset_of!(ioq_ent, args) == 8 + POINTER);
    assert!(size_of::<ioq_args>() == 4 * POINTER + 8);
    assert!(offset_of!(ioq_opendir, path) == POINTER && offset_of!(ioq_opendir, dfd) == 2 * POINTER);
    assert!(offset_of!(ioq_opendir, flags) == 2 * POINTER + 4 && size_of::<ioq_opendir>() == 2 * POINTER + 8);
    assert!(offset_of!(ioq_stat, buf) == POINTER && offset_of!(ioq_stat, xbuf) == 2 * POINTER);
    assert!(offset_of!(ioq_stat, dfd) == 3 * POINTER && offset_of!(ioq_stat, flags) == 3 * POINTER + 4);
    assert!(offset_of!(ioq_call, arg) == POINTER && size_of::<ioq_call>() == 2 * POINTER);
    assert!(offset_of!(ioq_statx, buf) == POINTER && offset_of!(ioq_statx, dfd) == 2 * POINTER);
    assert!(offset_of!(ioq_statx, flags) == 2 * POINTER + 4 && offset_of!(ioq_statx, mask) == 2 * POINTER + 8);
    assert!(offset_of!(ioq_list_args, list) == POINTER && offset_of!(ioq_list_args, dfd) == 2 * POINTER);
    assert!(offset_of!(ioq_list_args, flags) == 2 * POINTER + 4 && offset_of!(ioq_list_args, mask) == 2 * POINTER + 8);
    assert!(offset_of!(ioq_openat, how) == POINTER && offset_of!(ioq_openat, buf) == 2 * POINTER);
    assert!(offset_of!(ioq_openat, dfd) == 3 * POINTER && offset_of!(ioq_openat, mask) == 3 * POINTER + 4);
    assert!(offset_of!(ioq_readlink, buf) == POINTER && offset_of!(ioq_readlink, size) == 2 * POINTER);
    assert!(offset_of!(ioq_readlink, dfd) == 3 * POINTER && offset_of!(ioq_getxattr, name) == POINTER);
    assert!(offset_of!(ioq_getxattr, value) == 2 * POINTER && offset_of!(ioq_getxattr, size) == 3 * POINTER);
    assert!(offset_of!(ioq_getxattr, dfd) == 4 * POINTER && offset_of!(ioq_getxattr, flags) == 4 * POINTER + 4);
    assert!(offset_of!(ioq_access, dfd) == POINTER && offset_of!(ioq_access, mode) == POINTER + 4);
    assert!(offset_of!(ioq_access, flags) == POINTER + 8);
    assert!(offset_of!(ioq_unlink, dfd) == POINTER && offset_of!(ioq_unlink, flags) == POINTER + 4);
    assert!(offset_of!(ioq_rename, newpath) == POINTER && offset_of!(ioq_rename, olddfd) == 2 * POINTER);
    assert!(offset_of!(ioq_rename, newdfd) == 2 * POINTER + 4 && offset_of!(ioq_rename, flags) == 2 * POINTER + 8);
    assert!(offset_of!(ioq_mkdir, dfd) == POINTER && offset_of!(ioq_mkdir, mode) == POINTER + 4);
    assert!(offset_of!(ioq_link, newpath) == POINTER && offset_of!(ioq_link, olddfd) == 2 * POINTER);
    assert!(offset_of!(ioq_link, newdfd) == 2 * POINTER + 4 && offset_of!(ioq_link, flags) == 2 * POINTER + 8);
    assert!(offset_of!(ioq_symlink, path) == POINTER && offset_of!(ioq_symlink, dfd) == 2 * POINTER);
    assert!(offset_of!(ioq_chmod, dfd) == POINTER && offset_of!(ioq_chmod, mode) == POINTER + 4);
    assert!(offset_of!(ioq_chmod, flags) == POINTER + 8);
    assert!(offset_of!(ioq_chown, dfd) == POINTER && offset_of!(ioq_chown, uid) == POINTER + 4);
    assert!(offset_of!(ioq_chown, gid) == POINTER + 8 && offset_of!(ioq_chown, flags) == POINTER + 12);
    assert!(offset_of!(ioq_utimens, times) == POINTER && offset_of!(ioq_utimens, dfd) == 2 * POINTER);
    assert!(offset_of!(ioq_utimens, flags) == 2 * POINTER + 4 && offset_of!(ioq_utimens, time64) == 2 * POINTER + 8);
};
