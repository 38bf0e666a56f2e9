//! The directories that a walk has found and not finished, and those files that it has to ask about before it can tell what
//! they are.
//!
//! A node is known by its number, which another gets once it is gone. Nodes do not move, so that programs can have words
//! in them.

#![forbid(unsafe_code)]

use crate::platform::alloc;
use crate::platform::errno::Errno;
use libc::{c_int, c_void, statx};
use std::cell::Cell;
use std::ops::{Index, IndexMut};
use std::os::fd::OwnedFd;
use std::ptr;

pub type Id = usize;

/// Which file it is, on all file systems.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    pub dev: (u32, u32),
    pub ino: u64,
}

impl Identity {
    pub fn of(stat: &statx) -> Self {
        Self { dev: (stat.stx_dev_major, stat.stx_dev_minor), ino: stat.stx_ino }
    }
}

pub struct Node {
    /// The directory that it is in; none for a root.
    pub parent: Option<Id>,
    pub depth: usize,
    /// The name there; of a root, the path.
    pub name: Vec<u8>,
    /// `DT_*`, as far as it is known.
    pub kind: u8,
    /// Whether it is found by following links.
    pub follows: bool,
    /// The inode number that its directory, or its stat, has for it.
    pub ino: u64,
    /// The stat that there is: that of what was opened, once it was.
    pub stat: Option<statx>,
    /// What it is, once it was entered.
    pub identity: Option<Identity>,
    /// Its descriptor, while it is open.
    pub fd: Option<OwnedFd>,
    /// How many requests and lists need the descriptor as it is.
    pub pins: usize,
    /// How many children, lists and requests there are to be finished before it is.
    pub busy: usize,
    /// The `errno` to be reported, or 0.
    pub error: c_int,
    /// Why it can not be opened again: an `errno`, or 0.
    pub lost: c_int,
    /// The program's word.
    pub data: Cell<*mut c_void>,
}

impl Node {
    pub fn new(parent: Option<(Id, &Node)>, name: &[u8]) -> Result<Self, Errno> {
        let mut copy = Vec::new();
        alloc::reserve(&mut copy, name.len())?;
        copy.extend_from_slice(name);
        Ok(Self {
            parent: parent.map(|(id, _)| id),
            depth: parent.map_or(0, |(_, node)| node.depth + 1),
            name: copy,
            kind: libc::DT_UNKNOWN,
            follows: false,
            ino: 0,
            stat: None,
            identity: None,
            fd: None,
            pins: 0,
            busy: 0,
            error: 0,
            lost: 0,
            data: Cell::new(ptr::null_mut()),
        })
    }
}

/// How many nodes are allocated at once.
const CHUNK: usize = 64;

#[derive(Default)]
pub struct Nodes {
    /// Each has room for `CHUNK` nodes from the start.
    chunks: Vec<Vec<Option<Node>>>,
    free: Vec<Id>,
    count: usize,
    /// The bytes of their names.
    names: usize,
}

impl Nodes {
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// About how much memory they take.
    pub fn memory(&self) -> usize {
        self.count * size_of::<Node>() + self.names
    }

    pub fn add(&mut self, node: Node) -> Result<Id, Errno> {
        if self.free.is_empty() {
            let mut chunk = Vec::new();
            alloc::reserve(&mut chunk, CHUNK)?;
            alloc::reserve(&mut self.free, (self.chunks.len() + 1) * CHUNK)?;
            chunk.resize_with(CHUNK, || None);
            let first = self.chunks.len() * CHUNK;
            alloc::push(&mut self.chunks, chunk)?;
            self.free.extend((first..first + CHUNK).rev());
        }
        self.count += 1;
        self.names += node.name.len();
        let id = self.free.pop().unwrap_or_default();
        self.chunks[id / CHUNK][id % CHUNK] = Some(node);
        Ok(id)
    }

    /// Takes a node away, and closes its descriptor.
    pub fn remove(&mut self, id: Id) {
        if let Some(node) = self.chunks[id / CHUNK][id % CHUNK].take() {
            self.count -= 1;
            self.names -= node.name.len();
            // There is room for the numbers of all nodes.
            self.free.push(id);
        }
    }
}

impl Index<Id> for Nodes {
    type Output = Node;

    fn index(&self, id: Id) -> &Node {
        self.chunks[id / CHUNK][id % CHUNK].as_ref().expect("a node that is there")
    }
}

impl IndexMut<Id> for Nodes {
    fn index_mut(&mut self, id: Id) -> &mut Node {
        self.chunks[id / CHUNK][id % CHUNK].as_mut().expect("a node that is there")
    }
}
