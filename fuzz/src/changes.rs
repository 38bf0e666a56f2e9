//! Requests that change names, or what is known of files.
//!
//! Each has two names of its own in a directory for this, and the same two in another, where plain calls make the same
//! change first: so it is known how both look before and after it.

use crate::abi::*;
use crate::files::{self, Files};
use crate::input::{self, There, Way, What};
use libc::{c_char, c_int, c_uint, c_void, timespec};
use std::ffi::{CStr, CString};
use std::ptr;

/// A change, whose path is its request's.
pub struct Change {
    what: What,
    names: [CString; 2],
    dfd: c_int,
    flags: c_int,
    mode: u32,
    times: Option<Box<[timespec; 2]>>,
    before: [Look; 2],
    after: [Look; 2],
}

/// How what has a name looks: whether it is old, its mode, how many links it has, its size and its owner. Nothing, if there
/// is nothing.
type Look = Option<(bool, u32, u64, i64, u32)>;

const OLD: i64 = 3;

impl Change {
    /// Chooses one, which plain calls make at once. Returns it with its path and its result.
    pub fn new(change: &input::Change, id: usize) -> (Self, CString, c_int) {
        let [by_queue, by_calls] = Files::get().changed;
        let name = |i| CString::new(format!("{id:x}-{i}")).expect("no NUL");
        let names = [name(0), name(1)];
        let text = names[0].to_str().expect("digits");
        let path = match change.way {
            Way::Name => text.into(),
            Way::Dot => format!("{text}/."),
            Way::Missing => format!("missing/{text}"),
            Way::Empty => String::new(),
            Way::Long => text.repeat(300),
        };
        let flags = change.flags.value();
        // That would be the directory itself.
        let flags = if path.is_empty() { flags & !libc::AT_EMPTY_PATH } else { flags };
        let times = [(1, 2), (OLD, if change.mode % 2 == 0 { 4 } else { 1_000_000_000 })];
        let times = times.map(|(tv_sec, tv_nsec)| timespec { tv_sec, tv_nsec });
        let mut made = Self {
            what: change.what,
            names,
            dfd: if change.lost { -1 } else { by_queue },
            flags,
            mode: change.mode.into(),
            times: (change.mode % 3 > 0).then(|| Box::new(times)),
            before: [None; 2],
            after: [None; 2],
        };
        for dfd in [by_queue, by_calls] {
            make(dfd, &made.names[0], change.first);
            make(dfd, &made.names[1], change.second);
        }
        let path = CString::new(path).expect("no NUL");
        made.before = made.look(by_calls);
        let result = made.plain(if change.lost { -1 } else { by_calls }, &path);
        made.after = made.look(by_calls);
        (made, path, result)
    }

    fn look(&self, dfd: c_int) -> [Look; 2] {
        [look(dfd, &self.names[0]), look(dfd, &self.names[1])]
    }

    fn times(&self) -> *const timespec {
        self.times.as_ref().map_or(ptr::null(), |times| times.as_ptr())
    }

    fn plain(&self, dfd: c_int, path: &CStr) -> c_int {
        let (path, new, flags) = (path.as_ptr(), self.names[1].as_ptr(), self.flags);
        // SAFETY: the paths are strings, and the times NULL or two.
        let ret = unsafe {
            match self.what {
                What::Unlink => libc::unlinkat(dfd, path, flags),
                What::Rename => libc::syscall(libc::SYS_renameat2, dfd, path, dfd, new, flags) as c_int,
                What::Mkdir => libc::mkdirat(dfd, path, self.mode),
                What::Link => libc::linkat(dfd, path, dfd, new, flags),
                What::Symlink => libc::symlinkat(new, dfd, path),
                What::Chmod if flags == 0 => libc::fchmodat(dfd, path, self.mode, 0),
                What::Chmod => match files::negated(libc::syscall(SYS_FCHMODAT2, dfd, path, self.mode, flags) as c_int)
                {
                    error if error == -libc::ENOSYS => libc::fchmodat(dfd, path, self.mode, flags),
                    result => return result,
                },
                What::Chown => libc::fchownat(dfd, path, self.mode, u32::MAX, flags),
                What::Utimens => libc::utimensat(dfd, path, self.times(), flags),
            }
        };
        files::negated(ret)
    }

