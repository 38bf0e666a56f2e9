//! The functions of `ioq.h` that submit requests, one for each operation.

use crate::entry::*;
use crate::ops::{Access, Call, Close, Closedir, Getxattr, Nop, Openat, Opendir, Readlink, Request, Stat, Statx};
use crate::platform::errno::{self, Errno};
use crate::queue::Ioq;
use libc::{c_char, c_int, c_uint, c_void, open_how, statx};

/// The integer behind C's `enum ioq_nop_type`: C may pass any value.
pub type RawNopType = c_uint;

/// Submit a request that does nothing, for measurements and tests.
///
/// This and all other functions that submit a request put it into the queue and return at once. Requests are buffered:
/// they reach the workers when enough have come together, and at the latest at the next `ioq_submit()` or pop. They run
/// in any order, many at once, even if they are about the same file: submit what depends on another when that has been
/// popped. Responses come back in any order too, every accepted request exactly once.
///
/// Calls that fail with `EINTR` are repeated, but for those that change names (see `ioq_unlink()`), and not for ever: a
/// file system that goes on to answer so has that as its result.
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
/// The entry's result is 0, or `-EINTR` if the queue was cancelled first. That of any request but a close may also be
/// `-ECANCELED`; see `ioq_cancel_one()`.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_nop(ioq: *mut Ioq, r#type: RawNopType, ptr: *mut c_void) -> c_int {
    // SAFETY: `ioq` is as this function's contract says; a no-op has no other pointers.
    unsafe { submit(ioq, Nop::request(r#type), ptr) }
}

/// Submit a `close(2)`.
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
    unsafe { submit(ioq, Ok(Close::request(fd)), ptr) }
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
/// `errno` of `bfs_opendir()`, or `-EINTR` if the queue was cancelled first. What `bfs_polldir()` fails with is left for
/// `bfs_readdir()` to report.
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
    // SAFETY: the pointers are as this function's contract says.
    unsafe { submit(ioq, Opendir::request(dir, dfd, path, flags), ptr) }
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
/// negated `errno` of `bfs_closedir()`.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and `dir` as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_closedir(ioq: *mut Ioq, dir: *mut bfs_dir, ptr: *mut c_void) -> c_int {
    // SAFETY: the pointers are as this function's contract says.
    unsafe { submit(ioq, Closedir::request(dir), ptr) }
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
/// `errno` of `bfs_stat()`, or `-EINTR` if the queue was cancelled first.
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
    // SAFETY: the pointers are as this function's contract says.
    unsafe { submit(ioq, Stat::request(dfd, path, flags, buf), ptr) }
}

/// Submit a call of a function of the program's own.
///
/// The function may take its time, and wait for whatever it likes: other requests are run by other workers
/// meanwhile, if more were asked for than such functions run.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `fn`: the function, which is called once, or not at all if the queue is cancelled first. That happens in a worker,
///   with its signal mask and stack (1 MiB, unless the queue's options say otherwise); or in a pop that blocks, if there
///   is no worker or with `IOQ_CALLER_RUNS`. Several may run at once. It must return, and not be left by an exception,
///   `longjmp()` or `pthread_exit()`; and it must not call any function for the same queue but `ioq_cancel()`.
/// - `arg`: what to pass to it. What this points to must be valid until the entry is popped.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`, and to `EINVAL` if `fn` is NULL. The entry's result is what the function
/// returned, or `-EINTR` if the queue was cancelled first. That a negative result is a negated `errno` is a convention,
/// which nothing here depends on.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the function as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_call(
    ioq: *mut Ioq,
    r#fn: Option<unsafe extern "C" fn(arg: *mut c_void) -> c_int>,
    arg: *mut c_void,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the function and its argument are as this function's contract says.
    unsafe { submit(ioq, Call::request(r#fn, arg), ptr) }
}

/// Submit a `statx(2)`.
///
/// Unlike `ioq_stat()` it has no other ways to find out: where the system has no `statx(2)`, or refuses it, that is the
/// result.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `dfd`: the directory that `path` is relative to, or `AT_FDCWD`; it must stay open until the entry is popped.
/// - `path`: the path, which must stay valid until the entry is popped; NULL means `dfd` itself, as `""` does with
///   `AT_EMPTY_PATH`.
/// - `flags`: those of `statx(2)`, such as `AT_SYMLINK_NOFOLLOW` and `AT_STATX_DONT_SYNC`.
/// - `mask`: what to ask for, such as `STATX_BASIC_STATS`.
/// - `buf`: where to put the answer. It stays the caller's, who leaves it alone until the entry is popped. It is filled if
///   and only if the entry's result is 0. NULL if the answer does not matter: the system has it ready then for
///   whoever asks next.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`. The entry's result is 0, the negated `errno` of `statx(2)`, or `-EINTR` if
/// the queue was cancelled first.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the pointers as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_statx(
    ioq: *mut Ioq,
    dfd: c_int,
    path: *const c_char,
    flags: c_int,
    mask: c_uint,
    buf: *mut statx,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the pointers are as this function's contract says.
    unsafe { submit(ioq, Ok(Statx::request(dfd, path, flags, mask, buf)), ptr) }
}

/// Submit an `openat2(2)`, which may be followed by a `statx(2)` of what was opened.
///
/// Where the system has no `openat2(2)`, or refuses it, and `how->resolve` is 0, it is an `openat(2)`, which does not look
/// so closely at flags and mode. What opens slowly is opened slowly: a FIFO waits for its other end, and so does
/// `ioq_destroy()`, unless there is `O_NONBLOCK`.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `dfd`: the directory that `path` is relative to, or `AT_FDCWD`; it must stay open until the entry is popped.
/// - `path`: the path, which must stay valid until the entry is popped.
/// - `how`: how to open it, which must stay valid until the entry is popped; of its members, `flags`, `mode` and
///   `resolve` are looked at. The flags should include `O_CLOEXEC`: a program that another thread executes inherits what
///   is opened without.
/// - `mask`: what to ask `statx(2)` for, such as `STATX_BASIC_STATS`.
/// - `buf`: where to put the answer of `statx(2)`. It stays the caller's, who leaves it alone until the entry is popped.
///   It is filled if the entry's result is at least 0; where `statx(2)` is refused, with what `fstat(2)` knows. NULL if
///   nothing is to be asked.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`, and to `EINVAL` if `path` or `how` is NULL. The entry's result is:
///
/// - the descriptor, which is the caller's once the entry is popped. If nobody pops it, `ioq_destroy()` closes it.
/// - the negated `errno` of `openat2(2)` or `openat(2)`.
/// - the negated `errno` of `statx(2)`. Then nothing is open, though a file may be new.
/// - `-EINTR` if the queue was cancelled first, or the file system was interrupted. With `O_CREAT` or `O_TRUNC` the file may
///   be new or empty then. Without them it is tried again; see `ioq_nop()`.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the pointers as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_openat(
    ioq: *mut Ioq,
    dfd: c_int,
    path: *const c_char,
    how: *const open_how,
    mask: c_uint,
    buf: *mut statx,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the pointers are as this function's contract says.
    unsafe { submit(ioq, Openat::request(dfd, path, how, mask, buf), ptr) }
}

/// Submit a `readlinkat(2)`.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `dfd`: the directory that `path` is relative to, or `AT_FDCWD`; it must stay open until the entry is popped.
/// - `path`: the path of the link, which must stay valid until the entry is popped.
/// - `buf`: where to put what is in the link. It stays the caller's, who leaves it alone until the entry is popped. No NUL is
///   added.
/// - `size`: the size of the buffer. What does not fit is cut off, which cannot be told from what just fits.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`, and to `EINVAL` if `path` or `buf` is NULL. The entry's result is how
/// many bytes are in the buffer, the negated `errno` of `readlinkat(2)` (`EINVAL` if it is no link, or `size` is 0), or
/// `-EINTR` if the queue was cancelled first.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the pointers as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_readlink(
    ioq: *mut Ioq,
    dfd: c_int,
    path: *const c_char,
    buf: *mut c_char,
    size: usize,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the pointers are as this function's contract says.
    unsafe { submit(ioq, Readlink::request(dfd, path, buf, size), ptr) }
}

