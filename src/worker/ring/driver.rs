//! The driver: the thread that has the ring, from when one is first needed until the queue goes.

use super::session::Session;
use super::{Ring, tag};
use crate::channel::monitor::{Sleep, Waiter};
use crate::entry::ioq_ent;
use crate::platform::alloc;
use crate::platform::errno::Errno;
use crate::platform::sync::{AtomicBool, AtomicUsize, Mutex, Ordering, fence};
use crate::queue::shared::Shared;
use crate::scheduler::{STALL_AFTER, Work};
use crate::worker::thread::Body;
use crate::worker::{Counter, Thread};
use std::ptr::NonNull;

/// What others see of the driver.
pub struct Driver {
    waiter: Waiter,
    thread: Mutex<Option<Thread>>,
    has_thread: AtomicBool,
    stopping: AtomicBool,
    pub count: Counter,
    /// The most requests to have in flight.
    bound: usize,
    /// Requests that may be in flight and are to be interrupted, as user data has them.
    pub(super) to_interrupt: Mutex<Vec<u64>>,
    pub gauges: Gauges,
}

/// What is known of the ring at this moment.
pub struct Gauges {
    /// How many requests are in flight, and how many may be.
    pub in_flight: AtomicUsize,
    pub limit: AtomicUsize,
}

impl Driver {
    /// A driver without a thread.
    pub fn new(bound: usize) -> Self {
        Self {
            waiter: Waiter::new(),
            thread: Mutex::new(None),
            has_thread: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            count: Counter::new(),
            bound,
            to_interrupt: Mutex::new(Vec::new()),
            gauges: Gauges { in_flight: AtomicUsize::new(0), limit: AtomicUsize::new(0) },
        }
    }

    /// Something is pending that the driver is to take.
    pub fn notify(&self, shared: &Shared) {
        if !self.has_thread.load(Ordering::Relaxed) {
            if let Err(e) = self.start(shared) {
                shared.pace.ring_failed(e);
                leave_to_workers(shared);
            }
        }
        self.waiter.notify();
    }

    /// Starts its thread, if it has none and is not to stop.
    #[cold]
    pub fn start(&self, shared: &Shared) -> Result<(), Errno> {
        let mut thread = self.thread.lock();
        if thread.is_none() && !self.is_stopping() {
            // SAFETY: the shared part of a queue does not move, and `stop` joins the thread before it goes.
            *thread = Some(unsafe { Thread::start(NonNull::from(shared), shared.threads.stack_size)? });
            self.has_thread.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Workers could not be started. If the driver has a thread, it tries again.
    pub fn wake(&self) {
        self.waiter.notify();
    }

    /// A request was cancelled, and is to be interrupted if it is in flight.
    pub fn interrupt(&self, entry: NonNull<ioq_ent>, shared: &Shared) {
        if shared.pace.wants_ring() || self.gauges.in_flight.load(Ordering::Relaxed) > 0 {
            let data = tag::of_request(entry);
            // Without memory, it takes its time.
            let _ = alloc::push(&mut self.to_interrupt.lock(), data);
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Lets the driver leave when it has nothing in flight and nothing to do, and waits for that. It is not started from
    /// now on.
    pub fn stop(&self) {
        let thread = {
            let mut thread = self.thread.lock();
            self.stopping.store(true, Ordering::Relaxed);
            thread.take()
        };
        self.waiter.notify();
        if let Some(thread) = thread {
            thread.join();
        }
    }
}

/// The ring is not to be had, or not needed: what is pending is the workers'.
pub(super) fn leave_to_workers(shared: &Shared) {
    fence(Ordering::SeqCst);
    if shared.is_waiting() {
        shared.scheduler.notify(shared);
    }
}

/// The thread that a queue's shared part has of its own is the driver.
impl Body for Shared {
    fn run(&self) {
        self.threads.name(format_args!("-ring"));
        let driver = &self.driver;
        let has_work = || self.pace.wants_ring() && self.pending.has_spans();
        let mut ring = None;
        loop {
            if !has_work() {
                if driver.is_stopping() {
                    return;
                }
                driver.to_interrupt.lock().clear();
                // Who waits for a descriptor does not try again to start workers.
                let failing = self.scheduler.is_failing();
                let sleep = if failing { Sleep::For(STALL_AFTER) } else { Sleep::UntilWoken };
                let has_news = || has_work() || driver.is_stopping() || self.scheduler.is_failing() != failing;
                driver.waiter.sleep(sleep, has_news, || ());
                if failing {
                    self.scheduler.notify(self);
                }
            } else if let Some(ring) = &mut ring {
                Session::new(self, ring).run();
            } else {
                match Ring::new(driver.bound, self.descriptors) {
                    Ok(made) => {
                        ring = Some(made);
                        self.pace.ring_made();
                    }
                    Err(e) => {
                        self.pace.ring_failed(e);
                        leave_to_workers(self);
                    }
                }
            }
        }
    }
}
