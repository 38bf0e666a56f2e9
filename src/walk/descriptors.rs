//! Which directories are open.
//!
//! A directory stays open until it is finished, because what is in it is opened by its descriptor, and so does whoever
//! uses the walk. When there is no other descriptor to be had, one is taken from a directory that nothing needs at the
//! moment, the deepest first: those near the root are the last to go, since everything else can be found again from there.
//!
//! A directory is opened again when it is needed, and used only if it is the same by device and inode:
//!
//! - by ".." of a child that is finished and open, which finds it wherever either was moved. As each directory that is
//!   finished has its parent opened in this way, a walk comes up from any depth with two descriptors.
//! - by its name in its parent, which is opened in the same way first, if need be, and so on: from the nearest ancestor that
//!   is open. Where descriptors are scarce, this is done while nothing else can be.

#![forbid(unsafe_code)]

use super::Walk;
use super::ahead::Task;
use super::nodes::{Id, Identity, Nodes};
use crate::platform::alloc;
use crate::platform::errno::Errno;
use libc::{c_int, statx};
use std::os::fd::{AsRawFd, OwnedFd};

pub struct Descriptors {
    /// The most there may be.
    pub max: usize,
    /// Those that are open. There is room for all nodes.
    open: Vec<Id>,
    /// How many are being opened.
    pub opening: usize,
    /// What is to be opened again, the last of them first: the way down to a directory that is needed, which is the first.
    way: Vec<Id>,
    /// Whether a request to open one of those is under way.
    is_under_way: bool,
}

impl Descriptors {
    pub fn new(max: usize) -> Self {
        Self { max, open: Vec::new(), opening: 0, way: Vec::new(), is_under_way: false }
    }

    pub fn reserve(&mut self, nodes: usize) -> Result<(), Errno> {
        alloc::reserve(&mut self.open, nodes.min(self.max + 1))
    }

    pub fn count(&self) -> usize {
        self.open.len() + self.opening
    }

    /// No more can be had than there are.
    pub fn are_fewer(&mut self) {
        self.max = self.count().clamp(2, self.max);
    }

    /// A node is going to be removed, and its descriptor with it.
    pub fn forget(&mut self, id: Id) {
        if let Some(place) = self.open.iter().rposition(|&open| open == id) {
            self.open.swap_remove(place);
        }
    }

    pub fn add(&mut self, nodes: &mut Nodes, id: Id, fd: OwnedFd) {
        nodes[id].fd = Some(fd);
        self.open.push(id);
    }

    /// Closes the deepest directory that nothing needs and that is no busier, other than these. Returns whether there was one.
    fn close_one(&mut self, nodes: &mut Nodes, busy: usize, but: [Option<Id>; 2]) -> bool {
        let places = 0..self.open.len();
        let can_go = |place: &usize| {
            let (id, node) = (self.open[*place], &nodes[self.open[*place]]);
            node.pins == 0 && node.busy <= busy && !but.contains(&Some(id))
        };
        let deepest = places.filter(can_go).max_by_key(|&place| nodes[self.open[place]].depth);
        if let Some(place) = deepest {
            nodes[self.open.swap_remove(place)].fd = None;
        }
        deepest.is_some()
    }
}

impl Walk {
    /// Whether there is a descriptor to open something with. One may be taken from any directory but this.
    pub(super) fn can_open(&mut self, but: Option<Id>) -> bool {
        self.has_descriptor() || self.close_one(but)
    }

    pub(super) fn has_descriptor(&self) -> bool {
        self.descriptors.count() < self.descriptors.max
    }

    /// Closes a directory that nothing needs, other than this. Returns whether there was one.
    ///
    /// Those in which several things are left to be done will be needed soon, and are left alone unless nothing else is left.
    pub(super) fn close_one(&mut self, but: Option<Id>) -> bool {
        let busy = if self.is_idle() { usize::MAX } else { 1 };
        // Its parent may be looked for by it.
        let finished = self.finished.last().copied();
        self.descriptors.close_one(&mut self.nodes, busy, [but, finished])
    }

    /// Whether the directory that a finished one is in is open, or cannot be. If not, it is going to be.
    pub(super) fn has_directory_at_hand(&mut self, id: Id) -> Result<bool, Errno> {
        let Some(parent) = self.nodes[id].parent else {
            return Ok(true);
        };
        let node = &self.nodes[parent];
        if node.fd.is_some() || node.lost != 0 {
            return Ok(true);
        }
        self.reopen(parent, Some(id))?;
        Ok(false)
    }

