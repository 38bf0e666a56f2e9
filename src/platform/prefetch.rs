//! Fetching memory ahead.
//!
//! What a request needs was last written on another processor: its entry, its path, the caller's buffer. Each cache line
//! has to be fetched from there, which takes longer than all the rest that a quick request needs. Asked for early, and
//! all at once, they come while something else is done.

/// Bytes in a cache line, or fewer.
const LINE: usize = 64;

/// Lines of a stat buffer to fetch: struct bfs_stat has about so many.
const STAT_LINES: usize = 3;

/// Starts to fetch the buffer that a stat is to fill.
#[inline]
pub fn stat_buffer(buf: *const u8) {
    for i in 0..STAT_LINES {
        for_write(buf.wrapping_add(i * LINE));
    }
}

/// Starts to fetch what is at this address, to be read.
#[inline]
pub fn for_read(address: *const u8) {
    // SAFETY: fetching ahead has no effect that a program could see, whatever the address.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("prefetcht0 [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}

/// Starts to fetch what is at this address, to be read and written.
#[inline]
pub fn for_write(address: *const u8) {
    // SAFETY: as above. Every x86-64 processor takes this instruction, be it as one that does nothing.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("prfm pstl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}
