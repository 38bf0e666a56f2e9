//! The files and descriptors that the calls are about, made once for all inputs; and what the kernel itself says of them.

use crate::abi::*;
use crate::dirs::{Entry, Listing};
use crate::input::{Answer, At, Mask, Path};
use libc::{c_char, c_int, c_uint};
use std::cell::Cell;
use std::env;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::ptr;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// Entries of the full directory, with names so long that one read does not take them all in.
const MANY: usize = 350;
const NAME: usize = 210;

/// Paths that mean something, relative to the root.
pub const KNOWN: [&[u8]; 20] = [
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
    b"full/directory",
    b"full/device",
    b"full/socket",
    b"astray",
];

/// Names that look like "." and "..", or else are unlike others.
const STRANGE: [&[u8]; 6] = [b"...", b".a", b"..a", b"a.", b"\x80", &[b'y'; 255]];

/// Numbers that nothing else in the process gets: the kernel gives out the lowest that is free.
const FIRST_NUMBER: c_int = 400;
const LAST_NUMBER: c_int = 1000;

/// An attribute that "file" has.
pub const ATTRIBUTE: &CStr = c"user.ioq-fuzz";

pub struct Files {
    path: PathBuf,
    root: c_int,
    full: c_int,
    file: c_int,
    pipe: c_int,
    /// Directories that requests and plain calls change.
    pub changed: [c_int; 2],
}

