//! The functions of `ioq.h` that are about a queue as a whole.

use super::extensible;
use super::types::*;
use crate::entry::*;
use crate::platform::errno::{self, Errno};
use crate::platform::sync::Deadline;
use crate::platform::time64::Timespec64;
use crate::queue::options::Options;
use crate::queue::{Ioq, Wait};
use libc::{c_char, c_int, timespec};
use std::ptr::{self, NonNull};

/// Create a queue.
///
/// Threads and the ring are started when requests need them, so a queue costs what is used of it, whatever it was
/// created with.
///
/// The environment variable `IOQ_BACKEND` chooses how requests are run: `auto` (the default) uses io_uring where it can
/// be had and pays, `uring` insists on it, `sync` uses plain system calls alone. It is read by each call, so no other
/// thread may call `setenv()` meanwhile, and ignored in programs that gain privileges when they are executed
/// (set-user-ID, set-group-ID, file capabilities). `ioq_create_with()` can choose instead.
///
/// # Parameters
///
/// - `depth`: how many requests the queue holds, from submission to `ioq_free()`; exactly that many, at least 1.
/// - `nthreads`: the most worker threads to start. While requests wait for something, such as a disk, all workers run, so
///   more than there are processors may pay; while they only use the processors, as many run as there are, less the one
///   that the caller needs while it is awake. With 0, requests run inside the caller's own blocking `ioq_pop()`, and
///   nowhere else.
///
/// # Returns
///
/// The queue, to be destroyed with `ioq_destroy()`, or NULL with `errno` set:
///
/// - `EINVAL`: `depth` is 0, or `IOQ_BACKEND` has an unknown value.
/// - `ENOMEM`: no memory, or `depth` or `nthreads` is larger than any memory could be.
/// - with `IOQ_BACKEND=uring` and at least one thread, why there is no io_uring (`io_uring_setup(2)`), such as `ENOSYS` or
///   `EPERM`; also `ENOSYS` before Linux 5.11. What a ring takes, such as memory, is not asked for yet.
///
/// # Time
///
/// Nothing is held back:
///
/// - A response can be popped at most 0.2 ms after its request is done, whatever its neighbours do. A blocking `ioq_pop()`
///   may gather responses for that long while they come quickly and others are to come; one that does not block takes
///   what is done.
/// - While some requests hang, and more workers were asked for than those are, all others run and come back: whether the
///   caller blocks, polls, or goes away after `ioq_submit()`. Where threads or memory cannot be had, that is so from when
///   they can: it is tried again, every 10 ms at most, whenever something is submitted or popped, by any worker, and by
///   the thread of the ring.
/// - A blocking `ioq_pop()` returns with the first response. It runs no request that can wait, unless the program asked
///   for that (`IOQ_CALLER_RUNS`), or there is no worker and none can be started. `ioq_pop(ioq, false)` never waits.
/// - Cancelling does not wait. Destroying waits for requests that have begun and cannot be interrupted, as no plain system
///   call can, for ever if they hang; and for the closes that are still queued.
///
/// # Threads
///
/// A queue is used by one thread at a time; only `ioq_cancel()` may be called from any thread while another uses the
/// queue. `ioq_version()` and `ioq_list_free()` need none, and may be called from any thread at any time. Several queues
/// are independent of each other, so a program whose threads all have requests gives each thread a queue of its own: a
/// queue costs little, and starts no more threads than it needs, though together they may be more than there are
/// processors. No function here may be called from a signal handler, nor, but for `ioq_cancel()`, for the same queue from
/// a function that the queue has called. A library that was built with debug assertions ends the program where two
/// threads use a queue at once, or one does so from within. Signals interrupt none of them, and none is a cancellation
/// point: `pthread_cancel()` takes effect after it.
///
/// Workers are named `ioq-0`, `ioq-1`, …, and a thread that waits for the ring, which is started when requests are to
/// go through one, `ioq-ring`. They block all signals but those that a thread's own instruction raises (`SIGSYS`,
/// `SIGSEGV`, `SIGBUS`, `SIGFPE`, `SIGILL`, `SIGTRAP`), for which alone a handler of the program's may run there.
///
/// Requests run in any of these threads, with what all threads of a process share: its working directory, its root, and
/// its credentials as `setuid()` and the like leave them. What only one thread has, after `unshare(CLONE_FS)` or
/// `setfsuid()`, may or may not apply to a request. All of that is as it is when the request runs, not when it was submitted:
/// do not call `chdir()` while requests with relative paths are on their way.
///
/// # Processes
///
/// After `fork()` the workers do not exist in the child: there a queue of the parent's may only be destroyed, which
/// releases its memory, but for a little that is the workers', and runs nothing. Not even that is allowed in three cases:
/// after `_Fork()`; if another thread was in a call with that queue; if the child has its parent's process ID, in a PID
/// namespace of its own. Queues that the child creates are like any others. `exec` and `_exit()` are fine, and so is
/// `exit()`, whatever other threads do with their queues meanwhile.
///
/// A queue holds no descriptor but that of `ioq_fd()`, if it was asked for, and those of the directories and files that
/// requests under way have open. Only before Linux 5.18, or where `io_uring_register(2)` is refused, it has that of its
/// ring while there is one. All are close-on-exec, but what `ioq_openat()` opens without `O_CLOEXEC`; the first and that of
/// the ring are never 0, 1 or 2. A process that is about to close
/// descriptors which it did not open should destroy queues with any of these first. If a process forbids itself
/// io_uring later, by a seccomp filter, its queues go on without.
#[unsafe(no_mangle)]
pub extern "C" fn ioq_create(depth: usize, nthreads: usize) -> *mut Ioq {
    errno::or_null(Options::new(depth, nthreads).and_then(Ioq::create))
}

