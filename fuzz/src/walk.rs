//! Walks, each of them from its opening to its end in one step: what is returned against what is there.

use crate::abi::*;
use crate::files;
use crate::input::{Backend, Walk};
use libc::{c_char, c_int, c_void};
use std::collections::BTreeMap;
use std::env;
use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

/// Other queues change what is in directories of such names.
const CHANGING: &[u8] = b"changed";

/// Paths longer than this are not looked up here.
const LONG: usize = 1000;

/// What the program keeps for a directory that it was told of.
struct Directory {
    path: Vec<u8>,
    depth: usize,
}

pub fn run(walk: &Walk) {
    let name = if matches!(walk.backend, Backend::Sync) { "sync" } else { "auto" };
    // SAFETY: no other thread of this process reads the environment: workers do not.
    unsafe { env::set_var("IOQ_BACKEND", name) };
    let roots: Vec<CString> = walk.roots.iter().take(3).filter_map(files::string).collect();
    let mut pointers: Vec<*const c_char> = roots.iter().map(|root| root.as_ptr()).collect();
    pointers.push(ptr::null());
    let roots_pointer = if walk.no_roots { ptr::null() } else { pointers.as_ptr() };
    let skip = walk.skips.then_some(is_changing as unsafe extern "C" fn(_, _) -> _);
    // Two: options of this version, and of a later one.
    let mut options = [(); 2].map(|()| ioq_walk_options {
        size: size_of::<ioq_walk_options>(),
        flags: walk.flags.value(),
        mask: walk.mask,
        nthreads: usize::from(walk.threads % 9),
        max_depth: walk.max_depth.into(),
        max_fds: walk.max_fds.into(),
        max_memory: walk.max_memory.into(),
        skip,
        arg: ptr::without_provenance_mut(1),
    });
    options[0].size = if walk.less { options[0].size - 1 } else { options[0].size * (1 + usize::from(walk.more)) };
    let wrong = [
        (walk.no_roots, libc::EINVAL),
        (!walk.no_options && walk.less, libc::EINVAL),
        (!walk.no_options && options[0].flags & !IOQ_WALK_FLAGS != 0, libc::EINVAL),
        (!walk.no_options && walk.mask & libc::STATX__RESERVED as u32 != 0, libc::EINVAL),
        (!walk.no_options && !walk.less && walk.more, libc::E2BIG),
    ];
    // SAFETY: strings up to a NULL, and options of the size that they say.
    let opened = unsafe { ioq_walk_open(roots_pointer, if walk.no_options { ptr::null() } else { options.as_ptr() }) };
    let error = errno();
    let errors: Vec<c_int> = wrong.iter().filter_map(|&(is, errno)| is.then_some(errno)).collect();
    if opened.is_null() {
        assert!(errors.contains(&error), "{error} instead of {errors:?}");
        return on_null();
    }
    assert!(errors.is_empty(), "a walk instead of {errors:?}");

    let flags = if walk.no_options { 0 } else { options[0].flags };
    let max_depth = if walk.no_options { 0 } else { options[0].max_depth };
    let expected = if walk.stop.is_none() && walk.prune == 0 {
        expect(&roots, flags, if max_depth == 0 { usize::MAX } else { max_depth })
    } else {
        None
    };
    let mut returned = Returned::default();
    for count in 1.. {
        let Some(ent) = next(opened, walk.waits) else {
            if let Some(expected) = expected {
                returned.check_all(&expected, flags);
            }
            break;
        };
        returned.take(&ent, flags);
        if walk.prune != 0 && count % usize::from(walk.prune) == 0 {
            // SAFETY: the walk is open.
            unsafe { ioq_walk_prune(opened) };
        }
        if walk.stop.is_some_and(|stop| count > usize::from(stop)) {
            break;
        }
    }
    // SAFETY: the walk is open, and not used after this.
    unsafe { assert_eq!(ioq_walk_close(opened), 0) };
}

/// The next entry, by calls that wait, or that do not.
fn next(walk: *mut ioq_walk, waits: bool) -> Option<ioq_walk_ent> {
    let mut ent = ptr::null();
    loop {
        // SAFETY: the walk is open, and used by this thread alone; an entry is there until the next call.
        unsafe {
            let ret = if waits { ioq_walk_next(walk, &mut ent) } else { ioq_walk_try_next(walk, &mut ent) };
            match ret {
                1 => return Some(*ent),
                0 => return None,
                _ => assert_eq!((ret, errno(), waits), (-1, libc::EAGAIN, false)),
            }
            let mut poll = libc::pollfd { fd: ioq_walk_fd(walk), events: libc::POLLIN, revents: 0 };
            assert!(poll.fd >= 0);
            assert_eq!(libc::poll(&mut poll, 1, 60_000), 1, "an entry that never comes");
        }
    }
}

/// What was returned so far.
#[derive(Default)]
struct Returned {
    /// How often by each path, at the first visit.
    paths: BTreeMap<Vec<u8>, usize>,
    /// The words of directories that are being walked.
    directories: BTreeMap<usize, Box<Directory>>,
    seconds: usize,
}

