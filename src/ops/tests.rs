//! What the operations make of a ring's answers.

use super::*;
use libc::{EACCES, ECANCELED, EINTR, EINVAL, ENOENT, ENOSYS, EPERM, open_how, statx};
use std::mem;
use std::ptr::{self, null_mut};

const PATH: *const libc::c_char = c"/".as_ptr();

/// An entry for a request.
fn entry(request: Request) -> ioq_ent {
    ioq_ent { op: request.op, result: 0, ptr: null_mut(), args: request.args }
}

/// How to open a file with these flags.
fn how(flags: c_int) -> open_how {
    // SAFETY: it is integers.
    let mut how: open_how = unsafe { mem::zeroed() };
    how.flags = flags as u64;
    how
}

/// Whether a ring is to be given this.
fn is_submitted(ent: &mut ioq_ent) -> bool {
    let mut pool = StatxPool::new(1).unwrap();
    let op = of(ent.op).in_ring().unwrap();
    // SAFETY: nobody does what is submitted.
    unsafe { op.submission(&Host::get(), &mut pool, ent) }.is_some()
}

/// What comes after this answer of a ring.
fn after(ent: &mut ioq_ent, result: c_int) -> Next {
    let mut pool = StatxPool::new(1).unwrap();
    let op = of(ent.op).in_ring().unwrap();
    // SAFETY: nobody looks at what a submission points to.
    unsafe {
        let _ = op.submission(&Host::get(), &mut pool, ent);
        op.completed(&Host::get(), &mut pool, ent, result)
    }
}

/// What comes after this answer to a new request.
fn after_first(request: Result<Request, Errno>, result: c_int) -> Next {
    after(&mut entry(request.unwrap()), result)
}

/// One of each that changes names.
fn changes_of_names() -> [Result<Request, Errno>; 5] {
    [
        Unlink::request(-1, PATH, 0),
        Rename::request(-1, PATH, -1, PATH, 0),
        Mkdir::request(-1, PATH, 0),
        Link::request(-1, PATH, -1, PATH, 0),
        Symlink::request(PATH, -1, PATH),
    ]
}

#[test]
fn what_may_have_been_done_is_not_done_again() {
    for result in [0, -ENOENT, -EINTR] {
        for request in changes_of_names() {
            assert_eq!(after_first(request, result), Next::Done(result));
        }
        let how = how(libc::O_CREAT);
        assert_eq!(after_first(Openat::request(-1, PATH, &how, 0, null_mut()), result), Next::Done(result));
    }
}

#[test]
fn what_a_ring_has_not_done_is_done_by_plain_calls() {
    for result in [-ECANCELED, -EPERM, -EACCES, -EINVAL, -ENOSYS] {
        for request in changes_of_names() {
            let mut ent = entry(request.unwrap());
            assert_eq!(after(&mut ent, result), Next::Plain);
            // It may be a refusal.
            assert_eq!(ent.result, result);
        }
    }
}

#[test]
fn what_can_be_done_again_is_when_interrupted() {
    let how = how(libc::O_RDONLY);
    let mut memory = [0_u64; 32];
    let requests = [
        Ok(Statx::request(-1, PATH, 0, 0, null_mut())),
        Stat::request(-1, PATH, 0, ptr::from_mut(&mut memory).cast()),
        Opendir::request(ptr::from_mut(&mut memory).cast(), -1, PATH, 0),
        Openat::request(-1, PATH, &how, 0, null_mut()),
    ];
    for request in requests {
        assert_eq!(after_first(request, -EINTR), Next::Plain);
    }
}

#[test]
fn what_was_opened_is_asked_about() {
    let (how, mut buf) = (how(libc::O_RDONLY), mem::MaybeUninit::<statx>::uninit());
    let [mut found, mut lost] = [(); 2].map(|()| entry(Openat::request(-1, PATH, &how, 0, buf.as_mut_ptr()).unwrap()));
    for ent in [&mut found, &mut lost] {
        assert!(!of(ent.op).survives_cancel(ent));
        assert_eq!(after(ent, 7), Next::Again);
        assert!(!of(ent.op).survives_cancel(ent));
    }
    assert_eq!(after(&mut found, 0), Next::Done(7));
    assert_eq!(after(&mut lost, -ENOENT), Next::Plain);
    assert_eq!(opened::get(&lost), Some(7));
}

#[test]
fn a_file_that_may_be_new_is_not_forgotten() {
    let (how, mut buf) = (how(libc::O_WRONLY | libc::O_CREAT), mem::MaybeUninit::<statx>::uninit());
    let mut ent = entry(Openat::request(-1, PATH, &how, 0, buf.as_mut_ptr()).unwrap());
    assert!(!of(ent.op).survives_cancel(&ent));
    assert_eq!(after(&mut ent, 7), Next::Again);
    assert!(of(ent.op).survives_cancel(&ent));
}

#[test]
fn a_directory_is_opened_once() {
    let mut memory = 0_u64;
    let dir = ptr::from_mut(&mut memory).cast();
    let mut ent = entry(Opendir::request(dir, libc::AT_FDCWD, PATH, 0).unwrap());
    assert!(is_submitted(&mut ent));
    assert_eq!(after(&mut ent, 7), Next::Plain);
    // It is back, because the ring was wanted again before a worker had come to it.
    assert!(!is_submitted(&mut ent));
    assert_eq!(opened::get(&ent), Some(7));
}
