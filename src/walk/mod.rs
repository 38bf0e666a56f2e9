//! `ioq/walk.h`: a walk through directory trees, fts(3) in parallel.
//!
//! It is a program on the library like any other: what it uses of it is in `queue`, the functions of `ioq.h` in safe
//! words. One thread, that of the caller, has all data and takes all decisions:
//!
//! | module | |
//! |---|---|
//! | `abi` | the functions and types of the header |
//! | `options` | what the walk is to be like |
//! | `nodes` | the directories that were found and are not finished |
//! | `ahead` | what is asked for next, and what becomes of the answers |
//! | `descriptors` | which directories are open, and how they are opened again |
//! | `path` | the path of what is returned |
//! | here | what is returned next |
//!
//! The life of a directory, from when its entry in a list was returned:
//!
//! ```text
//!     pending ──▶ listed ──▶ ready ──▶ returned, entry by entry ──▶ finished ──▶ gone
//!       │          │ ▲                   │ its children become                 │ once nothing below is left:
//!       │          │ └─ pending again,   │ pending                             │ the second visit
//!       │          │    if there is more ▼
//!       └──────────┴──────────────────▶ finished: it was not to be entered, or could not be
//! ```
//!
//! *Pending* is a stack: the newest is asked for first, so that the walk runs in depth, and what it has in memory is the way
//! down to where it is, with the siblings of that way.
//!
//! A directory is opened by its name in its parent's descriptor, never following a link, and read by its own descriptor,
//! so it does not matter what becomes of the names on the way there. A descriptor may be taken from a directory
//! that is not being read (`descriptors`). What was opened again is used only if device and inode are what they were.

#![allow(clippy::missing_safety_doc, reason = "of the C functions alone, where it stands")]

pub mod abi;
mod ahead;
mod descriptors;
mod nodes;
mod options;
mod path;
mod queue;

use crate::platform::alloc;
use crate::platform::errno::Errno;
use crate::platform::table::Table;
use abi::ioq_walk_ent;
use ahead::{Ready, Task};
use descriptors::Descriptors;
use libc::{c_int, statx};
use nodes::{Id, Identity, Node, Nodes};
use options::Options;
use path::Path;
use queue::{List, Queue};
use std::mem;
use std::os::fd::AsRawFd;
use std::ptr;

pub struct Walk {
    // The first to be dropped: requests use descriptors of nodes.
    queue: Queue<Task>,
    options: Options,
    /// Those that were not begun, the next one last.
    roots: Vec<Vec<u8>>,
    nodes: Nodes,
    descriptors: Descriptors,
    /// How many nodes were entered as what. Mostly a look here tells that a directory is none of its own ancestors.
    entered: Table<Identity, usize>,
    /// What is to be asked for, the newest last. There is room for two for each node.
    pending: Vec<Task>,
    /// What can be returned, the newest last. There is room for as many as are in flight.
    ready: Vec<Ready>,
    /// The lists that are being returned: one, or if entries are sorted, one for each directory on the way.
    frames: Vec<Frame>,
    /// Directories of which nothing is left but their second visit. There is room for all nodes.
    finished: Vec<Id>,
    /// About how much memory the lists take that have come, and what one of them takes.
    lists: usize,
    typical: usize,
    path: Path,
    ent: ioq_walk_ent,
    last: Last,
}

/// A list that is being returned.
struct Frame {
    directory: Id,
    list: List,
    /// The next entry.
    index: usize,
    /// Whether it has pinned the directory's descriptor.
    pinned: bool,
}

/// What was returned last, and is still to be looked after.
enum Last {
    Nothing,
    /// The first visit of a directory, which is to be entered now, if so.
    First {
        id: Id,
        prune: bool,
    },
    /// A node that is no longer needed.
    Gone(Id),
}

impl Walk {
    pub fn new(mut roots: Vec<Vec<u8>>, options: Options) -> Result<Self, Errno> {
        roots.reverse();
        let queue = options.queue();
        let mut ready = Vec::new();
        alloc::reserve(&mut ready, queue.depth)?;
        Ok(Self {
            queue: Queue::new(&queue)?,
            descriptors: Descriptors::new(options.max_fds),
            options,
            roots,
            nodes: Nodes::default(),
            entered: Table::default(),
            pending: Vec::new(),
            ready,
            frames: Vec::new(),
            finished: Vec::new(),
            lists: 0,
            typical: 0,
            path: Path::default(),
            ent: NOTHING,
            last: Last::Nothing,
        })
    }

    pub fn fd(&self) -> Result<c_int, Errno> {
        self.queue.fd()
    }

    pub fn prune(&mut self) {
        if let Last::First { prune, .. } = &mut self.last {
            *prune = true;
        }
    }

