//! Requests, and what must be true of each from its submission to the end.

use crate::abi::*;
use crate::changes::Change;
use crate::dirs::{Listing, State};
use crate::files;
use crate::world::World;
use libc::{c_char, c_int, c_uint, c_void};
use std::cell::UnsafeCell;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    Call { called: Box<Called> },
    Statx { dfd: c_int, flags: c_int, mask: c_uint, buf: Option<StatxBuf>, expected: Option<libc::statx> },
    List { dfd: c_int, flags: c_uint, mask: c_uint, list: Box<UnsafeCell<*mut ioq_list>>, expected: Vec<Listed> },
    Open { dfd: c_int, how: Box<open_how>, buf: Option<StatxBuf>, expected: Option<(u64, u64)> },
    ReadLink { dfd: c_int, memory: Memory },
    GetXattr { dfd: c_int, name: Option<CString>, flags: c_int, memory: Memory },
    Access { dfd: c_int, mode: c_int, flags: c_int },
    Change(Box<Change>),
}

/// Where something is read to, full of a pattern at first, and what must be there in the end.
pub struct Memory {
    bytes: Box<[UnsafeCell<u8>]>,
    pub expected: Vec<u8>,
}

impl Memory {
    pub fn new(size: usize) -> Self {
        let bytes = (0..size).map(|_| UnsafeCell::new(PATTERN)).collect();
        Self { bytes, expected: vec![PATTERN; size] }
    }

    pub fn pointer(&self) -> *mut u8 {
        self.bytes.as_ptr().cast_mut().cast()
    }

    /// Checks what is there: nothing without success.
    fn check(&self, success: bool) {
        // SAFETY: ours since the entry was popped.
        let found: Vec<u8> = self.bytes.iter().map(|byte| unsafe { *byte.get() }).collect();
        assert_eq!(found, if success { self.expected.clone() } else { vec![PATTERN; found.len()] });
    }
}

/// What a function of the program's is given: what to return, and to count its calls.
pub struct Called {
    pub value: c_int,
    pub times: AtomicUsize,
}

/// Returns what it was told to.
///
/// # Safety
///
/// `arg` must point to a `Called`.
pub unsafe extern "C" fn called(arg: *mut c_void) -> c_int {
    // SAFETY: by this function's contract.
    let called = unsafe { &*arg.cast::<Called>() };
    called.times.fetch_add(1, Ordering::Relaxed);
    called.value
}

/// Where a statx goes, full of a pattern at first.
pub type StatxBuf = Box<UnsafeCell<MaybeUninit<libc::statx>>>;

/// A name, with its inode number and its type.
pub type Listed = (CString, u64, u8);

