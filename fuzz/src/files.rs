//! The files and descriptors that the calls are about, made once for all inputs; and what the kernel itself says of them.

use crate::abi::{BFS_STAT_NOFOLLOW, BFS_STAT_TRYFOLLOW, errno};
use crate::dirs::Listing;
use crate::input::{At, Path};
use libc::{c_char, c_int, c_uint};
use std::cell::Cell;
use std::env;
use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process;
use std::ptr;
use std::sync::OnceLock;

/// Entries of the full directory, with names so long that one read does not take them all in.
const MANY: usize = 350;
const NAME: usize = 210;

/// Paths that mean something, relative to the root.
const KNOWN: [&[u8]; 16] = [
    b"",
    b".",
    b"file",
    b"file/below",
    b"empty",
    b"empty/",
    b"full",
    b"dirlink/",
    b"link",
    b"dirlink",
    b"broken",
    b"loop",
    b"fifo",
    b"missing",
    b"missing/below",
    b"\xff\xfe\x01 \n",
];

/// Numbers that nothing else in the process gets: the kernel gives out the lowest that is free.
const FIRST_NUMBER: c_int = 400;
const LAST_NUMBER: c_int = 1000;

pub struct Files {
    path: PathBuf,
    root: c_int,
    full: c_int,
    file: c_int,
    pipe: c_int,
}

impl Files {
    pub fn get() -> &'static Self {
        static FILES: OnceLock<Files> = OnceLock::new();
        FILES.get_or_init(|| Self::make().expect("temporary files"))
    }

    fn make() -> io::Result<Self> {
        let path = env::temp_dir().join(format!("ioq-fuzz-{}", process::id()));
        fs::create_dir(&path)?;
        fs::write(path.join("file"), "x")?;
        fs::create_dir(path.join("empty"))?;
        fs::create_dir(path.join("full"))?;
        for i in 0..MANY {
            fs::write(path.join(format!("full/{i:0NAME$}")), "")?;
        }
        symlink("file", path.join("link"))?;
        symlink("full", path.join("dirlink"))?;
        symlink("missing", path.join("broken"))?;
        symlink("loop", path.join("loop"))?;
        fs::write(path.join(std::ffi::OsStr::from_bytes(KNOWN[15])), "")?;
        let name = |name: &str| CString::new(path.join(name).as_os_str().as_bytes()).expect("no NUL");
        // SAFETY: the paths are strings; the array has room for two.
        unsafe {
            assert_eq!(libc::mkfifo(name("fifo").as_ptr(), 0o644), 0);
            let mut pipe = [-1; 2];
            assert_eq!(libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC), 0);
            let open = |at| libc::open(name(at).as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            let files = Self { root: open("."), full: open("full"), file: open("file"), pipe: pipe[0], path };
            assert!(files.root >= 0 && files.full >= 0 && files.file >= 0);
            libc::atexit(remove);
            // What is relative to the current directory must not come and go either.
            env::set_current_dir(&files.path)?;
            Ok(files)
        }
    }

    /// The descriptor, or what goes for one.
    pub fn at(&self, at: At) -> c_int {
        match at {
            At::Root => self.root,
            At::Full => self.full,
            At::File => self.file,
            At::Pipe => self.pipe,
            At::Invalid(invalid) => invalid.number(),
        }
    }
}

extern "C" fn remove() {
    let _ = fs::remove_dir_all(&Files::get().path);
}

/// The string that a path stands for, or none for NULL.
pub fn string(path: &Path) -> Option<CString> {
    let bytes = match path {
        Path::Null => return None,
        &Path::Known(n) => KNOWN[usize::from(n) % KNOWN.len()].to_vec(),
        &Path::Long { len, slashes: false } => vec![b'x'; len.into()],
        &Path::Long { len, slashes: true } => b"./".iter().copied().cycle().take(len.into()).collect(),
        // Nothing outside: files there come and go.
        Path::Raw(bytes) => bytes.iter().copied().filter(|b| !b"./\0".contains(b)).collect(),
    };
    Some(CString::new(bytes).expect("no NUL"))
}