    /// Goes on to the next entry. None at the end, and `EAGAIN` if it would have to wait and must not.
    pub fn next(&mut self, wait: bool) -> Result<Option<&ioq_walk_ent>, Errno> {
        loop {
            if self.step()? {
                return Ok(Some(&self.ent));
            }
            if self.receive(false)? | self.ask()? {
                continue;
            }
            if self.queue.in_flight() == 0 {
                if self.nodes.is_empty() && self.roots.is_empty() {
                    return Ok(None);
                }
                self.get_unstuck()?;
            } else if wait {
                self.receive(true)?;
            } else {
                return Err(Errno(libc::EAGAIN));
            }
        }
    }

    /// Finds an entry among what has come. Returns whether there is one.
    fn step(&mut self) -> Result<bool, Errno> {
        loop {
            self.look_after_last()?;
            if let Some(&id) = self.finished.last() {
                if self.has_directory_at_hand(id)? {
                    self.finished.pop();
                    if self.finish(id)? {
                        return Ok(true);
                    }
                    continue;
                }
            }
            if self.frames.is_empty() || self.options.sorts() {
                // Before anything is taken from there.
                let count = self.frames.len() + 1;
                alloc::reserve(&mut self.frames, count)?;
                match self.ready.pop() {
                    Some(Ready::File(id)) => {
                        if self.found(id)? {
                            return Ok(true);
                        }
                        continue;
                    }
                    Some(Ready::List(directory, list)) => {
                        if let Some(frame) = self.frames.last_mut() {
                            self.nodes[frame.directory].pins -= usize::from(mem::take(&mut frame.pinned));
                        }
                        self.frames.push(Frame { directory, list, index: 0, pinned: true });
                    }
                    None => {}
                }
            }
            if !self.can_go_on()? {
                return Ok(false);
            }
            if self.entry()? {
                return Ok(true);
            }
        }
    }

    /// Whether a list can be gone on with: what is in the directory that was returned before was returned too, if entries are
    /// sorted, and the directory is open.
    fn can_go_on(&mut self) -> Result<bool, Errno> {
        let Some(frame) = self.frames.last_mut() else {
            return Ok(false);
        };
        let node = &mut self.nodes[frame.directory];
        // The list itself is one.
        if self.options.sorts() && node.busy > 1 {
            return Ok(false);
        }
        if !frame.pinned && node.fd.is_none() && node.lost == 0 {
            let directory = frame.directory;
            self.reopen(directory, None)?;
            return Ok(false);
        }
        node.pins += usize::from(!mem::replace(&mut frame.pinned, true));
        Ok(true)
    }

    /// The next entry of the list. Returns whether that is to be returned.
    fn entry(&mut self) -> Result<bool, Errno> {
        let Some(frame) = self.frames.last_mut().filter(|frame| frame.index < frame.list.len()) else {
            return self.leave().map(|()| false);
        };
        let (item, directory) = (frame.list.item(frame.index), frame.directory);
        let (kind, ino, error) = (item.kind, item.ino, item.error);
        let is_directory = kind == libc::DT_DIR && error == 0;
        let stat = item.stat.map_or(ptr::null(), ptr::from_ref);
        let own_stat = item.stat.filter(|_| is_directory).copied();
        let start = self.path.write(&self.nodes, Some(directory), item.name)?;
        frame.index += 1;

        let follows = kind == libc::DT_LNK && self.options.follows();
        // A directory of another file system is not even to be opened.
        let may_be_foreign = is_directory && self.options.stays() && !self.options.stats();
        if error == 0 && (follows || may_be_foreign || kind == libc::DT_UNKNOWN) {
            let mut node = Node::new(Some((directory, &self.nodes[directory])), self.path.name(start))?;
            (node.kind, node.follows, node.ino) = (kind, follows, ino);
            let id = self.add(node)?;
            self.pending.push(Task::Probe(id));
            self.ask()?;
            return Ok(false);
        }
        self.fill(start, Some(directory), kind, ino, stat, error);
        if self.options.skip.leaves_out(&self.ent) {
            return Ok(false);
        }
        if !is_directory {
            return Ok(true);
        }
        let mut node = Node::new(Some((directory, &self.nodes[directory])), self.path.name(start))?;
        (node.kind, node.ino, node.stat) = (kind, ino, own_stat);
        let id = self.add(node)?;
        Ok(self.visit_first(id))
    }

    /// The list was returned to its end.
    fn leave(&mut self) -> Result<(), Errno> {
        if let Some(frame) = self.frames.pop() {
            self.lists -= self.size_of(&frame.list);
            self.nodes[frame.directory].pins -= 1;
            self.release(frame.directory);
        }
        self.receive(false)?;
        self.ask()?;
        Ok(())
    }

    /// A file that was asked about. Returns whether it is to be returned.
    fn found(&mut self, id: Id) -> Result<bool, Errno> {
        self.last = Last::Gone(id);
        self.unpin_parent(id);
        self.fill_from(id, self.nodes[id].error)?;
        if self.options.skip.leaves_out(&self.ent) {
            return Ok(false);
        }
        let node = &self.nodes[id];
        if node.kind != libc::DT_DIR || node.error != 0 {
            return Ok(true);
        }
        Ok(self.visit_first(id))
    }