impl Files {
    pub fn get() -> &'static Self {
        static FILES: OnceLock<Files> = OnceLock::new();
        FILES.get_or_init(|| Self::make().expect("temporary files"))
    }

    fn make() -> io::Result<Self> {
        let template = env::temp_dir().join("ioq-fuzz-XXXXXX").into_os_string().into_vec();
        let template = CString::new(template).expect("no NUL").into_raw();
        // SAFETY: a string of our own, of which only the Xs change.
        let path = unsafe {
            assert!(!libc::mkdtemp(template).is_null());
            PathBuf::from(OsString::from_vec(CString::from_raw(template).into_bytes()))
        };
        fs::write(path.join("file"), "x")?;
        fs::hard_link(path.join("file"), path.join("hard"))?;
        fs::create_dir(path.join("empty"))?;
        fs::create_dir(path.join("full"))?;
        fs::create_dir(path.join("changed"))?;
        fs::create_dir(path.join("changed by calls"))?;
        for i in 0..MANY {
            fs::write(path.join(format!("full/{i:0NAME$}")), "")?;
        }
        symlink("file", path.join("link"))?;
        symlink("full", path.join("dirlink"))?;
        symlink("missing", path.join("broken"))?;
        symlink("file/below", path.join("astray"))?;
        symlink("loop", path.join("loop"))?;
        fs::write(path.join(OsStr::from_bytes(KNOWN[15])), "")?;

        // Of each kind and with each name in one directory, lest it need luck to read them.
        let kinds = path.join("full");
        fs::create_dir(kinds.join("directory"))?;
        symlink("nowhere", kinds.join("link"))?;
        for name in STRANGE {
            fs::write(kinds.join(OsStr::from_bytes(name)), "")?;
        }
        // Its path may be too long for a socket.
        let _ = UnixListener::bind(kinds.join("socket"));
        let name = |name: &str| CString::new(path.join(name).as_os_str().as_bytes()).expect("no NUL");
        // SAFETY: the paths are strings; the array has room for two.
        unsafe {
            assert_eq!(libc::mkfifo(name("fifo").as_ptr(), 0o644), 0);
            assert_eq!(libc::mkfifo(name("full/fifo").as_ptr(), 0o600), 0);
            // Not everybody may do this.
            if libc::mknod(name("full/device").as_ptr(), libc::S_IFCHR | 0o640, libc::makedev(0x123, 0x45678)) < 0 {
                symlink("/dev/null", kinds.join("device"))?;
            }
        }
        // What is the same for all files could be mixed up unseen: times, owners, sizes.
        thread::sleep(Duration::from_millis(20));
        let file = fs::File::options().write(true).open(path.join("file"))?;
        file.set_len(12_345_678)?;
        let times = [(-123_456_789, 987_654_321), (5_000_000_000, 1)];
        let times = times.map(|(tv_sec, tv_nsec)| libc::timespec { tv_sec, tv_nsec });
        // SAFETY: the paths are strings, and there are two times.
        unsafe {
            assert_eq!(libc::utimensat(libc::AT_FDCWD, name("file").as_ptr(), times.as_ptr(), 0), 0);
            libc::chown(name("file").as_ptr(), 1234, 5678);
            libc::lchown(name("link").as_ptr(), 4321, 8765);

            let mut pipe = [-1; 2];
            assert_eq!(libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC), 0);
            let open = |at| libc::open(name(at).as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            let changed = [open("changed"), open("changed by calls")];
            let files = Self { root: open("."), full: open("full"), file: open("file"), pipe: pipe[0], changed, path };
            assert!(files.root >= 0 && files.full >= 0 && files.file >= 0 && changed.iter().all(|&fd| fd >= 0));
            // Not every file system has attributes.
            libc::fsetxattr(files.file, ATTRIBUTE.as_ptr(), b"value".as_ptr().cast(), 5, 0);
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

/// How many threads the process has, those of the kernel's among them.
pub fn thread_count() -> usize {
    fs::read_dir("/proc/self/task").expect("/proc").count()
}

/// How long to wait for what must come before long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is as it must be before long.
pub fn await_that(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        thread::yield_now();
    }
}

pub fn negated(ret: c_int) -> c_int {
    if ret < 0 { -errno() } else { 0 }
}

/// What a stat of this must answer: what it fills in, or the errno.
pub fn expect_stat(dfd: c_int, path: Option<&CStr>, flags: c_uint) -> Result<bfs_stat, c_int> {
    let at_flags = libc::AT_NO_AUTOMOUNT | if path.is_none() { libc::AT_EMPTY_PATH } else { 0 };
    let nofollow = flags & BFS_STAT_NOFOLLOW != 0;
    let path = path.unwrap_or(c"").as_ptr();
    match stat(dfd, path, at_flags | if nofollow { libc::AT_SYMLINK_NOFOLLOW } else { 0 }) {
        Err(libc::ENOENT | libc::ENOTDIR) if flags & BFS_STAT_TRYFOLLOW != 0 && !nofollow => {
            stat(dfd, path, at_flags | libc::AT_SYMLINK_NOFOLLOW)
        }
        answer => answer,
    }
}

/// By `fstatat()`, and by `statx()` what that does not know. The library mostly uses `statx()` alone.
fn stat(dfd: c_int, path: *const c_char, flags: c_int) -> Result<bfs_stat, c_int> {
    // SAFETY: zeros are valid structures; the path is a string.
    let (known, more, allowed) = unsafe {
        let mut known: libc::stat = std::mem::zeroed();
        let result = negated(libc::fstatat(dfd, path, ptr::from_mut(&mut known), flags));
        if result < 0 {
            return Err(-result);
        }
        let mut more: libc::statx = std::mem::zeroed();
        let mask = libc::STATX_BASIC_STATS | libc::STATX_BTIME | libc::STATX_MNT_ID | libc::STATX_MNT_ID_UNIQUE;
        let allowed = libc::syscall(libc::SYS_statx, dfd, path, flags, mask, ptr::from_mut(&mut more)) == 0;
        (known, more, allowed)
    };
    let mut answer = bfs_stat {
        mask: BFS_STAT_ALL & !(BFS_STAT_ATTRS | BFS_STAT_BTIME),
        mode: known.st_mode,
        dev: known.st_dev,
        ino: known.st_ino,
        nlink: known.st_nlink,
        gid: known.st_gid,
        uid: known.st_uid,
        size: known.st_size,
        blocks: known.st_blocks,
        rdev: known.st_rdev,
        mnt_id: known.st_dev,
        attrs: 0,
        atime: timespec { tv_sec: known.st_atime, tv_nsec: known.st_atime_nsec },
        btime: NEVER,
        ctime: timespec { tv_sec: known.st_ctime, tv_nsec: known.st_ctime_nsec },
        mtime: timespec { tv_sec: known.st_mtime, tv_nsec: known.st_mtime_nsec },
    };
    if allowed {
        let theirs = expect_conversion(&more).expect("what fstatat() knows, too");
        let bfs_stat { mask, mnt_id, attrs, btime, .. } = theirs;
        answer = bfs_stat { mask, mnt_id, attrs, btime, ..answer };
        for (field, time) in [
            (BFS_STAT_ATIME, &mut answer.atime),
            (BFS_STAT_CTIME, &mut answer.ctime),
            (BFS_STAT_MTIME, &mut answer.mtime),
        ] {
            if mask & field == 0 {
                *time = NEVER;
            }
        }
    }
    Ok(answer)
}

const NEVER: timespec = timespec { tv_sec: 0, tv_nsec: 0 };

/// Whether a stat answered what it had to. Directories may have been read meanwhile.
pub fn is_answer(filled: &bfs_stat, expected: &bfs_stat, again: impl FnOnce() -> Result<bfs_stat, c_int>) -> bool {
    let same = bfs_stat { atime: expected.atime, ..*filled } == *expected;
    same && (filled.atime == expected.atime
        || filled.atime > expected.atime && again().is_ok_and(|again| filled.atime <= again.atime))
}

/// What `statx()` could have filled in.
pub fn statx(answer: &Answer) -> libc::statx {
    const ALL: u32 = libc::STATX_BASIC_STATS | libc::STATX_BTIME | libc::STATX_MNT_ID;
    // SAFETY: zeros are a valid structure.
    let mut statx: libc::statx = unsafe { std::mem::zeroed() };
    statx.stx_mask = match answer.mask {
        Mask::All => ALL,
        Mask::Without(n) => ALL & !(1 << (n % 16)),
        Mask::Any(mask) => mask,
    };
    statx.stx_attributes = answer.attributes;
    [statx.stx_nlink, statx.stx_uid, statx.stx_gid] = answer.ids;
    statx.stx_mode = answer.mode;
    [statx.stx_ino, statx.stx_size, statx.stx_blocks, statx.stx_mnt_id] = answer.numbers;
    let [rdev_major, rdev_minor, dev_major, dev_minor] = answer.devices;
    (statx.stx_rdev_major, statx.stx_rdev_minor) = (rdev_major, rdev_minor);
    (statx.stx_dev_major, statx.stx_dev_minor) = (dev_major, dev_minor);
    let times = [&mut statx.stx_atime, &mut statx.stx_btime, &mut statx.stx_ctime, &mut statx.stx_mtime];
    for (time, (sec, nsec)) in times.into_iter().zip(answer.times) {
        (time.tv_sec, time.tv_nsec) = (sec, nsec);
    }
    statx
}

/// What this answer of `statx()` means, if it has what it must.
pub fn expect_conversion(statx: &libc::statx) -> Option<bfs_stat> {
    let times = libc::STATX_ATIME | libc::STATX_CTIME | libc::STATX_MTIME;
    let has = |mask| statx.stx_mask & mask == mask;
    if !has(libc::STATX_BASIC_STATS & !times) {
        return None;
    }
    let time = |bit, field, time: libc::statx_timestamp| match has(bit) {
        true => (field, timespec { tv_sec: time.tv_sec, tv_nsec: time.tv_nsec.into() }),
        false => (0, NEVER),
    };
    let atime = time(libc::STATX_ATIME, BFS_STAT_ATIME, statx.stx_atime);
    let btime = time(libc::STATX_BTIME, BFS_STAT_BTIME, statx.stx_btime);
    let ctime = time(libc::STATX_CTIME, BFS_STAT_CTIME, statx.stx_ctime);
    let mtime = time(libc::STATX_MTIME, BFS_STAT_MTIME, statx.stx_mtime);
    let times = BFS_STAT_ATIME | BFS_STAT_BTIME | BFS_STAT_CTIME | BFS_STAT_MTIME;
    let dev = device(statx.stx_dev_major, statx.stx_dev_minor);
    Some(bfs_stat {
        mask: BFS_STAT_ALL & !times | atime.0 | btime.0 | ctime.0 | mtime.0,
        mode: statx.stx_mode.into(),
        dev,
        ino: statx.stx_ino,
        nlink: statx.stx_nlink.into(),
        gid: statx.stx_gid,
        uid: statx.stx_uid,
        size: statx.stx_size.cast_signed(),
        blocks: statx.stx_blocks.cast_signed(),
        rdev: device(statx.stx_rdev_major, statx.stx_rdev_minor),
        mnt_id: if has(libc::STATX_MNT_ID) || has(libc::STATX_MNT_ID_UNIQUE) { statx.stx_mnt_id } else { dev },
        attrs: statx.stx_attributes,
        atime: atime.1,
        btime: btime.1,
        ctime: ctime.1,
        mtime: mtime.1,
    })
}

/// A device's number, as C has it.
fn device(major: u32, minor: u32) -> u64 {
    let (major, minor) = (u64::from(major), u64::from(minor));
    (major & !0xFFF) << 32 | (minor & !0xFF) << 12 | (major & 0xFFF) << 8 | minor & 0xFF
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

/// What a `statx()` must answer: what it fills in, or the errno.
pub fn expect_statx(dfd: c_int, path: Option<&CStr>, flags: c_int, mask: c_uint) -> Result<libc::statx, c_int> {
    let flags = flags | if path.is_none() { libc::AT_EMPTY_PATH } else { 0 };
    let path = path.unwrap_or(c"").as_ptr();
    // SAFETY: zeros are a valid structure; the path is a string.
    unsafe {
        let mut answer: libc::statx = std::mem::zeroed();
        match negated(libc::syscall(libc::SYS_statx, dfd, path, flags, mask, ptr::from_mut(&mut answer)) as c_int) {
            0 => Ok(answer),
            error => Err(-error),
        }
    }
}

/// What listing this must answer: each name with its inode number and its type, or the errno.
pub fn expect_list(dfd: c_int, path: Option<&CStr>, follow: bool) -> Result<Vec<(CString, u64, u8)>, c_int> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC | if follow { 0 } else { libc::O_NOFOLLOW };
    // SAFETY: the path is a string; the stream is used as it should be, and an entry before the next is read.
    unsafe {
        let fd = libc::openat(dfd, path.unwrap_or(c".").as_ptr(), flags);
        if fd < 0 {
            return Err(errno());
        }
        let dir = libc::fdopendir(fd);
        assert!(!dir.is_null());
        let mut entries = vec![];
        while let Some(entry) = libc::readdir64(dir).as_ref() {
            let name = CStr::from_ptr(entry.d_name.as_ptr());
            if name != c"." && name != c".." {
                entries.push((name.to_owned(), entry.d_ino, entry.d_type));
            }
        }
        libc::closedir(dir);
        Ok(entries)
    }
}

/// What opening this must answer, and which file that is.
pub fn expect_open(dfd: c_int, path: &CStr, how: &open_how) -> Result<(u64, u64), c_int> {
    // SAFETY: the path is a string; zeros are a valid structure, and the descriptor nobody else's.
    unsafe {
        let fd = libc::syscall(libc::SYS_openat2, dfd, path.as_ptr(), ptr::from_ref(how), size_of_val(how)) as c_int;
        if fd < 0 {
            return Err(errno());
        }
        let found = identity(fd);
        libc::close(fd);
        Ok(found)
    }
}

/// Which file this is: its device and its inode number.
pub fn identity(fd: c_int) -> (u64, u64) {
    // SAFETY: zeros are a valid structure.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        assert_eq!(libc::fstat(fd, &mut stat), 0);
        (stat.st_dev, stat.st_ino)
    }
}

