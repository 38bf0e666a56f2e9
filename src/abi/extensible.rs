//! Structures of the program's that begin with their size, so that later versions can add members at the end.
//!
//! A program that was built with an older header has a smaller structure, and one with a newer header a larger one.
//! (Extensible structures, as `openat2(2)` has one.)

use crate::platform::errno::Errno;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

/// A structure of plain data that begins with its size in bytes, a `usize`.
///
/// # Safety
///
/// So it must be, without padding, and zeros be a valid one.
pub unsafe trait Extensible {
    /// The size when it was first published.
    const FIRST_SIZE: usize;
}

/// Reads what the program has set; what it does not know is 0. `EINVAL` if the structure is smaller than it ever was, `E2BIG`
/// if there is something set in it that is not known here.
///
/// # Safety
///
/// `from` must point to as many readable bytes as its size says.
pub unsafe fn read<T: Extensible>(from: NonNull<T>) -> Result<T, Errno> {
    let mut copy = MaybeUninit::<T>::zeroed();
    // SAFETY: passed on to the caller.
    unsafe {
        let size = from.cast::<usize>().read();
        if size < T::FIRST_SIZE {
            return Err(Errno(libc::EINVAL));
        }
        let bytes: *const u8 = from.as_ptr().cast();
        if (size_of::<T>()..size).any(|i| bytes.add(i).read() != 0) {
            return Err(Errno(libc::E2BIG));
        }
        ptr::copy_nonoverlapping(bytes, copy.as_mut_ptr().cast(), size.min(size_of::<T>()));
        Ok(copy.assume_init())
    }
}

/// Writes as much as there is room for, and zeros beyond that. `EINVAL` if the structure is smaller than it ever was.
///
/// # Safety
///
/// `to` must be valid for as many bytes as its size says.
pub unsafe fn write<T: Extensible>(to: NonNull<T>, value: T) -> Result<(), Errno> {
    // SAFETY: passed on to the caller.
    unsafe {
        let size = to.cast::<usize>().read();
        if size < T::FIRST_SIZE {
            return Err(Errno(libc::EINVAL));
        }
        let bytes: *mut u8 = to.as_ptr().cast();
        bytes.write_bytes(0, size);
        bytes.copy_from_nonoverlapping((&raw const value).cast(), size.min(size_of::<T>()));
        to.cast::<usize>().write(size);
    }
    Ok(())
}
