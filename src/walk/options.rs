//! What a walk is to be like: the program's options, checked, with the defaults filled in.

use super::abi::{Skip, ioq_walk_flags, ioq_walk_options};
use crate::abi::extensible;
use crate::abi::list::ioq_list_flags;
use crate::abi::types::{ioq_flags, ioq_options};
use crate::platform::errno::Errno;
use libc::{c_int, c_uint};
use std::ptr::{self, NonNull};

/// How many requests may be under way: enough to keep a slow file system busy.
const DEPTH: usize = 256;

const DEFAULT_THREADS: usize = 32;
const DEFAULT_MEMORY: usize = 64 << 20;

/// A directory, its parent, and two for others on the way.
const MIN_FDS: usize = 4;
const MAX_FDS: usize = 256;
/// The standard streams, and some of the program's.
const OTHER_FDS: usize = 8;

pub struct Options {
    flags: c_uint,
    mask: c_uint,
    threads: usize,
    pub max_depth: usize,
    pub max_fds: usize,
    pub max_memory: usize,
    pub skip: Skip,
}

impl Options {
    /// # Safety
    ///
    /// `options` must be NULL or point to as many readable bytes as its `size` says, and its `skip` be as `ioq/walk.h` asks.
    pub unsafe fn read(options: *const ioq_walk_options) -> Result<Self, Errno> {
        // SAFETY: by this function's contract. Zeros are options.
        let options = unsafe {
            match NonNull::new(options.cast_mut()) {
                Some(options) => extensible::read(options)?,
                None => std::mem::zeroed(),
            }
        };
        let known_flags = (ioq_walk_flags::IOQ_WALK_CALLER_RUNS as c_uint) * 2 - 1;
        if options.flags & !known_flags != 0 || options.mask & libc::STATX__RESERVED as c_uint != 0 {
            return Err(Errno(libc::EINVAL));
        }
        let or = |value, default| if value == 0 { default } else { value };
        Ok(Self {
            flags: options.flags,
            mask: options.mask,
            threads: or(options.nthreads, DEFAULT_THREADS),
            max_depth: or(options.max_depth, usize::MAX),
            max_fds: or(options.max_fds, default_fds()).max(MIN_FDS),
            max_memory: or(options.max_memory, DEFAULT_MEMORY),
            // SAFETY: by this function's contract.
            skip: unsafe { Skip::new(&options) },
        })
    }

    fn has(&self, flag: ioq_walk_flags) -> bool {
        self.flags & flag as c_uint != 0
    }

    pub fn stats(&self) -> bool {
        self.has(ioq_walk_flags::IOQ_WALK_STAT)
    }

    pub fn returns_first(&self) -> bool {
        self.has(ioq_walk_flags::IOQ_WALK_PRE) || !self.returns_last()
    }

    pub fn returns_last(&self) -> bool {
        self.has(ioq_walk_flags::IOQ_WALK_POST)
    }

    pub fn stays(&self) -> bool {
        self.has(ioq_walk_flags::IOQ_WALK_XDEV)
    }

    pub fn follows(&self) -> bool {
        self.has(ioq_walk_flags::IOQ_WALK_FOLLOW)
    }

    pub fn follows_roots(&self) -> bool {
        self.follows() || self.has(ioq_walk_flags::IOQ_WALK_FOLLOW_ROOTS)
    }

    pub fn sorts(&self) -> bool {
        self.has(ioq_walk_flags::IOQ_WALK_SORT)
    }

    pub fn root_by_root(&self) -> bool {
        self.sorts() || self.has(ioq_walk_flags::IOQ_WALK_ROOT_BY_ROOT)
    }

    /// What `statx()` is asked for.
    pub fn mask(&self) -> c_uint {
        let asked = if self.stats() { self.mask } else { 0 };
        asked | libc::STATX_TYPE | libc::STATX_INO
    }

    /// How the queue is to be.
    pub fn queue(&self) -> ioq_options {
        let runs = self.has(ioq_walk_flags::IOQ_WALK_CALLER_RUNS);
        ioq_options {
            size: size_of::<ioq_options>(),
            depth: DEPTH,
            nthreads: self.threads,
            backend: 0,
            flags: if runs { ioq_flags::IOQ_CALLER_RUNS as c_uint } else { 0 },
            inflight: 0,
            name: ptr::null(),
            stack_size: 0,
        }
    }

    /// How a directory is to be listed.
    pub fn list_flags(&self, follows: bool) -> c_uint {
        let mut flags = ioq_list_flags::IOQ_LIST_FD as c_uint | ioq_list_flags::IOQ_LIST_SELF as c_uint;
        if !follows {
            flags |= ioq_list_flags::IOQ_LIST_NOFOLLOW as c_uint;
        }
        flags | self.part_flags()
    }

    /// How the rest of a directory is to be listed.
    pub fn part_flags(&self) -> c_uint {
        let order = if self.sorts() { ioq_list_flags::IOQ_LIST_SORT_NAME } else { ioq_list_flags::IOQ_LIST_PART };
        order as c_uint | if self.stats() { ioq_list_flags::IOQ_LIST_STAT as c_uint } else { 0 }
    }
}

/// How a file is opened only to find out what it is.
pub fn probe_flags(follows: bool) -> c_int {
    libc::O_PATH | if follows { 0 } else { libc::O_NOFOLLOW }
}

/// As many as are of use, if the system allows that.
fn default_fds() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is written to.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
    let most = if known { usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX) } else { 0 };
    MAX_FDS.min(most.saturating_sub(OTHER_FDS))
}
