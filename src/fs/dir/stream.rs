//! The directory stream: a descriptor, and what was read ahead from it.

use super::dirent::{self, Record};
use super::{bfs_dir_flags::BFS_DIR_WHITEOUTS, bfs_dirent, calls};
use crate::entry::bfs_dir;
use crate::platform::errno::Errno;
use libc::{c_char, c_int, c_uint};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::slice;

/// A block that `malloc()` still takes from its heap, and that holds the whole of most directories.
const SIZE: usize = 64 << 10;
const BUF_SIZE: usize = SIZE - size_of::<Head>();

/// What `struct bfs_dir` is in this library: the one block that `bfs_allocdir()` allocates.
#[repr(C)]
struct Stream {
    head: Head,
    /// Written by the kernel up to `head.end`; the rest was never initialised.
    buf: MaybeUninit<[u8; BUF_SIZE]>,
}

struct Head {
    /// The descriptor; -1 if the directory is not open.
    fd: c_int,
    /// Whether whiteouts are entries.
    whiteouts: bool,
    /// Whether there is nothing after `end`.
    eof: bool,
    /// Where in the buffer the next record starts.
    pos: usize,
    /// Where the last record ends.
    end: usize,
}

impl Head {
    const CLOSED: Self = Self { fd: -1, whiteouts: false, eof: false, pos: 0, end: 0 };
}

/// An allocated directory that is not open.
pub fn alloc() -> Result<NonNull<bfs_dir>, Errno> {
    // SAFETY: always safe.
    let stream: *mut Stream = unsafe { libc::malloc(size_of::<Stream>()) }.cast();
    let dir = NonNull::new(stream.cast()).ok_or_else(Errno::last)?;
    // SAFETY: a fresh block of the right size, aligned for any type.
    unsafe { (&raw mut (*stream).head).write(Head::CLOSED) };
    Ok(dir)
}

/// Opens `path` relative to `dfd`, or adopts `dfd` if there is no path.
///
/// # Safety
///
/// `dir` must be NULL or come from `alloc()` and be in nobody else's hands, and `path` NULL or a string.
pub unsafe fn open(dir: *mut bfs_dir, dfd: c_int, path: *const c_char, flags: c_uint) -> Result<(), Errno> {
    // SAFETY: passed on to the caller.
    let stream = unsafe { stream(dir) }?;
    let fd = if !path.is_null() {
        // SAFETY: `path` is a string.
        unsafe { calls::open(dfd, path, 0) }?
    } else if dfd >= 0 {
        dfd
    } else {
        return Err(Errno(libc::EBADF));
    };
    stream.head = Head { fd, whiteouts: flags & BFS_DIR_WHITEOUTS as c_uint != 0, ..Head::CLOSED };
    Ok(())
}

/// The descriptor.
///
/// # Safety
///
/// `dir` must be NULL or come from `alloc()`, and nobody may be changing it.
pub unsafe fn fd(dir: *const bfs_dir) -> Result<c_int, Errno> {
    // SAFETY: by this function's contract; the head is initialised from the start.
    let head = unsafe { dir.cast::<Stream>().as_ref() }.map(|stream| &stream.head);
    match head.ok_or(Errno(libc::EINVAL))?.fd {
        -1 => Err(Errno(libc::EBADF)),
        fd => Ok(fd),
    }
}

/// Makes sure that there is a record to be read; false at the end of the directory.
///
/// # Safety
///
/// `dir` must be NULL or come from `alloc()` and be in nobody else's hands.
pub unsafe fn poll(dir: *mut bfs_dir) -> Result<bool, Errno> {
    // SAFETY: passed on to the caller.
    unsafe { stream(dir) }?.fill()
}

