//! A list that only grows, and that anybody may read meanwhile.
//!
//! Element i is in bucket ⌊log₂(i + 1)⌋, which has room for 2^bucket elements and is allocated with the first of them.
//! Nothing ever moves, so what has been read stays valid for as long as the list.

use crate::platform::alloc;
use crate::platform::errno::Errno;
use crate::platform::sync::{AtomicPtr, AtomicUsize, Ordering};
use std::ptr::{self, NonNull};

/// Enough for twice as many threads as Linux can have.
const BUCKETS: usize = 23;

pub struct Roster<T> {
    buckets: [AtomicPtr<T>; BUCKETS],
    len: AtomicUsize,
}

/// The bucket of an element, and its place there.
fn locate(index: usize) -> (usize, usize) {
    let bucket = (index + 1).ilog2() as usize;
    (bucket, index + 1 - (1 << bucket))
}

// SAFETY: the list owns its elements.
unsafe impl<T: Send> Send for Roster<T> {}
// SAFETY: elements are handed out by shared references alone, and dropped by whoever owns the list.
unsafe impl<T: Send + Sync> Sync for Roster<T> {}

impl<T> Roster<T> {
    pub fn new() -> Self {
        Self { buckets: [(); BUCKETS].map(|()| AtomicPtr::new(ptr::null_mut())), len: AtomicUsize::new(0) }
    }

    pub fn len(&self) -> usize {
        // Acquire: see the elements.
        self.len.load(Ordering::Acquire)
    }

    /// Element `index`, which must be below `len()`.
    pub fn get(&self, index: usize) -> &T {
        assert!(index < self.len());
        let (bucket, place) = locate(index);
        // SAFETY: `push` wrote the element before it made the list longer, and nothing but drop takes it away.
        unsafe { &*self.buckets[bucket].load(Ordering::Relaxed).add(place) }
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Adds an element. One thread may do this at a time.
    pub fn push(&self, value: T) -> Result<&T, Errno> {
        let index = self.len();
        let (bucket, place) = locate(index);
        let mut elements = self.buckets[bucket].load(Ordering::Relaxed);
        if elements.is_null() {
            elements = alloc::array::<T>(1 << bucket)?.as_ptr();
            self.buckets[bucket].store(elements, Ordering::Relaxed);
        }
        // SAFETY: a place in the bucket that nobody else writes to, or reads before the list is longer.
        unsafe { elements.add(place).write(value) };
        // Release: whoever sees the new length sees the element, and its bucket.
        self.len.store(index + 1, Ordering::Release);
        Ok(self.get(index))
    }
}

impl<T> Drop for Roster<T> {
    fn drop(&mut self) {
        for index in 0..self.len() {
            let (bucket, place) = locate(index);
            // SAFETY: an element, which nobody uses any more.
            unsafe { self.buckets[bucket].load(Ordering::Relaxed).add(place).drop_in_place() };
        }
        for (bucket, elements) in self.buckets.iter().enumerate() {
            if let Some(elements) = NonNull::new(elements.load(Ordering::Relaxed)) {
                // SAFETY: allocated in `push`, with this size.
                unsafe { alloc::free_array(elements, 1 << bucket) };
            }
        }
    }
}

#[cfg(all(test, not(ioq_loom)))]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn elements_stay_where_they_are() {
        let roster = Roster::new();
        let first: *const usize = roster.push(0).unwrap();
        for i in 1..1000 {
            assert_eq!(roster.push(i), Ok(&i));
        }
        assert!(roster.iter().copied().eq(0..1000));
        assert!(ptr::eq(first, roster.get(0)));
    }

    #[test]
    fn elements_are_dropped_with_the_list() {
        let counted = Rc::new(());
        let roster = Roster::new();
        (0..5).for_each(|_| _ = roster.push(counted.clone()));
        assert_eq!(Rc::strong_count(&counted), 6);
        drop(roster);
        assert_eq!(Rc::strong_count(&counted), 1);
    }
}
