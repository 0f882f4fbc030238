//! The decision at each path, without the order of steps.

use std::iter::Peekable;

use crate::sync::manifest::{Difference, Entry, Manifest, Other};
use crate::sync::path::RelPath;
use crate::sync::plan::{Reason, Take, Why};

/// One path on all three sides, and the decision.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    pub(crate) path: &'a RelPath,
    pub(crate) source: Option<&'a Entry>,
    pub(crate) home: Option<&'a Entry>,
    pub(crate) last: Option<&'a Entry>,
    /// The index of its folder's node.
    pub(crate) parent: Option<usize>,
    pub(crate) want: Want,
    /// True if something inside stays in the home.
    occupied: bool,
    /// True if something is placed inside.
    needed: bool,
}

/// The decision for a path in the home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// The home stays as it is, and the source counts as deployed.
    Leave,
    /// The source's entry is deployed.
    Deploy(Reason),
    /// The entry is removed, as the source no longer has it.
    Remove,
    /// A staged file of a killed deploy is removed.
    Clear,
    /// Like [`Want::Remove`], but the folder is not empty yet; its record is
    /// kept.
    Hold,
    /// The source's entry cannot be deployed; nothing at or below this path is
    /// changed.
    Block,
    /// A conflict; nothing at or below this path is changed.
    Conflict(Why),
    /// Like [`Want::Conflict`], and the source counts as deployed.
    TakeHome(Why),
    /// This path and everything below become as in the source.
    TakeSnapshot(Why),
}

/// Decides every path of the three sides, a folder before its contents.
pub(crate) fn decide<'a>(
    source: &'a Manifest,
    home: &'a Manifest,
    last: &'a Manifest,
    take: Option<Take>,
) -> Vec<Node<'a>> {
    let mut nodes = join(source, home, last);
    for node in &mut nodes {
        node.want = decide_alone(node.source, node.home, node.last, take);
    }
    // Contents influence their folder, so go backwards from the inside out.
    for at in (0..nodes.len()).rev() {
        let want = decide_with_contents(&nodes[at], take);
        let node = &mut nodes[at];
        node.want = want;
        let places =
            node.source.is_some() && matches!(want, Want::Deploy(_) | Want::TakeSnapshot(_));
        let goes = match want {
            Want::Remove | Want::Clear => true,
            Want::TakeSnapshot(_) => node.source.is_none(),
            _ => false,
        };
        let stays = node.home.is_some() && !goes;
        if let Some(parent) = node.parent {
            nodes[parent].needed |= places;
            nodes[parent].occupied |= stays;
        }
    }
    nodes
}

/// Decides one path by itself.
fn decide_alone(
    source: Option<&Entry>,
    home: Option<&Entry>,
    last: Option<&Entry>,
    take: Option<Take>,
) -> Want {
    let unchanged = same(source, last);
    match (source, home) {
        (_, Some(Entry::Other(Other::Alias))) => Want::Clear,
        (Some(Entry::Other(_)), _) => Want::Block,
        (None, None) => Want::Leave,
        (Some(Entry::Folder { mode }), Some(Entry::Folder { mode: has })) => {
            decide_folders(*mode, *has, last)
        }
        (Some(_), None) => match last {
            None => Want::Deploy(Reason::New),
            // A folder that was removed from the home is not created again for
            // a change of its mode.
            Some(last) if unchanged || both_folders(source, last) => match take {
                Some(Take::Snapshot) => Want::Deploy(Reason::RemovedFromHome),
                _ => Want::Leave,
            },
            // Nothing is lost, and a deploy that was killed between removing
            // and placing looks the same.
            Some(last) => Want::Deploy(reason(source, last)),
        },
        (None, Some(home)) => match last {
            None => Want::Leave,
            Some(last) => match home.difference(last) {
                None => Want::Remove,
                Some(_) if home.is_folder() && last.is_folder() => Want::Remove,
                // The deployed entry is gone; this is the home's own.
                Some(Difference::Kind) => Want::Leave,
                Some(_) => Want::Conflict(Why::RemovedFromSnapshot),
            },
        },
        (Some(one), Some(home)) => {
            let untouched = same(Some(home), last) || both_folders(last, home);
            match one.difference(home) {
                None => Want::Leave,
                Some(_) if unchanged => Want::Leave,
                Some(_) if untouched => Want::Deploy(reason(source, home)),
                Some(_) if last.is_none() => Want::Conflict(Why::BothMade),
                Some(_) => Want::Conflict(Why::BothChanged),
            }
        }
    }
}

