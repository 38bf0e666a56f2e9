//! What the walk asks for, ahead of what is returned, and what becomes of the answers.
//!
//! As much is asked for at once as the queue holds, there are descriptors for, and memory. When any of these is scarce, the
//! newest goes first, and when nothing else is left to be done, it goes whatever the memory.

#![forbid(unsafe_code)]

use super::Walk;
use super::nodes::{Id, Identity, Node};
use super::options::probe_flags;
use super::queue::{Answer, List};
use crate::platform::alloc;
use crate::platform::errno::Errno;
use libc::statx;
use std::mem::size_of;
use std::os::fd::OwnedFd;

/// A request, or what is to become one.
#[derive(Clone, Copy)]
pub enum Task {
    /// Find out what a file is.
    Probe(Id),
    /// List a directory.
    Open(Id),
    /// List more of it. Its descriptor is pinned, for it knows how far that is.
    Continue(Id),
    /// Open the directory again that this one is in, by "..".
    Up(Id),
    /// Open this directory again, by its name in its parent.
    Down(Id),
}

/// What can be returned. Its directory's descriptor is pinned.
pub enum Ready {
    /// A file, of which it is known what it is, or why that cannot be known.
    File(Id),
    /// What is in a directory.
    List(Id, List),
}

impl Walk {
    /// Asks for what there is to be asked for. Returns whether anything has changed.
    pub(super) fn ask(&mut self) -> Result<bool, Errno> {
        let mut changed = self.go_on()?;
        while !self.queue.is_full() && (!self.uses_much_memory() || self.has_nothing_else()) {
            let submitted = match self.pending.last() {
                Some(&task) => self.submit(task)?,
                None => self.begin_root()?,
            };
            if !submitted {
                break;
            }
            changed = true;
        }
        self.queue.send();
        Ok(changed)
    }

