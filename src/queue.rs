//! A queue as its caller sees it: submitting, popping, freeing; and its life from create to destroy.
//!
//! A request is written into an entry of the block that is being filled (`block.rs`). When the block is full, or the
//! caller submits or pops, its span goes through the pending queue to a worker, which runs the requests and pushes the
//! span, or parts of it, into the ready queue. Popping goes through a span's entries one by one. Freeing an entry clears
//! its bit in its block.
//!
//! A caller that would have to wait runs pending requests itself. So a queue without workers works too, and so does
//! one whose workers have left after a cancel.

use crate::alloc;
use crate::backend::Backend;
use crate::block::{Arena, Entries, Span};
use crate::cancellation;
use crate::entry::*;
use crate::errno::{self, Errno};
use crate::hand::Turns;
use crate::mpmc::Pushed;
use crate::pool::Member;
use crate::prefetch;
use crate::shared::{DELIVER_AFTER, Run, Shared};
use crate::sync::{CoarseInstant, Instant, Ordering};
use crate::worker;
use libc::{c_char, c_int, c_uint, c_void, pid_t};
use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::time::Duration;

/// Pops in a row that find nothing before the caller looks what holds the workers up.
const FIRST_LOOK: u32 = 8;

/// How long such pops may go on until it looks in any case.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Linux never has more threads than this.
const MAX_THREADS: usize = 1 << 22;

/// The queue behind C's `struct ioq`.
pub struct Ioq {
    shared: Shared,
    caller: UnsafeCell<Caller>,
}

/// The part that belongs to the calling thread.
struct Caller {
    arena: Arena,
    /// How many more requests there may be.
    room: usize,
    /// How many requests were sent and not received yet.
    in_flight: usize,
    /// The last span that was sent. While nobody has taken it, what comes after is added to it.
    sent: Option<Pushed>,
    /// Responses that were taken from the ready queue and not popped yet.
    current: Entries,
    /// How many requests were run in here.
    ran: u64,
    /// Whose turn it is when it receives something, and when it runs something.
    receiving: Turns,
    running: Turns,
    threads: Vec<worker::Thread>,
    /// What the threads are told when they start. They read it in place.
    jobs: Vec<UnsafeCell<worker::Job>>,
    /// How many pops in a row found nothing.
    missed: u32,
    /// When the first of them was, or the last that looked.
    looked: CoarseInstant,
    /// What was in the threads' hands when a pop found nothing, and since when.
    watched: Option<(usize, Instant)>,
    /// No worker can be started, though there should be some.
    alone: bool,
    /// The process that the workers live in.
    pid: pid_t,
}

/// A request before it has an entry.
pub struct Request {
    op: ioq_op,
    args: ioq_args,
}

