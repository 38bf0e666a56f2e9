//! A whole directory, or a good part of one, read at once.

use super::calls;
use super::dirent::Record;
use crate::platform::alloc;
use crate::platform::errno::Errno;
use libc::c_int;

/// How much room the kernel gets for each read, at least. More than a record takes, whatever names the file system has.
const ROOM: usize = 32 << 10;

/// How many bytes of records are enough for a part: some thousand entries, or hundreds with long names.
const PART: usize = 64 << 10;

/// What was read from a directory.
pub struct Records {
    bytes: Vec<u8>,
    /// How many records there are, those of the directory itself and its parent apart.
    pub count: usize,
    /// How many bytes their names take, each with its NUL.
    pub names_size: usize,
    /// Why the reading broke off, if it did.
    pub error: Option<Errno>,
    /// Whether there may be more to read.
    pub more: bool,
}

impl Records {
    /// Reads a directory from its current position to its end, or only a part of it. Fails if nothing at all can be read, or
    /// there is no memory.
    pub fn read(fd: c_int, part: bool) -> Result<Self, Errno> {
        let mut records = Self { bytes: Vec::new(), count: 0, names_size: 0, error: None, more: false };
        loop {
            if part && records.bytes.len() >= PART {
                records.more = true;
                return Ok(records);
            }
            match records.append(fd) {
                // A directory that was removed meanwhile has no more entries.
                Ok(0) | Err(Errno(libc::ENOENT)) => return Ok(records),
                Ok(_) => {}
                Err(e) if e == alloc::NO_MEMORY || records.bytes.is_empty() => return Err(e),
                Err(e) => {
                    records.error = Some(e);
                    return Ok(records);
                }
            }
        }
    }

    /// Reads as many records as there is room for. Returns how many bytes they take: 0 at the end.
    fn append(&mut self, fd: c_int) -> Result<usize, Errno> {
        let start = self.bytes.len();
        if self.bytes.capacity() - start < ROOM {
            alloc::reserve(&mut self.bytes, start + ROOM)?;
        }
        let size = calls::read(fd, self.bytes.spare_capacity_mut())?;
        // SAFETY: the kernel wrote so many.
        unsafe { self.bytes.set_len(start + size) };

        let mut end = start;
        while end < start + size {
            let Some(record) = Record::first(&self.bytes[end..]) else {
                self.bytes.truncate(end);
                return Err(Errno(libc::EIO));
            };
            end += record.size;
            if !record.is_dot() {
                self.count += 1;
                self.names_size += record.name.count_bytes() + 1;
            }
        }
        Ok(size)
    }

    /// The records, those of the directory itself and its parent apart.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let record = Record::first(rest)?;
            rest = &rest[record.size..];
            Some(record)
        })
        .filter(|record| !record.is_dot())
    }
}