/// Create a queue with options.
///
/// `ioq_create()` is the short form of this, and its description holds here too.
///
/// # Parameters
///
/// - `options`: what the queue is to be like. The structure is the caller's, and not used any more after this.
///
/// # Returns
///
/// The queue, to be destroyed with `ioq_destroy()`, or NULL with `errno` set as by `ioq_create()`, and:
///
/// - `EINVAL`: `options` is NULL, its `size` is too small, or `backend` or `flags` have an unknown value.
/// - `E2BIG`: there are options set that this version of the library does not know.
///
/// # Safety
///
/// `options` must be NULL or point to as many readable bytes as its `size` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_create_with(options: *const ioq_options) -> *mut Ioq {
    // SAFETY: passed on to the caller.
    errno::or_null(unsafe { Options::read(options) }.and_then(Ioq::create))
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
/// - `block`: whether to wait for a response if none is ready. In a queue with 0 threads, and in one that can start none for
///   now, that is the only way for requests to run: a loop of pops that do not block would not end.
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
    unsafe {
        let wait = if block { Wait::Forever } else { Wait::No };
        ioq.as_ref().and_then(|ioq| ioq.pop(wait)).map_or(ptr::null_mut(), NonNull::as_ptr)
    }
}

/// Pop a response, and wait for it until a certain time at most. Buffered requests are submitted first.
///
/// This runs no request. In a queue with 0 threads nothing comes while it waits, so there it does not, not even without a
/// limit, and fails with `ETIMEDOUT`. Where no thread can be started for now, it waits until one can.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `deadline`: a time of `CLOCK_MONOTONIC`; one that is over makes this an `ioq_pop()` that does not block. NULL
///   stands for no limit.
///
/// # Returns
///
/// An entry, which is the caller's until `ioq_free()`, or NULL:
///
/// - with `errno` set to `ETIMEDOUT`: none is ready, and some are on their way.
/// - with `errno` set to `EINVAL`: `ioq` is NULL, or `deadline` is no time.
/// - with `errno` as it was: every request has been popped already.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and `deadline` NULL or valid for reads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_pop_until(ioq: *mut Ioq, deadline: *const timespec) -> *mut ioq_ent {
    // SAFETY: as this function's contract says.
    unsafe { pop_until(ioq, deadline.as_ref().map(|time| Deadline::new(time.tv_sec, time.tv_nsec))) }
}

/// `ioq_pop_until()` with a time of 64 bits, which programs with such times call by that name on machines of 32 bits.
///
/// # Safety
///
/// As for `ioq_pop_until()`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_pop_until_time64(ioq: *mut Ioq, deadline: *const Timespec64) -> *mut ioq_ent {
    // SAFETY: as this function's contract says.
    unsafe { pop_until(ioq, deadline.as_ref().map(Timespec64::deadline)) }
}

/// # Safety
///
/// `ioq` must be as for `ioq_pop_until()`.
unsafe fn pop_until(ioq: *mut Ioq, deadline: Option<Result<Deadline, Errno>>) -> *mut ioq_ent {
    // SAFETY: passed on to the caller.
    let popped = deadline.unwrap_or(Ok(Deadline::NEVER)).and_then(|deadline| unsafe {
        let ioq = ioq.as_ref().ok_or(Errno(libc::EINVAL))?;
        ioq.pop_until(deadline)
    });
    match popped {
        Ok(entry) => entry.map_or(ptr::null_mut(), NonNull::as_ptr),
        Err(e) => errno::or_null(Err(e)),
    }
}

/// Pop several responses at once. Buffered requests are submitted first.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `ents`: where to put the entries, which are the caller's until `ioq_free()`.
/// - `count`: how many fit there.
/// - `block`: whether to wait for the first, as by `ioq_pop()`. For the others it never waits.
///
/// # Returns
///
/// How many entries were popped. `errno` is left as it was.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and `ents` valid for `count` writes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_pop_many(ioq: *mut Ioq, ents: *mut *mut ioq_ent, count: usize, block: bool) -> usize {
    if count == 0 {
        // SAFETY: as this function's contract says.
        unsafe { ioq_submit(ioq) };
    }
    let mut popped = 0;
    while popped < count {
        // SAFETY: as this function's contract says.
        unsafe {
            let ent = ioq_pop(ioq, block && popped == 0);
            if ent.is_null() {
                break;
            }
            ents.add(popped).write(ent);
        }
        popped += 1;
    }
    popped
}

