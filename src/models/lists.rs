//! Queues with lists among their requests: each stat of an entry is done once, by whoever that is; the last of them
//! completes the list; and nothing waits for those that hang but the list that they are of.

use super::machine::{self, Chance, Machine, one_of};
use super::program::{self, options, some_machine, with_rings};
use super::runner::check;
use super::uring::Submission;
use crate::abi::list::{ioq_list, ioq_list_flags::*};
use crate::entry::ioq_ent;
use crate::ops::{self, List, Nop};
use crate::platform::errno::Errno;
use crate::queue::options::{Backend, Options};
use crate::queue::{Ioq, Wait};
use libc::{c_char, c_uint};
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::thread;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::env;
use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::ptr::{self, NonNull, without_provenance_mut};
use std::sync::OnceLock;

/// Directories of 0 to 4 files, and some in which so many files hang.
const SIZES: usize = 5;
const HANGING_SIZES: usize = 3;
/// Beside those that hang, each of these has so many others.
const OTHERS: usize = 2;

struct Directories {
    root: PathBuf,
    plain: Vec<CString>,
    hanging: Vec<CString>,
}

fn directories() -> &'static Directories {
    static DIRECTORIES: OnceLock<Directories> = OnceLock::new();
    DIRECTORIES.get_or_init(|| {
        let root = env::temp_dir().join(format!("ioq-models-{}", std::process::id()));
        let make = |name: String, files: &[(&str, usize)]| {
            let path = root.join(name);
            fs::create_dir_all(&path).unwrap();
            for (prefix, count) in files {
                (0..*count).for_each(|i| fs::write(path.join(format!("{prefix}{i}")), "").unwrap());
            }
            CString::new(path.into_os_string().into_vec()).unwrap()
        };
        let plain = |size| make(format!("{size}"), &[("file-", size)]);
        let hanging = |size| make(format!("hanging-{size}"), &[("hanging-", size), ("other-", OTHERS)]);
        let (plain, hanging) = ((0..SIZES).map(plain).collect(), (0..HANGING_SIZES).map(hanging).collect());
        // SAFETY: a function without arguments.
        unsafe { libc::atexit(remove_directories) };
        Directories { root, plain, hanging }
    })
}

extern "C" fn remove_directories() {
    let _ = fs::remove_dir_all(&directories().root);
}

thread_local! {
    /// How often each name was looked up. A name's address is its own until the list is freed.
    static LOOKED_UP: RefCell<HashMap<usize, usize>> = RefCell::default();
    /// How many were of lists in which none hangs.
    static FILES: Cell<usize> = const { Cell::new(0) };
    /// How many lists of those came back.
    static BACK: Cell<usize> = const { Cell::new(0) };
    /// Whether names do not hang any more.
    static RELEASED: Cell<bool> = const { Cell::new(false) };
}

fn look_up(name: *const c_char) {
    let step = AtomicUsize::new(0);
    step.load(Ordering::SeqCst);
    LOOKED_UP.with_borrow_mut(|names| *names.entry(name.addr()).or_default() += 1);
    FILES.set(FILES.get() + usize::from(begins_with(name, b'f')));
    step.load(Ordering::SeqCst);
}

/// Whether a name, or a path, begins with this.
fn begins_with(name: *const c_char, byte: u8) -> bool {
    // SAFETY: both are strings.
    unsafe { *name == byte as c_char }
}

/// Whether an entry of this name hangs still.
fn name_hangs(name: *const c_char) -> bool {
    begins_with(name, b'h') && !RELEASED.get()
}

fn look_up_or_hang(name: *const c_char) {
    look_up(name);
    while name_hangs(name) {
        thread::yield_now();
    }
}

/// The name that a submission is about, if it is a stat of a list.
fn name_of(submission: &Submission) -> Option<*const c_char> {
    (submission.user_data & 1 != 0 && submission.user_data > ops::COUNT as u64).then_some(submission.path)
}

