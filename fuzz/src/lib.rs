//! Fuzzing of the C functions.
//!
//! An input is a sequence of calls (`input`) on a few queues, directories and descriptors at once, within what `ioq.h`
//! allows: what it leaves undefined is not tried, what it says is tolerated is. Whatever the sequence,
//!
//! - every accepted request comes back exactly once, as it was submitted, with the answer that the kernel gives to the
//!   same question (`files`), or is gone with its queue; and what came back does not change any more;
//! - capacities, counts and descriptors to poll agree with the calls so far, what was cancelled did not run, and the calling
//!   thread runs nothing that it must not (`queue`);
//! - directories are open exactly when they should be, and list what is there, in order (`dirs`);
//! - a descriptor that was given away is closed once; one that was not is open; and none is left at the end, nor a thread;
//! - nothing crashes, hangs, or touches memory that is not its own, which AddressSanitizer tells.
//!
//! `make check-fuzz` lets libFuzzer make up inputs, and `make check-corpus` runs those it found to be worth keeping.

mod abi;
mod changes;
mod dirs;
mod files;
mod input;
mod make;
mod queue;
mod request;
mod walk;
mod world;

pub use input::Input;

use abi::*;
use changes::Change;
use dirs::{Dirs, State};
use files::{Files, Numbers};
use input::{Answer, At, Attribute, Closing, Path, QUEUES, Step};
use libc::{c_int, c_void};
use queue::Queue;
use request::{Called, Kind, Memory, PATTERN, Request, StatxBuf, UNTOUCHED};
use std::cell::UnsafeCell;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::AtomicUsize;
use world::{Given, World};

/// Runs an input. Panics if anything is not as it should be.
pub fn run(input: &Input) {
    Files::get();
    let before = (files::open_count(), files::thread_count());
    let mut run = Run {
        queues: [const { None }; QUEUES],
        world: World { dirs: Dirs::new(), numbers: Numbers::default(), given: vec![], left: vec![], requests: 0 },
    };
    run.queues[0] = Queue::create(&input.make);
    for step in &input.steps {
        run.step(step);
        run.queues.iter_mut().flatten().for_each(Queue::check);
    }
    run.finish();
    // Threads that were waited for may be seen for a moment longer.
    files::await_that("a thread that never ends", || files::thread_count() <= before.1);
    assert_eq!(files::open_count(), before.0, "descriptors");
}

struct Run {
    queues: [Option<Queue>; QUEUES],
    world: World,
}

impl Run {
    /// The queue of this number as C sees it: NULL if there is none.
    fn pointer(&self, queue: input::Queue) -> *mut ioq {
        self.queues.get(queue.index()).and_then(Option::as_ref).map_or(ptr::null_mut(), Queue::pointer)
    }

