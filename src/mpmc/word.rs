//! The arithmetic of a slot's word.
//!
//! ```text
//!     SKIP (highest bit)            BLOCKED (lowest bit)
//!        ↓                             ↓
//!        0 0 0 0       ...       0 0 0 0    empty
//!        0 p p p       ...       p p p 0    full(p): a span, see block.rs
//!        1 1 1 1       ...       1 1 1 0    skip(1)
//!        1 1 1 1       ...       1 1 0 0    skip(2)
//! ```
//!
//! A skip count is stored negated, in units of 2: adding one unit takes one skip off, and at the last one the carry runs
//! out of the highest bit and leaves "empty". Subtracting a unit from "empty" borrows, and makes skip(1).

#![forbid(unsafe_code)]

/// Somebody sleeps until this slot changes.
pub const BLOCKED: usize = 1;
/// The next writers pass this slot over.
pub const SKIP: usize = 1 << (usize::BITS - 1);
/// The bits that belong to the queue and not to what it carries.
pub const RESERVED: usize = SKIP | BLOCKED;

const ONE_SKIP: usize = 2;

/// What a slot's word says, BLOCKED aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Empty,
    Full,
    Skip,
}

/// Reads a word.
pub fn state(word: usize) -> State {
    if word & SKIP != 0 {
        State::Skip
    } else if word & !BLOCKED != 0 {
        State::Full
    } else {
        State::Empty
    }
}

/// The word after a writer passed over it: skip(n) → skip(n - 1), skip(1) → empty.
pub fn skipped(word: usize) -> usize {
    (word & !BLOCKED).wrapping_add(ONE_SKIP)
}

/// The word after a reader found nothing: empty → skip(1), skip(n) → skip(n + 1).
pub fn missed(word: usize) -> usize {
    (word & !BLOCKED).wrapping_sub(ONE_SKIP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_count_up_and_down_to_empty() {
        let mut word = 0;
        for _ in 0..1000 {
            word = missed(word);
            assert_eq!(state(word), State::Skip);
        }
        for _ in 0..999 {
            word = skipped(word);
            assert_eq!(state(word), State::Skip);
        }
        assert_eq!(skipped(word), 0);
    }

    #[test]
    fn every_change_clears_blocked() {
        assert_eq!(missed(BLOCKED), missed(0));
        assert_eq!(missed(missed(0) | BLOCKED), missed(missed(0)));
        assert_eq!(skipped(missed(0) | BLOCKED), 0);
    }

    #[test]
    fn blocked_is_no_state_of_its_own() {
        assert_eq!(state(BLOCKED), State::Empty);
        assert_eq!(state(0x1000 | BLOCKED), State::Full);
        assert_eq!(state(missed(0) | BLOCKED), State::Skip);
    }
}