fn some_machine_for_lists() -> Machine {
    program::begin();
    LOOKED_UP.take();
    FILES.set(0);
    BACK.set(0);
    RELEASED.set(false);
    directories();
    Machine { entry: look_up, in_ring: |submission| _ = name_of(submission).map(look_up), ..some_machine() }
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    List { path: &'static CStr, files: usize, flags: c_uint },
    Nop,
}

/// A program that lists directories.
struct Lister {
    ioq: NonNull<Ioq>,
    depth: usize,
    accepted: Vec<What>,
    back: Vec<bool>,
    held: Vec<NonNull<ioq_ent>>,
    /// Where lists go.
    lists: Vec<Box<*mut ioq_list>>,
    /// Whether the queue, or these requests, may have been cancelled.
    cancelled: bool,
    cancelled_ones: HashSet<usize>,
}

// SAFETY, in all of these: as for the other caller.
impl Lister {
    fn create(options: Options) -> Self {
        let depth = options.depth;
        let ioq = Ioq::create(options).unwrap();
        let (accepted, back, held, lists, cancelled_ones) = Default::default();
        Self { ioq, depth, accepted, back, held, lists, cancelled: false, cancelled_ones }
    }

    fn ioq(&self) -> &Ioq {
        // SAFETY: see above.
        unsafe { self.ioq.as_ref() }
    }

    fn request(&mut self, what: What) {
        let number = self.accepted.len();
        self.lists.push(Box::new(ptr::null_mut()));
        let request = match what {
            What::Nop => Nop::request(0),
            What::List { path, flags, .. } => {
                let list: *mut _ = &mut **self.lists.last_mut().unwrap();
                // SAFETY: see above.
                unsafe { List::request(libc::AT_FDCWD, path.as_ptr(), flags, libc::STATX_BASIC_STATS, list) }
            }
        };
        // SAFETY: see above.
        match unsafe { self.ioq().request(request.unwrap(), without_provenance_mut(number)) } {
            Ok(()) => {
                self.accepted.push(what);
                self.back.push(false);
            }
            Err(Errno(libc::EAGAIN)) => assert_eq!(self.in_queue(), self.depth),
            Err(Errno(libc::EINTR)) => assert!(self.cancelled),
            Err(e) => panic!("{e:?}"),
        }
        self.lists.truncate(self.accepted.len());
    }

    /// How many requests were accepted and not freed.
    fn in_queue(&self) -> usize {
        self.back.iter().filter(|&&back| !back).count() + self.held.len()
    }

    fn list(&mut self, path: &'static CStr, files: usize) {
        let flags = [
            0,
            IOQ_LIST_STAT as c_uint,
            IOQ_LIST_STAT as c_uint | IOQ_LIST_SORT_NAME as c_uint,
            IOQ_LIST_STAT as c_uint | IOQ_LIST_FD as c_uint,
        ][one_of(4)];
        self.request(What::List { path, files, flags });
    }

    fn some_list(&mut self) {
        let size = one_of(SIZES);
        self.list(&directories().plain[size], size);
    }

    fn submit(&self) {
        // SAFETY: see above.
        unsafe { self.ioq().submit() };
    }

    fn pop(&mut self, block: bool) -> bool {
        // SAFETY: see above.
        let Some(entry) = (unsafe { self.ioq().pop(if block { Wait::Forever } else { Wait::No }) }) else {
            assert!(!block || self.back.iter().all(|&back| back), "something is in flight, but a pop does not wait");
            return false;
        };
        self.held.push(entry);
        // SAFETY: a popped entry is the caller's.
        let ent = unsafe { entry.as_ref() };
        let number = ent.ptr.addr();
        assert!(!std::mem::replace(&mut self.back[number], true), "request {number} comes back twice");
        let list = *self.lists[number];
        let was_cancelled = (self.cancelled && ent.result == -libc::EINTR)
            || (self.cancelled_ones.contains(&number) && ent.result == -libc::ECANCELED);
        if was_cancelled {
            assert!(list.is_null(), "a list is left of what was cancelled");
            return true;
        }
        assert_eq!(ent.result, 0, "request {number}");
        let What::List { path, files, flags } = self.accepted[number] else { return true };
        // SAFETY: the list is the caller's.
        unsafe { self.check(&*list, files, flags) };
        if !directories().hanging.iter().any(|hanging| **hanging == *path) {
            BACK.set(BACK.get() + 1);
        }
        true
    }

    /// # Safety
    ///
    /// The list must be one that came back.
    unsafe fn check(&self, list: &ioq_list, files: usize, flags: c_uint) {
        assert_eq!((list.count, list.error), (files, 0));
        assert_eq!(list.fd >= 0, flags & IOQ_LIST_FD as c_uint != 0);
        if list.fd >= 0 {
            // SAFETY: it is the program's.
            assert_eq!(unsafe { libc::close(list.fd) }, 0);
        }
        for i in 0..list.count {
            // SAFETY: by this function's contract.
            let ent = unsafe { &*list.ents.add(i) };
            let stats = flags & IOQ_LIST_STAT as c_uint != 0;
            assert_eq!((ent.error, ent.stat.is_null()), (0, !stats));
            if stats {
                // SAFETY: it is there.
                assert_eq!(unsafe { (*ent.stat).stx_ino }, ent.ino, "the stat of another file");
            }
            let times = LOOKED_UP.with_borrow(|names| names.get(&ent.name.addr()).copied().unwrap_or(0));
            assert!(self.gave_up() || times == usize::from(stats), "an entry is looked up {times} times");
        }
    }

    /// Whether lists may be gone already, and their memory be others'.
    fn gave_up(&self) -> bool {
        self.cancelled || !self.cancelled_ones.is_empty()
    }

    fn free(&mut self) {
        if !self.held.is_empty() {
            let entry = self.held.swap_remove(one_of(self.held.len()));
            // SAFETY: popped, and freed once.
            unsafe { self.ioq().free(entry) };
        }
    }

    fn play(&mut self) {
        match one_of(10) {
            0..4 => self.some_list(),
            4 => self.request(What::Nop),
            5 => self.submit(),
            6 => _ = self.pop(true),
            7 => _ = (0..one_of(9)).any(|_| self.pop(false)),
            _ => self.free(),
        }
    }

    /// Cancels the request that was accepted last, unless it is back.
    fn cancel_last(&mut self) {
        if self.back.last() == Some(&false) {
            self.cancelled_ones.insert(self.accepted.len() - 1);
            // SAFETY: see above.
            unsafe { self.ioq().cancel_one(self.ioq().last().unwrap()) };
        }
    }

    fn play_for_some_time(&mut self) {
        (0..6 + one_of(12)).for_each(|_| self.play());
    }

    fn drain(&mut self) {
        while self.pop(true) {}
        assert!(self.back.iter().all(|&back| back));
        let counts = self.ioq().counts();
        assert_eq!(counts.ring + counts.worker + counts.caller, self.accepted.len() as u64, "the counts");
    }

    fn destroy(self) {
        // SAFETY: see above; what was popped is the program's.
        unsafe {
            Ioq::destroy(self.ioq);
            let popped = self.lists.iter().zip(&self.back).filter(|&(_, &back)| back);
            popped.for_each(|(list, _)| ops::list::free(**list));
        }
    }
}

fn some_lists(backend: Backend) {
    some_machine_for_lists().set();
    let mut lister = Lister::create(options([1, 2, 3, 8][one_of(4)], one_of(4), backend));
    lister.play_for_some_time();
    lister.drain();
    lister.play_for_some_time();
    lister.drain();
    lister.destroy();
}

/// Each list comes back once, with all of its entries, of which each was looked up once.
#[test]
fn every_list_comes_back_once() {
    check(|| some_lists(Backend::Sync));
}

/// So it is with rings that take what chance has it, refuse it, or are given up.
#[test]
fn every_list_through_a_ring_comes_back_once() {
    check(|| some_lists(with_rings()));
}

fn cancelled(backend: Backend) {
    some_machine_for_lists().set();
    let mut lister = Lister::create(options([1, 2, 8][one_of(3)], one_of(4), backend));
    (0..one_of(8)).for_each(|_| lister.play());
    lister.cancelled = true;
    // SAFETY: the thread is joined before the queue is destroyed.
    let canceller = unsafe { program::cancel(lister.ioq) };
    lister.play_for_some_time();
    lister.drain();
    canceller.join().unwrap();
    lister.destroy();
}

/// Lists of a queue that is cancelled at any time come back, complete or not at all.
#[test]
fn every_list_of_a_cancelled_queue_comes_back_once() {
    check(|| cancelled(Backend::Sync));
}

/// So it is with rings.
#[test]
fn every_list_of_a_cancelled_queue_with_a_ring_comes_back_once() {
    check(|| cancelled(with_rings()));
}

/// So it is where single lists are cancelled.
#[test]
fn every_list_that_is_cancelled_comes_back_once() {
    check(|| {
        some_machine_for_lists().set();
        let backend = [Backend::Sync, Backend::Auto, Backend::Uring][one_of(3)];
        let mut lister = Lister::create(options([1, 2, 8][one_of(3)], one_of(4), backend));
        for _ in 0..6 + one_of(12) {
            lister.play();
            if one_of(3) == 0 {
                lister.cancel_last();
            }
        }
        lister.drain();
        lister.destroy();
    });
}

fn destroyed(backend: Backend) {
    some_machine_for_lists().set();
    let mut lister = Lister::create(options([1, 2, 8, 40][one_of(4)], one_of(4), backend));
    lister.play_for_some_time();
    lister.destroy();
}

/// A queue that is destroyed while lists are on their way waits for what is being looked up.
#[test]
fn destroying_waits_for_stats() {
    check(|| destroyed(Backend::Sync));
}

/// So it is with rings.
#[test]
fn destroying_waits_for_stats_in_a_ring() {
    check(|| destroyed(with_rings()));
}

/// Sets up a machine on which some names hang.
fn set_names_hanging() {
    Machine {
        lacks_threads: Chance::Never,
        limits_end: Chance::Always,
        entry: look_up_or_hang,
        holds: |submission| name_of(submission).is_some_and(name_hangs),
        ..some_machine_for_lists()
    }
    .set();
}

/// Submits so many lists, and at some place among them one of which some entries hang, but fewer than there are workers.
/// Returns how many entries are to be looked up of the others.
fn submit_some_hanging(lister: &mut Lister, nthreads: usize, others: usize) -> usize {
    let (place, hanging) = (one_of(others + 1), 1 + one_of((nthreads - 1).min(HANGING_SIZES - 1)));
    let (mut total, stat) = (0, IOQ_LIST_STAT as c_uint);
    for i in 0..=others {
        if i == place {
            let path = &directories().hanging[hanging];
            lister.request(What::List { path, files: OTHERS + hanging, flags: stat });
        } else {
            let files = one_of(SIZES);
            lister.request(What::List { path: &directories().plain[files], files, flags: stat });
            total += files;
        }
        if Chance::Even.comes() {
            lister.submit();
        }
    }
    total
}

fn some_hang(backend: Backend, pop: fn(&mut Lister)) {
    let (nthreads, others) = (2 + one_of(3), 4);
    set_names_hanging();
    let mut lister = Lister::create(Options { caller_runs: false, ..options(16, nthreads, backend) });
    submit_some_hanging(&mut lister, nthreads, others);
    while BACK.get() < others {
        pop(&mut lister);
    }
    RELEASED.set(true);
    lister.drain();
    lister.destroy();
}

fn poll(lister: &mut Lister) {
    lister.pop(false);
    thread::yield_now();
}

/// Entries of a list hang, and there are more workers than those are: all other lists come back to a caller that blocks.
#[test]
fn no_list_waits_for_what_hangs_while_the_caller_blocks() {
    check(|| some_hang(Backend::Sync, |lister| _ = lister.pop(true)));
}

/// So it is to one that polls.
#[test]
fn no_list_waits_for_what_hangs_while_the_caller_polls() {
    check(|| some_hang(Backend::Sync, poll));
}

/// So it is where they hang in a ring, or a ring is given up with some in it.
#[test]
fn no_list_waits_for_what_hangs_in_a_ring_while_the_caller_blocks() {
    check(|| some_hang(with_rings(), |lister| _ = lister.pop(true)));
}

/// So it is to one that polls.
#[test]
fn no_list_waits_for_what_hangs_in_a_ring_while_the_caller_polls() {
    check(|| some_hang(with_rings(), poll));
}

fn gone(backend: Backend) {
    let (nthreads, others) = (2 + one_of(3), 4);
    set_names_hanging();
    let mut lister = Lister::create(Options { caller_runs: false, ..options(16, nthreads, backend) });
    let total = submit_some_hanging(&mut lister, nthreads, others);
    lister.submit();
    while FILES.get() < total {
        thread::yield_now();
    }
    RELEASED.set(true);
    lister.drain();
    lister.destroy();
}

/// All entries that do not hang are looked up while the caller is gone for good.
#[test]
fn no_list_waits_for_what_hangs_while_the_caller_is_gone() {
    check(|| gone(Backend::Sync));
}

/// So it is with rings.
#[test]
fn no_list_waits_for_what_hangs_in_a_ring_while_the_caller_is_gone() {
    check(|| gone(with_rings()));
}

/// A list that was cancelled waits for nothing that can be talked out of it: what hangs of it in a ring is interrupted.
#[test]
fn a_list_that_hangs_in_a_ring_is_cancelled() {
    check(|| {
        set_names_hanging();
        Machine { entry: look_up, ring_balks: Chance::Never, ..machine::get() }.set();
        let mut lister = Lister::create(options(4, 1 + one_of(3), with_rings()));
        let path = &directories().hanging[1];
        lister.request(What::List { path, files: OTHERS + 1, flags: IOQ_LIST_STAT as c_uint });
        lister.submit();
        (0..one_of(50)).for_each(|_| thread::yield_now());
        lister.cancel_last();
        lister.drain();
        lister.destroy();
    });
}