    /// Begins to open a directory again, if need be by a child of it, unless there is another on the way.
    pub(super) fn reopen(&mut self, id: Id, child: Option<Id>) -> Result<(), Errno> {
        if !self.descriptors.way.is_empty() {
            return Ok(());
        }
        let by = child.and_then(|child| Some((child, self.nodes[child].fd.as_ref()?.as_raw_fd())));
        let Some((child, fd)) = by else {
            return self.find_way(id);
        };
        if !self.queue.is_full() && self.can_open(Some(child)) {
            alloc::reserve(&mut self.descriptors.way, 1)?;
            self.queue.open(fd, b"..", REOPEN, MASK, Task::Up(child))?;
            self.descriptors.way.push(id);
            self.expect(Some(child));
        }
        Ok(())
    }

    /// Begins at the nearest ancestor that is open.
    fn find_way(&mut self, id: Id) -> Result<(), Errno> {
        alloc::push(&mut self.descriptors.way, id)?;
        self.go_on().map(drop)
    }

    /// Goes on to open a directory again, if that is to be done and is not being done. Returns whether there was something to
    /// do, and a descriptor to do it with.
    pub(super) fn go_on(&mut self) -> Result<bool, Errno> {
        let Some(&id) = self.descriptors.way.last().filter(|_| !self.descriptors.is_under_way) else {
            return Ok(false);
        };
        let (mut id, mut parent) = (id, self.nodes[id].parent);
        while let Some(closed) = parent.filter(|&parent| self.nodes[parent].fd.is_none()) {
            alloc::push(&mut self.descriptors.way, closed)?;
            (id, parent) = (closed, self.nodes[closed].parent);
        }
        if self.queue.is_full() || !self.can_open(parent) {
            return Ok(false);
        }
        let (dfd, node) = (self.fd_of(parent), &self.nodes[id]);
        let flags = if node.follows { REOPEN & !libc::O_NOFOLLOW } else { REOPEN };
        self.queue.open(dfd, &node.name, flags, MASK, Task::Down(id))?;
        self.expect(parent);
        Ok(true)
    }

    /// A request to open a directory again was submitted.
    fn expect(&mut self, pinned: Option<Id>) {
        self.descriptors.is_under_way = true;
        self.descriptors.opening += 1;
        if let Some(id) = pinned {
            self.nodes[id].pins += 1;
        }
    }

    /// The answer to that: a directory that should be `id`, and was looked for by the child or the parent that was pinned.
    pub(super) fn reopened(
        &mut self,
        id: Id,
        pinned: Option<Id>,
        upwards: bool,
        answer: Result<(OwnedFd, statx), Errno>,
    ) -> Result<(), Errno> {
        self.descriptors.is_under_way = false;
        self.descriptors.opening -= 1;
        if let Some(pinned) = pinned {
            self.nodes[pinned].pins -= 1;
        }
        let same = |stat: &statx| self.nodes[id].identity == Some(Identity::of(stat));
        let found = answer.and_then(|(fd, stat)| if same(&stat) { Ok(fd) } else { Err(Errno(libc::ENOENT)) });
        match found {
            Ok(fd) => {
                self.descriptors.add(&mut self.nodes, id, fd);
                self.descriptors.way.pop();
                Ok(())
            }
            Err(_) if upwards => {
                self.descriptors.way.clear();
                self.find_way(id)
            }
            // Another may have to go for this.
            Err(Errno(libc::EMFILE | libc::ENFILE)) if self.close_one(pinned) => Ok(()),
            // Or something under way will give one back, and it is tried again.
            Err(Errno(libc::EMFILE | libc::ENFILE)) if !self.is_idle() => {
                self.descriptors.are_fewer();
                self.descriptors.way.clear();
                Ok(())
            }
            Err(e) => {
                self.give_up_way(e);
                Ok(())
            }
        }
    }

    /// The directory that was to be opened again is not going to be. Returns whether there was one.
    pub(super) fn give_up_way(&mut self, e: Errno) -> bool {
        let id = self.descriptors.way.first().copied();
        if let Some(id) = id {
            self.nodes[id].lost = e.0;
        }
        self.descriptors.way.clear();
        id.is_some()
    }

    /// The descriptor of a directory, or of what the paths of roots are relative to.
    pub(super) fn fd_of(&self, directory: Option<Id>) -> c_int {
        directory.map_or(libc::AT_FDCWD, |id| self.nodes[id].fd.as_ref().map_or(-1, AsRawFd::as_raw_fd))
    }
}

const REOPEN: c_int = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
const MASK: libc::c_uint = libc::STATX_INO;
