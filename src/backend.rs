//! How requests are run: the user's choice, from the environment.

use crate::errno::Errno;
use std::ffi::CStr;

/// The value of `IOQ_BACKEND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// io_uring where it can be had and pays, else plain system calls.
    Auto,
    /// io_uring for everything that it can do.
    Uring,
    /// Plain system calls alone.
    Sync,
}

impl Backend {
    /// The user's choice. `EINVAL` if it is none of those above.
    pub fn from_env() -> Result<Self, Errno> {
        // SAFETY: the name is a C string, and so is the result, which is read at once. A program that changes the
        // environment in another thread meanwhile breaks the rules of getenv(3) all by itself.
        unsafe {
            // Whoever runs a program that gains privileges thereby must not choose how it works.
            let value = if libc::getauxval(libc::AT_SECURE) == 0 {
                libc::getenv(c"IOQ_BACKEND".as_ptr())
            } else {
                std::ptr::null_mut()
            };
            if value.is_null() { Ok(Self::Auto) } else { Self::parse(CStr::from_ptr(value).to_bytes()) }
        }
    }

    fn parse(value: &[u8]) -> Result<Self, Errno> {
        match value {
            b"" | b"auto" => Ok(Self::Auto),
            b"uring" => Ok(Self::Uring),
            b"sync" => Ok(Self::Sync),
            _ => Err(Errno(libc::EINVAL)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_three_names_and_nothing_are_valid() {
        assert_eq!(Backend::parse(b""), Ok(Backend::Auto));
        assert_eq!(Backend::parse(b"auto"), Ok(Backend::Auto));
        assert_eq!(Backend::parse(b"uring"), Ok(Backend::Uring));
        assert_eq!(Backend::parse(b"sync"), Ok(Backend::Sync));
        for wrong in [b"URING".as_slice(), b"io_uring", b"sync ", b"0"] {
            assert_eq!(Backend::parse(wrong), Err(Errno(libc::EINVAL)));
        }
    }
}
