//! Running one request with plain system calls.

use crate::entry::{ioq_ent, ioq_nop_type, ioq_op};
use crate::errno;
use crate::host::Host;
use crate::prefetch;

/// Whether a request runs even in a cancelled queue: a close that did not happen would leak.
pub fn survives_cancel(op: ioq_op) -> bool {
    matches!(op, ioq_op::IOQ_CLOSE | ioq_op::IOQ_CLOSEDIR)
}

/// Runs a no-op, which never waits for anything. Returns false, and does nothing, if it is another request.
#[inline]
pub fn run_nop(ent: &mut ioq_ent) -> bool {
    if ent.op != ioq_op::IOQ_NOP {
        return false;
    }
    // SAFETY: a no-op's arguments are those that were written; the call has no effect.
    unsafe {
        if ent.args.nop.r#type == ioq_nop_type::IOQ_NOP_HEAVY {
            // The cheapest system call that no C library answers from memory.
            libc::getppid();
        }
    }
    ent.result = 0;
    true
}

/// Runs a request, and writes its result.
///
/// # Safety
///
/// The request's pointers must be as `ioq.h` asks.
pub unsafe fn run(host: &Host, ent: &mut ioq_ent) {
    if run_nop(ent) {
        return;
    }
    #[cfg(any(ioq_loom, ioq_shuttle))]
    (crate::machine::get().request)(ent);
    // SAFETY: `op` says which arguments were written; the pointers in them are as the caller vouches for.
    ent.result = unsafe {
        match ent.op {
            ioq_op::IOQ_NOP => 0,
            ioq_op::IOQ_CLOSE => errno::negated(libc::close(ent.args.close.fd)),
            ioq_op::IOQ_OPENDIR => {
                let args = ent.args.opendir;
                let result = host.dir.opendir(args.dir, args.dfd, args.path, args.flags);
                if result >= 0 {
                    host.dir.polldir(args.dir);
                }
                result
            }
            ioq_op::IOQ_CLOSEDIR => host.dir.closedir(ent.args.closedir.dir),
            ioq_op::IOQ_STAT => {
                let args = ent.args.stat;
                prefetch::stat_buffer(args.buf.cast());
                host.stat.stat(args.dfd, args.path, args.flags, args.buf)
            }
        }
    };
}
