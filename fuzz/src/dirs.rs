//! The directories that the calls share, and what each must be like: open or not, or in the hands of a queue.

use crate::abi::*;
use crate::files::{self, Files};
use crate::input::{At, DIRS, Path, Use};
use libc::c_int;
use std::ffi::CStr;
use std::ptr;
use std::rc::Rc;

/// An entry of a directory.
#[derive(Debug)]
pub struct Entry {
    pub name: Box<CStr>,
    pub kind: c_int,
}

/// What reading a directory gives.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The entries, in the order of the file system.
    entries: Rc<[Entry]>,
    /// How many of them were read.
    read: usize,
    /// The errno that reading fails with, for what is no directory; or 0.
    pub errno: c_int,
}

impl Listing {
    pub fn of(entries: Vec<Entry>) -> Self {
        Self { entries: entries.into(), read: 0, errno: 0 }
    }

    pub fn error(errno: c_int) -> Self {
        Self { errno, ..Self::of(vec![]) }
    }

    fn is_at_end(&self) -> bool {
        self.read == self.entries.len()
    }
}

#[derive(Clone, Debug)]
pub enum State {
    Closed,
    /// In a request. Nobody may touch it.
    Busy,
    Open(Listing),
}

pub struct Dirs([(*mut bfs_dir, State); DIRS]);

impl Dirs {
    pub fn new() -> Self {
        // SAFETY: always safe.
        let dirs = Self([(); DIRS].map(|()| (unsafe { bfs_allocdir() }, State::Closed)));
        assert!(dirs.0.iter().all(|(dir, _)| !dir.is_null()));
        dirs
    }

    /// NULL for an index beyond the last.
    pub fn pointer(&self, index: usize) -> *mut bfs_dir {
        self.0.get(index).map_or(ptr::null_mut(), |&(dir, _)| dir)
    }

    /// The descriptor of an open directory.
    pub fn fd(&self, index: usize) -> c_int {
        // SAFETY: a directory that nobody else uses.
        unsafe { bfs_dirfd(self.pointer(index)) }
    }

    pub fn state(&self, index: usize) -> State {
        self.0.get(index).map_or(State::Closed, |(_, state)| state.clone())
    }

    pub fn set(&mut self, index: usize, state: State) {
        self.0[index].1 = state;
        let (dir, ref state) = self.0[index];
        if let State::Busy = state {
            return;
        }
        // SAFETY: nobody else uses the directory.
        let fd = unsafe { bfs_dirfd(dir) };
        match state {
            State::Open(_) => assert!(fd >= 0),
            _ => assert_eq!((fd, errno()), (-1, libc::EBADF)),
        }
    }

