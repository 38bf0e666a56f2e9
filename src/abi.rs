//! The C functions of `ioq.h`: check the arguments, call the core, convert the result. Nothing else happens here.
//!
//! `include/ioq.h` is generated from this file and `entry.rs`; what C programmers read is what stands below.

use crate::entry::*;
use crate::errno::{self, Errno};
use crate::queue::{Ioq, Request};
use libc::{c_char, c_int, c_uint, c_void};
use std::ptr::{self, NonNull};

/// The integer behind C's `enum ioq_nop_type`: C may pass any value.
pub type RawNopType = c_uint;

/// Create a queue.
///
/// Threads and rings are started when the first requests need them, so an unused queue costs little memory and no
/// file descriptor. A worker holds at most one descriptor, that of its ring. If no worker can be started, then or
/// later, the queue still works: popping runs the requests.
///
/// The environment variable `IOQ_BACKEND` chooses how workers run the requests: `auto` (the default) uses io_uring
/// where it can be had and pays, `uring` insists on it, `sync` uses plain system calls alone. It is read by each call,
/// so no other thread may call `setenv()` meanwhile, and ignored in programs that gain privileges when they are executed
/// (set-user-ID, set-group-ID, file capabilities).
///
/// # Parameters
///
/// - `depth`: how many requests the queue holds, from submission to `ioq_free()`; exactly that many, at least 1.
/// - `nthreads`: the most worker threads to start. With 0, requests run inside the caller's own blocking `ioq_pop()`,
///   and nowhere else. While requests wait for something, such as a disk, all workers run, so more than there are
///   processors may pay; while they only use the processors, one less than there are runs, but at least one.
///
/// # Returns
///
/// The queue, to be destroyed with `ioq_destroy()`, or NULL with `errno` set:
///
/// - `EINVAL`: `depth` is 0, or `IOQ_BACKEND` has an unknown value.
/// - `ENOMEM`: no memory, or `depth` or `nthreads` is larger than any memory could be.
/// - with `IOQ_BACKEND=uring` and at least one thread, whatever `io_uring_setup(2)` failed with, such as `ENOSYS`,
///   `EPERM` or `EMFILE`.
///
/// # Threads
///
/// A queue is used by one thread at a time; only `ioq_cancel()` may be called from any thread while another uses the
/// queue. Several queues are independent of each other. No function here may be called from a signal handler. Signals
/// interrupt none of them, and none is a cancellation point: `pthread_cancel()` takes effect after it. Workers are named
/// `ioq-0`, `ioq-1`, …, and block every signal, so that no handler of the program runs on them.
///
/// Requests run in any of these threads, with what all threads of a process share: its working directory, its root, and
/// its credentials as `setuid()` and the like leave them. What only one thread has, after `unshare(CLONE_FS)` or
/// `setfsuid()`, may or may not apply to a request.
///
/// # Processes
///
/// After `fork()` the workers do not exist in the child: there a queue of the parent's may only be destroyed, which
/// releases the memory and runs nothing. Not even that is allowed after `_Fork()`, if another thread was in a call with
/// that queue, or if the child has its parent's process ID, in a PID namespace of its own. Queues that the child creates
/// are like any others. `exec` and `_exit()` are fine, and so is `exit()`, whatever other threads do with their queues
/// meanwhile.
///
/// The descriptors of rings are close-on-exec. A child of `fork()` inherits them, and may close them. If a process
/// forbids itself io_uring later, by a seccomp filter, its queues go on without. A process that is about to close
/// descriptors which it did not open should destroy its queues first: a queue closes its rings by their numbers, whatever
/// those stand for by then.
#[unsafe(no_mangle)]
pub extern "C" fn ioq_create(depth: usize, nthreads: usize) -> *mut Ioq {
    errno::or_null(Ioq::create(depth, nthreads))
}

/// How many more requests fit: `depth` less the entries that were submitted and not yet given to `ioq_free()`.
///
/// 0 if `ioq` is NULL.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_capacity(ioq: *const Ioq) -> usize {
    // SAFETY: NULL or live and used by this thread alone, by this function's contract.
    unsafe { ioq.as_ref().map_or(0, |ioq| ioq.capacity()) }
}

