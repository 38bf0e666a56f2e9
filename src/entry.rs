//! What one request is: the C-visible entry, its operation and its arguments.
//!
//! These types are the ABI. bfs reads their members by name and was compiled against its own declaration of them, so
//! names, order, size and alignment are fixed; the assertions at the end, and their twins in the generated header,
//! hold both sides to it. They keep their C names here because cbindgen writes `include/ioq.h` from this file.
//!
//! Enumerations that C code passes in are plain integers on this side: C may pass any value, a Rust `enum` may not hold
//! any.

#![allow(non_camel_case_types)]

use libc::{c_char, c_int, c_uint, c_void};

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
    /// Reserved for layout compatibility; always NULL.
    pub xbuf: *mut c_void,
    /// The base file descriptor.
    pub dfd: c_int,
    /// `enum bfs_stat_flags`.
    pub flags: c_uint,
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

/// How a queue runs requests that may wait.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ioq_backend {
    /// What the environment variable `IOQ_BACKEND` says, and `IOQ_BACKEND_AUTO` if it says nothing.
    IOQ_BACKEND_DEFAULT = 0,
    /// io_uring where it can be had and pays, else plain system calls.
    IOQ_BACKEND_AUTO = 1,
    /// io_uring for all that it can do. Without one, `ioq_create_with()` fails.
    IOQ_BACKEND_URING = 2,
    /// Plain system calls alone.
    IOQ_BACKEND_SYNC = 3,
}

/// Flags of a queue.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ioq_flags {
    /// An `ioq_pop()` that would wait runs requests itself for as long as they are quick, which spares a program with
    /// nothing else to do the waiting. It stops at the first sign that requests wait for something, and goes on when
    /// those of the workers are quick again. What that risks: the pop is held up for as long as the request that it runs
    /// takes, or for ever if that hangs, whatever else is ready.
    IOQ_CALLER_RUNS = 1,
}

/// The integer behind C's `enum ioq_backend`: C may pass any value.
pub type RawBackend = c_uint;

/// What a queue is to be like.
///
/// Set everything to 0 first; 0 is the default of each member but the first two. Members may be added at the end: a
/// library that does not know one of them fails with `E2BIG` unless it is 0.
#[repr(C)]
pub struct ioq_options {
    /// `sizeof(struct ioq_options)`.
    pub size: usize,
    /// How many requests the queue holds, from submission to `ioq_free()`; exactly that many, at least 1.
    pub depth: usize,
    /// The most worker threads to start.
    pub nthreads: usize,
    /// How to run requests.
    pub backend: RawBackend,
    /// `enum ioq_flags`, or 0.
    pub flags: c_uint,
    /// The most requests to have waiting in the kernel at once, beside one in each worker. How many it will be is found
    /// out, and depends on what the file system can do. Each takes a thread of the kernel's, of some 24 KiB, while it waits.
    /// 0 stands for 256.
    pub inflight: usize,
}

/// How the requests of a queue were run so far.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ioq_counts {
    /// Through the queue's io_uring.
    pub ring: u64,
    /// By a worker, with plain system calls, be it after a ring has begun or refused.
    pub worker: u64,
    /// By the caller itself, in `ioq_pop()`.
    pub caller: u64,
}

const _: () = {
    use std::mem::{align_of, offset_of, size_of};
    assert!(size_of::<ioq_op>() == 4 && size_of::<ioq_nop_type>() == 4);
    assert!(size_of::<ioq_ent>() == 64 && align_of::<ioq_ent>() == 64);
    assert!(offset_of!(ioq_ent, op) == 0);
    assert!(offset_of!(ioq_ent, result) == 4);
    assert!(offset_of!(ioq_ent, ptr) == 8);
    assert!(offset_of!(ioq_ent, args) == 16);
    assert!(size_of::<ioq_args>() == 32);
    assert!(size_of::<ioq_backend>() == 4 && size_of::<ioq_flags>() == 4);
    assert!(size_of::<ioq_options>() == 40 && offset_of!(ioq_options, inflight) == 32);
    assert!(size_of::<ioq_counts>() == 24 && offset_of!(ioq_counts, caller) == 16);
    assert!(offset_of!(ioq_opendir, path) == 8 && offset_of!(ioq_opendir, dfd) == 16);
    assert!(offset_of!(ioq_opendir, flags) == 20 && size_of::<ioq_opendir>() == 24);
    assert!(offset_of!(ioq_stat, buf) == 8 && offset_of!(ioq_stat, xbuf) == 16);
    assert!(offset_of!(ioq_stat, dfd) == 24 && offset_of!(ioq_stat, flags) == 28);
};