impl Returned {
    fn take(&mut self, ent: &ioq_walk_ent, flags: u32) {
        // SAFETY: all of it is there until the next call; a word is NULL, or was written here.
        let (path, name, data, parent) = unsafe {
            let word = |place: *mut *mut c_void| place.as_ref().map(|word| word.cast::<Directory>());
            let parent = word(ent.parent_data);
            (CStr::from_ptr(ent.path).to_bytes(), CStr::from_ptr(ent.name).to_bytes(), word(ent.data), parent)
        };
        assert_eq!(path.len(), ent.path_len);
        assert!(path.ends_with(name));
        assert_eq!(parent.is_some(), ent.depth > 0);
        assert_eq!(ent.data.is_null(), ent.kind != libc::DT_DIR || ent.error != 0 && !ent.post);
        assert_eq!(ent.dirfd == libc::AT_FDCWD, ent.depth == 0);
        if flags & IOQ_WALK_STAT == 0 {
            assert!(ent.stat.is_null());
        } else if ent.error == 0 {
            assert!(!ent.stat.is_null());
        }
        if let Some(parent) = parent.filter(|parent| !parent.is_null()) {
            // SAFETY: boxed here, and kept until the second visit.
            let parent = unsafe { &*parent };
            assert_eq!(parent.depth + 1, ent.depth);
            let rest = path.strip_prefix(&parent.path[..]).expect("a path that begins with its directory's");
            assert_eq!(rest.strip_prefix(b"/").unwrap_or(rest), name);
        }
        if ent.post {
            self.seconds += 1;
            assert!(flags & IOQ_WALK_POST != 0 || ent.error != 0);
            // Without a first visit there is no word.
            if let Some(data) = data.filter(|data| !data.is_null()) {
                let directory = self.directories.remove(&data.addr()).expect("a directory that was not left");
                assert_eq!((&directory.path[..], directory.depth), (path, ent.depth));
            }
            return;
        }
        assert!(ent.kind != libc::DT_DIR || ent.error != 0 || returns_first(flags));
        *self.paths.entry(path.to_vec()).or_default() += 1;
        if let Some(data) = data {
            assert!(data.is_null());
            let directory = Box::new(Directory { path: path.to_vec(), depth: ent.depth });
            let word = ptr::from_ref(&*directory);
            self.directories.insert(word.addr(), directory);
            // SAFETY: the word is the program's.
            unsafe { *ent.data = word.cast_mut().cast() };
        }
    }

    /// Everything was returned that is there.
    fn check_all(&self, expected: &BTreeMap<Vec<u8>, (usize, bool)>, flags: u32) {
        let mut seconds = 0;
        for (path, &(count, is_directory)) in expected {
            let seen = self.paths.get(path).copied().unwrap_or(0);
            let is_returned = !is_directory || returns_first(flags);
            assert_eq!(seen, if is_returned { count } else { 0 }, "{:?}", path.escape_ascii().to_string());
            seconds += if is_directory { count } else { 0 };
        }
        for path in self.paths.keys().filter(|path| !is_changing_path(path)) {
            assert!(expected.contains_key(path), "{:?}", path.escape_ascii().to_string());
        }
        let changing = self.paths.keys().any(|path| is_changing_path(path));
        if flags & IOQ_WALK_POST != 0 && !changing {
            assert!(self.directories.is_empty());
            assert!(self.seconds >= seconds);
        }
    }
}

fn returns_first(flags: u32) -> bool {
    flags & IOQ_WALK_PRE != 0 || flags & IOQ_WALK_POST == 0
}

fn is_changing_path(path: &[u8]) -> bool {
    path.windows(CHANGING.len()).any(|part| part == CHANGING)
}

unsafe extern "C" fn is_changing(ent: *const ioq_walk_ent, arg: *mut c_void) -> bool {
    assert_eq!(arg.addr(), 1);
    // SAFETY: the entry is there during the call.
    unsafe { is_changing_path(CStr::from_ptr((*ent).name).to_bytes()) }
}

/// How often each path is to be returned, and whether it is a directory. None where that is not to be told.
fn expect(roots: &[CString], flags: u32, max_depth: usize) -> Option<BTreeMap<Vec<u8>, (usize, bool)>> {
    let mut all = BTreeMap::new();
    for root in roots {
        let mut root = root.to_bytes();
        if root.len() > LONG {
            return None;
        }
        while root.ends_with(b"//") {
            root = &root[..root.len() - 1];
        }
        add(&mut all, root, flags, flags & (IOQ_WALK_FOLLOW | IOQ_WALK_FOLLOW_ROOTS) != 0, max_depth);
    }
    Some(all)
}

fn add(all: &mut BTreeMap<Vec<u8>, (usize, bool)>, path: &[u8], flags: u32, follows: bool, deeper: usize) {
    if is_changing_path(path) {
        return;
    }
    let file = Path::new(OsStr::from_bytes(path));
    let metadata = if follows { fs::metadata(file) } else { fs::symlink_metadata(file) };
    let is_directory = metadata.is_ok_and(|metadata| metadata.is_dir());
    let entry = all.entry(path.to_vec()).or_insert((0, is_directory));
    entry.0 += 1;
    if !is_directory || deeper == 0 {
        return;
    }
    for entry in fs::read_dir(file).expect("a directory") {
        let name = entry.expect("an entry").file_name();
        let mut below = path.to_vec();
        if !below.ends_with(b"/") {
            below.push(b'/');
        }
        below.extend_from_slice(name.as_bytes());
        add(all, &below, flags, flags & IOQ_WALK_FOLLOW != 0, deeper - 1);
    }
}

fn on_null() {
    let null = ptr::null_mut();
    let mut ent = ptr::null();
    // SAFETY: NULL is allowed everywhere here.
    unsafe {
        assert_eq!((ioq_walk_next(null, &mut ent), errno()), (-1, libc::EINVAL));
        assert_eq!((ioq_walk_try_next(null, &mut ent), errno()), (-1, libc::EINVAL));
        assert_eq!((ioq_walk_fd(null), errno()), (-1, libc::EINVAL));
        ioq_walk_prune(null);
        assert_eq!(ioq_walk_close(null), 0);
    }
}
