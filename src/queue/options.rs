//! What a queue is to be like: the program's choice, and where it has none, the user's, from the environment.

use super::block;
use crate::abi::extensible;
use crate::abi::types::{ioq_backend, ioq_flags, ioq_options};
use crate::platform::alloc;
use crate::platform::errno::Errno;
use crate::worker::ThreadOptions;
use libc::c_uint;
use std::ffi::CStr;
use std::ptr::{self, NonNull};

/// How requests are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// io_uring where it can be had and pays, else plain system calls.
    Auto,
    /// io_uring for everything that waits and that it can do.
    Uring,
    /// Plain system calls alone.
    Sync,
}

/// How many requests may be in flight in the ring, unless the program says otherwise. Each that waits has a thread of the
/// kernel's, of some 24 KiB.
pub const DEFAULT_INFLIGHT: usize = 256;

/// Linux never has more threads than this.
const MAX_THREADS: usize = 1 << 22;

/// The flags that there are.
const CALLER_RUNS: c_uint = ioq_flags::IOQ_CALLER_RUNS as c_uint;
const NO_DESCRIPTORS: c_uint = ioq_flags::IOQ_NO_DESCRIPTORS as c_uint;
const FLAGS: c_uint = CALLER_RUNS | NO_DESCRIPTORS;

pub struct Options {
    pub depth: usize,
    pub nthreads: usize,
    pub backend: Backend,
    /// Whether the caller runs requests itself when it would wait, as long as they are quick.
    pub caller_runs: bool,
    /// The most requests to have in flight in the ring.
    pub inflight: usize,
    /// Whether a ring may need a descriptor.
    pub descriptors: bool,
    pub threads: ThreadOptions,
}

impl Options {
    /// Those of `ioq_create()`.
    pub fn new(depth: usize, nthreads: usize) -> Result<Self, Errno> {
        let (caller_runs, inflight, descriptors) = (false, DEFAULT_INFLIGHT, true);
        let threads = ThreadOptions::default();
        Self { depth, nthreads, backend: Backend::from_env()?, caller_runs, inflight, descriptors, threads }.checked()
    }

    /// Those of `ioq_create_with()`. `E2BIG` if the program knows, and has set, options that this library does not know.
    ///
    /// # Safety
    ///
    /// `options` must be NULL or point to `size` readable bytes, of which the first are that size, and the name in it be NULL
    /// or a string.
    pub unsafe fn read(options: *const ioq_options) -> Result<Self, Errno> {
        let invalid = Errno(libc::EINVAL);
        // SAFETY: by this function's contract.
        let options = unsafe { extensible::read(NonNull::new(options.cast_mut()).ok_or(invalid)?)? };
        let backend = match options.backend {
            b if b == ioq_backend::IOQ_BACKEND_DEFAULT as c_uint => Backend::from_env()?,
            b if b == ioq_backend::IOQ_BACKEND_AUTO as c_uint => Backend::Auto,
            b if b == ioq_backend::IOQ_BACKEND_URING as c_uint => Backend::Uring,
            b if b == ioq_backend::IOQ_BACKEND_SYNC as c_uint => Backend::Sync,
            _ => return Err(invalid),
        };
        if options.flags & !FLAGS != 0 {
            return Err(invalid);
        }
        let inflight = if options.inflight == 0 { DEFAULT_INFLIGHT } else { options.inflight };
        let caller_runs = options.flags & CALLER_RUNS != 0;
        let descriptors = options.flags & NO_DESCRIPTORS == 0;
        let mut threads = ThreadOptions::default();
        if !options.name.is_null() {
            // SAFETY: a string, by this function's contract.
            threads.set_name(unsafe { CStr::from_ptr(options.name) }.to_bytes());
        }
        if options.stack_size > 0 {
            threads.stack_size = options.stack_size;
        }
        let (depth, nthreads) = (options.depth, options.nthreads);
        Self { depth, nthreads, backend, caller_runs, inflight, descriptors, threads }.checked()
    }

    fn checked(self) -> Result<Self, Errno> {
        if self.depth == 0 {
            Err(Errno(libc::EINVAL))
        } else if !block::can_hold(self.depth) || self.nthreads > MAX_THREADS {
            Err(alloc::NO_MEMORY)
        } else {
            Ok(self)
        }
    }
}

impl Backend {
    /// The user's choice. `EINVAL` if it is none of those above.
    fn from_env() -> Result<Self, Errno> {
        // SAFETY: the name is a C string, and so is the result, which is read at once. A program that changes the
        // environment in another thread meanwhile breaks the rules of getenv(3) all by itself.
        unsafe {
            // Whoever runs a program that gains privileges thereby must not choose how it works.
            let value = if libc::getauxval(libc::AT_SECURE) == 0 {
                libc::getenv(c"IOQ_BACKEND".as_ptr())
            } else {
                ptr::null_mut()
            };
            if value.is_null() { Ok(Self::Auto) } else { Self::parse(CStr::from_ptr(value).to_bytes()) }
        }
    }

    fn parse(value: &[u8]) -> Result<Self, Errno> {
        match value {
            b"" | b"auto" => Ok(Self::Auto),
            b"uring" => Ok(Self::Uring),
            b"sync" => Ok(Self::Sync),
            _ => Err(Errno(libc::EINVAL)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_three_names_and_nothing_are_valid() {
        assert_eq!(Backend::parse(b""), Ok(Backend::Auto));
        assert_eq!(Backend::parse(b"auto"), Ok(Backend::Auto));
        assert_eq!(Backend::parse(b"uring"), Ok(Backend::Uring));
        assert_eq!(Backend::parse(b"sync"), Ok(Backend::Sync));
        for wrong in [b"URING".as_slice(), b"io_uring", b"sync ", b"0"] {
            assert_eq!(Backend::parse(wrong), Err(Errno(libc::EINVAL)));
        }
    }
}