/// Submit a request that does nothing, for measurements and tests.
///
/// This and the four functions below put a request into the queue and return at once. Requests are buffered: they
/// reach the workers when enough have come together, and at the latest at the next `ioq_submit()` or `ioq_pop()`.
/// Responses come back through `ioq_pop()` in any order, every accepted request exactly once.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `type`: how much work to do.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set, in which case nothing was queued:
///
/// - `EAGAIN`: the queue is full; free an entry first.
/// - `EINTR`: the queue was cancelled.
/// - `ENOMEM`: no memory.
/// - `EINVAL`: `ioq` is NULL, or `type` is no `enum ioq_nop_type`.
///
/// The entry's result is 0, or `-EINTR` if the queue was cancelled first.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_nop(ioq: *mut Ioq, r#type: RawNopType, ptr: *mut c_void) -> c_int {
    let request = match r#type {
        0 => Request::nop(ioq_nop_type::IOQ_NOP_LIGHT),
        1 => Request::nop(ioq_nop_type::IOQ_NOP_HEAVY),
        _ => return errno::or_minus_one(Err(Errno(libc::EINVAL))),
    };
    // SAFETY: `ioq` is as this function's contract says; a no-op has no other pointers.
    unsafe { submit(ioq, request, ptr) }
}

/// Submit a `close()`.
///
/// It runs even if the queue is cancelled. The descriptor is gone whatever the result, unless that is `-EBADF`.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `fd`: the descriptor; the queue's once accepted, still the caller's if not.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`. The entry's result is 0 or the negated `errno` of `close(2)`.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_close(ioq: *mut Ioq, fd: c_int, ptr: *mut c_void) -> c_int {
    // SAFETY: `ioq` is as this function's contract says; a close has no other pointers.
    unsafe { submit(ioq, Request::close(fd), ptr) }
}

/// Submit a `bfs_opendir()`, followed by a `bfs_polldir()` that reads the first entries ahead.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `dir`: an allocated directory that is not open. It stays the caller's, who leaves it alone until the entry is
///   popped. It is open then if and only if the result is 0.
/// - `dfd`: the directory that `path` is relative to, or `AT_FDCWD`; it must stay open until the entry is popped.
/// - `path`: the path, which must stay valid until the entry is popped; NULL opens `dfd` itself, and the directory
///   takes the descriptor over. If the result is negative, that is still the caller's.
/// - `flags`: `enum bfs_dir_flags`.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`, and to `EINVAL` if `dir` is NULL. The entry's result is 0, the negated
/// `errno` of `bfs_opendir()`, or `-EINTR` if the queue was cancelled first, and for no other reason: calls that a signal
/// interrupts are repeated. What `bfs_polldir()` fails with is left for `bfs_readdir()` to report.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the pointers as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_opendir(
    ioq: *mut Ioq,
    dir: *mut bfs_dir,
    dfd: c_int,
    path: *const c_char,
    flags: c_uint,
    ptr: *mut c_void,
) -> c_int {
    if dir.is_null() {
        return errno::or_minus_one(Err(Errno(libc::EINVAL)));
    }
    // SAFETY: the pointers are as this function's contract says.
    unsafe { submit(ioq, Request::opendir(dir, dfd, path, flags), ptr) }
}

/// Submit a `bfs_closedir()`.
///
/// It runs even if the queue is cancelled. The directory is closed whatever the result.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `dir`: an open directory. Its memory stays the caller's, who leaves it alone until the entry is popped.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`, and to `EINVAL` if `dir` is NULL. The entry's result is 0 or the
/// negated `errno` of `close(2)`.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and `dir` as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_closedir(ioq: *mut Ioq, dir: *mut bfs_dir, ptr: *mut c_void) -> c_int {
    if dir.is_null() {
        return errno::or_minus_one(Err(Errno(libc::EINVAL)));
    }
    // SAFETY: the pointers are as this function's contract says.
    unsafe { submit(ioq, Request::closedir(dir), ptr) }
}

/// Submit a `bfs_stat()`.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `dfd`: the directory that `path` is relative to, or `AT_FDCWD`; it must stay open until the entry is popped.
/// - `path`: the path, which must stay valid until the entry is popped; NULL means `dfd` itself.
/// - `flags`: `enum bfs_stat_flags`.
/// - `buf`: where to put the result. It stays the caller's, who leaves it alone until the entry is popped. It is
///   filled if and only if the entry's result is 0.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`, and to `EINVAL` if `buf` is NULL. The entry's result is 0, the negated
/// `errno` of `bfs_stat()`, or `-EINTR` if the queue was cancelled first, and for no other reason.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the pointers as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_stat(
    ioq: *mut Ioq,
    dfd: c_int,
    path: *const c_char,
    flags: c_uint,
    buf: *mut bfs_stat,
    ptr: *mut c_void,
) -> c_int {
    if buf.is_null() {
        return errno::or_minus_one(Err(Errno(libc::EINVAL)));
    }
    // SAFETY: the pointers are as this function's contract says.
    unsafe { submit(ioq, Request::stat(dfd, path, flags, buf), ptr) }
}

