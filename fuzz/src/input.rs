//! What the fuzzer's bytes mean: a sequence of calls, with arguments from the kind to the hostile.

use crate::abi::*;
use arbitrary::Arbitrary;
use libc::c_int;

/// A queue is made first, and then anything may happen.
#[derive(Arbitrary, Debug)]
pub struct Input {
    pub make: Make,
    pub steps: Vec<Step>,
}

/// How to make a queue.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Make {
    pub backend: Backend,
    pub depth: Depth,
    pub threads: Threads,
    /// With `ioq_create_with()`, or without.
    pub options: Option<Options>,
}

/// What `struct ioq_options` has beside.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Options {
    pub size: Size,
    pub backend: Choice,
    pub flags: QueueFlags,
    pub inflight: Inflight,
    /// The length of a name, or 0 for none.
    pub name: u8,
    pub stack: Stack,
}

/// Which part of the structure there is, or what a later header may have added to it.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Size {
    Right,
    Null,
    Less(u8),
    /// So many bytes more, of which the last has this value.
    More {
        count: u8,
        last: u8,
    },
}

/// The program's choice of a backend.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Choice {
    Default,
    Auto,
    Uring,
    Sync,
    Any(u32),
}

impl Choice {
    pub fn value(self) -> u32 {
        match self {
            Choice::Default => IOQ_BACKEND_DEFAULT,
            Choice::Auto => IOQ_BACKEND_AUTO,
            Choice::Uring => IOQ_BACKEND_URING,
            Choice::Sync => IOQ_BACKEND_SYNC,
            Choice::Any(backend) => backend,
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum QueueFlags {
    /// Some of those that there are.
    Known(u8),
    Any(u32),
}

pub const KNOWN_FLAGS: u32 = IOQ_CALLER_RUNS | IOQ_NO_DESCRIPTORS;

impl QueueFlags {
    pub fn value(self) -> u32 {
        match self {
            QueueFlags::Known(n) => u32::from(n) & KNOWN_FLAGS,
            QueueFlags::Any(flags) => flags,
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Inflight {
    Default,
    Few(u8),
    Any(usize),
}

impl Inflight {
    pub fn value(self) -> usize {
        match self {
            Inflight::Default => 0,
            Inflight::Few(n) => n.into(),
            Inflight::Any(n) => n,
        }
    }
}

/// The value of `IOQ_BACKEND`.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Backend {
    Auto,
    Uring,
    Sync,
    Unknown,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Depth {
    /// Up to 255, 0 among them.
    Small(u8),
    /// Up to 65536.
    Large(u16),
    /// More than any memory holds: 2⁵⁰ or more, up to the very end.
    Absurd(u8),
}

impl Depth {
    pub fn value(self) -> usize {
        match self {
            Depth::Small(n) => n.into(),
            Depth::Large(n) => usize::from(n) + 1,
            Depth::Absurd(n) => absurd(n),
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Threads {
    /// What a queue without workers does is known exactly.
    None,
    /// 0 to 8.
    Few(u8),
    /// More than ever start.
    Many(u16),
    Absurd(u8),
}

impl Threads {
    pub fn value(self) -> usize {
        match self {
            Threads::None => 0,
            Threads::Few(n) => usize::from(n % 9),
            Threads::Many(n) => n.into(),
            Threads::Absurd(n) => absurd(n),
        }
    }
}

fn absurd(n: u8) -> usize {
    let shift = u32::from(n) / 2 % 15;
    let power = 1usize << (50 + shift.min(13));
    match n % 2 {
        _ if shift == 14 => usize::MAX - usize::from(n % 2),
        0 => power,
        _ => power - 1,
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Stack {
    Default,
    /// Enough for the library and all checks in it: 256 KiB to 4 MiB.
    Some(u8),
}

impl Stack {
    pub fn value(self) -> usize {
        match self {
            Stack::Default => 0,
            Stack::Some(n) => (256 << 10) + usize::from(n) * 16_000,
        }
    }
}

/// When a pop is to give up.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Until {
    Never,
    Past,
    /// In so many microseconds.
    Soon(u16),
    /// No time at all.
    Wrong(bool),
}

impl Until {
    pub fn timespec(self) -> Option<libc::timespec> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        match self {
            Until::Never => return None,
            Until::Past => {}
            Until::Soon(n) => {
                // SAFETY: the pointer is valid for writes.
                unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
                let nanos = time.tv_nsec + i64::from(n) * 1000;
                time.tv_sec += nanos / 1_000_000_000;
                time.tv_nsec = nanos % 1_000_000_000;
            }
            Until::Wrong(negative) => time.tv_nsec = if negative { -1 } else { 1_000_000_000 },
        }
        Some(time)
    }
}

/// One of the queues, or NULL if there is none of this number.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Queue(u8);

/// One of the directories, or NULL.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Dir(u8);

pub const QUEUES: usize = 3;
pub const DIRS: usize = 5;

impl Queue {
    pub const FIRST: Self = Self(0);

    /// At most [`QUEUES`].
    pub fn index(self) -> usize {
        usize::from(self.0) % (QUEUES + 1)
    }
}

impl Dir {
    /// At most [`DIRS`].
    pub fn index(self) -> usize {
        usize::from(self.0) % (DIRS + 1)
    }
}

#[derive(Arbitrary, Debug)]
pub enum Step {
    Create {
        queue: Queue,
        make: Make,
    },
    Nop {
        queue: Queue,
        kind: u8,
        count: u8,
    },
    Close {
        queue: Queue,
        fd: Closing,
    },
    OpenDir {
        queue: Queue,
        dir: Dir,
        at: At,
        path: Path,
        flags: Flags,
    },
    CloseDir {
        queue: Queue,
        dir: Dir,
    },
    Stat {
        queue: Queue,
        at: At,
        path: Path,
        flags: Flags,
        no_buf: bool,
    },
    /// Of one path that means something after the other.
    StatMany {
        queue: Queue,
        at: At,
        first: u8,
        count: u8,
        flags: Flags,
    },
    /// Of a function that returns this.
    Call {
        queue: Queue,
        value: i32,
        no_fn: bool,
    },
    Statx {
        queue: Queue,
        at: At,
        path: Path,
        flags: StatxFlags,
        mask: u32,
        no_buf: bool,
    },
    List {
        queue: Queue,
        at: At,
        path: Path,
        flags: ListFlags,
        mask: u32,
        no_list: bool,
    },
    Open {
        queue: Queue,
        at: At,
        path: Path,
        how: How,
        no_how: bool,
        stat: bool,
    },
    ReadLink {
        queue: Queue,
        at: At,
        path: Path,
        size: u16,
        no_buf: bool,
    },
    GetXattr {
        queue: Queue,
        at: At,
        path: Path,
        name: Attribute,
        size: u8,
        flags: StatxFlags,
        no_value: bool,
    },
    Access {
        queue: Queue,
        at: At,
        path: Path,
        mode: Mode,
        flags: AccessFlags,
    },
    Change {
        queue: Queue,
        change: Change,
        no_path: bool,
    },
    Submit {
        queue: Queue,
    },
    Pop {
        queue: Queue,
        block: bool,
    },
    PopUntil {
        queue: Queue,
        until: Until,
    },
    PopMany {
        queue: Queue,
        count: u8,
        block: bool,
    },
    Drain {
        queue: Queue,
    },
    /// As `Drain`, without ever waiting.
    Poll {
        queue: Queue,
    },
    /// So many no-ops, from submission to freeing, but for each `keep`-th: blocks are used again, and some are not.
    Round {
        queue: Queue,
        count: u8,
        keep: u8,
    },
    Free {
        queue: Queue,
        which: u8,
        more: u8,
    },
    FreeNull {
        queue: Queue,
    },
    Count {
        queue: Queue,
        null: bool,
    },
    /// With a structure of so many words more, or less.
    Info {
        queue: Queue,
        more: i8,
    },
    /// As an event loop does, wait for a response.
    AwaitEvent {
        queue: Queue,
    },
    Cancel {
        queue: Queue,
    },
    CancelOne {
        queue: Queue,
        which: u8,
    },
    /// From another thread, while this one goes on.
    CancelElsewhere {
        queue: Queue,
    },
    Destroy {
        queue: Queue,
    },
    /// Without a queue.
    UseDir {
        dir: Dir,
        how: Use,
    },
    /// Likewise, with one of its own.
    Walk(Box<Walk>),
    StatAlone {
        at: At,
        path: Path,
        flags: Flags,
        no_buf: bool,
    },
    Convert {
        answer: Box<Answer>,
        no_src: bool,
        no_dest: bool,
    },
}

/// A walk, and how it is used.
#[derive(Arbitrary, Debug)]
pub struct Walk {
    pub backend: Backend,
    pub roots: Vec<Path>,
    pub no_roots: bool,
    pub no_options: bool,
    pub flags: WalkFlags,
    pub mask: u32,
    pub threads: u8,
    pub max_depth: u8,
    pub max_fds: u8,
    pub max_memory: u16,
    /// With options of an older version, or a newer one.
    pub less: bool,
    pub more: bool,
    /// Whether what other queues change is left out.
    pub skips: bool,
    /// Whether to wait for entries, or for the descriptor.
    pub waits: bool,
    /// Which entries are not to be entered, one in so many; 0 for none.
    pub prune: u8,
    /// After how many entries to close it.
    pub stop: Option<u8>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum WalkFlags {
    Known(u16),
    Any(u32),
}

impl WalkFlags {
    pub fn value(self) -> u32 {
        match self {
            WalkFlags::Known(n) => u32::from(n) & IOQ_WALK_FLAGS,
            WalkFlags::Any(flags) => flags,
        }
    }
}

/// Flags of a stat or a directory.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Flags {
    None,
    /// Some of those that there are.
    Known(u8),
    Any(u32),
}

impl Flags {
    pub fn value(self) -> u32 {
        match self {
            Flags::None => 0,
            Flags::Known(n) => u32::from(n) % 8,
            Flags::Any(n) => n,
        }
    }
}

/// Flags of a statx.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum StatxFlags {
    /// Some of those that matter here.
    Known(u8),
    Any(i32),
}

impl StatxFlags {
    pub fn value(self) -> c_int {
        match self {
            StatxFlags::Known(n) => [libc::AT_SYMLINK_NOFOLLOW, libc::AT_EMPTY_PATH, libc::AT_STATX_DONT_SYNC]
                .iter()
                .enumerate()
                .fold(0, |flags, (i, flag)| if n >> i & 1 != 0 { flags | flag } else { flags }),
            StatxFlags::Any(flags) => flags,
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum ListFlags {
    Known(u8),
    Any(u32),
}

impl ListFlags {
    pub fn value(self) -> u32 {
        match self {
            ListFlags::Known(n) => u32::from(n) & IOQ_LIST_FLAGS,
            ListFlags::Any(flags) => flags,
        }
    }
}

/// How to open: nothing that creates, changes or waits, but whatever else there is or is not.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct How {
    flags: u8,
    /// Flags that there are not.
    wrong: Option<u8>,
    mode: u8,
    resolve: Option<u8>,
}

impl How {
    pub fn value(self) -> open_how {
        let known = [libc::O_PATH, libc::O_DIRECTORY, libc::O_NOFOLLOW, libc::O_NOATIME];
        let flags = chosen(self.flags, &known) | libc::O_CLOEXEC | libc::O_NOCTTY;
        let waits_not = if flags & libc::O_PATH == 0 { libc::O_NONBLOCK } else { 0 };
        open_how {
            flags: (flags | waits_not) as u64 | self.wrong.map_or(0, |n| 1 << (32 + n % 32)),
            mode: self.mode.into(),
            // What is in the cache comes and goes.
            resolve: u64::from(self.resolve.unwrap_or(0)) & !libc::RESOLVE_CACHED,
        }
    }
}

/// Those of the flags whose bits are set.
fn chosen(bits: u8, flags: &[c_int]) -> c_int {
    flags.iter().enumerate().fold(0, |all, (i, flag)| if bits >> i & 1 != 0 { all | flag } else { all })
}

/// An attribute of "file", or one that there is not.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Attribute {
    Null,
    Known,
    Missing,
    Strange,
    Empty,
    Long(u8),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Mode {
    Known(u8),
    Any(i32),
}

impl Mode {
    pub fn value(self) -> c_int {
        match self {
            Mode::Known(n) => c_int::from(n) & (libc::R_OK | libc::W_OK | libc::X_OK),
            Mode::Any(mode) => mode,
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum AccessFlags {
    Known(u8),
    Any(i32),
}

impl AccessFlags {
    pub fn value(self) -> c_int {
        match self {
            AccessFlags::Known(n) => chosen(n, &[libc::AT_EACCESS, libc::AT_SYMLINK_NOFOLLOW, libc::AT_EMPTY_PATH]),
            AccessFlags::Any(flags) => flags,
        }
    }
}

/// What to change, and what there is by both its names before.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Change {
    pub what: What,
    pub first: There,
    pub second: There,
    pub way: Way,
    pub flags: ChangeFlags,
    pub mode: u16,
    /// Relative to no directory.
    pub lost: bool,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum What {
    Unlink,
    Rename,
    Mkdir,
    Link,
    Symlink,
    Chmod,
    Chown,
    Utimens,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum There {
    Nothing,
    File,
    Directory,
}

/// How the path leads to the first name, if it does.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Way {
    Name,
    Dot,
    Missing,
    Empty,
    Long,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum ChangeFlags {
    None,
    Known(u8),
    Any(i32),
}

impl ChangeFlags {
    pub fn value(self) -> c_int {
        match self {
            ChangeFlags::None => 0,
            ChangeFlags::Known(n) => {
                // Those of renameat2() are 1 and 2.
                let flags = [1, 2, libc::AT_REMOVEDIR, libc::AT_SYMLINK_NOFOLLOW, libc::AT_SYMLINK_FOLLOW];
                flags[usize::from(n) % flags.len()]
            }
            ChangeFlags::Any(flags) => flags,
        }
    }
}

/// What `statx()` might have filled in.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Answer {
    pub mask: Mask,
    pub attributes: u64,
    pub ids: [u32; 3],
    pub mode: u16,
    pub numbers: [u64; 4],
    pub times: [(i64, u32); 4],
    pub devices: [u32; 4],
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Mask {
    All,
    Without(u8),
    Any(u32),
}

/// What `ioq_close()` is given.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Closing {
    /// A descriptor that is open.
    Open,
    /// One that was given away before.
    Again(u8),
    Invalid(Invalid),
}

/// Numbers that are no descriptors.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Invalid {
    MinusOne,
    AtFdcwd,
    Min,
    Max,
    Closed,
}

impl Invalid {
    pub fn number(self) -> c_int {
        match self {
            Invalid::MinusOne => -1,
            Invalid::AtFdcwd => libc::AT_FDCWD,
            Invalid::Min => c_int::MIN,
            Invalid::Max => c_int::MAX,
            Invalid::Closed => 1 << 20,
        }
    }
}

/// What a path is relative to.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum At {
    Root,
    Full,
    File,
    Pipe,
    Invalid(Invalid),
}

#[derive(Arbitrary, Debug)]
pub enum Path {
    Null,
    Known(u8),
    /// So many bytes, from short names to more than any path may have.
    Long {
        len: u16,
        slashes: bool,
    },
    /// Anything, up to a NUL.
    Raw(Vec<u8>),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Use {
    Open(u8),
    Read(u8),
    PassOver,
    ReadToEnd,
    Poll,
    Fd,
    Close,
    Unwrap,
}
