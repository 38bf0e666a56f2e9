//! One queue beside what must be true of it: which requests are out, what each may answer, and how many more fit.

use crate::abi::*;
use crate::files;
use crate::input::{Backend, Make, Until};
use crate::make;
use crate::request::{Cancelled, Held, Kind, Out, Request};
use crate::world::World;
use libc::{c_int, c_short};
use std::collections::BTreeMap;
use std::mem;
use std::ptr;
use std::thread::{self, JoinHandle};

pub struct Queue {
    ioq: *mut ioq,
    depth: usize,
    threads: usize,
    backend: Backend,
    /// Whether the program asked for it.
    caller_runs: bool,
    /// Requests that did not come back yet, by what they were given as `ptr`.
    out: BTreeMap<usize, Out>,
    held: Vec<Held>,
    cancelled: Cancelled,
    accepted: u64,
    popped: u64,
    /// How many of those that were accepted wait for nothing.
    nops: u64,
    /// How many requests may still come back though not cancelled, if that is known.
    ran: Option<u64>,
    counts: ioq_counts,
    /// The descriptor to poll, if it was asked for.
    fd: Option<c_int>,
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
            out: BTreeMap::new(),
            held: vec![],
            cancelled: Cancelled::No,
            accepted: 0,
            popped: 0,
            nops: 0,
            ran: None,
            counts: ioq_counts::default(),
            fd: None,
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
            // SAFETY: a live queue, used by this thread.
            let entry = unsafe { ioq_last(self.ioq) };
            assert!(self.out.values().all(|out| out.entry != entry), "an entry that is in use");
            assert!(self.held.iter().all(|held| held.ent.cast_const() != entry), "an entry that is in use");
            assert!(self.out.insert(id, Out { request, entry, cancelled: Cancelled::No }).is_none());
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

    /// Calls a function that pops, which sets `errno` to nothing but what it returns with the result, and runs requests in
    /// this thread only if it `may_run` some.
    fn call<T>(&mut self, may_run: bool, pop: impl FnOnce(*mut ioq) -> T) -> (T, c_int) {
        self.count();
        let ran = self.counts.caller;
        set_errno(libc::EXDEV);
        let result = (pop(self.ioq), errno());
        self.count();
        assert!(may_run || self.counts.caller == ran, "run by a pop that must not");
        result
    }

    /// Pops, and checks what comes. Returns whether anything did.
    pub fn pop(&mut self, block: bool, world: &mut World) -> bool {
        // SAFETY: a live queue, used by this thread.
        let (ent, error) = self.call(block, |ioq| unsafe { ioq_pop(ioq, block) });
        assert_eq!(error, libc::EXDEV);
        assert!(!ent.is_null() || !block || self.out.is_empty(), "{} requests never came back", self.out.len());
        self.popped(ent, world)
    }

    pub fn pop_until(&mut self, until: Until, world: &mut World) {
        let deadline = until.timespec();
        let pointer = deadline.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: as in `pop`; the deadline is NULL or a structure.
        let (ent, error) = self.call(false, |ioq| unsafe { ioq_pop_until(ioq, pointer) });
        if ent.is_null() {
            assert_eq!(
                error,
                match until {
                    Until::Wrong(_) => libc::EINVAL,
                    _ if self.out.is_empty() => libc::EXDEV,
                    _ => libc::ETIMEDOUT,
                }
            );
            assert!(!matches!(until, Until::Never) || self.out.is_empty() || self.threads == 0);
        }
        self.popped(ent, world);
    }

    pub fn pop_many(&mut self, count: u8, block: bool, world: &mut World) {
        let mut ents = vec![ptr::null_mut(); count.into()];
        let (popped, error) =
            // SAFETY: as in `pop`, and there is room for as many.
            self.call(block, |ioq| unsafe { ioq_pop_many(ioq, ents.as_mut_ptr(), ents.len(), block) });
        assert_eq!(error, libc::EXDEV);
        assert!(popped > 0 || !block || count == 0 || self.out.is_empty());
        assert!(ents[popped..].iter().all(|ent| ent.is_null()));
        for &ent in &ents[..popped] {
            assert!(self.popped(ent, world));
        }
    }

    /// Checks what a pop returned. Returns whether it is a response.
    fn popped(&mut self, ent: *mut ioq_ent, world: &mut World) -> bool {
        // SAFETY: popped, so ours.
        let Some(response) = (unsafe { ent.as_ref() }) else { return false };
        assert_eq!(ent.addr() % 64, 0);
        let out = self.out.remove(&response.ptr.addr()).expect("a request that is out");
        self.popped += 1;
        let is_cancelled = out.is_cancelled(response.result, self.cancelled);
        if let (false, Some(ran)) = (is_cancelled || out.request.survives_cancel(), &mut self.ran) {
            *ran = ran.checked_sub(1).expect("run after it was cancelled");
        }
        self.held.push(out.popped(ent, is_cancelled, world));
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
        assert!(!self.fd.is_some_and(|fd| is_readable(fd, 0)));
    }