/// Descriptors to give away, each with a number that no input has seen.
#[derive(Default)]
pub struct Numbers {
    next: Cell<c_int>,
}

impl Numbers {
    /// Opens the same file anew, as a descriptor to give away.
    pub fn open_again(&self, fd: c_int) -> Option<c_int> {
        let number = FIRST_NUMBER + self.next.get();
        if number > LAST_NUMBER {
            return None;
        }
        let link = CString::new(format!("/proc/self/fd/{fd}")).expect("no NUL");
        // SAFETY: the path is a string, and the descriptor in between nobody else's.
        unsafe {
            let low = libc::open(link.as_ptr(), libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC);
            assert!((0..FIRST_NUMBER).contains(&low), "cannot open {link:?}: {}", io::Error::last_os_error());
            assert_eq!(libc::fcntl(low, libc::F_DUPFD_CLOEXEC, number), number);
            libc::close(low);
        }
        self.next.set(self.next.get() + 1);
        Some(number)
    }

    /// Whether this is a number of a descriptor that was given away.
    pub fn contains(&self, fd: c_int) -> bool {
        (FIRST_NUMBER..FIRST_NUMBER + self.next.get()).contains(&fd)
    }

    /// Closes what is left of them.
    pub fn close_all(&self) {
        for fd in FIRST_NUMBER..FIRST_NUMBER + self.next.get() {
            // SAFETY: nobody else has numbers like these.
            unsafe { libc::close(fd) };
        }
    }
}

pub fn is_open(fd: c_int) -> bool {
    // SAFETY: changes nothing.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// How many descriptors the process has.
pub fn open_count() -> usize {
    fs::read_dir("/proc/self/fd").expect("/proc").count()
}

fn negated(ret: c_int) -> c_int {
    if ret < 0 { -errno() } else { 0 }
}

/// What a stat of this must answer: 0 and the inode, or the negated errno.
pub fn expect_stat(dfd: c_int, path: Option<&CStr>, flags: c_uint) -> (c_int, u64) {
    let at_flags = if path.is_none() { libc::AT_EMPTY_PATH } else { 0 };
    let nofollow = flags & BFS_STAT_NOFOLLOW != 0;
    let path = path.unwrap_or(c"").as_ptr();
    let answer = stat(dfd, path, at_flags | if nofollow { libc::AT_SYMLINK_NOFOLLOW } else { 0 });
    if flags & BFS_STAT_TRYFOLLOW != 0 && !nofollow && matches!(-answer.0, libc::ENOENT | libc::ENOTDIR) {
        return stat(dfd, path, at_flags | libc::AT_SYMLINK_NOFOLLOW);
    }
    answer
}

fn stat(dfd: c_int, path: *const c_char, flags: c_int) -> (c_int, u64) {
    // SAFETY: zeros are a valid structure; the path is a string.
    unsafe {
        let mut buf: libc::stat = std::mem::zeroed();
        let result = negated(libc::fstatat(dfd, path, ptr::from_mut(&mut buf), flags | libc::AT_NO_AUTOMOUNT));
        (result, buf.st_ino)
    }
}

/// What opening this directory must answer, and reading it then.
pub fn expect_opendir(dfd: c_int, path: &CStr) -> (c_int, Listing) {
    // SAFETY: the path is a string, and the descriptor nobody else's.
    unsafe {
        let fd = libc::openat(dfd, path.as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC);
        let answer = (negated(fd), listing(fd));
        libc::close(fd);
        answer
    }
}

/// What making a directory of this descriptor must answer, and reading it then.
pub fn expect_adoption(fd: c_int) -> (c_int, Listing) {
    (if fd < 0 { -libc::EBADF } else { 0 }, listing(fd))
}

/// What reading this from its start must give.
fn listing(fd: c_int) -> Listing {
    match fs::read_dir(format!("/proc/self/fd/{fd}")) {
        Ok(entries) => Listing { left: entries.count(), errno: 0 },
        Err(_) if is_open(fd) => Listing { left: 0, errno: libc::ENOTDIR },
        Err(_) => Listing { left: 0, errno: libc::EBADF },
    }
}