    fn queue(&mut self, queue: input::Queue) -> Option<&mut Queue> {
        self.queues.get_mut(queue.index())?.as_mut()
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Create { queue, ref make } => {
                if self.queues.get(queue.index()).is_some_and(Option::is_none) {
                    self.queues[queue.index()] = Queue::create(make);
                }
            }
            Step::Nop { queue, kind, count } => self.nop(queue, kind, count),
            Step::Round { queue, count, keep } => {
                self.nop(queue, 0, count);
                if let Some(queue) = self.queues.get_mut(queue.index()).and_then(Option::as_mut) {
                    queue.drain(&mut self.world);
                    queue.free_all_but(keep.into());
                }
            }
            Step::Close { queue, fd } => self.close(queue, fd),
            Step::OpenDir { queue, dir, at, ref path, flags } => self.opendir(queue, dir, at, path, flags.value()),
            Step::CloseDir { queue, dir } => self.closedir(queue, dir),
            Step::Stat { queue, at, ref path, flags, no_buf } => self.stat(queue, at, path, flags.value(), no_buf),
            Step::StatMany { queue, at, first, count, flags } => {
                for i in 0..count % 64 {
                    self.stat(queue, at, &Path::Known(first.wrapping_add(i)), flags.value(), false);
                }
            }
            Step::Call { queue, value, no_fn } => self.call(queue, value, no_fn),
            Step::Statx { queue, at, ref path, flags, mask, no_buf } => {
                self.statx(queue, at, path, flags.value(), mask, no_buf);
            }
            Step::List { queue, at, ref path, flags, mask, no_list } => {
                self.list(queue, at, path, flags.value(), mask, no_list);
            }
            Step::Open { queue, at, ref path, how, no_how, stat } => {
                self.open(queue, at, path, how.value(), no_how, stat);
            }
            Step::ReadLink { queue, at, ref path, size, no_buf } => {
                self.readlink(queue, at, path, (size % 5000).into(), no_buf);
            }
            Step::GetXattr { queue, at, ref path, name, size, flags, no_value } => {
                self.getxattr(queue, at, path, name, size.into(), flags.value(), no_value);
            }
            Step::Access { queue, at, ref path, mode, flags } => {
                self.access(queue, at, path, mode.value(), flags.value());
            }
            Step::Change { queue, ref change, no_path } => self.change(queue, change, no_path),
            Step::StatAlone { at, ref path, flags, no_buf } => stat_alone(at, path, flags.value(), no_buf),
            Step::Convert { ref answer, no_src, no_dest } => convert(answer, no_src, no_dest),
            Step::Walk(ref walk) => walk::run(walk),
            Step::UseDir { dir, how } => self.world.dirs.use_alone(dir.index(), how),
            Step::Destroy { queue } => {
                if let Some(queue) = self.queues.get_mut(queue.index()).and_then(Option::take) {
                    queue.destroy(&mut self.world);
                }
            }
            // The rest needs nothing but a queue.
            Step::Submit { queue }
            | Step::Pop { queue, .. }
            | Step::PopUntil { queue, .. }
            | Step::PopMany { queue, .. }
            | Step::Drain { queue }
            | Step::Poll { queue }
            | Step::Free { queue, .. }
            | Step::FreeNull { queue }
            | Step::Count { queue, .. }
            | Step::Info { queue, .. }
            | Step::AwaitEvent { queue }
            | Step::Cancel { queue }
            | Step::CancelOne { queue, .. }
            | Step::CancelElsewhere { queue } => match self.queues.get_mut(queue.index()).and_then(Option::as_mut) {
                Some(queue) => on_queue(step, queue, &mut self.world),
                None => on_null(),
            },
        }
    }

    /// Submits a request, and gives it back if the queue did not take it.
    fn submit(
        &mut self,
        queue: input::Queue,
        valid: bool,
        request: Request,
        call: impl FnOnce(*mut ioq, &Request, *mut c_void) -> c_int,
    ) -> Option<Request> {
        let id = self.world.next_id();
        let ret = call(self.pointer(queue), &request, ptr::without_provenance_mut(id));
        match self.queue(queue) {
            Some(queue) => queue.submitted(ret, valid, id, request),
            None => {
                assert_eq!((ret, errno()), (-1, libc::EINVAL));
                Some(request)
            }
        }
    }

    fn nop(&mut self, queue: input::Queue, kind: u8, count: u8) {
        let kind = u32::from(kind);
        for _ in 0..count {
            let request = Request { kind: Kind::Nop { kind }, path: None, expected: 0 };
            // SAFETY: NULL or a live queue, used by this thread; so below.
            let refused = self.submit(queue, kind < 2, request, |ioq, _, ptr| unsafe { ioq_nop(ioq, kind, ptr) });
            if refused.is_some() {
                break;
            }
        }
    }

    fn close(&mut self, queue: input::Queue, closing: Closing) {
        let given = &self.world.given;
        let fd = match closing {
            Closing::Open => self.world.numbers.open_again(Files::get().at(At::File)),
            Closing::Again(which) if !given.is_empty() => Some(given[usize::from(which) % given.len()].fd),
            Closing::Again(_) => None,
            Closing::Invalid(invalid) => Some(invalid.number()),
        };
        let Some(fd) = fd else { return };
        let request = Request { kind: Kind::Close { fd }, path: None, expected: 0 };
        // SAFETY: the number is invalid, or one that only this input uses.
        let refused = self.submit(queue, true, request, |ioq, _, ptr| unsafe { ioq_close(ioq, fd, ptr) });
        if refused.is_none() && matches!(closing, Closing::Open) {
            self.world.given.push(Given { fd, closed: 0, abandoned: false });
        }
    }

    fn opendir(&mut self, queue: input::Queue, dir: input::Dir, at: At, path: &Path, flags: u32) {
        let index = dir.index();
        let State::Closed = self.world.dirs.state(index) else { return };
        let (pointer, path) = (self.world.dirs.pointer(index), files::string(path));
        let mut dfd = Files::get().at(at);
        let (expected, listing) = match &path {
            Some(path) => files::expect_opendir(dfd, path),
            None => {
                // The directory takes the descriptor over, whatever it is.
                if !matches!(at, At::Invalid(_)) {
                    let Some(number) = self.world.numbers.open_again(dfd) else { return };
                    dfd = number;
                }
                files::expect_adoption(dfd)
            }
        };
        let request = Request { kind: Kind::OpenDir { dir: index, pointer, dfd, flags, listing }, path, expected };
        let valid = !pointer.is_null();
        let refused = self.submit(queue, valid, request, |ioq, request, ptr| {
            // SAFETY: NULL, or a directory that is not open; the path stays with the request.
            unsafe { ioq_opendir(ioq, pointer, dfd, request.path(), flags, ptr) }
        });
        if refused.is_none() {
            self.world.dirs.set(index, State::Busy);
        }
    }

    fn closedir(&mut self, queue: input::Queue, dir: input::Dir) {
        let index = dir.index();
        let (expected, fd) = match self.world.dirs.state(index) {
            State::Busy => return,
            State::Open(listing) => {
                (if listing.errno == libc::EBADF { -libc::EBADF } else { 0 }, self.world.dirs.fd(index))
            }
            State::Closed => (-libc::EBADF, -1),
        };
        let pointer = self.world.dirs.pointer(index);
        let request = Request { kind: Kind::CloseDir { dir: index, pointer, fd }, path: None, expected };
        let valid = !pointer.is_null();
        // SAFETY: NULL, or a directory that nobody else uses.
        let refused = self.submit(queue, valid, request, |ioq, _, ptr| unsafe { ioq_closedir(ioq, pointer, ptr) });
        if refused.is_none() {
            self.world.dirs.set(index, State::Busy);
        }
    }

    fn stat(&mut self, queue: input::Queue, at: At, path: &Path, flags: u32, no_buf: bool) {
        let (dfd, path) = (Files::get().at(at), files::string(path));
        let answer = files::expect_stat(dfd, path.as_deref(), flags);
        let expected = answer.err().map_or(0, |errno| -errno);
        let buf = Box::new(UnsafeCell::new(UNTOUCHED));
        let pointer = if no_buf { ptr::null_mut() } else { buf.get() };
        let request = Request { kind: Kind::Stat { dfd, flags, buf, expected: answer.ok() }, path, expected };
        self.submit(queue, !no_buf, request, |ioq, request, ptr| {
            // SAFETY: the path and the buffer, if there is one, stay with the request.
            unsafe { ioq_stat(ioq, dfd, request.path(), flags, pointer, ptr) }
        });
    }

    fn call(&mut self, queue: input::Queue, value: i32, no_fn: bool) {
        let called = Box::new(Called { value, times: AtomicUsize::new(0) });
        let arg = ptr::from_ref(&*called).cast_mut().cast();
        let function = (!no_fn).then_some(request::called as ioq_function);
        let request = Request { kind: Kind::Call { called }, path: None, expected: value };
        // SAFETY: the argument stays with the request; so below.
        self.submit(queue, !no_fn, request, |ioq, _, ptr| unsafe { ioq_call(ioq, function, arg, ptr) });
    }

    fn statx(&mut self, queue: input::Queue, at: At, path: &Path, flags: c_int, mask: u32, no_buf: bool) {
        let (dfd, path) = (Files::get().at(at), files::string(path));
        let answer = files::expect_statx(dfd, path.as_deref(), flags, mask);
        let expected = answer.as_ref().err().map_or(0, |errno| -errno);
        let (buf, pointer) = statx_buffer(!no_buf);
        let request = Request { kind: Kind::Statx { dfd, flags, mask, buf, expected: answer.ok() }, path, expected };
        self.submit(queue, true, request, |ioq, request, ptr| {
            // SAFETY: the path and the buffer, if there is one, stay with the request.
            unsafe { ioq_statx(ioq, dfd, request.path(), flags, mask, pointer, ptr) }
        });
    }

    fn list(&mut self, queue: input::Queue, at: At, path: &Path, flags: u32, mask: u32, no_list: bool) {
        let (dfd, path) = (Files::get().at(at), files::string(path));
        // The next part moves the descriptor, which is everybody's.
        let flags = if path.is_none() { flags & !IOQ_LIST_PART } else { flags };
        let answer = files::expect_list(dfd, path.as_deref(), flags & IOQ_LIST_NOFOLLOW == 0);
        let expected = answer.as_ref().err().map_or(0, |errno| -errno);
        let list = Box::new(UnsafeCell::new(ptr::null_mut()));
        let pointer = if no_list { ptr::null_mut() } else { list.get() };
        let both = IOQ_LIST_SORT_NAME | IOQ_LIST_SORT_INODE;
        let valid = !no_list
            && flags & !IOQ_LIST_FLAGS == 0
            && flags & both != both
            && mask & libc::STATX__RESERVED as u32 == 0;
        let kind = Kind::List { dfd, flags, mask, list, expected: answer.unwrap_or_default() };
        let request = Request { kind, path, expected };
        self.submit(queue, valid, request, |ioq, request, ptr| {
            // SAFETY: the path and the place for the list stay with the request.
            unsafe { ioq_list(ioq, dfd, request.path(), flags, mask, pointer, ptr) }
        });
    }

    fn open(&mut self, queue: input::Queue, at: At, path: &Path, how: open_how, no_how: bool, stat: bool) {
        let (dfd, path) = (Files::get().at(at), files::string(path));
        let answer = path.as_deref().map_or(Err(libc::EINVAL), |path| files::expect_open(dfd, path, &how));
        let expected = answer.as_ref().err().map_or(0, |errno| -errno);
        let (buf, pointer) = statx_buffer(stat);
        let how = Box::new(how);
        let how_pointer = if no_how { ptr::null() } else { &raw const *how };
        let valid = path.is_some() && !no_how;
        let request = Request { kind: Kind::Open { dfd, how, buf, expected: answer.ok() }, path, expected };
        self.submit(queue, valid, request, |ioq, request, ptr| {
            // SAFETY: the path, the way to open it and the buffer, if there is one, stay with the request.
            unsafe { ioq_openat(ioq, dfd, request.path(), how_pointer, libc::STATX_INO, pointer, ptr) }
        });
    }

    fn readlink(&mut self, queue: input::Queue, at: At, path: &Path, size: usize, no_buf: bool) {
        let (dfd, path) = (Files::get().at(at), files::string(path));
        let mut memory = Memory::new(size);
        let expected = path.as_deref().map_or(0, |path| files::expect_readlink(dfd, path, &mut memory.expected));
        let pointer = if no_buf { ptr::null_mut() } else { memory.pointer() };
        let valid = path.is_some() && !no_buf;
        let request = Request { kind: Kind::ReadLink { dfd, memory }, path, expected };
        self.submit(queue, valid, request, |ioq, request, ptr| {
            // SAFETY: the path and the memory stay with the request.
            unsafe { ioq_readlink(ioq, dfd, request.path(), pointer, size, ptr) }
        });
    }

    #[allow(clippy::too_many_arguments, reason = "as many as the function has")]
    fn getxattr(
        &mut self,
        queue: input::Queue,
        at: At,
        path: &Path,
        name: Attribute,
        size: usize,
        flags: c_int,
        no_value: bool,
    ) {
        let (dfd, path, name) = (Files::get().at(at), files::string(path), attribute(name));
        let mut memory = Memory::new(size);
        let nofollow = flags & libc::AT_SYMLINK_NOFOLLOW != 0;
        let expected = match (&path, &name) {
            (Some(path), Some(name)) => files::expect_getxattr(dfd, path, name, &mut memory.expected, nofollow),
            _ => 0,
        };
        let no_value = no_value && size > 0;
        let pointer = if no_value { ptr::null_mut() } else { memory.pointer() };
        let name_pointer = name.as_ref().map_or(ptr::null(), |name| name.as_ptr());
        let known = flags & !libc::AT_SYMLINK_NOFOLLOW == 0;
        let valid = path.is_some() && name.is_some() && known && !no_value;
        let request = Request { kind: Kind::GetXattr { dfd, name, flags, memory }, path, expected };
        self.submit(queue, valid, request, |ioq, request, ptr| {
            // SAFETY: the strings and the memory stay with the request.
            unsafe { ioq_getxattr(ioq, dfd, request.path(), name_pointer, pointer, size, flags, ptr) }
        });
    }

    fn access(&mut self, queue: input::Queue, at: At, path: &Path, mode: c_int, flags: c_int) {
        let (dfd, path) = (Files::get().at(at), files::string(path));
        let expected = path.as_deref().map_or(0, |path| files::expect_access(dfd, path, mode, flags));
        let valid = path.is_some();
        let request = Request { kind: Kind::Access { dfd, mode, flags }, path, expected };
        self.submit(queue, valid, request, |ioq, request, ptr| {
            // SAFETY: the path stays with the request.
            unsafe { ioq_access(ioq, dfd, request.path(), mode, flags, ptr) }
        });
    }

    fn change(&mut self, queue: input::Queue, change: &input::Change, no_path: bool) {
        let (change, path, expected) = Change::new(change, self.world.next_id());
        let path = (!no_path).then_some(path);
        let request = Request { kind: Kind::Change(Box::new(change)), path, expected };
        let refused = self.submit(queue, !no_path, request, |ioq, request, ptr| {
            let Kind::Change(change) = &request.kind else { unreachable!() };
            // SAFETY: the path and the change stay with the request.
            unsafe { change.submit(ioq, request.path(), ptr) }
        });
        if let Some(Request { kind: Kind::Change(change), .. }) = refused {
            change.finish(Some(false));
        }
    }

    /// Leaves nothing behind. Queues go with whatever is in them.
    fn finish(mut self) {
        for queue in self.queues.into_iter().flatten() {
            queue.destroy(&mut self.world);
        }
        self.world.dirs.read_all();
        self.world.check_closed();
        // Directories close their own descriptors; what is left was not accepted.
        drop(self.world.dirs);
        self.world.numbers.close_all();
    }
}