/// Decides a folder that both sides have: only its permissions can differ.
fn decide_folders(mode: u32, has: u32, last: Option<&Entry>) -> Want {
    let deployed = match last {
        Some(Entry::Folder { mode }) => Some(*mode),
        _ => None,
    };
    // A deploy that is killed while the folder is open leaves this mode.
    let is_open = |mode: u32| has == mode | OPEN;
    if mode == has {
        Want::Leave
    } else if is_open(mode)
        || deployed.is_some_and(|old| old != mode && (has == old || is_open(old)))
    {
        Want::Deploy(Reason::Mode)
    } else {
        Want::Leave
    }
}

/// Permissions that let the owner of a folder change its contents.
pub(crate) const OPEN: u32 = 0o700;

/// Decides one path in view of the decisions inside it.
fn decide_with_contents(node: &Node<'_>, take: Option<Take>) -> Want {
    let in_home = node.home.is_some_and(Entry::is_folder);
    let in_source = node.source.is_some_and(Entry::is_folder);
    let want = match node.want {
        Want::Leave if node.needed && node.home.is_none() => Want::Deploy(Reason::Needed),
        Want::Leave if node.needed && !in_home => Want::Conflict(Why::FolderReplaced),
        Want::Deploy(_) if in_home && !in_source && node.occupied => {
            Want::Conflict(Why::FolderHoldsOwn)
        }
        Want::Remove if node.occupied => Want::Hold,
        want => want,
    };
    match (want, take) {
        (Want::Conflict(why), Some(Take::Home)) => Want::TakeHome(why),
        (Want::Conflict(why), Some(Take::Snapshot)) => Want::TakeSnapshot(why),
        (want, _) => want,
    }
}

fn same(one: Option<&Entry>, other: Option<&Entry>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.difference(other).is_none(),
        _ => false,
    }
}

fn both_folders(one: Option<&Entry>, other: &Entry) -> bool {
    one.is_some_and(Entry::is_folder) && other.is_folder()
}

/// Returns the difference between the source and the home, or the last deploy.
fn reason(source: Option<&Entry>, other: &Entry) -> Reason {
    match source.and_then(|source| source.difference(other)) {
        Some(Difference::Bytes) => Reason::Bytes,
        Some(Difference::Target) => Reason::Target,
        Some(Difference::Mode) => Reason::Mode,
        Some(Difference::Kind) | None => Reason::Kind,
    }
}

/// Merges the three sides by path.
fn join<'a>(source: &'a Manifest, home: &'a Manifest, last: &'a Manifest) -> Vec<Node<'a>> {
    let mut sides = [source, home, last].map(|side| side.iter().peekable());
    let longest = source.len().max(home.len()).max(last.len());
    let mut nodes: Vec<Node<'a>> = Vec::with_capacity(longest);
    let mut above: Vec<usize> = Vec::new();
    // All sides have the same order, so the next path is the smallest head.
    while let Some(path) = {
        let next = sides.iter_mut().filter_map(Peekable::peek);
        next.map(|(path, _)| *path).min()
    } {
        let [source, home, last] = sides.each_mut().map(|side| {
            let here = side.next_if(|(other, _)| *other == path);
            here.map(|(_, entry)| entry)
        });
        while above
            .last()
            .is_some_and(|folder| !path.is_below(nodes[*folder].path))
        {
            above.pop();
        }
        let at = nodes.len();
        nodes.push(Node {
            path,
            source,
            home,
            last,
            parent: above.last().copied(),
            want: Want::Leave,
            occupied: false,
            needed: false,
        });
        above.push(at);
    }
    nodes
}
