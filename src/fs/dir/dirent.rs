//! What `getdents64(2)` writes: records of a header, a name, and padding.

#![forbid(unsafe_code)]

use super::bfs_type;
use std::ffi::CStr;

/// Where the fields of `struct linux_dirent64` are. Nobody asks for the position, which comes second.
const INO: usize = 0;
const RECLEN: usize = 16;
const TYPE: usize = 18;
const NAME: usize = 19;

/// What a record takes at most where names have no more than 255 bytes: with the NUL, rounded up to the alignment of the
/// next.
pub const MAX_SIZE: usize = (NAME + 256).next_multiple_of(8);

/// A record, borrowed from the buffer.
#[derive(Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its size, and so where the next one starts.
    pub size: usize,
    /// The inode number.
    pub ino: u64,
    /// A `DT_` constant.
    pub d_type: u8,
    /// The name.
    pub name: &'a CStr,
}

impl<'a> Record<'a> {
    /// The record at the start of `buf`, or none if there is none that fits.
    pub fn first(buf: &'a [u8]) -> Option<Self> {
        let size = usize::from(u16::from_ne_bytes(buf.get(RECLEN..)?.first_chunk().copied()?));
        let record = buf.get(..size)?;
        Some(Self {
            size,
            ino: u64::from_ne_bytes(record.get(INO..)?.first_chunk().copied()?),
            d_type: *record.get(TYPE)?,
            name: CStr::from_bytes_until_nul(record.get(NAME..)?).ok()?,
        })
    }

    /// Whether this is the directory itself or its parent.
    pub fn is_dot(&self) -> bool {
        matches!(self.name.to_bytes(), b"." | b"..")
    }

    /// Whether this hides a file in a lower layer of a union mount.
    pub fn is_whiteout(&self) -> bool {
        self.d_type == DT_WHT
    }

    /// The type of the file, as far as the file system tells.
    pub fn file_type(&self) -> bfs_type {
        match self.d_type {
            libc::DT_BLK => bfs_type::BFS_BLK,
            libc::DT_CHR => bfs_type::BFS_CHR,
            libc::DT_DIR => bfs_type::BFS_DIR,
            libc::DT_FIFO => bfs_type::BFS_FIFO,
            libc::DT_LNK => bfs_type::BFS_LNK,
            libc::DT_REG => bfs_type::BFS_REG,
            libc::DT_SOCK => bfs_type::BFS_SOCK,
            DT_WHT => bfs_type::BFS_WHT,
            _ => bfs_type::BFS_UNKNOWN,
        }
    }
}

/// Linux has this constant (`include/linux/fs_types.h`), but no C library for it tells.
pub const DT_WHT: u8 = 14;

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The inode number of all records here.
    const SOME_INO: u64 = 0x1234_5678_9abc;

    /// A record as the kernel would write it, `padding` bytes longer than it needs to be.
    pub fn record(d_type: u8, name: &[u8], padding: usize) -> Vec<u8> {
        let size = NAME + name.len() + 1 + padding;
        let mut bytes = vec![0; NAME];
        bytes[INO..][..8].copy_from_slice(&SOME_INO.to_ne_bytes());
        bytes[RECLEN..TYPE].copy_from_slice(&u16::try_from(size).unwrap().to_ne_bytes());
        bytes[TYPE] = d_type;
        bytes.extend(name);
        bytes.resize(size, 0);
        bytes
    }

    #[test]
    fn records_follow_each_other() {
        let mut buf = record(libc::DT_DIR, b"first", 3);
        let next = buf.len();
        buf.extend(record(libc::DT_REG, b"second", 0));

        let first = Record::first(&buf).unwrap();
        assert_eq!(first, Record { size: next, ino: SOME_INO, d_type: libc::DT_DIR, name: c"first" });
        let second = Record::first(&buf[next..]).unwrap();
        assert_eq!((second.name, second.file_type()), (c"second", bfs_type::BFS_REG));
        assert_eq!(Record::first(&buf[next + second.size..]), None);
    }

    #[test]
    fn a_record_cut_short_is_none() {
        let buf = record(libc::DT_REG, b"name", 0);
        for len in 0..buf.len() {
            assert_eq!(Record::first(&buf[..len]), None, "{len} bytes");
        }
    }

    #[test]
    fn a_record_without_an_end_is_none() {
        let mut buf = record(libc::DT_REG, b"name", 0);
        *buf.last_mut().unwrap() = b'!';
        assert_eq!(Record::first(&buf), None);
    }

    #[test]
    fn a_record_of_no_size_is_none() {
        assert_eq!(Record::first(&[0; 64]), None);
    }

    #[test]
    fn only_dot_and_dot_dot_are_dots() {
        for (name, is_dot) in [(".", true), ("..", true), ("...", false), (".a", false), ("..a", false), ("a.", false)]
        {
            let buf = record(libc::DT_DIR, name.as_bytes(), 0);
            assert_eq!(Record::first(&buf).unwrap().is_dot(), is_dot, "{name}");
        }
    }

    #[test]
    fn types_are_told() {
        let file_type = |d_type| Record::first(&record(d_type, b"x", 0)).unwrap().file_type();
        assert_eq!(file_type(libc::DT_UNKNOWN), bfs_type::BFS_UNKNOWN);
        assert_eq!(file_type(libc::DT_LNK), bfs_type::BFS_LNK);
        assert_eq!(file_type(DT_WHT), bfs_type::BFS_WHT);
        assert_eq!(file_type(77), bfs_type::BFS_UNKNOWN);
    }

    #[test]
    fn the_longest_name_fits() {
        assert!(record(libc::DT_REG, &[b'x'; 255], 0).len() <= MAX_SIZE);
    }
}