/// Submit a `getxattrat(2)`: read an extended attribute.
///
/// Before Linux 6.13, and where that call is refused, it is a `getxattr(2)` or `lgetxattr(2)`; a path that is relative to
/// another directory than the working directory is opened for that meanwhile (`O_PATH`), and `/proc` must be there.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `dfd`: the directory that `path` is relative to, or `AT_FDCWD`; it must stay open until the entry is popped.
/// - `path`: the path, which must stay valid until the entry is popped.
/// - `name`: the name of the attribute, such as `"user.comment"`, which must stay valid until the entry is popped.
/// - `value`: where to put the value. It stays the caller's, who leaves it alone until the entry is popped.
/// - `size`: the size of that buffer. With 0, the result is the size of the value, and `value` may be NULL.
/// - `flags`: `AT_SYMLINK_NOFOLLOW` to ask about a link itself, or 0.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`, and to `EINVAL` if `path` or `name` is NULL, `value` is NULL and `size`
/// is not 0, or there are other flags. The entry's result is how long the value is, or:
///
/// - the negated `errno` of `getxattr(2)`, such as `ENODATA` if there is no such attribute, `ERANGE` if the value does not
///   fit, and `ENOTSUP` if the file system has none.
/// - `-EMFILE` or `-ENFILE` where the file would have to be opened, `-ENOSYS` if `/proc` is not there.
/// - `-EINTR` if the queue was cancelled first.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the pointers as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_getxattr(
    ioq: *mut Ioq,
    dfd: c_int,
    path: *const c_char,
    name: *const c_char,
    value: *mut c_void,
    size: usize,
    flags: c_int,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the pointers are as this function's contract says.
    unsafe { submit(ioq, Getxattr::request(dfd, path, name, value, size, flags), ptr) }
}

