//! The functions under test, as `ioq.h` and `ioq/dir.h` declare them.

#![allow(non_camel_case_types)]

use libc::{c_char, c_int, c_uint, c_void};

// Links the library, whose functions are found by name.
extern crate ioq as _;

#[repr(C)]
pub struct ioq {
    _opaque: [u8; 0],
}

#[repr(C)]
pub struct ioq_walk {
    _opaque: [u8; 0],
}

pub const IOQ_WALK_STAT: c_uint = 1;
pub const IOQ_WALK_PRE: c_uint = 2;
pub const IOQ_WALK_POST: c_uint = 4;
pub const IOQ_WALK_FOLLOW_ROOTS: c_uint = 16;
pub const IOQ_WALK_FOLLOW: c_uint = 32;
/// All that there are.
pub const IOQ_WALK_FLAGS: c_uint = 511;

#[repr(C)]
pub struct ioq_walk_options {
    pub size: usize,
    pub flags: c_uint,
    pub mask: c_uint,
    pub nthreads: usize,
    pub max_depth: usize,
    pub max_fds: usize,
    pub max_memory: usize,
    pub skip: Option<unsafe extern "C" fn(ent: *const ioq_walk_ent, arg: *mut c_void) -> bool>,
    pub arg: *mut c_void,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_walk_ent {
    pub path: *const c_char,
    pub path_len: usize,
    pub name: *const c_char,
    pub depth: usize,
    pub ino: u64,
    pub stat: *const libc::statx,
    pub data: *mut *mut c_void,
    pub parent_data: *mut *mut c_void,
    pub error: c_int,
    pub dirfd: c_int,
    pub kind: u8,
    pub post: bool,
}

#[repr(C)]
pub struct bfs_dir {
    _opaque: [u8; 0],
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct timespec {
    pub tv_sec: i64,
    pub tv_nsec: i64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct bfs_stat {
    pub mask: c_uint,
    pub mode: u32,
    pub dev: u64,
    pub ino: u64,
    pub nlink: u64,
    pub gid: u32,
    pub uid: u32,
    pub size: i64,
    pub blocks: i64,
    pub rdev: u64,
    pub mnt_id: u64,
    pub attrs: u64,
    pub atime: timespec,
    pub btime: timespec,
    pub ctime: timespec,
    pub mtime: timespec,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct bfs_dirent {
    pub kind: c_int,
    pub name: *const c_char,
}

pub const IOQ_NOP: c_uint = 0;
pub const IOQ_CLOSE: c_uint = 1;
pub const IOQ_OPENDIR: c_uint = 2;
pub const IOQ_CLOSEDIR: c_uint = 3;
pub const IOQ_STAT: c_uint = 4;
pub const IOQ_CALL: c_uint = 5;
pub const IOQ_STATX: c_uint = 6;
pub const IOQ_LIST: c_uint = 7;
pub const IOQ_OPENAT: c_uint = 8;
pub const IOQ_READLINK: c_uint = 9;
pub const IOQ_GETXATTR: c_uint = 10;
pub const IOQ_ACCESS: c_uint = 11;
pub const IOQ_UNLINK: c_uint = 12;
pub const IOQ_RENAME: c_uint = 13;
pub const IOQ_MKDIR: c_uint = 14;
pub const IOQ_LINK: c_uint = 15;
pub const IOQ_SYMLINK: c_uint = 16;
pub const IOQ_CHMOD: c_uint = 17;
pub const IOQ_CHOWN: c_uint = 18;
pub const IOQ_UTIMENS: c_uint = 19;

/// Since Linux 6.6; on x86-64, and on all machines where the C library has no number of its own for it.
pub const SYS_FCHMODAT2: libc::c_long = 452;

pub const IOQ_LIST_STAT: c_uint = 1 << 0;
pub const IOQ_LIST_SORT_NAME: c_uint = 1 << 1;
pub const IOQ_LIST_SORT_INODE: c_uint = 1 << 2;
pub const IOQ_LIST_NOFOLLOW: c_uint = 1 << 3;
pub const IOQ_LIST_FD: c_uint = 1 << 4;
pub const IOQ_LIST_PART: c_uint = 1 << 5;
pub const IOQ_LIST_SELF: c_uint = 1 << 6;
/// All of them.
pub const IOQ_LIST_FLAGS: c_uint = (1 << 7) - 1;

pub const BFS_STAT_NOFOLLOW: c_uint = 1 << 0;
pub const BFS_STAT_TRYFOLLOW: c_uint = 1 << 1;
pub const BFS_STAT_NOSYNC: c_uint = 1 << 2;

// The fields of a stat that are not always there.
pub const BFS_STAT_ATTRS: c_uint = 1 << 9;
pub const BFS_STAT_ATIME: c_uint = 1 << 10;
pub const BFS_STAT_BTIME: c_uint = 1 << 11;
pub const BFS_STAT_CTIME: c_uint = 1 << 12;
pub const BFS_STAT_MTIME: c_uint = 1 << 13;
/// All of them, and all others.
pub const BFS_STAT_ALL: c_uint = (1 << 15) - 1;

pub const BFS_UNKNOWN: c_int = 0;

pub const IOQ_CALLER_RUNS: c_uint = 1;
pub const IOQ_NO_DESCRIPTORS: c_uint = 2;

pub const IOQ_BACKEND_DEFAULT: c_uint = 0;
pub const IOQ_BACKEND_AUTO: c_uint = 1;
pub const IOQ_BACKEND_URING: c_uint = 2;
pub const IOQ_BACKEND_SYNC: c_uint = 3;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ioq_options {
    pub size: usize,
    pub depth: usize,
    pub nthreads: usize,
    pub backend: c_uint,
    pub flags: c_uint,
    pub inflight: usize,
    pub name: *const c_char,
    pub stack_size: usize,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ioq_info {
    pub size: usize,
    pub pending: usize,
    pub running: usize,
    pub ready: usize,
    pub held: usize,
    pub workers: usize,
    pub in_ring: usize,
    pub ring_limit: usize,
    pub ring_error: c_int,
    pub worker_error: c_int,
    pub oldest: u64,
}

#[repr(C, align(64))]
pub struct ioq_ent {
    pub op: c_uint,
    pub result: c_int,
    pub ptr: *mut c_void,
    pub args: ioq_args,
}

#[repr(C)]
pub union ioq_args {
    pub nop: c_uint,
    pub close: c_int,
    pub opendir: ioq_opendir_args,
    pub closedir: *mut bfs_dir,
    pub stat: ioq_stat_args,
    pub call: ioq_call_args,
    pub statx: ioq_statx_args,
    pub list: ioq_list_args,
    pub openat: ioq_openat_args,
    pub readlink: ioq_readlink_args,
    pub getxattr: ioq_getxattr_args,
    pub one: ioq_one_path,
    pub two: ioq_two_paths,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_opendir_args {
    pub dir: *mut bfs_dir,
    pub path: *const c_char,
    pub dfd: c_int,
    pub flags: c_uint,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_stat_args {
    pub path: *const c_char,
    pub buf: *mut bfs_stat,
    pub xbuf: *mut c_void,
    pub dfd: c_int,
    pub flags: c_uint,
}

pub type ioq_function = unsafe extern "C" fn(*mut c_void) -> c_int;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_call_args {
    pub r#fn: Option<ioq_function>,
    pub arg: *mut c_void,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_statx_args {
    pub path: *const c_char,
    pub buf: *mut libc::statx,
    pub dfd: c_int,
    pub flags: c_int,
    pub mask: c_uint,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_list_args {
    pub path: *const c_char,
    pub list: *mut *mut ioq_list,
    pub dfd: c_int,
    pub flags: c_uint,
    pub mask: c_uint,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct open_how {
    pub flags: u64,
    pub mode: u64,
    pub resolve: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_openat_args {
    pub path: *const c_char,
    pub how: *const open_how,
    pub buf: *mut libc::statx,
    pub dfd: c_int,
    pub mask: c_uint,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_readlink_args {
    pub path: *const c_char,
    pub buf: *mut u8,
    pub size: usize,
    pub dfd: c_int,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_getxattr_args {
    pub path: *const c_char,
    pub name: *const c_char,
    pub value: *mut u8,
    pub size: usize,
    pub dfd: c_int,
    pub flags: c_int,
}

/// A path and some numbers: of `ioq_access()`, `ioq_unlink()`, `ioq_mkdir()`, `ioq_chmod()` and `ioq_chown()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_one_path {
    pub path: *const c_char,
    pub numbers: [c_int; 4],
}

/// Two pointers and some numbers: of `ioq_rename()`, `ioq_link()`, `ioq_symlink()` and `ioq_utimens()`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ioq_two_paths {
    pub paths: [*const c_char; 2],
    pub numbers: [c_int; 3],
}

#[repr(C)]
pub struct ioq_list {
    pub ents: *const ioq_list_ent,
    pub count: usize,
    pub error: c_int,
    pub fd: c_int,
    pub stat: *const libc::statx,
    pub more: bool,
}

#[repr(C)]
pub struct ioq_list_ent {
    pub ino: u64,
    pub name: *const c_char,
    pub stat: *const libc::statx,
    pub error: c_int,
    pub kind: u8,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ioq_counts {
    pub ring: u64,
    pub worker: u64,
    pub caller: u64,
}

pub fn errno() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

pub fn set_errno(value: c_int) {
    // SAFETY: always safe.
    unsafe { *libc::__errno_location() = value };
}

const _: () = {
    assert!(size_of::<bfs_stat>() == 144 && size_of::<ioq_ent>() == 64);
    assert!(size_of::<ioq_options>() == 56 && size_of::<ioq_info>() == 80);
};

unsafe extern "C" {
    pub fn ioq_create(depth: usize, nthreads: usize) -> *mut ioq;
    pub fn ioq_create_with(options: *const ioq_options) -> *mut ioq;
    pub fn ioq_capacity(ioq: *const ioq) -> usize;
    pub fn ioq_nop(ioq: *mut ioq, kind: c_uint, ptr: *mut c_void) -> c_int;
    pub fn ioq_close(ioq: *mut ioq, fd: c_int, ptr: *mut c_void) -> c_int;
    pub fn ioq_opendir(
        ioq: *mut ioq,
        dir: *mut bfs_dir,
        dfd: c_int,
        path: *const c_char,
        flags: c_uint,
        ptr: *mut c_void,
    ) -> c_int;
    pub fn ioq_closedir(ioq: *mut ioq, dir: *mut bfs_dir, ptr: *mut c_void) -> c_int;
    pub fn ioq_stat(
        ioq: *mut ioq,
        dfd: c_int,
        path: *const c_char,
        flags: c_uint,
        buf: *mut bfs_stat,
        ptr: *mut c_void,
    ) -> c_int;
    pub fn ioq_call(ioq: *mut ioq, r#fn: Option<ioq_function>, arg: *mut c_void, ptr: *mut c_void) -> c_int;
    pub fn ioq_statx(
        ioq: *mut ioq,
        dfd: c_int,
        path: *const c_char,
        flags: c_int,
        mask: c_uint,
        buf: *mut libc::statx,
        ptr: *mut c_void,
    ) -> c_int;
    pub fn ioq_list(
        ioq: *mut ioq,
        dfd: c_int,
        path: *const c_char,
        flags: c_uint,
        mask: c_uint,
        list: *mut *mut ioq_list,
        ptr: *mut c_void,
    ) -> c_int;
    pub fn ioq_openat(
        ioq: *mut ioq,
        dfd: c_int,
        path: *const c_char,
        how: *const open_how,
        mask: c_uint,
        buf: *mut libc::statx,
        ptr: *mut c_void,
    ) -> c_int;
    pub fn ioq_readlink(
        ioq: *mut ioq,
        dfd: c_int,
        path: *const c_char,
        buf: *mut u8,
        size: usize,
        ptr: *mut c_void,
    ) -> c_int;
    pub fn ioq_getxattr(
        ioq: *mut ioq,
        dfd: c_int,
        path: *const c_char,
        name: *const c_char,
        value: *mut u8,
        size: usize,
        flags: c_int,
        ptr: *mut c_void,
    ) -> c_int;
    pub fn ioq_access(
        ioq: *mut ioq,
        dfd: c_int,
        path: *const c_char,
        mode: c_int,
        flags: c_int,
        ptr: *mut c_void,
    ) -> c_int;
    pub fn ioq_unlink(ioq: *mut ioq, dfd: c_int, path: *const c_char, flags: c_int, ptr: *mut c_void) -> c_int;
    pub fn ioq_rename(
        ioq: *mut ioq,
        olddfd: c_int,
        oldpath: *const c_char,
        newdfd: c_int,
        newpath: *const c_char,
        flags: c_uint,
        ptr: *mut c_void,
    ) -> c_int;
    pub fn ioq_mkdir(ioq: *mut ioq, dfd: c_int, path: *const c_char, mode: u32, ptr: *mut c_void) -> c_int;
    pub fn ioq_link(
        ioq: *mut ioq,
        olddfd: c_int,
        oldpath: *const c_char,
        newdfd: c_int,
        newpath: *const c_char,
        flags: c_int,
        ptr: *mut c_void,
    ) -> c_int;
    pub fn ioq_symlink(
        ioq: *mut ioq,
        target: *const c_char,
        dfd: c_int,
        path: *const c_char,
        ptr: *mut c_void,
    ) -> c_int;
    pub fn ioq_chmod(
        ioq: *mut ioq,
        dfd: c_int,
        path: *const c_char,
        mode: u32,
        flags: c_int,
        ptr: *mut c_void,
    ) -> c_int;
    pub fn ioq_chown(
        ioq: *mut ioq,
        dfd: c_int,
        path: *const c_char,
        uid: u32,
        gid: u32,
        flags: c_int,
        ptr: *mut c_void,
    ) -> c_int;
    pub fn ioq_utimens(
        ioq: *mut ioq,
        dfd: c_int,
        path: *const c_char,
        times: *const libc::timespec,
        flags: c_int,
        ptr: *mut c_void,
    ) -> c_int;
    pub fn ioq_list_free(list: *mut ioq_list);
    pub fn ioq_submit(ioq: *mut ioq);
    pub fn ioq_pop(ioq: *mut ioq, block: bool) -> *mut ioq_ent;
    pub fn ioq_pop_until(ioq: *mut ioq, deadline: *const libc::timespec) -> *mut ioq_ent;
    pub fn ioq_pop_many(ioq: *mut ioq, ents: *mut *mut ioq_ent, count: usize, block: bool) -> usize;
    pub fn ioq_fd(ioq: *mut ioq) -> c_int;
    pub fn ioq_free(ioq: *mut ioq, ent: *mut ioq_ent);
    pub fn ioq_count(ioq: *const ioq, counts: *mut ioq_counts);
    pub fn ioq_info(ioq: *mut ioq, info: *mut ioq_info) -> c_int;
    pub fn ioq_cancel(ioq: *mut ioq);
    pub fn ioq_last(ioq: *const ioq) -> *const ioq_ent;
    pub fn ioq_cancel_one(ioq: *mut ioq, ent: *const ioq_ent);
    pub fn ioq_destroy(ioq: *mut ioq);

    pub fn ioq_walk_open(roots: *const *const c_char, options: *const ioq_walk_options) -> *mut ioq_walk;
    pub fn ioq_walk_next(walk: *mut ioq_walk, ent: *mut *const ioq_walk_ent) -> c_int;
    pub fn ioq_walk_try_next(walk: *mut ioq_walk, ent: *mut *const ioq_walk_ent) -> c_int;
    pub fn ioq_walk_fd(walk: *mut ioq_walk) -> c_int;
    pub fn ioq_walk_prune(walk: *mut ioq_walk);
    pub fn ioq_walk_close(walk: *mut ioq_walk) -> c_int;

    pub fn bfs_allocdir() -> *mut bfs_dir;
    pub fn bfs_opendir(dir: *mut bfs_dir, at_fd: c_int, at_path: *const c_char, flags: c_uint) -> c_int;
    pub fn bfs_dirfd(dir: *const bfs_dir) -> c_int;
    pub fn bfs_polldir(dir: *mut bfs_dir) -> c_int;
    pub fn bfs_readdir(dir: *mut bfs_dir, de: *mut bfs_dirent) -> c_int;
    pub fn bfs_closedir(dir: *mut bfs_dir) -> c_int;
    pub fn bfs_unwrapdir(dir: *mut bfs_dir) -> c_int;

    pub fn bfs_stat(at_fd: c_int, at_path: *const c_char, flags: c_uint, buf: *mut bfs_stat) -> c_int;
    pub fn bfs_statx_flags(flags: c_uint) -> c_int;
    pub fn bfs_statx_mask() -> c_uint;
    pub fn bfs_statx_convert(dest: *mut bfs_stat, src: *const libc::statx) -> c_int;
}
