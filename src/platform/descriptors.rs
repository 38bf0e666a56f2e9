//! Descriptors of the library's own.

use crate::platform::errno::Errno;
use libc::c_int;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// An eventfd(2): readable or not, as one likes.
pub struct EventFd(OwnedFd);

impl EventFd {
    /// One that is not readable.
    pub fn new() -> Result<Self, Errno> {
        // SAFETY: the descriptor is new, and nobody else's.
        let fd = unsafe {
            match libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) {
                -1 => return Err(Errno::last()),
                fd => OwnedFd::from_raw_fd(fd),
            }
        };
        out_of_the_way(fd).map(Self)
    }

    pub fn number(&self) -> c_int {
        self.0.as_raw_fd()
    }

    /// Makes it readable.
    pub fn raise(&self) {
        let one = 1u64;
        // SAFETY: eight bytes, as an eventfd takes them. The count never comes near its limit.
        unsafe { libc::write(self.number(), (&raw const one).cast(), size_of_val(&one)) };
    }

    /// Makes it not readable.
    pub fn lower(&self) {
        let mut count = 0u64;
        // SAFETY: eight bytes, as an eventfd gives them.
        unsafe { libc::read(self.number(), (&raw mut count).cast(), size_of_val(&count)) };
    }
}

/// The same file under a number above those of the standard streams, which programs put other files under.
pub fn out_of_the_way(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    const FIRST: c_int = libc::STDERR_FILENO + 1;
    if fd.as_raw_fd() >= FIRST {
        return Ok(fd);
    }
    // SAFETY: the descriptor is new, and nobody else's.
    unsafe {
        match libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, FIRST) {
            -1 => Err(Errno::last()),
            high => Ok(OwnedFd::from_raw_fd(high)),
        }
    }
}