    /// Whether nothing is under way or can be returned.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.in_flight() == 0 && self.ready.is_empty() && (self.frames.is_empty() || self.options.sorts())
    }

    /// Whether nothing is left but what is pending.
    fn has_nothing_else(&self) -> bool {
        self.is_idle() && self.finished.is_empty()
    }

    fn uses_much_memory(&self) -> bool {
        let expected = self.queue.in_flight() * self.typical;
        self.lists + self.nodes.memory() + expected > self.options.max_memory
    }

    /// About how much memory a list takes.
    pub(super) fn size_of(&self, list: &List) -> usize {
        const NAME: usize = 24;
        let stat = if self.options.stats() { size_of::<statx>() + size_of::<usize>() } else { 0 };
        list.len() * (size_of::<crate::abi::list::ioq_list_ent>() + NAME + stat)
    }

    /// Makes the next root pending, if its turn has come. Returns whether it has.
    fn begin_root(&mut self) -> Result<bool, Errno> {
        if self.options.root_by_root() && !self.nodes.is_empty() {
            return Ok(false);
        }
        let Some(root) = self.roots.last() else {
            return Ok(false);
        };
        let mut node = Node::new(None, root)?;
        node.follows = self.options.follows_roots();
        let id = self.add(node)?;
        self.roots.pop();
        self.pending.push(Task::Probe(id));
        Ok(true)
    }

    /// Submits the task that is on top, and takes it away from there. Returns false if it has to wait.
    fn submit(&mut self, task: Task) -> Result<bool, Errno> {
        let mask = self.options.mask();
        if let Task::Continue(id) = task {
            self.queue.list(self.fd_of(Some(id)), None, self.options.part_flags(), mask, task)?;
            self.pending.pop();
            return Ok(true);
        }
        let (Task::Probe(id) | Task::Open(id) | Task::Up(id) | Task::Down(id)) = task else {
            return Ok(false);
        };
        let parent = self.nodes[id].parent;
        if let Some(parent) = parent.filter(|&parent| self.nodes[parent].fd.is_none()) {
            let lost = self.nodes[parent].lost;
            if lost != 0 {
                self.pending.pop();
                self.fail(task, Errno(lost));
                return Ok(true);
            }
            // Where descriptors are scarce, a child that is finished will open it, if there is one.
            if self.has_descriptor() || self.has_nothing_else() {
                self.reopen(parent, None)?;
            }
            return Ok(false);
        }
        // What is finished will give one back.
        let waits = !self.has_descriptor() && !self.finished.is_empty();
        if waits || !self.can_open(parent) {
            return Ok(false);
        }
        let (dfd, node) = (self.fd_of(parent), &self.nodes[id]);
        if let Task::Open(_) = task {
            self.queue.list(dfd, Some(&node.name), self.options.list_flags(node.follows), mask, task)?;
        } else {
            self.queue.open(dfd, &node.name, probe_flags(node.follows), mask, task)?;
        }
        self.pending.pop();
        self.descriptors.opening += 1;
        if let Some(parent) = parent {
            self.nodes[parent].pins += 1;
        }
        Ok(true)
    }

    /// Takes what has come. Returns whether anything has.
    pub(super) fn receive(&mut self, mut wait: bool) -> Result<bool, Errno> {
        let mut received = false;
        while let Some((task, answer)) = self.queue.pop(wait) {
            match (task, answer) {
                (Task::Probe(id), Answer::File(answer)) => self.probed(id, answer),
                (Task::Open(id), Answer::List(answer)) => self.opened(id, answer)?,
                (Task::Continue(id), Answer::List(answer)) => self.continued(id, answer),
                (Task::Up(child), Answer::File(answer)) => {
                    if let Some(id) = self.nodes[child].parent {
                        self.reopened(id, Some(child), true, answer)?;
                    }
                }
                (Task::Down(id), Answer::File(answer)) => self.reopened(id, self.nodes[id].parent, false, answer)?,
                (_, Answer::File(_) | Answer::List(_)) => unreachable!("no answer to that"),
            }
            received = true;
            wait = false;
        }
        Ok(received)
    }

    fn probed(&mut self, id: Id, answer: Result<(OwnedFd, statx), Errno>) {
        self.descriptors.opening -= 1;
        let node = &mut self.nodes[id];
        match answer {
            Ok((_, stat)) => {
                node.kind = (stat.stx_mode >> 12) as u8;
                node.ino = stat.stx_ino;
                node.stat = Some(stat);
            }
            Err(Errno(libc::ENOENT)) if node.follows => {
                // The link itself may be there.
                node.follows = false;
                self.unpin_parent(id);
                self.pending.push(Task::Probe(id));
                return;
            }
            Err(e) if self.is_for_want_of_descriptors(Task::Probe(id), e) => return,
            Err(e) => self.nodes[id].error = e.0,
        }
        // There is room for what was in flight.
        self.ready.push(Ready::File(id));
    }

    fn opened(&mut self, id: Id, answer: Result<List, Errno>) -> Result<(), Errno> {
        self.descriptors.opening -= 1;
        let mut list = match answer {
            Ok(list) => list,
            Err(e) if self.is_for_want_of_descriptors(Task::Open(id), e) => return Ok(()),
            Err(e) => {
                self.unpin_parent(id);
                self.fail(Task::Open(id), e);
                return Ok(());
            }
        };
        self.unpin_parent(id);
        if self.entered.try_reserve(1).is_err() {
            self.fail(Task::Open(id), alloc::NO_MEMORY);
            return Ok(());
        }
        let (Some(fd), Some(&stat)) = (list.take_fd(), list.stat()) else {
            unreachable!("both were asked for");
        };
        let identity = Identity::of(&stat);
        let node = &mut self.nodes[id];
        (node.ino, node.stat) = (stat.stx_ino, Some(stat));
        if !self.may_stay_in(id, identity) {
            self.release(id);
            return Ok(());
        }
        if self.is_below(id, identity) {
            self.fail(Task::Open(id), Errno(libc::ELOOP));
            return Ok(());
        }
        *self.entered.entry(identity).or_insert(0) += 1;
        self.nodes[id].identity = Some(identity);
        self.descriptors.add(&mut self.nodes, id, fd);
        self.take_list(id, list);
        Ok(())
    }

    fn continued(&mut self, id: Id, answer: Result<List, Errno>) {
        self.nodes[id].pins -= 1;
        match answer {
            Ok(list) => self.take_list(id, list),
            Err(e) => self.fail(Task::Continue(id), e),
        }
    }

    fn take_list(&mut self, id: Id, list: List) {
        let size = self.size_of(&list);
        self.lists += size;
        self.typical = (self.typical * 7 + size) / 8;
        let node = &mut self.nodes[id];
        node.pins += 1;
        if list.error() != 0 {
            node.error = list.error();
        }
        if list.more() {
            node.pins += 1;
            node.busy += 1;
            self.pending.push(Task::Continue(id));
        }
        // There is room for what was in flight.
        self.ready.push(Ready::List(id, list));
    }

    /// Whether a directory is one of its own ancestors.
    fn is_below(&self, id: Id, identity: Identity) -> bool {
        if !self.entered.contains_key(&identity) {
            return false;
        }
        let mut above = self.nodes[id].parent;
        while let Some(id) = above.filter(|&id| self.nodes[id].identity != Some(identity)) {
            above = self.nodes[id].parent;
        }
        above.is_some()
    }

    /// A request is not going to be done, or has failed.
    fn fail(&mut self, task: Task, Errno(e): Errno) {
        let (Task::Probe(id) | Task::Open(id) | Task::Continue(id) | Task::Up(id) | Task::Down(id)) = task;
        self.nodes[id].error = e;
        if let Task::Probe(_) = task {
            // Pinned, as if it had been asked.
            if let Some(parent) = self.nodes[id].parent {
                self.nodes[parent].pins += 1;
            }
            self.ready.push(Ready::File(id));
        } else {
            self.release(id);
        }
    }

    pub(super) fn unpin_parent(&mut self, id: Id) {
        if let Some(parent) = self.nodes[id].parent {
            self.nodes[parent].pins -= 1;
        }
    }

    /// Whether a request failed because there are fewer descriptors than the walk has thought, and is tried again when
    /// there is another: one was taken from a directory, or something under way will end.
    fn is_for_want_of_descriptors(&mut self, task: Task, e: Errno) -> bool {
        let (Task::Probe(id) | Task::Open(id)) = task else {
            return false;
        };
        let parent = self.nodes[id].parent;
        if !matches!(e.0, libc::EMFILE | libc::ENFILE) || (!self.close_one(parent) && self.is_idle()) {
            return false;
        }
        self.descriptors.are_fewer();
        self.unpin_parent(id);
        self.pending.push(task);
        true
    }

    /// Nothing is under way, and nothing could be asked for, although something is left: all descriptors are with directories
    /// that were not read to their end. So one of these is read on, whatever the memory. If there is none, there are too few
    /// descriptors, and that is the error.
    pub(super) fn get_unstuck(&mut self) -> Result<(), Errno> {
        let is_more = |task: &Task| matches!(task, Task::Continue(_));
        if let Some(place) = self.pending.iter().rposition(is_more) {
            let last = self.pending.len() - 1;
            self.pending.swap(place, last);
            let task = self.pending[last];
            return self.submit(task).map(drop);
        }
        const TOO_FEW: Errno = Errno(libc::EMFILE);
        if !self.give_up_way(TOO_FEW) {
            let waits = self.finished.last().map(|&id| self.nodes[id].parent);
            if let Some(parent) = waits.flatten().or(self.frames.last().map(|frame| frame.directory)) {
                self.nodes[parent].lost = TOO_FEW.0;
            } else if let Some(task) = self.pending.pop() {
                self.fail(task, TOO_FEW);
            }
        }
        Ok(())
    }
}
