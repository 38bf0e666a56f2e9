//! Making queues: what is asked for, and what must come of it.

use crate::abi::*;
use crate::input::{Backend, Depth, KNOWN_FLAGS, Make, Options, Size, Threads};
use libc::{c_int, c_uint};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::env;
use std::ffi::CString;
use std::ptr;

/// Makes a queue, or checks that it rightly could not be made.
pub fn queue(make: &Make) -> *mut ioq {
    let name = match make.backend {
        Backend::Auto => "auto",
        Backend::Uring => "uring",
        Backend::Sync => "sync",
        Backend::Unknown => "unknown",
    };
    // SAFETY: no other thread of this process reads the environment: workers do not.
    unsafe { env::set_var("IOQ_BACKEND", name) };
    let (depth, threads) = (make.depth.value(), make.threads.value());
    let ioq = match &make.options {
        // SAFETY: always safe.
        None => unsafe { ioq_create(depth, threads) },
        Some(options) => create_with(depth, threads, options),
    };
    let error = errno();
    let expected = errors(make);
    if ioq.is_null() {
        // There may be no io_uring to be had.
        let needs_ring = matches!(backend(make), Backend::Uring) && threads > 0;
        assert!(expected.contains(&error) || needs_ring, "{error} instead of {expected:?}");
    } else {
        assert!(expected.is_empty(), "a queue instead of {expected:?}");
    }
    ioq
}

/// How its requests are run.
pub fn backend(make: &Make) -> Backend {
    match make.options.as_ref().map_or(IOQ_BACKEND_DEFAULT, |options| options.backend.value()) {
        IOQ_BACKEND_DEFAULT => make.backend,
        IOQ_BACKEND_AUTO => Backend::Auto,
        IOQ_BACKEND_URING => Backend::Uring,
        IOQ_BACKEND_SYNC => Backend::Sync,
        _ => Backend::Unknown,
    }
}

pub fn flags(make: &Make) -> c_uint {
    make.options.as_ref().map_or(0, |options| options.flags.value())
}

/// Why there must be no queue.
fn errors(make: &Make) -> Vec<c_int> {
    let size = make.options.as_ref().map_or(Size::Right, |options| options.size);
    let absurd = matches!(make.depth, Depth::Absurd(_)) || matches!(make.threads, Threads::Absurd(_));
    let errors = [
        (make.depth.value() == 0, libc::EINVAL),
        (absurd, libc::ENOMEM),
        (matches!(backend(make), Backend::Unknown), libc::EINVAL),
        (flags(make) & !KNOWN_FLAGS != 0, libc::EINVAL),
        (matches!(size, Size::Null | Size::Less(_)), libc::EINVAL),
        (matches!(size, Size::More { count: 1.., last: 1.. }), libc::E2BIG),
    ];
    errors.into_iter().filter_map(|(wrong, errno)| wrong.then_some(errno)).collect()
}

/// Calls `ioq_create_with()` with a structure of exactly so many bytes as it says.
fn create_with(depth: usize, nthreads: usize, options: &Options) -> *mut ioq {
    const KNOWN: usize = size_of::<ioq_options>();
    let (size, last) = match options.size {
        // SAFETY: NULL is allowed.
        Size::Null => return unsafe { ioq_create_with(ptr::null()) },
        Size::Right => (KNOWN, 0),
        Size::Less(n) => (usize::from(n) % KNOWN, 0),
        Size::More { count, last } => (KNOWN + usize::from(count), last),
    };
    let name = CString::new(vec![b'n'; options.name.into()]).expect("no NUL");
    let structure = ioq_options {
        size,
        depth,
        nthreads,
        backend: options.backend.value(),
        flags: options.flags.value(),
        inflight: options.inflight.value(),
        name: if options.name > 0 { name.as_ptr() } else { ptr::null() },
        stack_size: options.stack.value(),
    };
    // The size itself is always there.
    let len = size.max(size_of_val(&size));
    let layout = Layout::from_size_align(len, align_of::<ioq_options>()).expect("a small size");
    // SAFETY: the memory is as large as what is written, and as the structure says.
    unsafe {
        let memory = alloc_zeroed(layout);
        assert!(!memory.is_null());
        memory.copy_from_nonoverlapping((&raw const structure).cast(), len.min(KNOWN));
        if len > KNOWN {
            memory.add(len - 1).write(last);
        }
        let ioq = ioq_create_with(memory.cast());
        let error = errno();
        dealloc(memory, layout);
        set_errno(error);
        ioq
    }
}
