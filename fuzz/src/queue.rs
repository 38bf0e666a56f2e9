//! One queue beside what must be true of it: which requests are out, what each may answer, and how many more fit.

use crate::abi::*;
use crate::dirs::{Dirs, Listing, State};
use crate::files::{self, Numbers};
use crate::input::{Backend, Depth, Threads};
use libc::{c_char, c_int, c_uint, c_void};
use std::cell::UnsafeCell;
use std::collections::HashMap;
use std::env;
use std::ffi::CString;
use std::ptr;
use std::thread::{self, JoinHandle};

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
    OpenDir { dir: usize, dfd: c_int, flags: c_uint, listing: Listing },
    CloseDir { dir: usize, fd: c_int },
    Stat { dfd: c_int, flags: c_uint, buf: Box<UnsafeCell<bfs_stat>>, ino: u64 },
}

/// What is in a buffer that nobody has filled.
pub const UNTOUCHED: bfs_stat = bfs_stat { mask: 0xA5A5_A5A5, mode: 1, dev: 2, ino: 3, rest: [4; 15] };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancelled {
    No,
    /// By another thread, which may not have come to it yet.
    Maybe,
    Yes,
}

/// What all queues share.
pub struct World {
    pub dirs: Dirs,
    pub numbers: Numbers,
    /// The descriptors that queues were given to close.
    pub given: Vec<Given>,
    pub next_id: usize,
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
    fn given(&mut self, fd: c_int) -> Option<&mut Given> {
        self.given.iter_mut().find(|given| given.fd == fd)
    }

    /// What must hold when every queue is gone.
    pub fn check_closed(&self) {
        for given in &self.given {
            assert!(!files::is_open(given.fd));
            assert!(given.closed == 1 || given.closed == 0 && given.abandoned, "{} closes", given.closed);
        }
    }
}

pub struct Queue {
    ioq: *mut ioq,
    depth: usize,
    /// Requests that did not come back yet, by what they were given as `ptr`.
    out: HashMap<usize, Request>,
    /// Entries that were popped and not freed.
    held: Vec<*mut ioq_ent>,
    cancelled: Cancelled,
    accepted: u64,
    counts: ioq_counts,
    canceller: Option<JoinHandle<()>>,
}

impl Queue {
    /// Makes a queue, or checks that it rightly could not be made.
    pub fn create(backend: Backend, depth: Depth, threads: Threads) -> Option<Self> {
        let name = match backend {
            Backend::Auto => "auto",
            Backend::Uring => "uring",
            Backend::Sync => "sync",
            Backend::Unknown => "unknown",
        };
        // SAFETY: no other thread of this process reads the environment: workers do not.
        unsafe { env::set_var("IOQ_BACKEND", name) };
        // SAFETY: always safe.
        let ioq = unsafe { ioq_create(depth.value(), threads.value()) };
        let error = errno();
        let absurd = matches!(depth, Depth::Absurd(_)) || matches!(threads, Threads::Absurd(_));
        if depth.value() == 0 || matches!(backend, Backend::Unknown) {
            assert!(ioq.is_null());
            assert_eq!(error, libc::EINVAL);
        } else if absurd {
            assert!(ioq.is_null());
            assert!(error == libc::ENOMEM || matches!(backend, Backend::Uring) && threads.value() > 0, "{error}");
        } else if ioq.is_null() {
            // Only where there is no io_uring to be had.
            assert!(matches!(backend, Backend::Uring) && threads.value() > 0, "{error}");
        }
        (!ioq.is_null()).then(|| Self {
            ioq,
            depth: depth.value(),
            out: HashMap::new(),
            held: vec![],
            cancelled: Cancelled::No,
            accepted: 0,
            counts: ioq_counts::default(),
            canceller: None,
        })
    }

    pub fn pointer(&self) -> *mut ioq {
        self.ioq
    }

    fn room(&self) -> usize {
        self.depth - self.out.len() - self.held.len()
    }