impl Request {
    pub fn nop(r#type: ioq_nop_type) -> Self {
        Self { op: ioq_op::IOQ_NOP, args: ioq_args { nop: ioq_nop { r#type } } }
    }

    pub fn close(fd: c_int) -> Self {
        Self { op: ioq_op::IOQ_CLOSE, args: ioq_args { close: ioq_close { fd } } }
    }

    pub fn opendir(dir: *mut bfs_dir, dfd: c_int, path: *const c_char, flags: c_uint) -> Self {
        Self { op: ioq_op::IOQ_OPENDIR, args: ioq_args { opendir: ioq_opendir { dir, path, dfd, flags } } }
    }

    pub fn closedir(dir: *mut bfs_dir) -> Self {
        Self { op: ioq_op::IOQ_CLOSEDIR, args: ioq_args { closedir: ioq_closedir { dir } } }
    }

    pub fn stat(dfd: c_int, path: *const c_char, flags: c_uint, buf: *mut bfs_stat) -> Self {
        let xbuf = std::ptr::null_mut();
        Self { op: ioq_op::IOQ_STAT, args: ioq_args { stat: ioq_stat { path, buf, xbuf, dfd, flags } } }
    }
}

impl Ioq {
    pub fn create(depth: usize, nthreads: usize) -> Result<NonNull<Self>, Errno> {
        Self::with_backend(depth, nthreads, Backend::from_env()?)
    }

    pub fn with_backend(depth: usize, nthreads: usize, backend: Backend) -> Result<NonNull<Self>, Errno> {
        if depth == 0 {
            return Err(Errno(libc::EINVAL));
        }
        if nthreads > MAX_THREADS {
            return Err(Errno(libc::ENOMEM));
        }
        if backend == Backend::Uring && nthreads > 0 {
            cancellation::disabled(worker::check_ring)?;
        }
        let caller = Caller {
            arena: Arena::new(),
            room: depth,
            in_flight: 0,
            sent: None,
            current: Entries::NONE,
            ran: 0,
            receiving: Turns::default(),
            running: Turns::default(),
            threads: alloc::with_capacity(nthreads)?,
            jobs: alloc::vec(nthreads, |_| UnsafeCell::new(worker::Job::NONE))?,
            missed: 0,
            looked: CoarseInstant::now(),
            watched: None,
            alone: false,
            // SAFETY: always safe to ask.
            pid: unsafe { libc::getpid() },
        };
        let shared = Shared::new(depth, nthreads, backend)?;
        alloc::boxed(Self { shared, caller: UnsafeCell::new(caller) })
    }

    /// The calling thread's part.
    ///
    /// # Safety
    ///
    /// This thread must be the only one that uses the queue, and must not have this reference already.
    #[expect(clippy::mut_from_ref, reason = "the cell is what makes it possible, the contract what makes it sound")]
    unsafe fn caller(&self) -> &mut Caller {
        // SAFETY: by this function's contract, nobody else has a reference.
        unsafe { &mut *self.caller.get() }
    }

    /// # Safety
    ///
    /// This thread must be the only one that uses the queue.
    pub unsafe fn capacity(&self) -> usize {
        // SAFETY: passed on to the caller.
        unsafe { self.caller() }.room
    }

    /// # Safety
    ///
    /// This thread must be the only one that uses the queue, and the request's pointers as `ioq.h` asks.
    pub unsafe fn request(&self, request: Request, ptr: *mut c_void) -> Result<(), Errno> {
        // SAFETY: passed on to the caller.
        let caller = unsafe { self.caller() };
        if self.shared.cancelled.load(Ordering::Relaxed) {
            return Err(Errno(libc::EINTR));
        }
        if caller.room == 0 {
            return Err(Errno(libc::EAGAIN));
        }
        let entry = caller.arena.entry()?;
        // SAFETY: the arena gave this entry to us to be written.
        unsafe { entry.write(ioq_ent { op: request.op, result: 0, ptr, args: request.args }) };
        caller.room -= 1;
        if caller.arena.is_full() {
            self.flush(caller);
        }
        Ok(())
    }

    /// # Safety
    ///
    /// This thread must be the only one that uses the queue.
    pub unsafe fn submit(&self) {
        // SAFETY: passed on to the caller.
        self.flush(unsafe { self.caller() });
    }

    /// Hands what is buffered to the workers.
    fn flush(&self, caller: &mut Caller) {
        let Some(mut span) = caller.arena.flush() else { return };
        caller.in_flight += span.len();
        if let Some(sent) = &mut caller.sent {
            match self.shared.pending.extend(sent, span) {
                Ok(()) => return,
                Err(apart) => span = apart,
            }
        }
        caller.sent = Some(self.shared.send(span));
        self.start_for_pending(caller);
    }

    /// Starts another worker if there is work that nobody has come to.
    fn start_for_pending(&self, caller: &mut Caller) {
        if caller.threads.len() < caller.jobs.len() && self.shared.pending.has_spans() {
            self.start_worker(caller);
        }
    }

    /// Starts a worker for each span that is pending and that none of those without work comes for: this thread is about to
    /// sleep, and nobody else can start them when the others hang. Call this after saying that it sleeps: then whoever
    /// sends something back after this look wakes it.
    fn start_for_backlog(&self, caller: &mut Caller) {
        let pending = self.shared.pending.len();
        if pending == 0 {
            return;
        }
        // In this order: whoever has taken a span before is not without work any more.
        for _ in self.shared.pool.without_work()..pending {
            if caller.threads.len() == caller.jobs.len() || caller.alone {
                return;
            }
            let Some(member) = self.shared.pool.start_beside() else { return };
            self.spawn(caller, member);
        }
    }

    /// Starts another worker, unless one is idle, or was started and has found no work yet.
    fn start_worker(&self, caller: &mut Caller) {
        if caller.threads.len() == caller.jobs.len() || caller.alone {
            return;
        }
        if let Some(member) = self.shared.pool.start() {
            self.spawn(caller, member);
        }
    }

    fn spawn(&self, caller: &mut Caller, member: Member) {
        let searching = member.is_searching();
        let job = NonNull::from(&caller.jobs[member.index()]).cast();
        // SAFETY: the queue does not move, nor does the vector of jobs, and `destroy` joins the thread before it frees
        // them. No two members have the same index, so each job is used once.
        match unsafe { worker::spawn(&self.shared, member, job) } {
            Ok(thread) => caller.threads.push(thread),
            Err(_) => {
                self.shared.pool.start_failed(searching);
                // Those that did start, and the caller's own pops, do the work.
                caller.alone = caller.threads.is_empty();
            }
        }
    }

    /// # Safety
    ///
    /// This thread must be the only one that uses the queue.
    pub unsafe fn pop(&self, block: bool) -> Option<NonNull<ioq_ent>> {
        // SAFETY: passed on to the caller.
        let caller = unsafe { self.caller() };
        if !caller.arena.is_buffering() {
            if let Some(entry) = caller.current.next() {
                return Some(entry);
            }
        }
        self.pop_slowly(caller, block)
    }

    /// Pops where something is to be submitted or received before.
    #[cold]
    #[inline(never)]
    fn pop_slowly(&self, caller: &mut Caller, block: bool) -> Option<NonNull<ioq_ent>> {
        if caller.arena.is_buffering() {
            errno::preserved(|| self.flush(caller));
        }
        caller.current.next().or_else(|| {
            let span = self.receive(caller, block)?;
            caller.in_flight -= span.len();
            caller.missed = 0;
            caller.current = Entries::of(span);
            caller.current.next()
        })
    }

    /// The next responses, if there are any.
    fn receive(&self, caller: &mut Caller, block: bool) -> Option<Span> {
        if caller.in_flight == 0 {
            return None;
        }
        let kept = if caller.receiving.hands_first() { self.shared.pool.hands.take_done() } else { None };
        let span = match kept.or_else(|| self.shared.try_receive()) {
            Some(span) => {
                prefetch::entries(&span);
                span
            }
            None => errno::preserved(|| self.wait(caller, block))?,
        };
        caller.receiving.took();
        Some(span)
    }

    /// Makes responses, or waits for them.
    fn wait(&self, caller: &mut Caller, block: bool) -> Option<Span> {
        let shared = &self.shared;
        let helps = self.may_run_here(caller, block);
        loop {
            if helps {
                if let Some(span) = self.run_here(caller) {
                    return Some(span);
                }
            }
            self.start_for_pending(caller);
            if !block {
                return self.watch(caller);
            }

            // Whatever is in flight now is with a worker, or will be: whoever sends a span tells the pool. What is in
            // a worker's hand may be held up there, and so may what it sends back because its ring broke, as the same
            // worker may take the first of that and be the only one.
            let mut held = shared.caller_sleeps();
            if helps {
                // In a cancelled queue this may be the stop message.
                held |= shared.pending.has_spans() && !shared.cancelled.load(Ordering::Relaxed);
            } else {
                self.start_for_backlog(caller);
                if held {
                    self.rouse(caller);
                }
            }
            let done = shared.pool.hands.take_done();
            let span = done.or_else(|| if held && helps { shared.try_receive() } else { Some(shared.ready.pop()) });
            shared.caller_asleep.store(false, Ordering::Relaxed);
            if span.is_some() && span != Some(Span::LOOK) {
                return span;
            }
        }
    }

    /// Whether this thread runs requests itself, rather than leave them to the workers.
    fn may_run_here(&self, caller: &Caller, block: bool) -> bool {
        if caller.alone || self.shared.cancelled.load(Ordering::Relaxed) {
            // Either there is nobody else, or there is next to nothing to do.
            return true;
        }
        // A user who insists on io_uring wants the workers' rings to do it, if there are any.
        block && (self.shared.backend != Backend::Uring || caller.threads.is_empty())
    }

    /// Runs some of the requests that nobody runs yet.
    fn run_here(&self, caller: &mut Caller) -> Option<Span> {
        let shared = &self.shared;
        let own = shared.pool.caller_hand();
        loop {
            let stolen = if caller.running.hands_first() { shared.pool.hands.steal() } else { None };
            let mut pending = stolen.or_else(|| shared.pending.try_pop());
            if pending == Some(Span::STOP) {
                if shared.pool.present() == 0 {
                    continue;
                }
                // Not for us. The last worker that it reaches leaves nothing behind; but what is in their hands may wait.
                shared.send(Span::STOP);
                pending = None;
            }
            let span = pending.or_else(|| shared.pool.hands.steal())?;
            caller.running.took();
            // If there is no run, then a worker was quicker.
            if let Some(run) = shared.run(span, own) {
                if let Some(rest) = shared.pool.hands.of(own).clear() {
                    shared.send(rest);
                }
                caller.ran += run.count as u64;
                return run.done;
            }
        }
    }

    /// Finds another worker if requests are held up in a hand, which is when all hands were the same for a while; and
    /// takes what is done of them.
    fn watch(&self, caller: &mut Caller) -> Option<Span> {
        // To look at the hands takes them from their owners' caches. So not at the first miss, and ever more seldom,
        // but not too seldom for a caller that does other things for a while after each miss.
        caller.missed = caller.missed.saturating_add(1);
        if caller.missed == 1 {
            caller.looked = CoarseInstant::now();
        }
        let doubled = caller.missed >= FIRST_LOOK && caller.missed.is_power_of_two();
        if !doubled && caller.looked.elapsed() < LOOK_EVERY {
            return None;
        }
        caller.looked = CoarseInstant::now();
        let now = self.shared.pool.hands.fingerprint();
        match caller.watched {
            _ if now == 0 => caller.watched = None,
            Some((before, since)) if before == now => {
                if since.elapsed() >= DELIVER_AFTER {
                    self.rouse(caller);
                    caller.watched = None;
                    return self.shared.pool.hands.take_done();
                }
            }
            _ => caller.watched = Some((now, Instant::now())),
        }
        None
    }

    /// Wakes or starts a worker to look into the hands of the others.
    fn rouse(&self, caller: &mut Caller) {
        self.shared.pool.rouse();
        self.start_worker(caller);
    }

    /// # Safety
    ///
    /// This thread must be the only one that uses the queue, and `entry` one that was popped from it and not freed.
    pub unsafe fn free(&self, entry: NonNull<ioq_ent>) {
        // SAFETY: passed on to the caller.
        let caller = unsafe { self.caller() };
        // SAFETY: passed on to the caller.
        if unsafe { caller.arena.free(entry) } {
            caller.room += 1;
        }
    }

    /// How the requests so far were run.
    ///
    /// # Safety
    ///
    /// This thread must be the only one that uses the queue.
    pub unsafe fn counts(&self) -> ioq_counts {
        // SAFETY: passed on to the caller.
        let caller = unsafe { self.caller() };
        let mut counts = ioq_counts { ring: 0, worker: 0, caller: caller.ran };
        for counters in &self.shared.counters {
            counts.ring += counters.ring.load(Ordering::Relaxed);
            counts.worker += counters.plain.load(Ordering::Relaxed);
        }
        counts
    }

    /// Cancels the queue. Any thread may do this.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::Relaxed);
        if self.shared.pool.stop() {
            self.shared.send(Span::STOP);
        }
    }

    /// # Safety
    ///
    /// `ioq` must come from `create`, be used by this thread alone, and not be used again.
    pub unsafe fn destroy(ioq: NonNull<Self>) {
        // SAFETY: a live queue, by this function's contract.
        unsafe {
            // A child of fork() has no workers to talk to, and cannot trust any lock that they might have held.
            if ioq.as_ref().caller().pid == libc::getpid() {
                cancellation::disabled(|| ioq.as_ref().finish());
            }
            alloc::unbox(ioq);
        }
    }

    /// Waits for the workers, runs what must run, and lets go of what the caller never saw.
    ///
    /// # Safety
    ///
    /// This thread must be the only one that uses the queue.
    unsafe fn finish(&self) {
        self.cancel();
        // SAFETY: passed on to the caller.
        let caller = unsafe { self.caller() };
        let own = self.shared.pool.caller_hand();
        let mut run = caller.arena.flush().and_then(|span| self.shared.run(span, own));
        while let Some(Run { done, .. }) = run {
            self.discard(done.map_or(Entries::NONE, Entries::of));
            run = self.shared.run_on(own);
        }
        for thread in caller.threads.drain(..) {
            thread.join();
        }
        while let Some(span) = self.run_here(caller) {
            self.discard(Entries::of(span));
        }
        self.discard(std::mem::replace(&mut caller.current, Entries::NONE));
        while let Some(span) = self.shared.try_receive() {
            self.discard(Entries::of(span));
        }
    }

    /// Closes the directories that were opened for responses which nobody will pop.
    fn discard(&self, entries: Entries) {
        for entry in entries {
            // SAFETY: this thread owns the entry, and its request is done; a directory is the caller's memory, which
            // stays valid until the response was popped or the queue destroyed.
            unsafe {
                let ent = entry.as_ref();
                if ent.op == ioq_op::IOQ_OPENDIR && ent.result >= 0 {
                    self.shared.host.dir.closedir(ent.args.opendir.dir);
                }
            }
        }
    }
}
