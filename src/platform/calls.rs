//! The numbers of system calls that the libc crate does not know on all machines.

use libc::c_long;

/// Since Linux 5.1, calls are numbered alike on all machines, but for what some of these add to all numbers.
const fn number(common: c_long) -> c_long {
    libc::SYS_openat2 - 437 + common
}

/// Linux 5.1, on machines of 32 bits.
#[cfg(not(target_pointer_width = "64"))]
pub const SYS_UTIMENSAT_TIME64: c_long = number(412);

/// Linux 6.6.
pub const SYS_FCHMODAT2: c_long = number(452);

/// Linux 6.13.
pub const SYS_GETXATTRAT: c_long = number(464);
