//! What C programs see of directories.

use super::bfs_dir_flags::BFS_DIR_WHITEOUTS;
use super::*;
use crate::platform::errno::Errno;
use libc::{AT_FDCWD, EBADF, EINVAL, ENOENT, ENOTDIR};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};

/// An empty directory that is removed in the end.
pub struct TempDir(pub PathBuf);

impl TempDir {
    pub fn new() -> Self {
        let mut template = std::env::temp_dir().join("ioq-dir-XXXXXX").into_os_string().into_vec();
        template.push(0);
        // SAFETY: a writable string.
        assert!(!unsafe { libc::mkdtemp(template.as_mut_ptr().cast()) }.is_null());
        template.pop();
        Self(PathBuf::from(OsStr::from_bytes(&template)))
    }

    pub fn file(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, "").unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A directory of this library's, released in the end.
struct Dir(*mut bfs_dir);

impl Dir {
    fn new() -> Self {
        let dir = bfs_allocdir();
        assert!(!dir.is_null());
        Self(dir)
    }

    fn opened(path: &Path) -> Self {
        let dir = Self::new();
        assert_eq!(dir.open(AT_FDCWD, Some(path)), Ok(0));
        dir
    }

    fn open(&self, fd: c_int, path: Option<&Path>) -> Result<c_int, c_int> {
        let path = path.map(|path| CString::new(path.as_os_str().as_bytes()).unwrap());
        // SAFETY: allocated, and not open in any of these tests; the path is NULL or a string.
        checked(|| unsafe { bfs_opendir(self.0, fd, path.as_ref().map_or(null(), |path| path.as_ptr()), 0) })
    }

    fn poll(&self) -> Result<c_int, c_int> {
        // SAFETY: allocated.
        checked(|| unsafe { bfs_polldir(self.0) })
    }

