//! The fuzzer's way in: what it makes up is run as a sequence of calls.

#![no_main]

use ioq_fuzz::{Input, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: Input| run(&input));

/// Memory that cannot be had is an error that the library must report, and no reason for the checker to give up.
#[unsafe(no_mangle)]
extern "C" fn __asan_default_options() -> *const std::ffi::c_char {
    c"allocator_may_return_null=1:max_allocation_size_mb=1024".as_ptr()
}