/// Reads an entry, whose name stays in the stream until more is read; none at the end of the directory.
///
/// # Safety
///
/// `dir` must be NULL or come from `alloc()` and be in nobody else's hands.
pub unsafe fn read(dir: *mut bfs_dir) -> Result<Option<bfs_dirent>, Errno> {
    // SAFETY: passed on to the caller.
    let stream = unsafe { stream(dir) }?;
    while stream.fill()? {
        let whiteouts = stream.head.whiteouts;
        let record = Record::first(stream.unread()).ok_or(Errno(libc::EIO))?;
        let (size, skipped) = (record.size, record.is_dot() || record.is_whiteout() && !whiteouts);
        let entry = bfs_dirent { r#type: record.file_type(), name: record.name.as_ptr() };
        stream.head.pos += size;
        if !skipped {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// Closes the descriptor.
///
/// # Safety
///
/// `dir` must be NULL or come from `alloc()` and be in nobody else's hands.
pub unsafe fn close(dir: *mut bfs_dir) -> Result<(), Errno> {
    // SAFETY: passed on to the caller.
    let fd = unsafe { unwrap(dir) }?;
    // Linux releases the descriptor whatever the result, even EINTR: to retry would be to close somebody else's.
    // SAFETY: the stream owned the descriptor and has forgotten it.
    if unsafe { libc::close(fd) } == 0 { Ok(()) } else { Err(Errno::last()) }
}

/// Takes the descriptor out, which closes the stream but not the directory.
///
/// # Safety
///
/// `dir` must be NULL or come from `alloc()` and be in nobody else's hands.
pub unsafe fn unwrap(dir: *mut bfs_dir) -> Result<c_int, Errno> {
    // SAFETY: passed on to the caller.
    unsafe {
        let fd = fd(dir)?;
        stream(dir)?.head = Head::CLOSED;
        Ok(fd)
    }
}

/// What is behind C's pointer.
///
/// # Safety
///
/// `dir` must be NULL or come from `alloc()` and be in nobody else's hands.
unsafe fn stream<'a>(dir: *mut bfs_dir) -> Result<&'a mut Stream, Errno> {
    // SAFETY: `alloc()` initialised the head, and the buffer need not be.
    unsafe { dir.cast::<Stream>().as_mut() }.ok_or(Errno(libc::EINVAL))
}

impl Stream {
    /// What was read from the directory but not from the stream.
    fn unread(&self) -> &[u8] {
        let Head { pos, end, .. } = self.head;
        // SAFETY: the kernel wrote everything up to `end`, and `pos` never gets past it.
        unsafe { slice::from_raw_parts(self.buf.as_ptr().cast::<u8>().add(pos), end - pos) }
    }

    /// Reads ahead if everything was read from the stream; false at the end of the directory.
    fn fill(&mut self) -> Result<bool, Errno> {
        if self.head.pos < self.head.end {
            return Ok(true);
        }
        (self.head.pos, self.head.end) = (0, 0);
        if !self.head.eof {
            self.append()?;
        }
        // Only an empty read tells that a directory ends. Done now, it need not be done when the caller waits for it.
        if self.head.end > 0 && !self.head.eof && BUF_SIZE - self.head.end >= dirent::MAX_SIZE {
            // An error will come back when its turn comes.
            let _ = self.append();
        }
        Ok(self.head.end > 0)
    }

    /// Reads as many records as fit after `end`.
    fn append(&mut self) -> Result<(), Errno> {
        let Head { fd, end, .. } = self.head;
        // SAFETY: what comes after `end` is the stream's, and need not be initialised.
        let room = unsafe { slice::from_raw_parts_mut(self.buf.as_mut_ptr().cast::<MaybeUninit<u8>>(), BUF_SIZE) };
        let size = calls::read(fd, &mut room[end..])?;
        self.head.end += size;
        self.head.eof = size == 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::dirent::{DT_WHT, tests::record};
    use super::*;
    use std::ffi::CStr;

    /// What is read from a stream that the kernel gave these bytes to, and then the end of the directory.
    fn read_all(whiteouts: bool, bytes: &[u8]) -> Result<Vec<&'static CStr>, Errno> {
        let dir = alloc().unwrap().as_ptr();
        // SAFETY: allocated above, and leaked, so that the names stay.
        unsafe {
            let stream = stream(dir).unwrap();
            stream.head = Head { whiteouts, eof: true, end: bytes.len(), ..Head::CLOSED };
            stream.buf.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            let mut names = vec![];
            while let Some(entry) = read(dir)? {
                names.push(CStr::from_ptr(entry.name));
            }
            Ok(names)
        }
    }

    #[test]
    fn whiteouts_are_listed_only_on_request() {
        let bytes = [record(libc::DT_REG, b"file", 1), record(DT_WHT, b"hidden", 1), record(libc::DT_DIR, b"..", 0)];
        assert_eq!(read_all(false, &bytes.concat()), Ok(vec![c"file"]));
        assert_eq!(read_all(true, &bytes.concat()), Ok(vec![c"file", c"hidden"]));
    }

    #[test]
    fn nonsense_is_an_error() {
        let mut bytes = record(libc::DT_REG, b"file", 0);
        bytes.truncate(bytes.len() - 1);
        assert_eq!(read_all(false, &bytes), Err(Errno(libc::EIO)));
    }
}
