//! `ioq_call()`: a function of the program's own.

use super::{Operation, Request};
use crate::entry::*;
use crate::fs::host::Host;
use crate::platform::errno::Errno;
use libc::{c_int, c_void};

type Function = unsafe extern "C" fn(*mut c_void) -> c_int;

pub struct Call;

impl Call {
    /// `EINVAL` without a function.
    pub fn request(r#fn: Option<Function>, arg: *mut c_void) -> Result<Request, Errno> {
        let r#fn = r#fn.ok_or(Errno(libc::EINVAL))?;
        Ok(Request { op: ioq_op::IOQ_CALL, args: ioq_args { call: ioq_call { r#fn, arg } } })
    }
}

impl Operation for Call {
    unsafe fn run(&self, _: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, which belong together.
        unsafe {
            let ioq_call { r#fn, arg } = ent.args.call;
            r#fn(arg)
        }
    }
}
