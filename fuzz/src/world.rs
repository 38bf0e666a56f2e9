//! What all queues share.

use crate::abi::bfs_stat;
use crate::dirs::Dirs;
use crate::files::{self, Numbers};
use crate::request::Buf;
use libc::c_int;

pub struct World {
    pub dirs: Dirs,
    pub numbers: Numbers,
    /// The descriptors that queues were given to close.
    pub given: Vec<Given>,
    /// The buffers of stats whose queue was destroyed, and what was in them then.
    pub left: Vec<(Buf, bfs_stat)>,
    /// How many requests there were.
    pub requests: usize,
}

/// A descriptor that was given to be closed, perhaps several times.
pub struct Given {
    pub fd: c_int,
    /// How many of the closes succeeded.
    pub closed: usize,
    /// Whether the response to one of them was never seen.
    pub abandoned: bool,
}

impl World {
    /// A `ptr` that no other request has: odd or even, and with any bits set.
    pub fn next_id(&mut self) -> usize {
        self.requests += 1;
        self.requests.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    pub fn given(&mut self, fd: c_int) -> Option<&mut Given> {
        self.given.iter_mut().find(|given| given.fd == fd)
    }

    /// What must hold when every queue is gone.
    pub fn check_closed(&self) {
        for given in &self.given {
            assert!(!files::is_open(given.fd));
            assert!(given.closed == 1 || given.closed == 0 && given.abandoned, "{} closes", given.closed);
        }
        for (buf, before) in &self.left {
            // SAFETY: nobody else has it any more.
            assert_eq!(unsafe { *buf.get() }, *before, "a buffer that was written to later");
        }
    }
}