/// A descriptor for event loops: readable (`POLLIN`) while a response is ready.
///
/// It is made at the first call, and is the queue's: poll it, in any thread, with any of `poll(2)`, `epoll(7)`,
/// `select(2)` or a library on top of these, but do not read from it, and do not close it. It is gone with the queue,
/// so take it out of the event loop before `ioq_destroy()`. It is readable as long as something is ready, however often
/// it is polled (level-triggered), and not any more when the last response that is ready was popped. For an
/// edge-triggered loop, pop until there is nothing.
///
/// Requests must have been submitted to come back: call `ioq_submit()`, or any pop, before you wait.
///
/// From the first call on, the queue has the thread `ioq-ring`, which also tries again to start workers that could not
/// be had, and a pop takes some 20 ns more.
///
/// # Returns
///
/// The descriptor, or -1 with `errno` set:
///
/// - `EINVAL`: `ioq` is NULL.
/// - `EOPNOTSUPP`: the queue has 0 threads, so nothing ever gets ready by itself.
/// - `EMFILE`, `ENFILE`, `ENOMEM`: there is no descriptor to be had (`eventfd(2)`).
/// - `EAGAIN`: the thread could not be started (`pthread_create(3)`).
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_fd(ioq: *mut Ioq) -> c_int {
    // SAFETY: NULL or live and used by this thread alone, by this function's contract.
    let fd = unsafe { ioq.as_ref().ok_or(Errno(libc::EINVAL)).and_then(|ioq| ioq.fd()) };
    errno::number_or_minus_one(fd)
}

/// Give a popped entry back, which makes room for another request. Ignored if `ioq` or `ent` is NULL.
///
/// `ent` must come from a pop of this queue, and is not valid any more after this. Entries may be given back in any
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

/// Tell what a queue is doing at this moment, for a program's own statistics, and to find out about servers that do not
/// answer.
///
/// From the first call on, the queue takes note of when each request was submitted, which takes some 50 ns.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `info`: its `size` must be set. As much of it is filled as the library knows; the rest is 0.
///
/// # Returns
///
/// 0, or -1 with `errno` set to `EINVAL`: `ioq` or `info` is NULL, or the size is too small.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and `info` NULL or valid for as many bytes as its
/// `size` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_info(ioq: *mut Ioq, info: *mut ioq_info) -> c_int {
    // SAFETY: as this function's contract says.
    let told = unsafe {
        match (ioq.as_ref(), NonNull::new(info)) {
            (Some(ioq), Some(info)) => extensible::write(info, ioq.info()),
            _ => Err(Errno(libc::EINVAL)),
        }
    };
    errno::or_minus_one(told)
}

/// The version of the library that runs, such as "0.1.0"; `IOQ_VERSION` is that of the header. The string is never
/// freed.
#[unsafe(no_mangle)]
pub extern "C" fn ioq_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
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

/// The entry of the request that was accepted last, to tell that request by: in `ioq_cancel_one()`, or when it is
/// popped.
///
/// What is in it is not to be looked at before it is popped. NULL if there was none yet, or `ioq` is NULL.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_last(ioq: *const Ioq) -> *const ioq_ent {
    // SAFETY: NULL or live and used by this thread alone, by this function's contract.
    unsafe { ioq.as_ref().and_then(|ioq| ioq.last()) }.map_or(ptr::null(), |entry| entry.as_ptr())
}

/// Cancel one request.
///
/// It comes back through `ioq_pop()` like any other, as soon as somebody comes to it. Its result says which of two it
/// is: `-ECANCELED` if it never ran, and did nothing; else it had begun, and the result is its own. (What a ring has
/// begun it interrupts where the file system lets it, after some milliseconds: then it may be `-EINTR`.) A descriptor
/// or a directory that was opened all the same is the caller's, as ever. `ioq_close()` and `ioq_closedir()` run in any
/// case.
///
/// Ignored if `ioq` or `ent` is NULL.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `ent`: what `ioq_last()` returned after the request was accepted. Its response must not have been popped.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and `ent` as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_cancel_one(ioq: *mut Ioq, ent: *const ioq_ent) {
    // SAFETY: as this function's contract says.
    unsafe {
        if let (Some(ioq), Some(ent)) = (ioq.as_ref(), NonNull::new(ent.cast_mut())) {
            ioq.cancel_one(ent);
        }
    }
}

/// Cancel and destroy a queue. Ignored if `ioq` is NULL.
///
/// Waits for what is running, runs the closes that are still queued, and lets go of what came of requests whose responses
/// nobody popped: directories and descriptors are closed, lists are freed, and the pointers to them set to NULL. Then every
/// entry of the queue is gone, popped or not. The caller's directories, buffers and paths are not touched after that. In a
/// child of `fork()`, the descriptors of its parent's rings stay open.
///
/// To learn what became of each request, call `ioq_cancel()` before this, and pop until there is NULL.
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
