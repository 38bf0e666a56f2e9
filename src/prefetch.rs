//! Fetching entries ahead.
//!
//! An entry is written on one processor, run on another, and read on the first again. Each time its cache line has to
//! be fetched from the other side, which takes longer than everything else that a quick request needs. Asked for all at
//! once, the lines of a span take little longer than one.

use crate::block::Span;

/// Starts to fetch a span's entries.
#[inline]
pub fn entries(span: &Span) {
    for i in 0..span.len() {
        line(span.entry(i).as_ptr().cast());
    }
}

#[inline]
fn line(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: fetching ahead has no effect that a program could see, whatever the address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}
