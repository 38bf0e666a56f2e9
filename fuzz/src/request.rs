//! Requests, and what must be true of each from its submission to the end.

use crate::abi::*;
use crate::dirs::{Listing, State};
use crate::files;
use crate::world::World;
use libc::{c_char, c_int, c_uint, c_void};
use std::cell::UnsafeCell;
use std::ffi::CString;
use std::ptr;

/// A request that was accepted, with everything that must stay where it is until it comes back.
pub struct Request {
    pub kind: Kind,
    pub path: Option<CString>,
    /// What it must answer, unless it was cancelled.
    pub expected: c_int,
}

pub enum Kind {
    Nop { kind: c_uint },
    Close { fd: c_int },
    OpenDir { dir: usize, pointer: *mut bfs_dir, dfd: c_int, flags: c_uint, listing: Listing },
    CloseDir { dir: usize, pointer: *mut bfs_dir, fd: c_int },
    Stat { dfd: c_int, flags: c_uint, buf: Buf, expected: Option<bfs_stat> },
}

/// Where a stat goes.
pub type Buf = Box<UnsafeCell<bfs_stat>>;

/// What is in a buffer that nobody has filled.
pub const UNTOUCHED: bfs_stat = {
    let time = timespec { tv_sec: -77, tv_nsec: 77 };
    bfs_stat {
        mask: 0xA5A5_A5A5,
        mode: 1,
        dev: 2,
        ino: 3,
        nlink: 4,
        gid: 5,
        uid: 6,
        size: -7,
        blocks: -8,
        rdev: 9,
        mnt_id: 10,
        attrs: 11,
        atime: time,
        btime: time,
        ctime: time,
        mtime: time,
    }
};

/// How far a request may be told that it is not to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cancelled {
    No,
    /// It may have begun before, or another thread may not have come to it yet.
    Maybe,
    Yes,
}

/// A request that did not come back yet.
pub struct Out {
    pub request: Request,
    /// What tells it from others.
    pub entry: *const ioq_ent,
    /// Whether it was cancelled by itself.
    pub cancelled: Cancelled,
}

/// A response that was popped and not freed, which nobody may change.
pub struct Held {
    pub ent: *mut ioq_ent,
    request: Request,
    result: c_int,
    /// What the request filled in, if it was a stat.
    filled: Option<bfs_stat>,
}

impl Out {
    /// Whether this result says that it did not run, or not to its end, in a queue that was perhaps cancelled.
    pub fn is_cancelled(&self, result: c_int, queue: Cancelled) -> bool {
        let by_itself = self.cancelled != Cancelled::No;
        !self.request.survives_cancel()
            && match -result {
                libc::ECANCELED => by_itself,
                libc::EINTR => by_itself || queue != Cancelled::No,
                _ => false,
            }
    }

    /// Checks a response to it, and notes what is different after it.
    pub fn popped(self, ent: *mut ioq_ent, is_cancelled: bool, world: &mut World) -> Held {
        // SAFETY: popped, so ours.
        let response = unsafe { &*ent };
        assert_eq!(ent.cast_const(), self.entry);
        assert!(is_cancelled || self.cancelled != Cancelled::Yes, "run after it was cancelled");
        self.request.check_entry(response);
        let filled = self.request.check_result(response.result, is_cancelled, world);
        Held { ent, result: response.result, request: self.request, filled }
    }
}

impl Held {
    /// What was popped must still be what it was.
    pub fn check(&self) {
        // SAFETY: popped and not freed, so ours.
        let ent = unsafe { &*self.ent };
        assert_eq!(ent.result, self.result);
        self.request.check_entry(ent);
        if let Kind::Stat { buf, .. } = &self.request.kind {
            // SAFETY: ours since the entry was popped.
            assert_eq!(Some(unsafe { *buf.get() }), self.filled);
        }
    }
}

impl Request {
    /// The path as C sees it.
    pub fn path(&self) -> *const c_char {
        self.path.as_ref().map_or(ptr::null(), |path| path.as_ptr())
    }

    /// Whether it runs even if it is cancelled.
    pub fn survives_cancel(&self) -> bool {
        matches!(self.kind, Kind::Close { .. } | Kind::CloseDir { .. })
    }

