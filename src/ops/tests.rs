//! What the operations make of a ring's answers.

use super::*;
use std::ptr;

/// An entry for a request.
fn entry(request: Request) -> ioq_ent {
    ioq_ent { op: request.op, result: 0, ptr: ptr::null_mut(), args: request.args }
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

#[test]
fn a_directory_is_opened_once() {
    let mut memory = 0_u64;
    let dir = ptr::from_mut(&mut memory).cast();
    let mut ent = entry(Opendir::request(dir, libc::AT_FDCWD, c"/".as_ptr(), 0).unwrap());
    assert!(is_submitted(&mut ent));
    assert_eq!(after(&mut ent, 7), Next::Plain);
    // It is back, because the ring was wanted again before a worker had come to it.
    assert!(!is_submitted(&mut ent));
    assert_eq!(opened::get(&ent), Some(7));
}