    fn read(&self) -> Result<Option<(String, bfs_type)>, c_int> {
        let mut entry = bfs_dirent { r#type: bfs_type::BFS_ERROR, name: null() };
        // SAFETY: allocated, and the name is a string until the next read.
        unsafe {
            Ok(match checked(|| bfs_readdir(self.0, &mut entry))? {
                0 => None,
                _ => Some((CStr::from_ptr(entry.name).to_str().unwrap().into(), entry.r#type)),
            })
        }
    }

    fn list(&self) -> BTreeMap<String, bfs_type> {
        let mut entries = BTreeMap::new();
        while let Some((name, file_type)) = self.read().unwrap() {
            assert_eq!(entries.insert(name, file_type), None, "an entry is listed once");
        }
        entries
    }

    fn close(&self) -> Result<c_int, c_int> {
        // SAFETY: allocated.
        checked(|| unsafe { bfs_closedir(self.0) })
    }

    fn fd(&self) -> Result<c_int, c_int> {
        // SAFETY: allocated.
        checked(|| unsafe { bfs_dirfd(self.0) })
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = self.close();
        // SAFETY: from bfs_allocdir(), and not used any more.
        unsafe { libc::free(self.0.cast()) };
    }
}

/// What a C function returned, or `errno` if that is -1.
pub fn checked(call: impl FnOnce() -> c_int) -> Result<c_int, c_int> {
    match call() {
        -1 => Err(Errno::last().0),
        ret => Ok(ret),
    }
}

fn is_open(fd: c_int) -> bool {
    // SAFETY: touches no memory.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

#[test]
fn entries_have_names_and_types() {
    let temp = TempDir::new();
    temp.file("file");
    fs::create_dir(temp.0.join("dir")).unwrap();
    std::os::unix::fs::symlink("nowhere", temp.0.join("link")).unwrap();

    let expected = [("dir", bfs_type::BFS_DIR), ("file", bfs_type::BFS_REG), ("link", bfs_type::BFS_LNK)];
    assert_eq!(Dir::opened(&temp.0).list(), expected.map(|(name, file_type)| (name.into(), file_type)).into());
}

#[test]
fn an_empty_directory_has_no_entries() {
    let temp = TempDir::new();
    let dir = Dir::opened(&temp.0);
    assert_eq!(dir.read(), Ok(None));
    assert_eq!((dir.read(), dir.poll()), (Ok(None), Ok(0)), "the end stays the end");
}

#[test]
fn a_directory_larger_than_the_buffer_is_listed_in_full() {
    let temp = TempDir::new();
    let names: Vec<_> = (0..2000).map(|i| format!("{i:0>100}")).collect();
    names.iter().for_each(|name| drop(temp.file(name)));
    assert!(Dir::opened(&temp.0).list().into_keys().eq(names));
}

#[test]
fn the_longest_names_are_whole() {
    let temp = TempDir::new();
    let names: Vec<_> = (0..500).map(|i| format!("{i:x>255}")).collect();
    names.iter().for_each(|name| drop(temp.file(name)));
    let mut listed: Vec<_> = Dir::opened(&temp.0).list().into_keys().collect();
    listed.sort_by_key(|name| name.trim_start_matches('x').parse::<usize>().unwrap());
    assert_eq!(listed, names);
}

#[test]
fn polling_reads_ahead() {
    let temp = TempDir::new();
    let file = temp.file("file");
    let dir = Dir::opened(&temp.0);
    assert_eq!((dir.poll(), dir.poll()), (Ok(1), Ok(1)));

    fs::remove_file(file).unwrap();
    assert_eq!(dir.read().unwrap().unwrap().0, "file", "what was read ahead is not read again");
    assert_eq!(dir.read(), Ok(None));
}

#[test]
fn entries_can_be_passed_over() {
    let temp = TempDir::new();
    temp.file("a");
    temp.file("b");
    let dir = Dir::opened(&temp.0);
    // SAFETY: open.
    assert_eq!(unsafe { bfs_readdir(dir.0, null_mut()) }, 1);
    assert!(dir.read().unwrap().is_some());
    assert_eq!(dir.read(), Ok(None));
}

#[test]
fn a_path_is_relative_to_the_descriptor() {
    let temp = TempDir::new();
    fs::create_dir(temp.0.join("sub")).unwrap();
    temp.file("sub/file");
    let base = fs::File::open(&temp.0).unwrap();

    let dir = Dir::new();
    assert_eq!(dir.open(base.as_raw_fd(), Some(Path::new("sub"))), Ok(0));
    assert!(dir.list().into_keys().eq(["file"]));
}

#[test]
fn what_cannot_be_opened_is_told_why() {
    let temp = TempDir::new();
    let file = temp.file("file");
    let dir = Dir::new();
    assert_eq!(dir.open(AT_FDCWD, Some(&file)), Err(ENOTDIR));
    assert_eq!(dir.open(AT_FDCWD, Some(&temp.0.join("nothing"))), Err(ENOENT));
    assert_eq!(dir.open(-1, Some(Path::new("relative"))), Err(EBADF));
    assert_eq!(dir.open(-1, None), Err(EBADF));
    assert_eq!(dir.open(AT_FDCWD, None), Err(EBADF));
    assert_eq!(dir.fd(), Err(EBADF), "it is not open");
}

#[test]
fn without_a_path_the_descriptor_is_adopted() {
    let temp = TempDir::new();
    temp.file("file");
    let fd = fs::File::open(&temp.0).unwrap().into_raw_fd();

    let dir = Dir::new();
    assert_eq!(dir.open(fd, None), Ok(0));
    assert_eq!(dir.fd(), Ok(fd));
    assert!(dir.list().into_keys().eq(["file"]));
    assert_eq!(dir.close(), Ok(0));
    assert_eq!(dir.fd(), Err(EBADF));
}

#[test]
fn an_adopted_file_is_found_out_on_reading() {
    let temp = TempDir::new();
    let dir = Dir::new();
    let fd = fs::File::open(temp.file("file")).unwrap().into_raw_fd();
    assert_eq!(dir.open(fd, None), Ok(0));
    assert_eq!((dir.poll(), dir.read()), (Err(ENOTDIR), Err(ENOTDIR)));
    assert_eq!(dir.close(), Ok(0), "it is closed all the same");
}

#[test]
fn a_removed_directory_is_an_error() {
    let temp = TempDir::new();
    let sub = temp.0.join("sub");
    fs::create_dir(&sub).unwrap();
    let dir = Dir::opened(&sub);
    fs::remove_dir(&sub).unwrap();
    assert_eq!(dir.read(), Err(ENOENT));
}

#[test]
fn the_descriptor_is_close_on_exec() {
    let dir = Dir::opened(Path::new("/"));
    // SAFETY: touches no memory.
    assert_eq!(unsafe { libc::fcntl(dir.fd().unwrap(), libc::F_GETFD) }, libc::FD_CLOEXEC);
}

#[test]
fn an_unwrapped_descriptor_stays_open() {
    let dir = Dir::opened(Path::new("/"));
    // SAFETY: open.
    let fd = checked(|| unsafe { bfs_unwrapdir(dir.0) }).unwrap();
    assert_eq!(dir.close(), Err(EBADF), "the directory has none any more");
    assert!(is_open(fd));
    // SAFETY: ours since it was unwrapped.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}

#[test]
fn a_closed_directory_can_be_opened_again() {
    let (one, two) = (TempDir::new(), TempDir::new());
    one.file("one");
    two.file("two");
    let dir = Dir::opened(&one.0);
    assert_eq!(dir.poll(), Ok(1));
    assert_eq!(dir.close(), Ok(0));
    assert_eq!(dir.open(AT_FDCWD, Some(&two.0)), Ok(0));
    assert!(dir.list().into_keys().eq(["two"]), "nothing is left of the first");
}

#[test]
fn a_directory_that_is_not_open_is_an_error() {
    let dir = Dir::new();
    assert_eq!((dir.poll(), dir.read(), dir.close(), dir.fd()), (Err(EBADF), Err(EBADF), Err(EBADF), Err(EBADF)));
}

#[test]
fn no_directory_is_an_error() {
    let none = null_mut();
    // SAFETY: NULL is allowed everywhere here.
    unsafe {
        assert_eq!(checked(|| bfs_opendir(none, AT_FDCWD, c"/".as_ptr(), 0)), Err(EINVAL));
        assert_eq!(checked(|| bfs_dirfd(none)), Err(EINVAL));
        assert_eq!(checked(|| bfs_polldir(none)), Err(EINVAL));
        assert_eq!(checked(|| bfs_readdir(none, null_mut())), Err(EINVAL));
        assert_eq!(checked(|| bfs_closedir(none)), Err(EINVAL));
        assert_eq!(checked(|| bfs_unwrapdir(none)), Err(EINVAL));
    }
}

#[test]
fn a_refused_descriptor_stays_the_callers() {
    let temp = TempDir::new();
    let fd = fs::File::open(&temp.0).unwrap();
    // SAFETY: a NULL directory is refused before anything else happens.
    let ret = checked(|| unsafe { bfs_opendir(null_mut(), fd.as_raw_fd(), null(), BFS_DIR_WHITEOUTS as c_uint) });
    assert_eq!(ret, Err(EINVAL));
    assert!(is_open(fd.as_raw_fd()));
}
