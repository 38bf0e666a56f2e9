//! How many processors there are to run on.

/// The processors that this thread may run on, at least 1.
///
/// `std::thread::available_parallelism()` also looks for a quota in the files of the control groups, which takes longer
/// than all else that creating a queue does.
#[cfg(not(any(ioq_loom, ioq_shuttle)))]
pub fn count() -> usize {
    // SAFETY: the set is plain data, valid when all 0, and valid for writes of its size.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        // More processors than fit into the set are an error, and many.
        match libc::sched_getaffinity(0, size_of_val(&set), &mut set) {
            0 => libc::CPU_COUNT(&set).max(1) as usize,
            _ => libc::CPU_SETSIZE as usize,
        }
    }
}

/// The processors of the machine that the model has chosen.
#[cfg(any(ioq_loom, ioq_shuttle))]
pub fn count() -> usize {
    crate::models::machine::get().processors
}
