//! Which functions do the work on `struct bfs_dir` and `struct bfs_stat`: the program's, or the library's own.
//!
//! bfs brings its own definitions of the `bfs_*` functions, and only they know what its directory streams and stat
//! buffers look like. A program that has none gets the library's, from `dir` and `stat`. Whoever made an object must be
//! the one to work on it, so all functions on a type come from one provider, and what that provider lacks is done
//! without: a host that cannot read a directory ahead has that left out, not done by ours.
//!
//! A host provides directories if it defines `bfs_opendir()` and `bfs_closedir()`, and stats if it defines
//! `bfs_stat()`. Anything less could not be used from start to end, and the library's own functions serve.
//!
//! How the host's definitions are found depends on how the library was built:
//!
//! - `lookup`, in the shared library, asks the dynamic linker.
//! - `link`, in the static library (feature `static`), leaves the choice to the linker of the program.

use crate::entry::{bfs_dir, bfs_stat};
use crate::fs::{dir, stat};
use crate::platform::errno::{negated, negated_result, uninterrupted};
use libc::{c_char, c_int, c_uint, c_void};
use std::mem::transmute;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

#[cfg(feature = "static")]
mod link;
#[cfg(feature = "static")]
use link::find;

#[cfg(not(feature = "static"))]
mod lookup;
#[cfg(not(feature = "static"))]
use lookup::find;

type OpendirFn = unsafe extern "C" fn(*mut bfs_dir, c_int, *const c_char, c_uint) -> c_int;
type DirFn = unsafe extern "C" fn(*mut bfs_dir) -> c_int;
type StatFn = unsafe extern "C" fn(c_int, *const c_char, c_uint, *mut bfs_stat) -> c_int;
type StatxFlagsFn = unsafe extern "C" fn(c_uint) -> c_int;
type StatxMaskFn = unsafe extern "C" fn() -> c_uint;
type StatxConvertFn = unsafe extern "C" fn(*mut bfs_stat, *const libc::statx) -> c_int;

/// The functions that a host may define.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Function {
    Opendir,
    Polldir,
    Closedir,
    Stat,
    StatxFlags,
    StatxMask,
    StatxConvert,
}

impl Function {
    /// How many there are.
    const COUNT: usize = Self::StatxConvert as usize + 1;
}

/// The address of a host's function.
type Address = NonNull<c_void>;

/// Who does the work in this process.
pub struct Host {
    /// Directories.
    pub dir: DirOps,
    /// Stats.
    pub stat: StatOps,
}

impl Host {
    /// The providers.
    pub fn get() -> Self {
        Self { dir: DirOps::new(find_once), stat: StatOps::new(find_once) }
    }
}

/// The host's function, which is looked up the first time.
///
/// Threads that come at once all look, and find the same. None waits for another: a child of `fork()` might wait for a
/// thread that only its parent has.
fn find_once(function: Function) -> Option<Address> {
    const UNKNOWN: *mut c_void = ptr::dangling_mut();
    static FOUND: [AtomicPtr<c_void>; Function::COUNT] = [const { AtomicPtr::new(UNKNOWN) }; Function::COUNT];
    // Relaxed: there is nothing behind these addresses but code.
    let found = &FOUND[function as usize];
    let mut address = found.load(Ordering::Relaxed);
    if address == UNKNOWN {
        address = find(function).map_or(ptr::null_mut(), NonNull::as_ptr);
        found.store(address, Ordering::Relaxed);
    }
    NonNull::new(address)
}

/// The functions on `struct bfs_dir`; none stands for the library's own.
pub struct DirOps(Option<HostDir>);

struct HostDir {
    opendir: OpendirFn,
    polldir: Option<DirFn>,
    closedir: DirFn,
}

impl DirOps {
    fn new(find: impl Fn(Function) -> Option<Address>) -> Self {
        let dir_fn = |function| {
            // SAFETY: these functions of a host take a directory and return an int.
            find(function).map(|address| unsafe { transmute::<Address, DirFn>(address) })
        };
        let (Some(opendir), Some(closedir)) = (find(Function::Opendir), dir_fn(Function::Closedir)) else {
            return Self(None);
        };
        Self(Some(HostDir {
            // SAFETY: this is the type of a host's bfs_opendir().
            opendir: unsafe { transmute::<Address, OpendirFn>(opendir) },
            polldir: dir_fn(Function::Polldir),
            closedir,
        }))
    }