/// What reading a link must answer, and put into memory.
pub fn expect_readlink(dfd: c_int, path: &CStr, memory: &mut [u8]) -> c_int {
    // SAFETY: the path is a string, and there is as much memory.
    let len = unsafe { libc::readlinkat(dfd, path.as_ptr(), memory.as_mut_ptr().cast(), memory.len()) };
    if len < 0 { -errno() } else { len as c_int }
}

/// What an attribute must be: the kernel is asked about a descriptor, which has a name for that.
pub fn expect_getxattr(dfd: c_int, path: &CStr, name: &CStr, memory: &mut [u8], nofollow: bool) -> c_int {
    let flags = libc::O_PATH | libc::O_CLOEXEC | if nofollow { libc::O_NOFOLLOW } else { 0 };
    // SAFETY: the paths are strings, there is as much memory, and the descriptor is nobody else's.
    unsafe {
        let fd = libc::openat(dfd, path.as_ptr(), flags);
        if fd < 0 {
            return -errno();
        }
        let link = CString::new(format!("/proc/self/fd/{fd}")).expect("no NUL");
        let len = libc::getxattr(link.as_ptr(), name.as_ptr(), memory.as_mut_ptr().cast(), memory.len());
        let result = if len < 0 { -errno() } else { len as c_int };
        libc::close(fd);
        result
    }
}

