//! Turns decisions into steps, in a possible order.
//!
//! First come steps that make others possible, then copies of what is
//! overwritten, removals from the inside out, folders from the outside in,
//! files and links, and permissions from the inside out.

use std::collections::BTreeMap;

use crate::sync::manifest::{Entry, Other};
use crate::sync::path::RelPath;
use crate::sync::plan::decide::{Node, OPEN, Want};
use crate::sync::plan::{Action, Conflict, Plan, Reason, Step};

/// The influence of a folder on the paths below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// None; the path's own decision applies.
    Own,
    /// Left alone, with its record.
    Held,
    /// Left alone.
    Left,
    /// Made as in the source.
    Taken,
}

/// Steps by phase.
#[derive(Default)]
struct Phases {
    cleared: Vec<Step>,
    kept: Vec<Step>,
    /// Reversed at the end.
    removed: Vec<Step>,
    made: Vec<Step>,
    placed: Vec<Step>,
    /// By path, since a folder may have two reasons for its final mode.
    modes: BTreeMap<RelPath, Step>,
}

/// Orders the steps for all decisions.
pub(crate) fn order(nodes: &[Node<'_>]) -> Plan {
    let mut plan = Plan::default();
    let mut phases = Phases::default();
    let mut fates: Vec<Fate> = Vec::with_capacity(nodes.len());
    // Folders in which an entry is added or removed.
    let mut touched = vec![false; nodes.len()];
    for node in nodes {
        let above = node.parent.map_or(Fate::Own, |parent| fates[parent]);
        let fate = if above == Fate::Own {
            own_fate(node, &mut plan)
        } else {
            above
        };
        fates.push(fate);
        let before = phases.entries();
        match (fate, node.want) {
            (_, Want::Clear) => phases
                .cleared
                .push(step(node, Action::Clear, Reason::Leftover)),
            (Fate::Taken, _) => phases.take(node),
            (Fate::Own, Want::Deploy(reason)) => phases.become_source(node, reason),
            (Fate::Own, Want::Remove) => phases.remove(node, Reason::RemovedFromSnapshot),
            _ => {}
        }
        if fate == Fate::Held || node.want == Want::Hold {
            plan.held.insert(node.path.clone());
        }
        let is_touched = phases.entries() != before;
        if let Some(parent) = node.parent.filter(|_| is_touched) {
            touched[parent] = true;
        }
    }
    let mut opened = Vec::new();
    for (node, _) in nodes.iter().zip(touched).filter(|(_, touched)| *touched) {
        opened.extend(phases.open(node));
    }
    let Phases {
        cleared,
        kept,
        removed,
        made,
        placed,
        modes,
    } = phases;
    plan.steps = opened;
    plan.steps.extend(cleared);
    plan.steps.extend(kept);
    plan.steps.extend(removed.into_iter().rev());
    plan.steps.extend(made);
    plan.steps.extend(placed);
    plan.steps.extend(modes.into_values().rev());
    plan
}

/// Returns the influence of a decision on the paths below, and records
/// conflicts.
fn own_fate(node: &Node<'_>, plan: &mut Plan) -> Fate {
    let conflict = |why| Conflict {
        path: node.path.clone(),
        why,
    };
    match node.want {
        Want::Conflict(why) => {
            plan.conflicts.push(conflict(why));
            Fate::Held
        }
        Want::TakeHome(why) => {
            plan.settled.push(conflict(why));
            Fate::Left
        }
        Want::TakeSnapshot(why) => {
            plan.settled.push(conflict(why));
            Fate::Taken
        }
        Want::Block => Fate::Held,
        _ => Fate::Own,
    }
}

impl Phases {
    /// Returns the number of steps that add or remove a name.
    fn entries(&self) -> usize {
        self.cleared.len() + self.removed.len() + self.made.len() + self.placed.len()
    }

    /// Replaces the home's entry by the source's, keeping a copy of what exists
    /// nowhere else.
    fn take(&mut self, node: &Node<'_>) {
        let Some(home) = node.home else {
            return self.become_source(node, Reason::TakesSnapshot);
        };
        let equals =
            |other: Option<&Entry>| other.is_some_and(|other| home.difference(other).is_none());
        if equals(node.source) {
            return;
        }
        // A socket or pipe has no content once its process is gone.
        let holds = matches!(
            home,
            Entry::File(_) | Entry::Link { .. } | Entry::Other(Other::LinkOutside)
        );
        let only_mode = matches!((home, node.source), (Entry::File(a), Some(Entry::File(b)))
            if a.hash.is_some() && a.hash == b.hash);
        if holds && !only_mode && !equals(node.last) {
            self.kept
                .push(step(node, Action::Keep, Reason::TakesSnapshot));
        }
        if node.source.is_none() {
            self.remove(node, Reason::TakesSnapshot);
        } else {
            self.become_source(node, Reason::TakesSnapshot);
        }
    }

    fn remove(&mut self, node: &Node<'_>, reason: Reason) {
        let action = match node.home {
            None => return,
            Some(Entry::Folder { .. }) => Action::RemoveFolder,
            Some(seen) => Action::Remove { seen: seen.clone() },
        };
        self.removed.push(step(node, action, reason));
    }

    /// Replaces the home's entry by the source's.
    fn become_source(&mut self, node: &Node<'_>, reason: Reason) {
        let mut seen = node.home.cloned();
        match (node.home, node.source) {
            (_, None | Some(Entry::Other(_))) => {}
            (Some(Entry::Folder { .. }), Some(Entry::Folder { mode })) => {
                self.mode(node, *mode, reason);
            }
            (home, Some(Entry::Folder { mode })) => {
                if home.is_some() {
                    self.remove(node, Reason::ReplacedByOtherKind);
                }
                let open = mode | OPEN;
                self.made
                    .push(step(node, Action::MakeFolder { mode: open }, reason));
                if open != *mode {
                    self.mode(node, *mode, reason);
                }
            }
            (Some(Entry::File(home)), Some(Entry::File(file)))
                if file.hash.is_some() && home.hash == file.hash =>
            {
                self.mode(node, file.mode, reason);
            }
            (home, Some(source)) => {
                if home.is_some_and(Entry::is_folder) {
                    self.remove(node, Reason::ReplacedByOtherKind);
                    seen = None;
                }
                let action = match source {
                    Entry::Link { target } => Action::Link {
                        target: target.clone(),
                        seen,
                    },
                    Entry::File(file) => Action::Place {
                        file: file.clone(),
                        seen,
                    },
                    Entry::Folder { .. } | Entry::Other(_) => return,
                };
                self.placed.push(step(node, action, reason));
            }
        }
    }

    fn mode(&mut self, node: &Node<'_>, mode: u32, reason: Reason) {
        let step = step(node, Action::Mode { mode }, reason);
        self.modes.insert(node.path.clone(), step);
    }

    /// Opens a folder whose permissions forbid the steps inside it, and
    /// restores the permissions unless another step sets them.
    fn open(&mut self, node: &Node<'_>) -> Option<Step> {
        let Some(Entry::Folder { mode }) = node.home else {
            return None;
        };
        let open = mode | OPEN;
        if open == *mode {
            return None;
        }
        let goes = self.removed.iter().any(|step| step.path == *node.path);
        if !goes && !self.modes.contains_key(node.path) {
            self.mode(node, *mode, Reason::Opened);
        }
        Some(step(node, Action::Mode { mode: open }, Reason::Opened))
    }
}

fn step(node: &Node<'_>, action: Action, reason: Reason) -> Step {
    Step {
        path: node.path.clone(),
        action,
        reason,
    }
}