    /// What must hold after every call.
    pub fn check(&self) {
        // SAFETY: a live queue, used by this thread.
        assert_eq!(unsafe { ioq_capacity(self.ioq) }, self.room());
    }

    /// Notes what became of a submission. `valid` tells whether its arguments allowed it.
    pub fn submitted(&mut self, ret: c_int, valid: bool, id: usize, request: Request) -> Option<Request> {
        let error = errno();
        let (full, cancelled) = (self.room() == 0, self.cancelled);
        if ret == 0 {
            assert!(valid && !full && cancelled != Cancelled::Yes);
            self.accepted += 1;
            assert!(self.out.insert(id, request).is_none());
            return None;
        }
        assert_eq!(ret, -1);
        match error {
            libc::EINVAL => assert!(!valid),
            libc::EAGAIN => assert!(full),
            libc::EINTR => assert!(cancelled != Cancelled::No),
            _ => panic!("errno {error}"),
        }
        Some(request)
    }

    pub fn submit(&mut self) {
        // SAFETY: a live queue, used by this thread.
        unsafe { ioq_submit(self.ioq) };
    }

    /// Pops, and checks what comes. Returns whether anything did.
    pub fn pop(&mut self, block: bool, world: &mut World) -> bool {
        set_errno(libc::EXDEV);
        // SAFETY: a live queue, used by this thread.
        let ent = unsafe { ioq_pop(self.ioq, block) };
        assert_eq!(errno(), libc::EXDEV);
        // SAFETY: popped, so ours.
        let Some(response) = (unsafe { ent.as_ref() }) else {
            assert!(!block || self.out.is_empty(), "{} requests never came back", self.out.len());
            return false;
        };
        assert_eq!(ent.addr() % 64, 0);
        let request = self.out.remove(&response.ptr.addr()).expect("a request that is out");
        assert!(!self.held.contains(&ent), "an entry that is in use");
        self.held.push(ent);
        request.check(response, self.cancelled != Cancelled::No, world);
        true
    }

    pub fn drain(&mut self, world: &mut World) {
        while self.pop(true, world) {}
        assert!(self.out.is_empty());
        // SAFETY: a live queue, used by this thread.
        assert!(unsafe { ioq_pop(self.ioq, false) }.is_null());
    }

    pub fn free(&mut self, which: u8) {
        if !self.held.is_empty() {
            let ent = self.held.swap_remove(usize::from(which) % self.held.len());
            // SAFETY: popped from this queue, and not freed yet.
            unsafe { ioq_free(self.ioq, ent) };
        }
    }

    /// NULL for either argument changes nothing.
    pub fn free_null(&self) {
        // SAFETY: NULL is allowed.
        unsafe {
            ioq_free(self.ioq, ptr::null_mut());
            ioq_free(ptr::null_mut(), self.held.last().copied().unwrap_or(ptr::null_mut()));
        }
    }

    pub fn count(&mut self) {
        let mut counts = ioq_counts::default();
        // SAFETY: a live queue, used by this thread.
        unsafe { ioq_count(self.ioq, &mut counts) };
        let before = self.counts;
        assert!(counts.ring >= before.ring && counts.worker >= before.worker && counts.caller >= before.caller);
        assert!(counts.ring + counts.worker + counts.caller <= self.accepted, "{counts:?} of {}", self.accepted);
        self.counts = counts;
    }

    pub fn cancel(&mut self) {
        // SAFETY: a live queue.
        unsafe { ioq_cancel(self.ioq) };
        self.cancelled = Cancelled::Yes;
    }

    pub fn cancel_elsewhere(&mut self) {
        if self.canceller.is_none() {
            let address = self.ioq.expose_provenance();
            // SAFETY: a live queue: the thread is joined before it is destroyed.
            let cancel = move || unsafe { ioq_cancel(ptr::with_exposed_provenance_mut(address)) };
            self.canceller = Some(thread::spawn(cancel));
            if self.cancelled == Cancelled::No {
                self.cancelled = Cancelled::Maybe;
            }
        }
    }