/// A buffer for a statx, full of a pattern, and what the library is given for it; or none.
fn statx_buffer(wanted: bool) -> (Option<StatxBuf>, *mut libc::statx) {
    let buf: Option<StatxBuf> = wanted.then(|| Box::new(UnsafeCell::new(MaybeUninit::uninit())));
    let pointer: *mut libc::statx = buf.as_ref().map_or(ptr::null_mut(), |buf| buf.get().cast());
    if wanted {
        // SAFETY: the buffer that was just made.
        unsafe { pointer.cast::<u8>().write_bytes(PATTERN, size_of::<libc::statx>()) };
    }
    (buf, pointer)
}

/// The name of an attribute, or none for NULL.
fn attribute(name: Attribute) -> Option<CString> {
    let name: &CStr = match name {
        Attribute::Null => return None,
        Attribute::Known => files::ATTRIBUTE,
        Attribute::Missing => c"user.missing",
        Attribute::Strange => c"nonsense",
        Attribute::Empty => c"",
        Attribute::Long(len) => return Some(CString::new(vec![b'x'; usize::from(len) + 200]).expect("no NUL")),
    };
    Some(name.into())
}

/// A step that needs nothing but the queue.
fn on_queue(step: &Step, queue: &mut Queue, world: &mut World) {
    match *step {
        Step::Submit { .. } => queue.submit(),
        Step::Pop { block, .. } => _ = queue.pop(block, world),
        Step::PopUntil { until, .. } => queue.pop_until(until, world),
        Step::PopMany { count, block, .. } => queue.pop_many(count, block, world),
        Step::Drain { .. } => queue.drain(world),
        Step::Poll { .. } => queue.poll(world),
        Step::Free { which, more, .. } => (0..=more % 64).for_each(|i| queue.free(which.wrapping_add(i))),
        Step::FreeNull { .. } => queue.free_null(),
        Step::Count { null: false, .. } => _ = queue.count(),
        Step::Count { null: true, .. } => queue.count_null(),
        Step::Info { more, .. } => queue.info(more),
        Step::AwaitEvent { .. } => queue.await_event(world),
        Step::Cancel { .. } => queue.cancel(),
        Step::CancelOne { which, .. } => queue.cancel_one(which),
        Step::CancelElsewhere { .. } => queue.cancel_elsewhere(),
        _ => unreachable!("a step with arguments"),
    }
}