/// Hand every buffered request to the workers. Ignored if `ioq` is NULL.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_submit(ioq: *mut Ioq) {
    // SAFETY: NULL or live and used by this thread alone, by this function's contract.
    unsafe {
        if let Some(ioq) = ioq.as_ref() {
            ioq.submit();
        }
    }
}

/// Pop a response. Buffered requests are submitted first.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `block`: whether to wait for a response if none is ready. A caller that would wait may run requests itself. In a
///   queue with 0 threads that is the only way for them to run, unless the queue was cancelled: a loop of pops that do
///   not block would never end.
///
/// # Returns
///
/// An entry, which is the caller's until `ioq_free()`. NULL if every request has been popped already, if none is ready
/// and `block` is false, or if `ioq` is NULL. `errno` is left as it was.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_pop(ioq: *mut Ioq, block: bool) -> *mut ioq_ent {
    // SAFETY: NULL or live and used by this thread alone, by this function's contract.
    unsafe { ioq.as_ref().and_then(|ioq| ioq.pop(block)).map_or(ptr::null_mut(), NonNull::as_ptr) }
}

/// Give a popped entry back, which makes room for another request. Ignored if `ioq` or `ent` is NULL.
///
/// `ent` must come from this queue's `ioq_pop()`, and is not valid any more after this. Entries may be given back in any
/// order, or kept until `ioq_destroy()`.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and `ent` NULL or an entry that `ioq_pop()`
/// returned from that queue and that was not freed since.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_free(ioq: *mut Ioq, ent: *mut ioq_ent) {
    // SAFETY: as this function's contract says.
    unsafe {
        if let (Some(ioq), Some(ent)) = (ioq.as_ref(), NonNull::new(ent)) {
            ioq.free(ent);
        }
    }
}

/// Tell how the requests of a queue were run so far.
///
/// Each request is counted once, before its response can be popped; those that were cancelled are counted for whoever
/// came to them.
///
/// All zero if `ioq` is NULL. Ignored if `counts` is NULL.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and `counts` NULL or valid for writes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_count(ioq: *const Ioq, counts: *mut ioq_counts) {
    // SAFETY: as this function's contract says.
    unsafe {
        if let Some(counts) = NonNull::new(counts) {
            let none = ioq_counts { ring: 0, worker: 0, caller: 0 };
            counts.write(ioq.as_ref().map_or(none, |ioq| ioq.counts()));
        }
    }
}

/// Cancel every request that has not run yet. Nothing happens if `ioq` is NULL or was cancelled before.
///
/// Later submissions fail with `EINTR`. Requests in the queue still come back through `ioq_pop()`: what has started with
/// its own result or with `-EINTR`, the others with `-EINTR`, except that `ioq_close()` and `ioq_closedir()` run all the
/// same.
///
/// This function may be called from any thread, but not while or after the queue is destroyed. It does not wait, and
/// does not interrupt a blocking `ioq_pop()`, which returns with the next response.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_cancel(ioq: *mut Ioq) {
    // SAFETY: NULL or live, by this function's contract.
    if let Some(ioq) = unsafe { ioq.as_ref() } {
        ioq.cancel();
    }
}

/// Cancel and destroy a queue. Ignored if `ioq` is NULL.
///
/// Waits for what is running, runs the closes that are still queued, and closes the directories that were opened for
/// responses which nobody popped. Then every entry of the queue is gone, popped or not. The caller's directories,
/// buffers and paths are not touched after that. In a child of `fork()`, the descriptors of its parent's rings stay open.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, or will use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_destroy(ioq: *mut Ioq) {
    // SAFETY: NULL or live and used by this thread alone, by this function's contract.
    unsafe {
        if let Some(ioq) = NonNull::new(ioq) {
            Ioq::destroy(ioq);
        }
    }
}

/// The one way in for requests.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the request's pointers valid until its entry
/// is popped.
unsafe fn submit(ioq: *mut Ioq, request: Request, ptr: *mut c_void) -> c_int {
    // SAFETY: passed on to the caller.
    let result = unsafe { ioq.as_ref().map(|ioq| ioq.request(request, ptr)) };
    errno::or_minus_one(result.unwrap_or(Err(Errno(libc::EINVAL))))
}