    /// Opens a directory: 0 or a negated `errno`.
    ///
    /// # Safety
    ///
    /// `dir` must be an allocated directory that is not open and that nobody else is using, and `path` NULL or a
    /// string.
    pub unsafe fn opendir(&self, dir: *mut bfs_dir, dfd: c_int, path: *const c_char, flags: c_uint) -> c_int {
        // SAFETY: passed on to the caller. A directory that could not be opened is as it was, and so is the descriptor.
        uninterrupted(|| unsafe {
            match &self.0 {
                Some(host) => negated((host.opendir)(dir, dfd, path, flags)),
                None => negated_result(dir::open(dir, dfd, path, flags)),
            }
        })
    }

    /// Reads the first entries ahead. What goes wrong here will go wrong again, and be reported, when they are read.
    ///
    /// # Safety
    ///
    /// `dir` must be an open directory that nobody else is using.
    pub unsafe fn polldir(&self, dir: *mut bfs_dir) {
        // SAFETY: passed on to the caller.
        unsafe {
            match &self.0 {
                Some(host) => _ = host.polldir.map(|polldir| polldir(dir)),
                None => _ = dir::poll(dir),
            }
        }
    }

    /// Closes a directory, whatever the result: 0 or a negated `errno`.
    ///
    /// # Safety
    ///
    /// `dir` must be an open directory that nobody else is using.
    pub unsafe fn closedir(&self, dir: *mut bfs_dir) -> c_int {
        // SAFETY: passed on to the caller.
        unsafe {
            match &self.0 {
                Some(host) => negated((host.closedir)(dir)),
                None => negated_result(dir::close(dir)),
            }
        }
    }
}

/// The functions on `struct bfs_stat`; none stands for the library's own.
pub struct StatOps(Option<HostStat>);

struct HostStat {
    stat: StatFn,
    statx: Option<HostStatx>,
}

struct HostStatx {
    flags: StatxFlagsFn,
    mask: Option<StatxMaskFn>,
    convert: StatxConvertFn,
}

impl StatOps {
    fn new(find: impl Fn(Function) -> Option<Address>) -> Self {
        let Some(stat) = find(Function::Stat) else {
            return Self(None);
        };
        let statx = find(Function::StatxFlags).zip(find(Function::StatxConvert));
        // SAFETY: these are the types of a host's functions of these names.
        unsafe {
            Self(Some(HostStat {
                stat: transmute::<Address, StatFn>(stat),
                statx: statx.map(|(flags, convert)| HostStatx {
                    flags: transmute::<Address, StatxFlagsFn>(flags),
                    mask: find(Function::StatxMask).map(|mask| transmute::<Address, StatxMaskFn>(mask)),
                    convert: transmute::<Address, StatxConvertFn>(convert),
                }),
            }))
        }
    }

    /// Stats a file: 0 or a negated `errno`.
    ///
    /// # Safety
    ///
    /// `path` must be NULL or a string, and `buf` valid for writes of the provider's `struct bfs_stat`.
    pub unsafe fn stat(&self, dfd: c_int, path: *const c_char, flags: c_uint, buf: *mut bfs_stat) -> c_int {
        // SAFETY: passed on to the caller.
        uninterrupted(|| unsafe {
            match &self.0 {
                Some(host) => negated((host.stat)(dfd, path, flags, buf)),
                None => negated_result(stat::stat(dfd, path, flags, buf)),
            }
        })
    }

    /// What something else than `stat()`, such as a ring, passes to `statx()` for these `enum bfs_stat_flags`: flags and
    /// mask. None if the provider could not use the result, or could not call `statx()` itself.
    pub fn statx_args(&self, flags: c_uint) -> Option<(c_int, c_uint)> {
        if stat::does_without_statx() {
            return None;
        }
        let Some(host) = &self.0 else {
            return Some((stat::statx_flags(flags), stat::STATX_MASK));
        };
        let statx = host.statx.as_ref()?;
        // SAFETY: these functions take any integers and touch no memory of ours.
        unsafe {
            // Hosts without the function (bfs before 4.0.6) know nothing newer.
            let mask = statx.mask.map_or(libc::STATX_BASIC_STATS | libc::STATX_BTIME, |mask| mask());
            Some(((statx.flags)(flags), mask))
        }
    }

    /// Fills `buf` from the result of a `statx()`: 0 or a negated `errno`; `-ENOSYS` if there were no
    /// `statx_args()` to get one with.
    ///
    /// # Safety
    ///
    /// `buf` must be valid for writes of the provider's `struct bfs_stat`.
    pub unsafe fn statx_convert(&self, buf: *mut bfs_stat, src: &libc::statx) -> c_int {
        // SAFETY: passed on to the caller.
        unsafe {
            match &self.0 {
                None => negated_result(stat::convert(buf, src)),
                Some(HostStat { statx: Some(statx), .. }) => negated((statx.convert)(buf, src)),
                Some(_) => -libc::ENOSYS,
            }
        }
    }
}

#[cfg(test)]
mod tests;
