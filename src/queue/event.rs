//! A descriptor for event loops: readable while a response is ready.
//!
//! It is made when it is first asked for. Until then, whoever delivers looks at one word, and the caller at a field of
//! its own.
//!
//! Whoever delivers may raise it, only the caller lowers it, and both do so under a lock, by what is ready at that moment:
//!
//! ```text
//!     unlocked  ⟹  (readable  ⟺  something is ready), but for what is about to be said
//! ```
//!
//! Who delivers pushes, then takes the lock, then looks; so either it finds its response and raises, or the caller has
//! taken it and looks after that. And the caller looks after each of its pops.

#[cfg(any(ioq_loom, ioq_shuttle))]
use crate::models::eventfd::EventFd;
#[cfg(not(any(ioq_loom, ioq_shuttle)))]
use crate::platform::descriptors::EventFd;

use crate::platform::errno::Errno;
use crate::platform::sync::{AtomicBool, Mutex, Ordering, fence};
use libc::c_int;

pub struct Event {
    /// Whether there is a descriptor.
    exists: AtomicBool,
    state: Mutex<State>,
}

struct State {
    fd: Option<EventFd>,
    is_readable: bool,
}

impl Event {
    /// An event without a descriptor.
    pub fn new() -> Self {
        Self { exists: AtomicBool::new(false), state: Mutex::new(State { fd: None, is_readable: false }) }
    }

    /// Its descriptor. What was delivered before is to be said with `set`.
    pub fn open(&self) -> Result<c_int, Errno> {
        let mut state = self.state.lock();
        if state.fd.is_none() {
            state.fd = Some(EventFd::new()?);
            self.exists.store(true, Ordering::Relaxed);
            // Whoever delivers has a fence between the push and the look at this: either it sees this, or the caller the
            // response.
            fence(Ordering::SeqCst);
        }
        Ok(state.fd.as_ref().map_or(-1, EventFd::number))
    }

    /// Something was delivered, and is ready unless the caller has taken it. There was a fence since.
    pub fn raise(&self, is_ready: impl FnOnce() -> bool) {
        if self.exists.load(Ordering::Relaxed) {
            let mut state = self.state.lock();
            if !state.is_readable && is_ready() {
                state.set(true);
            }
        }
    }

    /// The caller has popped something, or found nothing.
    pub fn set(&self, is_ready: impl FnOnce() -> bool) {
        let mut state = self.state.lock();
        let is_ready = is_ready();
        if state.is_readable != is_ready {
            state.set(is_ready);
        }
    }

    /// What a poll of the descriptor would find.
    #[cfg(all(test, any(ioq_loom, ioq_shuttle)))]
    #[cfg_attr(ioq_shuttle, expect(dead_code))]
    pub fn is_readable(&self) -> bool {
        self.state.lock().fd.as_ref().is_some_and(EventFd::is_readable)
    }
}

impl State {
    fn set(&mut self, is_readable: bool) {
        self.is_readable = is_readable;
        if let Some(fd) = &self.fd {
            if is_readable { fd.raise() } else { fd.lower() }
        }
    }
}

#[cfg(all(test, ioq_loom))]
mod models {
    use super::*;
    use crate::channel::{Channel, Sender};
    use crate::models::explore;
    use crate::queue::span::Span;
    use loom::sync::Arc;
    use loom::thread;

    /// The ready channel of a queue, and its event.
    struct Ready {
        channel: Channel,
        event: Event,
    }

    impl Ready {
        fn new() -> Arc<Self> {
            Arc::new(Self { channel: Channel::new(2).unwrap(), event: Event::new() })
        }

        /// What a thread does with a response.
        fn deliver(&self, label: usize) {
            let _ = Sender::default().send(&self.channel, Span::labelled(label, 1));
            fence(Ordering::SeqCst);
            self.event.raise(|| self.channel.can_pop());
        }

        /// What the caller does.
        fn pop(&self) -> Option<Span> {
            let span = self.channel.try_pop();
            self.event.set(|| self.channel.can_pop());
            span
        }
    }

    /// Whenever it was asked for, and whoever delivers at that time: at rest it is readable while, and only while, something
    /// is ready.
    #[test]
    fn it_is_readable_while_something_is_ready() {
        explore(3, || {
            let ready = Ready::new();
            let other = ready.clone();
            let thread = thread::spawn(move || other.deliver(1));
            ready.event.open().unwrap();
            ready.event.set(|| ready.channel.can_pop());
            let first = ready.pop();
            thread.join().unwrap();
            assert_eq!(ready.event.is_readable(), first.is_none());
            assert_eq!(ready.pop().is_some(), first.is_none());
            assert!(!ready.event.is_readable());
        });
    }

    /// Two deliver, and the caller takes what it finds.
    #[test]
    fn the_last_pop_makes_it_unreadable() {
        explore(3, || {
            let ready = Ready::new();
            ready.event.open().unwrap();
            let threads = [1, 2].map(|label| {
                let ready = ready.clone();
                thread::spawn(move || ready.deliver(label))
            });
            let popped = usize::from(ready.pop().is_some());
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            let rest = std::iter::from_fn(|| ready.event.is_readable().then(|| ready.pop()).flatten()).count();
            assert_eq!(popped + rest, 2);
            assert!(!ready.event.is_readable());
        });
    }
}
