//! The host's functions in a program that contains the static library.
//!
//! There is no dynamic symbol table to ask: a program without `-rdynamic` has none of its own functions in it. But the
//! linker of the program can choose. Two strong definitions of a function are an error, while a weak one gives way to a
//! strong one. So our functions have private names here and weak aliases under the public ones; and a table, whose
//! entries the linker fills in, tells who won. Where that is our function, the host has none.
//!
//! This is assembly because stable Rust has no weak definitions, and because the compiler must neither inline nor
//! compare what only the linker knows. It is nothing but directives, which mean the same to the ELF assembler of every
//! processor (`.dc.a` is as wide as an address).
//!
//! A definition in an archive counts only if the linker has a reason to extract its member. Our weak one is no such
//! reason, but takes it away if `-lioq` comes first on the link line and nothing else in that member is wanted: then
//! the whole program uses our function. So a host's archives belong before `-lioq`.

use super::{Address, Function};
use crate::fs::{dir, stat};
use std::arch::global_asm;

global_asm!(
    ".weak bfs_allocdir",
    ".set bfs_allocdir, {allocdir}",
    ".weak bfs_opendir",
    ".set bfs_opendir, {opendir}",
    ".weak bfs_dirfd",
    ".set bfs_dirfd, {dirfd}",
    ".weak bfs_polldir",
    ".set bfs_polldir, {polldir}",
    ".weak bfs_readdir",
    ".set bfs_readdir, {readdir}",
    ".weak bfs_closedir",
    ".set bfs_closedir, {closedir}",
    ".weak bfs_unwrapdir",
    ".set bfs_unwrapdir, {unwrapdir}",
    ".weak bfs_stat",
    ".set bfs_stat, {stat}",
    ".weak bfs_statx_flags",
    ".set bfs_statx_flags, {statx_flags}",
    ".weak bfs_statx_mask",
    ".set bfs_statx_mask, {statx_mask}",
    ".weak bfs_statx_convert",
    ".set bfs_statx_convert, {statx_convert}",
    // In the order of `Function`: who won, and ourselves.
    ".pushsection .data.rel.ro.ioq_host_functions, \"aw\", %progbits",
    ".balign {pointer}",
    ".hidden ioq_host_functions",
    ".globl ioq_host_functions",
    "ioq_host_functions:",
    ".dc.a bfs_opendir, {opendir}",
    ".dc.a bfs_polldir, {polldir}",
    ".dc.a bfs_closedir, {closedir}",
    ".dc.a bfs_stat, {stat}",
    ".dc.a bfs_statx_flags, {statx_flags}",
    ".dc.a bfs_statx_mask, {statx_mask}",
    ".dc.a bfs_statx_convert, {statx_convert}",
    ".popsection",
    pointer = const size_of::<Address>(),
    allocdir = sym dir::bfs_allocdir,
    opendir = sym dir::bfs_opendir,
    dirfd = sym dir::bfs_dirfd,
    polldir = sym dir::bfs_polldir,
    readdir = sym dir::bfs_readdir,
    closedir = sym dir::bfs_closedir,
    unwrapdir = sym dir::bfs_unwrapdir,
    stat = sym stat::bfs_stat,
    statx_flags = sym stat::bfs_statx_flags,
    statx_mask = sym stat::bfs_statx_mask,
    statx_convert = sym stat::bfs_statx_convert,
);

/// An entry of the table.
#[repr(C)]
struct Choice {
    winner: Address,
    ours: Address,
}

unsafe extern "C" {
    static ioq_host_functions: [Choice; Function::COUNT];
}

/// The function that this program was linked with, unless it is our own.
pub fn find(function: Function) -> Option<Address> {
    // SAFETY: the table above has this type and never changes after the program is loaded.
    let choice = unsafe { &ioq_host_functions[function as usize] };
    (choice.winner != choice.ours).then_some(choice.winner)
}
