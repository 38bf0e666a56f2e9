//! The host's functions in a process that loaded the shared library.
//!
//! Where a program defines a function that the library exports under the same name, the linker exports the program's
//! as well, and the dynamic linker finds it first. So `dlsym()` gives what every other caller in the process gets: the
//! program's function, or that of another library it linked first, or ours. It finds nothing if the program hides its
//! symbols, and only ours if the library was loaded with `RTLD_LOCAL`.
//!
//! Ours must be told from the host's. Comparing addresses would not do. The name of an exported function stands, inside
//! this library too, for whatever the dynamic linker found; and the address of our function in a program that is not
//! position-independent may be a stub in that program, which only jumps to us. Hence the two questions below.

use super::{Address, Function};
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

impl Function {
    fn name(self) -> &'static CStr {
        match self {
            Self::Opendir => c"bfs_opendir",
            Self::Polldir => c"bfs_polldir",
            Self::Closedir => c"bfs_closedir",
            Self::Stat => c"bfs_stat",
            Self::StatxFlags => c"bfs_statx_flags",
            Self::StatxMask => c"bfs_statx_mask",
            Self::StatxConvert => c"bfs_statx_convert",
        }
    }
}

/// The function that this process calls by that name, unless it is our own.
pub fn find(function: Function) -> Option<Address> {
    // SAFETY: the name is a string.
    let address = NonNull::new(unsafe { libc::dlsym(libc::RTLD_DEFAULT, function.name().as_ptr()) });
    if address.is_none() {
        // SAFETY: always safe. It drops the message of this failure, which the program might take for its own.
        unsafe { libc::dlerror() };
    }
    address.filter(|&address| !is_stub(address) && object(address) != object(here()))
}

/// An address inside this library.
fn here() -> Address {
    // Not a function of C's: the dynamic linker has no say in what this means.
    NonNull::new(find as fn(Function) -> Option<Address> as *mut _).unwrap_or(NonNull::dangling())
}

/// Where the program or library that contains `address` is loaded, or NULL if that is unknown.
fn object(address: Address) -> *mut libc::c_void {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: dladdr() takes any address, and fills the structure if it returns anything but 0.
    unsafe {
        match libc::dladdr(address.as_ptr(), info.as_mut_ptr()) {
            0 => std::ptr::null_mut(),
            _ => info.assume_init().dli_fbase,
        }
    }
}

/// Whether `address` is a stub for a function that the object containing it imports.
#[cfg(target_env = "gnu")]
fn is_stub(address: Address) -> bool {
    #[cfg(target_pointer_width = "32")]
    use libc::Elf32_Sym as Symbol;
    #[cfg(target_pointer_width = "64")]
    use libc::Elf64_Sym as Symbol;
    /// `dlfcn.h`: the extra information is the symbol.
    const RTLD_DL_SYMENT: libc::c_int = 1;
    /// `elf.h`: the section of symbols that an object does not define.
    const SHN_UNDEF: u16 = 0;

    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    let mut symbol = std::ptr::null_mut();
    // SAFETY: dladdr1() takes any address, and points `symbol` to a symbol of that object, or to nothing.
    unsafe {
        let known = libc::dladdr1(address.as_ptr(), info.as_mut_ptr(), &mut symbol, RTLD_DL_SYMENT);
        let symbol = symbol.cast::<Symbol>();
        known != 0 && !symbol.is_null() && (*symbol).st_shndx == SHN_UNDEF
    }
}

/// Other C libraries cannot say. There, the library's functions do less for such a program, as they do for a host that
/// lacks some.
#[cfg(not(target_env = "gnu"))]
fn is_stub(_: Address) -> bool {
    false
}