/// Submit a `faccessat2(2)`: ask whether a file may be used.
///
/// Before Linux 5.8 it is a `faccessat(3)`, which sees to what it can of the flags by other calls.
///
/// # Parameters
///
/// - `ioq`: the queue.
/// - `dfd`: the directory that `path` is relative to, or `AT_FDCWD`; it must stay open until the entry is popped.
/// - `path`: the path, which must stay valid until the entry is popped.
/// - `mode`: `R_OK`, `W_OK` and `X_OK`, or `F_OK`.
/// - `flags`: `AT_EACCESS`, `AT_SYMLINK_NOFOLLOW` and `AT_EMPTY_PATH`, or 0.
/// - `ptr`: anything; it comes back as the entry's `ptr`.
///
/// # Returns
///
/// 0, or -1 with `errno` set as for `ioq_nop()`, and to `EINVAL` if `path` is NULL. The entry's result is 0 if the file may
/// be used so, the negated `errno` of `faccessat2(2)` (`EACCES` if not, `EINVAL` for an unknown mode or flag), or `-EINTR` if
/// the queue was cancelled first.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the pointers as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioq_access(
    ioq: *mut Ioq,
    dfd: c_int,
    path: *const c_char,
    mode: c_int,
    flags: c_int,
    ptr: *mut c_void,
) -> c_int {
    // SAFETY: the pointers are as this function's contract says.
    unsafe { submit(ioq, Access::request(dfd, path, mode, flags), ptr) }
}

/// The one way in for requests.
///
/// # Safety
///
/// `ioq` must be NULL or a live queue that no other thread is using, and the request's pointers valid until its entry
/// is popped.
// Always inlined: written here and read there at once, in pieces of other sizes, a request would hold up the processor.
#[inline(always)]
pub(super) unsafe fn submit(ioq: *mut Ioq, request: Result<Request, Errno>, ptr: *mut c_void) -> c_int {
    // SAFETY: passed on to the caller.
    let submitted = unsafe {
        match (ioq.as_ref(), request) {
            (Some(ioq), Ok(request)) => ioq.request(request, ptr),
            (_, Err(e)) => Err(e),
            (None, _) => Err(Errno(libc::EINVAL)),
        }
    };
    errno::or_minus_one(submitted)
}