    /// The first visit of a directory, for which the entry was filled in. Returns whether that is to be returned.
    fn visit_first(&mut self, id: Id) -> bool {
        self.ent.data = self.nodes[id].data.as_ptr();
        self.last = Last::First { id, prune: false };
        self.options.returns_first()
    }

    /// The last of a directory. Returns whether its second visit is to be returned.
    fn finish(&mut self, id: Id) -> Result<bool, Errno> {
        self.last = Last::Gone(id);
        let error = self.nodes[id].error;
        if !self.options.returns_last() && error == 0 {
            return Ok(false);
        }
        self.fill_from(id, error)?;
        self.ent.data = self.nodes[id].data.as_ptr();
        self.ent.post = true;
        Ok(true)
    }

    fn look_after_last(&mut self) -> Result<(), Errno> {
        match mem::replace(&mut self.last, Last::Nothing) {
            Last::Nothing => Ok(()),
            Last::First { id, prune } => {
                if prune || !self.may_enter(id) {
                    self.finished.push(id);
                    return Ok(());
                }
                self.nodes[id].busy = 1;
                self.pending.push(Task::Open(id));
                self.ask().map(drop)
            }
            Last::Gone(id) => {
                self.remove(id);
                Ok(())
            }
        }
    }

    /// Whether a directory is to be entered, as far as its stat tells.
    fn may_enter(&self, id: Id) -> bool {
        let node = &self.nodes[id];
        node.depth < self.options.max_depth && node.stat.is_none_or(|stat| self.may_stay_in(id, Identity::of(&stat)))
    }

    /// Whether a directory may be entered that is this one.
    fn may_stay_in(&self, id: Id, identity: Identity) -> bool {
        let parent = self.nodes[id].parent.and_then(|parent| self.nodes[parent].identity);
        !self.options.stays() || parent.is_none_or(|parent| parent.dev == identity.dev)
    }

    /// Adds a node, with room for it wherever it will go.
    fn add(&mut self, node: Node) -> Result<Id, Errno> {
        let count = self.nodes.count() + 1;
        alloc::reserve(&mut self.pending, 2 * count)?;
        alloc::reserve(&mut self.finished, count)?;
        self.descriptors.reserve(count)?;
        let parent = node.parent;
        let id = self.nodes.add(node)?;
        if let Some(parent) = parent {
            self.nodes[parent].busy += 1;
        }
        Ok(id)
    }

    fn remove(&mut self, id: Id) {
        let node = &self.nodes[id];
        let (parent, identity) = (node.parent, node.identity);
        self.path.forget(id, node.depth);
        if let Some(identity) = identity {
            if let Some(count) = self.entered.get_mut(&identity) {
                *count -= 1;
                if *count == 0 {
                    self.entered.remove(&identity);
                }
            }
        }
        self.descriptors.forget(id);
        self.nodes.remove(id);
        if let Some(parent) = parent {
            self.release(parent);
        }
    }

    /// One of the things is over that a directory is busy with.
    fn release(&mut self, id: Id) {
        let node = &mut self.nodes[id];
        node.busy -= 1;
        if node.busy == 0 {
            self.finished.push(id);
        }
    }

    /// Fills in the entry for a node.
    fn fill_from(&mut self, id: Id, error: c_int) -> Result<(), Errno> {
        let node = &self.nodes[id];
        let start = self.path.write(&self.nodes, node.parent, &node.name)?;
        let stat = node.stat.as_ref().map_or(ptr::null(), ptr::from_ref);
        self.fill(start, node.parent, node.kind, node.ino, stat, error);
        Ok(())
    }

    /// Fills in the entry for a file whose path was written.
    fn fill(&mut self, start: usize, parent: Option<Id>, kind: u8, ino: u64, stat: *const statx, error: c_int) {
        let parent = parent.map(|parent| &self.nodes[parent]);
        let path = self.path.bytes();
        self.ent = ioq_walk_ent {
            path: path.as_ptr().cast(),
            path_len: path.len() - 1,
            name: path[start..].as_ptr().cast(),
            depth: parent.map_or(0, |parent| parent.depth + 1),
            ino,
            stat: if self.options.stats() { stat } else { ptr::null() },
            data: ptr::null_mut(),
            parent_data: parent.map_or(ptr::null_mut(), |parent| parent.data.as_ptr()),
            error,
            dirfd: parent.map_or(libc::AT_FDCWD, |parent| parent.fd.as_ref().map_or(-1, AsRawFd::as_raw_fd)),
            r#type: kind,
            post: false,
        };
    }
}

const NOTHING: ioq_walk_ent = ioq_walk_ent {
    path: ptr::null(),
    path_len: 0,
    name: ptr::null(),
    depth: 0,
    ino: 0,
    stat: ptr::null(),
    data: ptr::null_mut(),
    parent_data: ptr::null_mut(),
    error: 0,
    dirfd: -1,
    r#type: libc::DT_UNKNOWN,
    post: false,
};