    /// Waits for a response as an event loop does.
    pub fn await_event(&mut self, world: &mut World) {
        // SAFETY: a live queue, used by this thread.
        let fd = unsafe { ioq_fd(self.ioq) };
        if self.threads == 0 {
            assert_eq!((fd, errno()), (-1, libc::EOPNOTSUPP));
            return;
        }
        assert_eq!(*self.fd.get_or_insert(fd), fd);
        assert!(fd > libc::STDERR_FILENO);
        self.submit();
        if self.out.is_empty() {
            assert!(!is_readable(fd, 0));
        } else {
            assert!(is_readable(fd, files::PATIENCE.as_millis() as c_int), "a descriptor that is never readable");
            assert!(self.pop(false, world), "a descriptor that is readable in vain");
        }
    }

    pub fn free(&mut self, which: u8) {
        if !self.held.is_empty() {
            let held = self.held.swap_remove(usize::from(which) % self.held.len());
            self.free_held(held);
        }
    }

    /// Frees what is held, but for each `keep`-th.
    pub fn free_all_but(&mut self, keep: usize) {
        for (i, held) in mem::take(&mut self.held).into_iter().enumerate() {
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

    /// Asks what the queue is doing, with a structure that has so many words more than this one, or less.
    pub fn info(&mut self, more: i8) {
        const KNOWN: usize = size_of::<ioq_info>() / size_of::<u64>();
        let mut words = vec![u64::MAX; KNOWN.saturating_add_signed(more.into()).max(1)];
        words[0] = size_of_val(&*words) as u64;
        // SAFETY: a live queue, used by this thread, and as many words as they say.
        let ret = unsafe { ioq_info(self.ioq, words.as_mut_ptr().cast()) };
        if words.len() < KNOWN {
            assert_eq!((ret, errno()), (-1, libc::EINVAL));
            return;
        }
        assert_eq!((ret, words[0]), (0, size_of_val(&*words) as u64));
        assert!(words[KNOWN..].iter().all(|&word| word == 0));
        // SAFETY: there are enough of them, and any bits are valid.
        let info: ioq_info = unsafe { words.as_ptr().cast::<ioq_info>().read() };
        let out = self.out.len();
        assert_eq!(info.held, self.held.len(), "{info:?}");
        assert!(info.pending <= out && info.running <= out && info.ready <= out, "{info:?}");
        // Of a list, each stat is in the ring by itself.
        assert!(info.in_ring <= out || self.lists() > 0, "{info:?}");
        assert!(info.workers <= self.threads, "{info:?}");
        assert!(out > 0 || info.oldest == 0, "{info:?}");
        if self.threads == 0 || matches!(self.backend, Backend::Sync) {
            assert_eq!((info.in_ring, info.ring_limit, info.ring_error), (0, 0, 0));
        }
    }

    pub fn cancel(&mut self) {
        if self.threads == 0 && self.cancelled == Cancelled::No {
            // Whatever runs, runs in a pop. A list may have begun in one and not be done.
            self.ran = Some(self.count() - self.popped + self.lists() as u64);
        }
        // SAFETY: a live queue.
        unsafe { ioq_cancel(self.ioq) };
        self.cancelled = Cancelled::Yes;
    }

    /// How many of those that are out are lists.
    fn lists(&self) -> usize {
        self.out.values().filter(|out| out.request.is_list()).count()
    }

    /// Cancels one of the requests that are out.
    pub fn cancel_one(&mut self, which: u8) {
        let none_ran = self.threads == 0 && self.count() == self.popped;
        let index = usize::from(which) % self.out.len().max(1);
        let entry = self.out.values_mut().nth(index).map_or(ptr::null(), |out| {
            let surely = none_ran && !out.request.survives_cancel() && !out.request.is_list();
            out.cancelled = out.cancelled.max(if surely { Cancelled::Yes } else { Cancelled::Maybe });
            out.entry
        });
        // SAFETY: a live queue, used by this thread, and NULL or an entry that was not popped.
        unsafe { ioq_cancel_one(self.ioq, entry) };
    }

    pub fn cancel_elsewhere(&mut self) {
        if self.canceller.is_none() {
            let address = self.ioq.expose_provenance();
            // SAFETY: a live queue: the thread is joined before it is destroyed.
            let cancel = move || unsafe { ioq_cancel(ptr::with_exposed_provenance_mut(address)) };
            self.canceller = Some(thread::spawn(cancel));
            self.cancelled = self.cancelled.max(Cancelled::Maybe);
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
        for out in mem::take(&mut self.out).into_values() {
            out.request.abandon(world);
        }
    }
}

/// Whether a descriptor is readable before so many milliseconds are over, and nothing else.
fn is_readable(fd: c_int, limit: c_int) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure.
    match unsafe { libc::poll(&mut poll, 1, limit) } {
        // The fuzzer has a clock.
        -1 if errno() == libc::EINTR => is_readable(fd, limit),
        0 => false,
        count => {
            assert_eq!((count, poll.revents), (1, libc::POLLIN as c_short));
            true
        }
    }
}
