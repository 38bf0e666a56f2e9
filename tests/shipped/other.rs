//! Another static library of Rust's, with a standard library of its own, to be linked beside `libioq.a`.

use std::thread;

/// How many digits a number has, counted in another thread, or -1 if that panicked, as it does for 0.
#[unsafe(no_mangle)]
pub extern "C" fn other_digits(number: u64) -> i32 {
    let digits = thread::spawn(move || {
        assert_ne!(number, 0);
        number.to_string().len() as i32
    });
    digits.join().unwrap_or(-1)
}