    /// Checks that all but the result is as it was submitted.
    fn check_entry(&self, response: &ioq_ent) {
        let path = self.path();
        // SAFETY: the operation, which is checked first, tells which arguments are there.
        unsafe {
            match &self.kind {
                Kind::Nop { kind } => {
                    assert_eq!((response.op, response.args.nop), (IOQ_NOP, *kind));
                }
                Kind::Close { fd } => {
                    assert_eq!((response.op, response.args.close), (IOQ_CLOSE, *fd));
                }
                Kind::OpenDir { pointer, dfd, flags, .. } => {
                    assert_eq!(response.op, IOQ_OPENDIR);
                    let args = response.args.opendir;
                    assert_eq!((args.dir, args.path), (*pointer, path));
                    assert_eq!((args.dfd, args.flags), (*dfd, *flags));
                }
                Kind::CloseDir { pointer, .. } => {
                    assert_eq!((response.op, response.args.closedir), (IOQ_CLOSEDIR, *pointer));
                }
                Kind::Stat { dfd, flags, buf, .. } => {
                    assert_eq!(response.op, IOQ_STAT);
                    let args = response.args.stat;
                    assert_eq!((args.path, args.buf, args.xbuf), (path, buf.get(), ptr::null_mut::<c_void>()));
                    assert_eq!((args.dfd, args.flags), (*dfd, *flags));
                }
            }
        }
    }

    /// Checks the result, and notes what is different after it. Returns what is in the buffer of a stat.
    fn check_result(&self, result: c_int, cancelled: bool, world: &mut World) -> Option<bfs_stat> {
        if !matches!(self.kind, Kind::Close { .. }) {
            assert!(cancelled || result == self.expected, "{result} instead of {}", self.expected);
        }
        match &self.kind {
            Kind::Nop { .. } => {}
            Kind::Close { fd } => {
                match world.given(*fd) {
                    Some(given) if result == 0 => given.closed += 1,
                    // Never was a descriptor, or was given twice, and closed already.
                    _ => assert_eq!(result, -libc::EBADF, "closing {fd}"),
                }
                assert!(!files::is_open(*fd));
            }
            Kind::OpenDir { dir, dfd, listing, .. } => {
                world.dirs.set(*dir, if result == 0 { State::Open(listing.clone()) } else { State::Closed });
                // Without success, the descriptor is still the caller's.
                assert!(result == 0 || !world.numbers.contains(*dfd) || files::is_open(*dfd));
            }
            Kind::CloseDir { dir, fd, .. } => {
                world.dirs.set(*dir, State::Closed);
                assert!(!world.numbers.contains(*fd) || !files::is_open(*fd));
            }
            Kind::Stat { buf, .. } => {
                // SAFETY: ours since the entry was popped.
                let filled = unsafe { *buf.get() };
                self.check_filled(&filled, result == 0);
                return Some(filled);
            }
        }
        None
    }

    /// Checks what is in a stat's buffer.
    fn check_filled(&self, filled: &bfs_stat, success: bool) {
        let Kind::Stat { dfd, flags, expected, .. } = &self.kind else { return };
        match expected {
            Some(expected) if success => {
                let again = || files::expect_stat(*dfd, self.path.as_deref(), *flags);
                assert!(files::is_answer(filled, expected, again), "{filled:?} instead of {expected:?}");
            }
            _ => assert_eq!(*filled, UNTOUCHED),
        }
    }

    /// The queue was destroyed before this came back.
    pub fn abandon(self, world: &mut World) {
        if let Kind::Stat { buf, .. } = &self.kind {
            // SAFETY: the queue is gone, so it is ours.
            let filled = unsafe { *buf.get() };
            self.check_filled(&filled, filled != UNTOUCHED);
        }
        match self.kind {
            Kind::Close { fd } => {
                if let Some(given) = world.given(fd) {
                    given.abandoned = true;
                }
                assert!(!files::is_open(fd));
            }
            Kind::CloseDir { dir, fd, .. } => {
                world.dirs.set(dir, State::Closed);
                assert!(!world.numbers.contains(fd) || !files::is_open(fd));
            }
            Kind::OpenDir { dir, .. } => world.dirs.set(dir, State::Closed),
            Kind::Stat { buf, .. } => {
                // SAFETY: as above.
                let filled = unsafe { *buf.get() };
                world.left.push((buf, filled));
            }
            Kind::Nop { .. } => {}
        }
    }
}