/// What is in the memory of a statx that nobody has filled.
pub const PATTERN: u8 = 0xA5;

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
        // A function may return whatever it likes.
        let has_run = matches!(&self.request.kind, Kind::Call { called } if called.times.load(Ordering::Relaxed) > 0);
        !self.request.survives_cancel()
            && !has_run
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
        if let Kind::ReadLink { memory, .. } | Kind::GetXattr { memory, .. } = &self.request.kind {
            memory.check(self.result >= 0);
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

    /// Whether it consists of many calls.
    pub fn is_list(&self) -> bool {
        matches!(self.kind, Kind::List { .. })
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
                Kind::Call { called } => {
                    assert_eq!(response.op, IOQ_CALL);
                    assert_eq!(response.args.call.arg.cast_const(), ptr::from_ref(&**called).cast());
                }
                Kind::Statx { dfd, flags, mask, buf, .. } => {
                    assert_eq!(response.op, IOQ_STATX);
                    let args = response.args.statx;
                    let buf = buf.as_ref().map_or(ptr::null_mut(), |buf| buf.get().cast());
                    assert_eq!((args.path, args.buf), (path, buf));
                    assert_eq!((args.dfd, args.flags, args.mask), (*dfd, *flags, *mask));
                }
                Kind::List { dfd, flags, mask, list, .. } => {
                    assert_eq!(response.op, IOQ_LIST);
                    let args = response.args.list;
                    assert_eq!((args.path, args.list), (path, list.get()));
                    assert_eq!((args.dfd, args.flags, args.mask), (*dfd, *flags, *mask));
                }
                Kind::Open { dfd, how, buf, .. } => {
                    assert_eq!(response.op, IOQ_OPENAT);
                    let args = response.args.openat;
                    let buf = buf.as_ref().map_or(ptr::null_mut(), |buf| buf.get().cast());
                    assert_eq!((args.path, args.how, args.buf), (path, ptr::from_ref(&**how), buf));
                    assert_eq!((args.dfd, args.mask), (*dfd, libc::STATX_INO));
                }
                Kind::ReadLink { dfd, memory } => {
                    assert_eq!(response.op, IOQ_READLINK);
                    let args = response.args.readlink;
                    assert_eq!((args.path, args.buf, args.size), (path, memory.pointer(), memory.expected.len()));
                    assert_eq!(args.dfd, *dfd);
                }
                Kind::GetXattr { dfd, name, flags, memory } => {
                    assert_eq!(response.op, IOQ_GETXATTR);
                    let args = response.args.getxattr;
                    let name = name.as_ref().map_or(ptr::null(), |name| name.as_ptr());
                    assert_eq!((args.path, args.name), (path, name));
                    assert_eq!((args.value, args.size), (memory.pointer(), memory.expected.len()));
                    assert_eq!((args.dfd, args.flags), (*dfd, *flags));
                }
                Kind::Access { dfd, mode, flags } => {
                    assert_eq!(response.op, IOQ_ACCESS);
                    assert_eq!(response.args.one.path, path);
                    assert_eq!(response.args.one.numbers[..3], [*dfd, *mode, *flags]);
                }
                Kind::Change(change) => change.check_entry(response, path),
                Kind::Stat { dfd, flags, buf, .. } => {
                    assert_eq!(response.op, IOQ_STAT);
                    let args = response.args.stat;
                    assert_eq!((args.path, args.buf, args.xbuf), (path, buf.get(), ptr::null_mut::<c_void>()));
                    assert_eq!((args.dfd, args.flags), (*dfd, *flags));
                }
            }
        }
    }

    /// Whether flags or a mask that there are not were refused for the path instead, as a ring does.
    fn is_wrong_twice(&self, result: c_int) -> bool {
        matches!(self.kind, Kind::Statx { .. } | Kind::Open { .. } | Kind::Change(_))
            && self.expected == -libc::EINVAL
            && [-libc::ENAMETOOLONG, -libc::ENOENT].contains(&result)
    }

    /// Checks the result, and notes what is different after it. Returns what is in the buffer of a stat.
    fn check_result(&self, result: c_int, cancelled: bool, world: &mut World) -> Option<bfs_stat> {
        if !matches!(self.kind, Kind::Close { .. }) {
            let is_open = matches!(self.kind, Kind::Open { .. }) && result >= 0;
            let is_right =
                cancelled || if is_open { 0 } else { result } == self.expected || self.is_wrong_twice(result);
            assert!(is_right, "{result} instead of {}", self.expected);
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
            Kind::Call { called } => {
                assert_eq!(called.times.load(Ordering::Relaxed), usize::from(!cancelled));
            }
            Kind::Statx { buf: Some(buf), expected, .. } => check_statx(buf, expected.filter(|_| result == 0)),
            Kind::Statx { .. } => {}
            Kind::List { flags, list, expected, .. } => {
                // SAFETY: ours since the entry was popped, and a list if there is one.
                unsafe { check_list(*list.get(), result == 0, *flags, expected) };
            }
            Kind::Open { buf, expected, .. } => {
                if result >= 0 {
                    assert_eq!(Some(files::identity(result)), *expected);
                    // SAFETY: the descriptor is ours now.
                    unsafe { libc::close(result) };
                }
                // SAFETY: ours since the entry was popped, and filled by then.
                let ino = buf.as_ref().map(|buf| unsafe { (*buf.get().cast::<libc::statx>()).stx_ino });
                assert!(result < 0 || ino.is_none_or(|ino| Some(ino) == expected.map(|found| found.1)));
            }
            Kind::ReadLink { memory, .. } | Kind::GetXattr { memory, .. } => memory.check(result >= 0),
            Kind::Access { .. } => {}
            // What is interrupted may have been done.
            Kind::Change(change) => change.finish(match result {
                _ if !cancelled => Some(true),
                result if result == -libc::ECANCELED => Some(false),
                _ => None,
            }),
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
            Kind::Call { called } => assert!(called.times.load(Ordering::Relaxed) <= 1),
            Kind::Change(change) => change.finish(None),
            Kind::Nop { .. }
            | Kind::Statx { .. }
            | Kind::List { .. }
            | Kind::Open { .. }
            | Kind::ReadLink { .. }
            | Kind::GetXattr { .. }
            | Kind::Access { .. } => {}
        }
    }
}

/// Checks what a statx filled in: nothing without success.
fn check_statx(buf: &StatxBuf, expected: Option<libc::statx>) {
    let size = size_of::<libc::statx>();
    // SAFETY: ours since the entry was popped; all of it was written, by us at least.
    let bytes = unsafe { std::slice::from_raw_parts(buf.get().cast::<u8>(), size) };
    let Some(expected) = expected else {
        assert!(bytes.iter().all(|&byte| byte == PATTERN));
        return;
    };
    // SAFETY: filled; any bytes are a valid structure.
    let filled = unsafe { buf.get().cast::<libc::statx>().read() };
    let key = |statx: &libc::statx| (statx.stx_mask, statx.stx_ino, statx.stx_mode, statx.stx_size, statx.stx_nlink);
    assert_eq!(key(&filled), key(&expected));
}

/// Checks a list, and frees it.
///
/// # Safety
///
/// `list` must be NULL or a list that nobody else uses.
unsafe fn check_list(list: *mut ioq_list, success: bool, flags: c_uint, expected: &[Listed]) {
    assert_eq!(!list.is_null(), success);
    if !success {
        return;
    }
    // SAFETY: by this function's contract. Names are strings, and stats NULL or filled.
    unsafe {
        let ioq_list { ents, count, error, fd, stat, more } = list.read();
        // No directory here takes more than one part.
        assert_eq!((error, more, stat.is_null()), (0, false, flags & IOQ_LIST_SELF == 0));
        let mut found = vec![];
        for i in 0..count {
            let ent = &*ents.add(i);
            found.push((CStr::from_ptr(ent.name).to_owned(), ent.ino, ent.kind));
            assert_eq!((ent.error, ent.stat.is_null()), (0, flags & IOQ_LIST_STAT == 0));
            if let Some(stat) = ent.stat.as_ref() {
                assert!(stat.stx_mask & libc::STATX_INO == 0 || stat.stx_ino == ent.ino);
            }
        }
        let mut expected = expected.to_vec();
        if flags & IOQ_LIST_SORT_NAME != 0 {
            expected.sort();
        } else if flags & IOQ_LIST_SORT_INODE != 0 {
            assert!(found.is_sorted_by_key(|entry| entry.1));
            // Of several names of one file, any may be first.
            found.sort();
            expected.sort();
        }
        assert_eq!(found, expected);
        assert_eq!(fd >= 0, flags & IOQ_LIST_FD != 0);
        if fd >= 0 {
            assert_eq!(libc::close(fd), 0);
        }
        ioq_list_free(list);
    }
}