    /// Submits it.
    ///
    /// # Safety
    ///
    /// `ioq` must be NULL or a live queue of this thread's, and this and the path stay where they are.
    pub unsafe fn submit(&self, ioq: *mut ioq, path: *const c_char, ptr: *mut c_void) -> c_int {
        let (dfd, new, flags) = (self.dfd, self.names[1].as_ptr(), self.flags);
        // SAFETY: by this function's contract.
        unsafe {
            match self.what {
                What::Unlink => ioq_unlink(ioq, dfd, path, flags, ptr),
                What::Rename => ioq_rename(ioq, dfd, path, dfd, new, flags.cast_unsigned(), ptr),
                What::Mkdir => ioq_mkdir(ioq, dfd, path, self.mode, ptr),
                What::Link => ioq_link(ioq, dfd, path, dfd, new, flags, ptr),
                What::Symlink => ioq_symlink(ioq, new, dfd, path, ptr),
                What::Chmod => ioq_chmod(ioq, dfd, path, self.mode, flags, ptr),
                What::Chown => ioq_chown(ioq, dfd, path, self.mode, u32::MAX, flags, ptr),
                What::Utimens => ioq_utimens(ioq, dfd, path, self.times(), flags, ptr),
            }
        }
    }

    /// Checks that all but the result is as it was submitted.
    pub fn check_entry(&self, response: &ioq_ent, path: *const c_char) {
        let (dfd, new, flags, args) = (self.dfd, self.names[1].as_ptr(), self.flags, &response.args);
        let op = match self.what {
            What::Unlink => IOQ_UNLINK,
            What::Rename => IOQ_RENAME,
            What::Mkdir => IOQ_MKDIR,
            What::Link => IOQ_LINK,
            What::Symlink => IOQ_SYMLINK,
            What::Chmod => IOQ_CHMOD,
            What::Chown => IOQ_CHOWN,
            What::Utimens => IOQ_UTIMENS,
        };
        assert_eq!(response.op, op);
        // SAFETY: the operation tells which arguments are there; so many numbers were written as are compared.
        let one = |numbers: &[c_int]| unsafe {
            assert_eq!(args.one.path, path);
            assert_eq!(&args.one.numbers[..numbers.len()], numbers);
        };
        // SAFETY: likewise.
        let two = |paths: [*const c_char; 2], numbers: &[c_int]| unsafe {
            assert_eq!(args.two.paths, paths);
            assert_eq!(&args.two.numbers[..numbers.len()], numbers);
        };
        let mode = self.mode.cast_signed();
        match self.what {
            What::Unlink => one(&[dfd, flags]),
            What::Rename | What::Link => two([path, new], &[dfd, dfd, flags]),
            What::Mkdir => one(&[dfd, mode]),
            What::Symlink => two([new, path], &[dfd]),
            What::Chmod => one(&[dfd, mode, flags]),
            What::Chown => one(&[dfd, mode, -1, flags]),
            What::Utimens => two([path, self.times().cast()], &[dfd, flags]),
        }
    }

    /// Checks what has come of it, and removes it. `made` tells whether it was made, if that is known.
    pub fn finish(&self, made: Option<bool>) {
        let [by_queue, by_calls] = Files::get().changed;
        let look = self.look(by_queue);
        assert!(made == Some(true) || look == self.before || made.is_none(), "{look:?} instead of {:?}", self.before);
        assert!(made == Some(false) || look == self.after || made.is_none(), "{look:?} instead of {:?}", self.after);
        assert!(look == self.before || look == self.after, "half made: {look:?}");
        for dfd in [by_queue, by_calls] {
            for name in &self.names {
                // SAFETY: the name is a string.
                unsafe {
                    libc::unlinkat(dfd, name.as_ptr(), 0);
                    libc::unlinkat(dfd, name.as_ptr(), libc::AT_REMOVEDIR);
                }
                assert_eq!(self::look(dfd, name), None);
            }
        }
    }
}

fn make(dfd: c_int, name: &CStr, there: There) {
    // SAFETY: the name is a string, and the descriptor nobody else's.
    unsafe {
        match there {
            There::Nothing => {}
            There::File => {
                let fd =
                    libc::openat(dfd, name.as_ptr(), libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC, 0o644 as c_uint);
                assert!(fd >= 0);
                libc::close(fd);
            }
            There::Directory => assert_eq!(libc::mkdirat(dfd, name.as_ptr(), 0o755), 0),
        }
    }
}

fn look(dfd: c_int, name: &CStr) -> Look {
    // SAFETY: zeros are a valid structure, and the name is a string.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        let found = libc::fstatat(dfd, name.as_ptr(), &mut stat, libc::AT_SYMLINK_NOFOLLOW) == 0;
        found.then_some((stat.st_mtime == OLD, stat.st_mode, stat.st_nlink, stat.st_size, stat.st_uid))
    }
}
