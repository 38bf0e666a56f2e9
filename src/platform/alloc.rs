//! The only door to the heap, but for directories, which C programs `free()` (`fs/dir/stream.rs`), and for tables and the
//! like that reserve by themselves. Memory that cannot be had is an error, never an abort.

use crate::platform::errno::Errno;
use std::alloc::Layout;
use std::ptr::NonNull;

pub const NO_MEMORY: Errno = Errno(libc::ENOMEM);

/// Memory for `count` values of `T`, uninitialised. `count` and the size of `T` must not be 0.
pub fn array<T>(count: usize) -> Result<NonNull<T>, Errno> {
    let layout = Layout::array::<T>(count).map_err(|_| NO_MEMORY)?;
    assert!(layout.size() > 0);
    // SAFETY: the layout's size is not 0.
    let memory = unsafe { std::alloc::alloc(layout) };
    NonNull::new(memory.cast()).ok_or(NO_MEMORY)
}

/// Gives back what `array(count)` returned, without dropping what is in it.
///
/// # Safety
///
/// `memory` must come from `array::<T>(count)` with the same `count`, and not be used again.
pub unsafe fn free_array<T>(memory: NonNull<T>, count: usize) {
    // SAFETY: this layout was valid when `array` made it.
    unsafe { std::alloc::dealloc(memory.as_ptr().cast(), Layout::array::<T>(count).unwrap_unchecked()) }
}

/// A value on the heap, to be taken back with `unbox`.
pub fn boxed<T>(value: T) -> Result<NonNull<T>, Errno> {
    let memory = array::<T>(1)?;
    // SAFETY: fresh memory of T's layout.
    unsafe { memory.write(value) };
    Ok(memory)
}

/// Takes the value back and frees its memory.
///
/// # Safety
///
/// `memory` must come from `boxed`, and not be used again.
pub unsafe fn unbox<T>(memory: NonNull<T>) -> T {
    // SAFETY: `boxed` wrote a value there, in memory of `array::<T>(1)`.
    unsafe {
        let value = memory.read();
        free_array(memory, 1);
        value
    }
}

/// A vector of exactly `count` values.
#[cfg(any(ioq_loom, ioq_shuttle))]
pub fn vec<T>(count: usize, make: impl FnMut(usize) -> T) -> Result<Vec<T>, Errno> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(count).map_err(|_| NO_MEMORY)?;
    vec.extend((0..count).map(make));
    Ok(vec)
}

/// A vector of exactly `count` values whose bytes are all 0. A large one takes memory only where it is used. `count` and
/// the size of `T` must not be 0.
///
/// # Safety
///
/// Zeros must be a valid `T`.
#[cfg(not(any(ioq_loom, ioq_shuttle)))]
pub unsafe fn zeroed<T>(count: usize) -> Result<Vec<T>, Errno> {
    let layout = Layout::array::<T>(count).map_err(|_| NO_MEMORY)?;
    assert!(layout.size() > 0);
    // SAFETY: the layout's size is not 0.
    let memory = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) }).ok_or(NO_MEMORY)?;
    // SAFETY: from the global allocator, with the layout that a vector of this capacity has; all values are valid, by
    // this function's contract.
    Ok(unsafe { Vec::from_raw_parts(memory.cast().as_ptr(), count, count) })
}

/// `Vec::push` that can fail.
pub fn push<T>(vec: &mut Vec<T>, value: T) -> Result<(), Errno> {
    vec.try_reserve(1).map_err(|_| NO_MEMORY)?;
    vec.push(value);
    Ok(())
}

/// Makes sure that a vector has room for `count` values.
pub fn reserve<T>(vec: &mut Vec<T>, count: usize) -> Result<(), Errno> {
    vec.try_reserve(count.saturating_sub(vec.len())).map_err(|_| NO_MEMORY)
}