    /// Uses a directory without a queue.
    pub fn use_alone(&mut self, index: usize, how: Use) {
        let dir = self.pointer(index);
        let state = self.state(index);
        if let State::Busy = state {
            return;
        }
        let bad = if dir.is_null() { libc::EINVAL } else { libc::EBADF };
        // SAFETY: nobody else uses the directory.
        unsafe {
            match (how, state) {
                (Use::Open(path), State::Closed) if !dir.is_null() => self.open(index, path),
                (Use::Open(_), State::Closed) => {
                    assert_eq!((bfs_opendir(dir, libc::AT_FDCWD, c".".as_ptr(), 0), errno()), (-1, bad));
                }
                // Nothing to be done with one that is open.
                (Use::Open(_), _) => {}
                (Use::Read(count), State::Open(_)) => {
                    // One more than there are shows that the end stays the end.
                    for _ in 0..count {
                        self.read(index, true);
                    }
                }
                (Use::PassOver, State::Open(_)) => _ = self.read(index, false),
                (Use::ReadToEnd, State::Open(_)) => while self.read(index, true) {},
                (Use::Poll, State::Open(listing)) => {
                    let ret = bfs_polldir(dir);
                    if listing.errno != 0 {
                        assert_eq!((ret, errno()), (-1, listing.errno));
                    } else {
                        // What is still to be listed may be but "." and "..".
                        assert!(ret == 1 || ret == 0 && listing.is_at_end());
                    }
                }
                (Use::Fd, State::Open(_)) => assert!(bfs_dirfd(dir) >= 0),
                (Use::Close, State::Open(listing)) => {
                    let ret = bfs_closedir(dir);
                    assert!(ret == 0 || (ret, errno(), listing.errno) == (-1, libc::EBADF, libc::EBADF));
                    self.set(index, State::Closed);
                }
                (Use::Unwrap, State::Open(listing)) => {
                    let fd = bfs_unwrapdir(dir);
                    assert!(fd >= 0 && files::is_open(fd) == (listing.errno != libc::EBADF));
                    libc::close(fd);
                    self.set(index, State::Closed);
                }
                // Not open, or none at all.
                (Use::Read(_) | Use::PassOver | Use::ReadToEnd, _) => {
                    assert_eq!((bfs_readdir(dir, ptr::null_mut()), errno()), (-1, bad));
                }
                (Use::Poll, _) => assert_eq!((bfs_polldir(dir), errno()), (-1, bad)),
                (Use::Fd, _) => assert_eq!((bfs_dirfd(dir), errno()), (-1, bad)),
                (Use::Close, _) => assert_eq!((bfs_closedir(dir), errno()), (-1, bad)),
                (Use::Unwrap, _) => assert_eq!((bfs_unwrapdir(dir), errno()), (-1, bad)),
            }
        }
    }

    /// Opens a directory that is not open.
    fn open(&mut self, index: usize, path: u8) {
        let path = files::string(&Path::Known(path)).expect("not NULL");
        let root = Files::get().at(At::Root);
        let (expected, listing) = files::expect_opendir(root, &path);
        // SAFETY: the directory is not open, and in nobody else's hands.
        let ret = unsafe { bfs_opendir(self.pointer(index), root, path.as_ptr(), 0) };
        assert_eq!(if ret == 0 { 0 } else { -errno() }, expected);
        self.set(index, if ret == 0 { State::Open(listing) } else { State::Closed });
    }

    /// Reads an entry. Returns whether there was one.
    ///
    /// # Safety
    ///
    /// The directory must be open, and nobody else may be using it.
    unsafe fn read(&mut self, index: usize, look: bool) -> bool {
        let (dir, State::Open(listing)) = &mut self.0[index] else { return false };
        let untouched = bfs_dirent { kind: -77, name: ptr::dangling() };
        let mut entry = untouched;
        // SAFETY: as this function's contract says; NULL is allowed.
        let ret = unsafe { bfs_readdir(*dir, if look { &mut entry } else { ptr::null_mut() }) };
        let expected = listing.entries.get(listing.read);
        if listing.errno != 0 {
            assert_eq!((ret, errno()), (-1, listing.errno));
        } else {
            assert_eq!(ret, if expected.is_some() { 1 } else { 0 });
        }
        match expected {
            Some(expected) if look => {
                // SAFETY: filled, and the name valid until the next call with the directory.
                let name = unsafe { CStr::from_ptr(entry.name) };
                assert_eq!((name, entry.kind), (&*expected.name, expected.kind));
            }
            _ => assert_eq!(entry, untouched),
        }
        listing.read += usize::from(expected.is_some());
        ret == 1
    }

    /// Reads what is still open to its end.
    pub fn read_all(&mut self) {
        for index in 0..DIRS {
            self.use_alone(index, Use::ReadToEnd);
        }
    }
}

impl Drop for Dirs {
    fn drop(&mut self) {
        for (dir, state) in &self.0 {
            // SAFETY: no queue is left that might use it; it is gone after this. A panic may have left any state.
            unsafe {
                if let State::Open(_) = state {
                    bfs_closedir(*dir);
                }
                libc::free(dir.cast());
            }
        }
    }
}
