//! The arithmetic of a slot's word.
//!
//! ```text
//!     value            SKIP
//!     0 0 0 ... 0 0 0  0     empty
//!     p p p ... p p p  0     full(p): a span, see queue/span.rs
//!     n n n ... n n n  1     skip(n), n > 0
//! ```

#![forbid(unsafe_code)]

/// The next writers pass this slot over.
pub const SKIP: usize = 1;

/// The bits that belong to the channel and not to what it carries.
pub const RESERVED: usize = SKIP;

/// One skip more, or less.
const ONE: usize = SKIP << 1;

/// What a slot's word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Empty,
    Full,
    Skip,
}

/// Reads a word.
pub fn state(word: usize) -> State {
    match word {
        0 => State::Empty,
        _ if word & SKIP != 0 => State::Skip,
        _ => State::Full,
    }
}

/// The word after a writer passed over it: skip(n) → skip(n - 1), skip(1) → empty.
pub fn skipped(word: usize) -> usize {
    if word == ONE | SKIP { 0 } else { word - ONE }
}

/// The word after a reader found nothing: empty → skip(1), skip(n) → skip(n + 1).
pub fn missed(word: usize) -> usize {
    (word | SKIP) + ONE
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
        assert_eq!(state(0), State::Empty);
        assert_eq!(state(0x1000), State::Full);
    }
}