/// A stat without a queue.
fn stat_alone(at: At, path: &Path, flags: u32, no_buf: bool) {
    let (dfd, path) = (Files::get().at(at), files::string(path));
    let path_pointer = path.as_ref().map_or(ptr::null(), |path| path.as_ptr());
    let expected = files::expect_stat(dfd, path.as_deref(), flags);
    let mut buf = UNTOUCHED;
    // SAFETY: the path is NULL or a string, and the buffer may be NULL.
    let ret = unsafe { bfs_stat(dfd, path_pointer, flags, if no_buf { ptr::null_mut() } else { &mut buf }) };
    match expected {
        _ if no_buf => assert_eq!((ret, errno()), (-1, libc::EINVAL)),
        Err(error) => assert_eq!((ret, errno(), buf), (-1, error, UNTOUCHED)),
        Ok(expected) => {
            assert_eq!(ret, 0);
            let again = || files::expect_stat(dfd, path.as_deref(), flags);
            assert!(files::is_answer(&buf, &expected, again), "{buf:?} instead of {expected:?}");
        }
    }
    // SAFETY: always safe.
    let (at_flags, mask) = unsafe { (bfs_statx_flags(flags), bfs_statx_mask()) };
    let flag = |ours, theirs| if flags & ours != 0 { theirs } else { 0 };
    let nofollow = flag(BFS_STAT_NOFOLLOW, libc::AT_SYMLINK_NOFOLLOW);
    let nosync = flag(BFS_STAT_NOSYNC, libc::AT_STATX_DONT_SYNC);
    assert_eq!(at_flags, libc::AT_NO_AUTOMOUNT | nofollow | nosync);
    let asked = libc::STATX_BASIC_STATS | libc::STATX_BTIME | libc::STATX_MNT_ID;
    assert_eq!(mask & asked, asked);
}

