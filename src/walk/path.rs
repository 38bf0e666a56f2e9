//! The path of one entry at a time.
//!
//! What is returned next is mostly near what was returned last, so the nodes on the way there are kept, and only that part
//! of the way is written anew which differs: going down 60,000 levels and up again takes as many steps.

#![forbid(unsafe_code)]

use super::nodes::{Id, Nodes};
use crate::platform::alloc;
use crate::platform::errno::Errno;

#[derive(Default)]
pub struct Path {
    bytes: Vec<u8>,
    /// The directories on the way, by depth, and where the path of each ends.
    way: Vec<(Id, usize)>,
    /// Nodes on the way there that are not written yet. Empty between calls.
    missing: Vec<Id>,
}

impl Path {
    /// Writes the path of a name in a directory; of a root without one. Returns where the name begins.
    pub fn write(&mut self, nodes: &Nodes, directory: Option<Id>, name: &[u8]) -> Result<usize, Errno> {
        self.go_to(nodes, directory)?;
        let start = self.append(name)?;
        alloc::push(&mut self.bytes, 0)?;
        Ok(start)
    }

    /// The path that was written last, with its NUL.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The name in it that begins there.
    pub fn name(&self, start: usize) -> &[u8] {
        &self.bytes[start..self.bytes.len() - 1]
    }

    /// A node is going to be removed.
    pub fn forget(&mut self, id: Id, depth: usize) {
        if self.way.get(depth).is_some_and(|&(there, _)| there == id) {
            self.way.truncate(depth);
        }
    }

    fn go_to(&mut self, nodes: &Nodes, directory: Option<Id>) -> Result<(), Errno> {
        self.missing.clear();
        let mut next = directory;
        let mut known = 0;
        while let Some(id) = next {
            let node = &nodes[id];
            if self.way.get(node.depth).is_some_and(|&(there, _)| there == id) {
                known = node.depth + 1;
                break;
            }
            alloc::push(&mut self.missing, id)?;
            next = node.parent;
        }
        self.way.truncate(known);
        self.bytes.truncate(self.way.last().map_or(0, |&(_, end)| end));
        while let Some(id) = self.missing.pop() {
            self.append(&nodes[id].name)?;
            alloc::push(&mut self.way, (id, self.bytes.len()))?;
        }
        Ok(())
    }

    fn append(&mut self, name: &[u8]) -> Result<usize, Errno> {
        let size = self.bytes.len() + name.len() + 2;
        alloc::reserve(&mut self.bytes, size)?;
        if !self.bytes.is_empty() && !self.bytes.ends_with(b"/") {
            self.bytes.push(b'/');
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        Ok(start)
    }
}