    /// Destroys the queue, with whatever is still out. Everything in its hands must be the caller's again.
    pub fn destroy(mut self, world: &mut World) {
        if let Some(canceller) = self.canceller.take() {
            canceller.join().expect("no panic");
        }
        // SAFETY: a live queue, and nobody uses it after this.
        unsafe { ioq_destroy(self.ioq) };
        for request in std::mem::take(&mut self.out).into_values() {
            request.abandon(world);
        }
    }
}

impl Request {
    /// The path as C sees it.
    pub fn path(&self) -> *const c_char {
        self.path.as_ref().map_or(ptr::null(), |path| path.as_ptr())
    }

    /// Checks the response, and notes what is different after it.
    fn check(&self, response: &ioq_ent, cancelled: bool, world: &mut World) {
        let result = response.result;
        let path = self.path();
        let may_be_cancelled = cancelled && !matches!(self.kind, Kind::Close { .. } | Kind::CloseDir { .. });
        let gone = may_be_cancelled && result == -libc::EINTR;
        if !matches!(self.kind, Kind::Close { .. }) {
            assert!(gone || result == self.expected, "{result} instead of {}", self.expected);
        }
        // SAFETY: the operation, which is checked first, tells which arguments are there.
        unsafe {
            match &self.kind {
                Kind::Nop { kind } => {
                    assert_eq!((response.op, response.args.nop), (IOQ_NOP, *kind));
                }
                Kind::Close { fd } => {
                    assert_eq!((response.op, response.args.close), (IOQ_CLOSE, *fd));
                    match world.given(*fd) {
                        Some(given) if result == 0 => given.closed += 1,
                        // Never was a descriptor, or was given twice, and closed already.
                        _ => assert_eq!(result, -libc::EBADF, "closing {fd}"),
                    }
                    assert!(!files::is_open(*fd));
                }
                Kind::OpenDir { dir, dfd, flags, listing } => {
                    assert_eq!(response.op, IOQ_OPENDIR);
                    let args = response.args.opendir;
                    assert_eq!((args.dir, args.path), (world.dirs.pointer(*dir), path));
                    assert_eq!((args.dfd, args.flags), (*dfd, *flags));
                    world.dirs.set(*dir, if result == 0 { State::Open(*listing) } else { State::Closed });
                    // Without success, the descriptor is still the caller's.
                    assert!(result == 0 || !world.numbers.contains(*dfd) || files::is_open(*dfd));
                }
                Kind::CloseDir { dir, fd } => {
                    assert_eq!((response.op, response.args.closedir), (IOQ_CLOSEDIR, world.dirs.pointer(*dir)));
                    world.dirs.set(*dir, State::Closed);
                    assert!(!world.numbers.contains(*fd) || !files::is_open(*fd));
                }
                Kind::Stat { dfd, flags, buf, ino } => {
                    assert_eq!(response.op, IOQ_STAT);
                    let args = response.args.stat;
                    assert_eq!((args.path, args.buf, args.xbuf), (path, buf.get(), ptr::null_mut::<c_void>()));
                    assert_eq!((args.dfd, args.flags), (*dfd, *flags));
                    let filled = *buf.get();
                    if result == 0 {
                        assert_eq!(filled.ino, *ino);
                    } else {
                        assert_eq!(filled, UNTOUCHED);
                    }
                }
            }
        }
    }

    /// The queue was destroyed before this came back.
    fn abandon(self, world: &mut World) {
        match self.kind {
            Kind::Close { fd } => {
                if let Some(given) = world.given(fd) {
                    given.abandoned = true;
                }
            }
            Kind::CloseDir { dir, fd } => {
                world.dirs.set(dir, State::Closed);
                assert!(!world.numbers.contains(fd) || !files::is_open(fd));
            }
            Kind::OpenDir { dir, .. } => world.dirs.set(dir, State::Closed),
            Kind::Nop { .. } | Kind::Stat { .. } => {}
        }
    }
}
