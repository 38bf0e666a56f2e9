//! One queue beside what must be true of it: which requests are out, what each may answer, and how many more fit.

use crate::abi::*;
use crate::dirs::{Dirs, Listing, State};
use crate::files::{self, Numbers};
use crate::input::{Backend, Make};
use crate::make;
use libc::{c_char, c_int, c_uint, c_void};
use std::cell::UnsafeCell;
use std::collections::HashMap;
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

/// A response that was popped and not freed, which nobody may change.
struct Held {
    ent: *mut ioq_ent,
    request: Request,
    result: c_int,
    /// What the request filled in, if it was a stat.
    filled: Option<bfs_stat>,
}

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

    fn given(&mut self, fd: c_int) -> Option<&mut Given> {
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

pub struct Queue {
    ioq: *mut ioq,
    depth: usize,
    threads: usize,
    backend: Backend,
    /// Whether the program asked for it.
    caller_runs: bool,
    /// Requests that did not come back yet, by what they were given as `ptr`.
    out: HashMap<usize, Request>,
    held: Vec<Held>,
    cancelled: Cancelled,
    accepted: u64,
    popped: u64,
    /// How many of those that were accepted wait for nothing.
    nops: u64,
    /// How many requests may still come back though not cancelled, if that is known.
    ran: Option<u64>,
    counts: ioq_counts,
    canceller: Option<JoinHandle<()>>,
}

impl Queue {
    /// Makes a queue, unless there rightly is none.
    pub fn create(make: &Make) -> Option<Self> {
        let ioq = make::queue(make);
        (!ioq.is_null()).then(|| Self {
            ioq,
            depth: make.depth.value(),
            threads: make.threads.value(),
            backend: make::backend(make),
            caller_runs: make::flags(make) & IOQ_CALLER_RUNS != 0,
            out: HashMap::new(),
            held: vec![],
            cancelled: Cancelled::No,
            accepted: 0,
            popped: 0,
            nops: 0,
            ran: None,
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
    pub fn check(&mut self) {
        // SAFETY: a live queue, used by this thread.
        assert_eq!(unsafe { ioq_capacity(self.ioq) }, self.room());
        if self.canceller.as_ref().is_some_and(JoinHandle::is_finished) {
            self.await_canceller();
        }
    }

    /// Notes what became of a submission. `valid` tells whether its arguments allowed it.
    pub fn submitted(&mut self, ret: c_int, valid: bool, id: usize, request: Request) -> Option<Request> {
        let error = errno();
        let (full, cancelled) = (self.room() == 0, self.cancelled);
        if ret == 0 {
            assert!(valid && !full && cancelled != Cancelled::Yes);
            self.accepted += 1;
            self.nops += u64::from(matches!(request.kind, Kind::Nop { .. }));
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
        self.count();
        let ran = self.counts.caller;
        set_errno(libc::EXDEV);
        // SAFETY: a live queue, used by this thread.
        let ent = unsafe { ioq_pop(self.ioq, block) };
        assert_eq!(errno(), libc::EXDEV);
        self.count();
        assert!(block || self.counts.caller == ran, "run by a pop that does not block");
        // SAFETY: popped, so ours.
        let Some(response) = (unsafe { ent.as_ref() }) else {
            assert!(!block || self.out.is_empty(), "{} requests never came back", self.out.len());
            return false;
        };
        assert_eq!(ent.addr() % 64, 0);
        let request = self.out.remove(&response.ptr.addr()).expect("a request that is out");
        assert!(self.held.iter().all(|held| held.ent != ent), "an entry that is in use");
        self.popped += 1;
        request.check_entry(response);
        let cancelled = request.is_cancelled(response.result, self.cancelled != Cancelled::No);
        if let (false, Some(ran)) = (cancelled || request.survives_cancel(), &mut self.ran) {
            *ran = ran.checked_sub(1).expect("run after it was cancelled");
        }
        let filled = request.check_result(response.result, cancelled, world);
        self.held.push(Held { ent, result: response.result, request, filled });
        true
    }

    /// Pops all that is out.
    pub fn drain(&mut self, world: &mut World) {
        while self.pop(true, world) {}
        self.check_empty();
    }

    /// The same without waiting. Without workers, nothing comes of that.
    pub fn poll(&mut self, world: &mut World) {
        if self.threads == 0 {
            return;
        }
        files::await_that("a response that never comes", || {
            while self.pop(false, world) {}
            self.out.is_empty()
        });
        self.check_empty();
    }

    /// What must hold when all has been popped.
    fn check_empty(&mut self) {
        assert!(self.out.is_empty());
        for block in [false, true] {
            // SAFETY: a live queue, used by this thread.
            assert!(unsafe { ioq_pop(self.ioq, block) }.is_null());
        }
        assert_eq!(self.count(), self.accepted);
    }

    pub fn free(&mut self, which: u8) {
        if !self.held.is_empty() {
            let held = self.held.swap_remove(usize::from(which) % self.held.len());
            self.free_held(held);
        }
    }

    /// Frees what is held, but for each `keep`-th.
    pub fn free_all_but(&mut self, keep: usize) {
        for (i, held) in std::mem::take(&mut self.held).into_iter().enumerate() {
            if keep > 0 && i % keep == keep - 1 {
                self.held.push(held);
            } else {
                self.free_held(held);
            }
        }
    }

    fn free_held(&self, held: Held) {
        held.check();
        // SAFETY: popped from this queue, and not freed yet: ours, whatever we write to it.
        unsafe {
            ptr::write_bytes(held.ent, 0xEE, 1);
            ioq_free(self.ioq, held.ent);
        }
    }

    /// NULL for either argument changes nothing.
    pub fn free_null(&self) {
        // SAFETY: NULL is allowed.
        unsafe {
            ioq_free(self.ioq, ptr::null_mut());
            ioq_free(ptr::null_mut(), self.held.last().map_or(ptr::null_mut(), |held| held.ent));
        }
    }

    /// Checks what is counted. Returns the sum.
    pub fn count(&mut self) -> u64 {
        let mut counts = ioq_counts::default();
        // SAFETY: a live queue, used by this thread.
        unsafe { ioq_count(self.ioq, &mut counts) };
        let (before, sum) = (self.counts, counts.ring + counts.worker + counts.caller);
        assert!(counts.ring >= before.ring && counts.worker >= before.worker && counts.caller >= before.caller);
        assert!(sum <= self.accepted, "{counts:?} of {}", self.accepted);
        assert!(sum >= self.popped, "{counts:?} of {}", self.popped);
        if self.threads == 0 {
            assert_eq!(sum, counts.caller);
        } else if !self.caller_runs {
            assert!(counts.caller <= self.nops, "{counts:?}, with {} no-ops", self.nops);
        }
        if let Backend::Sync = self.backend {
            assert_eq!(counts.ring, 0);
        }
        self.counts = counts;
        sum
    }

    pub fn count_null(&self) {
        // SAFETY: NULL is allowed.
        unsafe { ioq_count(self.ioq, ptr::null_mut()) };
    }

    pub fn cancel(&mut self) {
        if self.threads == 0 && self.cancelled == Cancelled::No {
            // Whatever runs, runs in a pop.
            self.ran = Some(self.count() - self.popped);
        }
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

    fn await_canceller(&mut self) {
        if let Some(canceller) = self.canceller.take() {
            canceller.join().expect("no panic");
            self.cancelled = Cancelled::Yes;
        }
    }

    /// Destroys the queue, with whatever is still out. Everything in its hands must be the caller's again.
    pub fn destroy(mut self, world: &mut World) {
        self.await_canceller();
        for held in &self.held {
            held.check();
            // SAFETY: popped from this queue, and not freed yet: ours, whatever we write to it.
            unsafe { ptr::write_bytes(held.ent, 0xEE, 1) };
        }
        // SAFETY: a live queue, and nobody uses it after this.
        unsafe { ioq_destroy(self.ioq) };
        for request in std::mem::take(&mut self.out).into_values() {
            request.abandon(world);
        }
    }
}

impl Held {
    /// What was popped must still be what it was.
    fn check(&self) {
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

    /// Whether it runs even if the queue is cancelled.
    fn survives_cancel(&self) -> bool {
        matches!(self.kind, Kind::Close { .. } | Kind::CloseDir { .. })
    }

    /// Whether this result says so, in a queue that was perhaps cancelled.
    fn is_cancelled(&self, result: c_int, cancelled: bool) -> bool {
        cancelled && !self.survives_cancel() && result == -libc::EINTR
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
    fn abandon(self, world: &mut World) {
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