/// Whether a file must be said to be of use.
pub fn expect_access(dfd: c_int, path: &CStr, mode: c_int, flags: c_int) -> c_int {
    // SAFETY: the path is a string.
    unsafe {
        if flags == 0 {
            return negated(libc::faccessat(dfd, path.as_ptr(), mode, 0));
        }
        match negated(libc::syscall(libc::SYS_faccessat2, dfd, path.as_ptr(), mode, flags) as c_int) {
            error if error == -libc::ENOSYS => negated(libc::faccessat(dfd, path.as_ptr(), mode, flags)),
            result => result,
        }
    }
}

/// What making a directory of this descriptor must answer, and reading it then.
pub fn expect_adoption(fd: c_int) -> (c_int, Listing) {
    (if fd < 0 { -libc::EBADF } else { 0 }, listing(fd))
}

/// What reading this from its start must give.
fn listing(fd: c_int) -> Listing {
    if !is_open(fd) {
        return Listing::error(libc::EBADF);
    }
    let link = CString::new(format!("/proc/self/fd/{fd}")).expect("no NUL");
    let mut entries = vec![];
    // SAFETY: the path is a string; the stream is used as it should be, and an entry before the next is read.
    unsafe {
        let dir = libc::opendir(link.as_ptr());
        if dir.is_null() {
            return Listing::error(errno());
        }
        while let Some(entry) = libc::readdir64(dir).as_ref() {
            let name = CStr::from_ptr(entry.d_name.as_ptr());
            if name != c"." && name != c".." {
                entries.push(Entry { name: name.into(), kind: kind(entry.d_type) });
            }
        }
        libc::closedir(dir);
    }
    Listing::of(entries)
}

/// `enum bfs_type` for the kernel's.
fn kind(d_type: u8) -> c_int {
    match d_type {
        libc::DT_BLK => 1,
        libc::DT_CHR => 2,
        libc::DT_DIR => 3,
        libc::DT_FIFO => 5,
        libc::DT_LNK => 6,
        libc::DT_REG => 8,
        libc::DT_SOCK => 9,
        14 => 10,
        _ => BFS_UNKNOWN,
    }
}
