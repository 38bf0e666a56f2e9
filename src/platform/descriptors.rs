//! Descriptors of the library's own, and room for the program's.

use crate::platform::cancellation;
use crate::platform::errno::Errno;
use libc::c_int;
use std::mem::MaybeUninit;
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
        cancellation::disabled(|| unsafe { libc::write(self.number(), (&raw const one).cast(), size_of_val(&one)) });
    }

    /// Makes it not readable.
    pub fn lower(&self) {
        let mut count = 0u64;
        // SAFETY: eight bytes, as an eventfd gives them.
        cancellation::disabled(|| unsafe { libc::read(self.number(), (&raw mut count).cast(), size_of_val(&count)) });
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

/// Has the kernel make its table of the process's descriptors large enough for so many, if this is the only thread yet.
///
/// The table grows beyond 64, and from then on by doubling, when a descriptor is opened that has no room. In a process of
/// several threads the kernel waits then until no processor can be looking at the old table any more
/// (`expand_fdtable()`), which takes ten to twenty milliseconds: as long as it takes to read a thousand directories.
pub fn make_room(count: usize) {
    /// What most programs may have.
    const MOST: usize = 1000;
    let mut tasks = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the path is a string, and the buffer valid for writes. The descriptors are new, and nobody else's.
    unsafe {
        // A link from above, its own, and one for each thread.
        if libc::stat(c"/proc/self/task".as_ptr(), tasks.as_mut_ptr()) != 0 || tasks.assume_init().st_nlink != 3 {
            return;
        }
        if let Ok(event) = EventFd::new() {
            let fd = libc::fcntl(event.number(), libc::F_DUPFD_CLOEXEC, count.min(MOST) as c_int);
            if fd >= 0 {
                drop(OwnedFd::from_raw_fd(fd));
            }
        }
    }
}
