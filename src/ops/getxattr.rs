//! `ioq_getxattr()`: getxattrat(2), and what comes near to it on older kernels.

use super::{Operation, Request, opened, require};
use crate::entry::*;
use crate::fs::host::Host;
use crate::platform::calls::SYS_GETXATTRAT;
use crate::platform::errno::{self, Errno};
use crate::platform::prefetch;
use libc::{c_char, c_int, c_void};
use std::io::Write;

pub struct Getxattr;

impl Getxattr {
    /// `EINVAL` without a path, a name or a buffer, and for flags that are not known.
    pub fn request(
        dfd: c_int,
        path: *const c_char,
        name: *const c_char,
        value: *mut c_void,
        size: usize,
        flags: c_int,
    ) -> Result<Request, Errno> {
        require(path)?;
        require(name)?;
        if (value.is_null() && size > 0) || flags & !libc::AT_SYMLINK_NOFOLLOW != 0 {
            return Err(Errno(libc::EINVAL));
        }
        let args = ioq_args { getxattr: ioq_getxattr { path, name, value, size, dfd, flags } };
        Ok(Request { op: ioq_op::IOQ_GETXATTR, args })
    }
}

/// Calls getxattrat(2) (Linux 6.13).
///
/// # Safety
///
/// The pointers must be as `ioq.h` asks.
unsafe fn getxattrat(args: &ioq_getxattr) -> c_int {
    /// The kernel's `struct xattr_args`.
    #[repr(C, align(8))]
    struct Args {
        value: u64,
        size: u32,
        flags: u32,
    }
    let &ioq_getxattr { path, name, value, size, dfd, flags } = args;
    // No value is as long as that.
    let to = Args { value: value.expose_provenance() as u64, size: size.try_into().unwrap_or(u32::MAX), flags: 0 };
    // SAFETY: strings, and a buffer of this size, as passed on to the caller.
    let ret = unsafe { libc::syscall(SYS_GETXATTRAT, dfd, path, flags, name, &raw const to, size_of::<Args>()) };
    errno::negated(ret as c_int)
}

/// Calls getxattr(2) or lgetxattr(2) for a path that is relative to no other directory than the working directory.
///
/// # Safety
///
/// As above, for this path instead.
unsafe fn getxattr(path: *const c_char, args: &ioq_getxattr) -> c_int {
    let call = if args.flags == 0 { libc::getxattr } else { libc::lgetxattr };
    // SAFETY: passed on to the caller.
    errno::negated(unsafe { call(path, args.name, args.value, args.size) } as c_int)
}

/// The same for any other path, through a descriptor of the file: only by the name that it has in `/proc` can one that was
/// not opened for reading be asked.
///
/// # Safety
///
/// As above.
unsafe fn getxattr_of_opened(args: &ioq_getxattr) -> c_int {
    let follow = if args.flags == 0 { 0 } else { libc::O_NOFOLLOW };
    // SAFETY: the path is a string.
    let fd = unsafe { libc::openat(args.dfd, args.path, libc::O_PATH | libc::O_CLOEXEC | follow) };
    if fd < 0 {
        return -Errno::last().0;
    }
    let mut name = [0; 32];
    // There is room for that, and for a NUL.
    let _ = write!(&mut name[..31], "/proc/self/fd/{fd}");
    // SAFETY: the name is a string. What it stands for is followed, but no further.
    let result = unsafe { getxattr(name.as_ptr().cast(), &ioq_getxattr { flags: 0, ..*args }) };
    opened::close(fd);
    // The file is there, so it is the name that is not.
    if result == -libc::ENOENT { -libc::ENOSYS } else { result }
}

impl Operation for Getxattr {
    fn prefetch(&self, ent: &ioq_ent) {
        // SAFETY: the arguments of this operation.
        prefetch::for_read(unsafe { ent.args.getxattr.path }.cast());
    }

    unsafe fn run(&self, _: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, whose pointers are as the caller vouches for.
        unsafe {
            let args = ent.args.getxattr;
            let is_relative = || args.dfd != libc::AT_FDCWD && args.path.read() != b'/' as c_char;
            errno::uninterrupted(|| match getxattrat(&args) {
                // Filters that do not know it refuse it.
                result if !matches!(-result, libc::ENOSYS | libc::EPERM) => result,
                _ if is_relative() => getxattr_of_opened(&args),
                _ => getxattr(args.path, &args),
            })
        }
    }
}
