//! Which provider serves, for hosts that have all, some or none of the functions.

use super::Function::*;
use super::*;
use libc::{AT_FDCWD, STATX_BASIC_STATS, STATX_BTIME};
use std::mem;
use std::ptr::null_mut;

// A host whose results are unlike any of the library's. Its directories and buffers are not even memory.

unsafe extern "C" fn opendir(_: *mut bfs_dir, _: c_int, _: *const c_char, flags: c_uint) -> c_int {
    1000 + flags as c_int
}

unsafe extern "C" fn closedir(_: *mut bfs_dir) -> c_int {
    crate::platform::errno::set(libc::EDOM);
    -1
}

unsafe extern "C" fn polldir(_: *mut bfs_dir) -> c_int {
    1
}

unsafe extern "C" fn stat(_: c_int, _: *const c_char, flags: c_uint, _: *mut bfs_stat) -> c_int {
    3000 + flags as c_int
}

unsafe extern "C" fn statx_flags(flags: c_uint) -> c_int {
    4000 + flags as c_int
}

unsafe extern "C" fn statx_mask() -> c_uint {
    5000
}

unsafe extern "C" fn statx_convert(_: *mut bfs_stat, src: *const libc::statx) -> c_int {
    // SAFETY: the tests pass an answer.
    unsafe { (*src).stx_mask as c_int }
}

/// A host that has these functions.
fn host(functions: &[Function]) -> impl Fn(Function) -> Option<Address> {
    move |function| {
        let address = match function {
            Opendir => opendir as *mut c_void,
            Closedir => closedir as *mut c_void,
            Polldir => polldir as *mut c_void,
            Stat => stat as *mut c_void,
            StatxFlags => statx_flags as *mut c_void,
            StatxMask => statx_mask as *mut c_void,
            StatxConvert => statx_convert as *mut c_void,
        };
        NonNull::new(address).filter(|_| functions.contains(&function))
    }
}

fn answer(mask: c_uint) -> libc::statx {
    // SAFETY: integers.
    let mut answer: libc::statx = unsafe { mem::zeroed() };
    answer.stx_mask = mask;
    answer
}

#[test]
fn a_host_with_directories_works_on_them() {
    let ops = DirOps::new(host(&[Opendir, Polldir, Closedir]));
    let dir = NonNull::dangling().as_ptr();
    // SAFETY: this host touches no memory.
    unsafe {
        assert_eq!(ops.opendir(dir, AT_FDCWD, c"/".as_ptr(), 7), 1007);
        ops.polldir(dir);
        assert_eq!(ops.closedir(dir), -libc::EDOM);
    }
}

#[test]
fn what_a_host_lacks_on_directories_is_done_without() {
    let ops = DirOps::new(host(&[Opendir, Closedir]));
    let dir = NonNull::dangling().as_ptr();
    // SAFETY: this host touches no memory, and the library's functions, which would, must not be called.
    unsafe {
        ops.polldir(dir);
    }
}

#[test]
fn less_than_opening_and_closing_is_no_host() {
    for functions in [&[Opendir, Polldir][..], &[Closedir, Polldir], &[Polldir], &[]] {
        let ops = DirOps::new(host(functions));
        let dir = dir::bfs_allocdir();
        // SAFETY: the library's functions serve, and the directory is the library's.
        unsafe {
            assert_eq!(ops.opendir(dir, AT_FDCWD, c"/".as_ptr(), 0), 0, "{functions:?}");
            ops.polldir(dir);
            assert_eq!(ops.closedir(dir), 0);
            assert_eq!(ops.closedir(dir), -libc::EBADF);
            libc::free(dir.cast());
        }
    }
}

#[test]
fn a_host_with_stats_makes_them() {
    let ops = StatOps::new(host(&[Stat, StatxFlags, StatxMask, StatxConvert]));
    // SAFETY: this host touches no memory but the answer.
    unsafe {
        assert_eq!(ops.stat(AT_FDCWD, c"/".as_ptr(), 7, null_mut()), 3007);
        assert_eq!(ops.statx_convert(null_mut(), &answer(6000)), 6000);
    }
    assert_eq!(ops.statx_args(7), Some((4007, 5000)));
}

#[test]
fn a_host_without_a_mask_gets_what_it_knows() {
    let ops = StatOps::new(host(&[Stat, StatxFlags, StatxConvert]));
    assert_eq!(ops.statx_args(7), Some((4007, STATX_BASIC_STATS | STATX_BTIME)));
}

#[test]
fn a_host_that_cannot_convert_does_without_statx() {
    for functions in [&[Stat, StatxFlags, StatxMask][..], &[Stat, StatxConvert, StatxMask], &[Stat]] {
        let ops = StatOps::new(host(functions));
        assert_eq!(ops.statx_args(0), None, "{functions:?}");
        // SAFETY: this host touches no memory.
        assert_eq!(unsafe { ops.stat(AT_FDCWD, c"/".as_ptr(), 0, null_mut()) }, 3000);
    }
}

#[test]
fn less_than_stat_is_no_host() {
    let ops = StatOps::new(host(&[StatxFlags, StatxMask, StatxConvert]));
    assert_eq!(ops.statx_args(0), Some((stat::statx_flags(0), stat::STATX_MASK)));
    let mut buf = mem::MaybeUninit::<stat::bfs_stat>::uninit();
    // SAFETY: the library's functions serve, and the buffer is the library's.
    unsafe {
        assert_eq!(ops.stat(AT_FDCWD, c"/".as_ptr(), 0, buf.as_mut_ptr().cast()), 0);
        assert_eq!(ops.statx_convert(buf.as_mut_ptr().cast(), &answer(STATX_BASIC_STATS)), 0);
        assert_eq!(ops.statx_convert(buf.as_mut_ptr().cast(), &answer(0)), -libc::ENOTSUP);
    }
}

#[test]
fn this_process_has_nothing_but_the_library() {
    let all = [Opendir, Polldir, Closedir, Stat, StatxFlags, StatxMask, StatxConvert];
    assert_eq!(all.map(find), [None; 7]);
}