/// Converts what `statx()` may have answered.
fn convert(answer: &Answer, no_src: bool, no_dest: bool) {
    let src = files::statx(answer);
    let mut dest = UNTOUCHED;
    let src_pointer = if no_src { ptr::null() } else { &raw const src };
    let dest_pointer = if no_dest { ptr::null_mut() } else { &raw mut dest };
    // SAFETY: both may be NULL.
    let ret = unsafe { bfs_statx_convert(dest_pointer, src_pointer) };
    match files::expect_conversion(&src) {
        _ if no_src || no_dest => assert_eq!((ret, errno()), (-1, libc::EINVAL)),
        None => assert_eq!((ret, errno(), dest), (-1, libc::ENOTSUP, UNTOUCHED)),
        Some(expected) => assert_eq!((ret, dest), (0, expected)),
    }
}

/// What every function makes of no queue at all.
fn on_null() {
    let null = ptr::null_mut();
    let mut counts = ioq_counts { ring: 1, worker: 1, caller: 1 };
    // SAFETY: NULL is allowed everywhere here.
    unsafe {
        assert_eq!(ioq_capacity(null), 0);
        ioq_submit(null);
        assert!(ioq_pop(null, true).is_null());
        assert!(ioq_pop(null, false).is_null());
        assert_eq!((ioq_pop_until(null, ptr::null()), errno()), (ptr::null_mut(), libc::EINVAL));
        assert_eq!(ioq_pop_many(null, ptr::null_mut(), 1, true), 0);
        assert_eq!((ioq_fd(null), errno()), (-1, libc::EINVAL));
        assert_eq!((ioq_info(null, ptr::null_mut()), errno()), (-1, libc::EINVAL));
        ioq_list_free(ptr::null_mut());
        assert!(ioq_last(null).is_null());
        ioq_cancel_one(null, ptr::null());
        ioq_free(null, ptr::null_mut());
        ioq_count(null, ptr::null_mut());
        ioq_count(null, &mut counts);
        ioq_cancel(null);
        ioq_destroy(null);
    }
    assert_eq!(counts, ioq_counts::default());
}
