//! Who wins at each path: the rules of the plan, without their order.

use std::iter::Peekable;

use crate::sync::manifest::{Difference, Entry, Manifest, Other};
use crate::sync::path::RelPath;
use crate::sync::plan::{Reason, Take, Why};

/// What the three sides have at one path, and what is to become of it.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    pub(crate) path: &'a RelPath,
    pub(crate) source: Option<&'a Entry>,
    pub(crate) home: Option<&'a Entry>,
    pub(crate) last: Option<&'a Entry>,
    /// The node of the folder that it is in.
    pub(crate) parent: Option<usize>,
    pub(crate) want: Want,
    /// Whether something in it stays in the home.
    occupied: bool,
    /// Whether something is placed in it.
    needed: bool,
}

/// What is to become of a path in the home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// The home stays as it is, and the source counts as deployed.
    Leave,
    /// The home gets what the source has.
    Deploy(Reason),
    /// The home loses what the source no longer has.
    Remove,
    /// The home loses a killed deploy's alias.
    Clear,
    /// As [`Want::Remove`], once the folder is empty.
    Hold,
    /// Neither this path nor any below it is touched: the source's entry
    /// cannot be deployed.
    Block,
    /// Neither this path nor any below it is touched.
    Conflict(Why),
    /// The same, and the source counts as deployed.
    TakeHome(Why),
    /// This path and all below it become as in the source.
    TakeSnapshot(Why),
}

/// Decides every path that any side has, a folder before what is in it.
pub(crate) fn decide<'a>(
    source: &'a Manifest,
    home: &'a Manifest,
    last: &'a Manifest,
    take: Option<Take>,
) -> Vec<Node<'a>> {
    let mut nodes = join(source, home, last);
    for node in &mut nodes {
        node.want = alone(node.source, node.home, node.last, take);
    }
    // What is in a folder bears on the folder: backwards is inside out.
    for at in (0..nodes.len()).rev() {
        let want = among(&nodes[at], take);
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

/// What the rules say of one path by itself.
fn alone(
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
            folders(*mode, *has, last)
        }
        (Some(_), None) => match last {
            None => Want::Deploy(Reason::New),
            // A folder that was removed does not come back for its mode.
            Some(last) if unchanged || both_folders(source, last) => match take {
                Some(Take::Snapshot) => Want::Deploy(Reason::RemovedFromHome),
                _ => Want::Leave,
            },
            // Nothing is lost, and a deploy that was killed between removing
            // and placing looks just like it.
            Some(last) => Want::Deploy(reason(source, last)),
        },
        (None, Some(home)) => match last {
            None => Want::Leave,
            Some(last) => match home.difference(last) {
                None => Want::Remove,
                Some(_) if home.is_folder() && last.is_folder() => Want::Remove,
                // What was deployed is gone; this is the home's own.
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

/// A folder on both sides: only its permissions can differ.
fn folders(mode: u32, has: u32, last: Option<&Entry>) -> Want {
    let deployed = match last {
        Some(Entry::Folder { mode }) => Some(*mode),
        _ => None,
    };
    // What a deploy leaves when it is killed while the folder is open.
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

/// The permissions on a folder that let its owner change what is in it.
pub(crate) const OPEN: u32 = 0o700;

/// What becomes of one path in view of what becomes of those inside it.
fn among(node: &Node<'_>, take: Option<Take>) -> Want {
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

/// How what the source has differs from what the home has, or had.
fn reason(source: Option<&Entry>, other: &Entry) -> Reason {
    match source.and_then(|source| source.difference(other)) {
        Some(Difference::Bytes) => Reason::Bytes,
        Some(Difference::Target) => Reason::Target,
        Some(Difference::Mode) => Reason::Mode,
        Some(Difference::Kind) | None => Reason::Kind,
    }
}

/// Brings the three sides together, path by path.
fn join<'a>(source: &'a Manifest, home: &'a Manifest, last: &'a Manifest) -> Vec<Node<'a>> {
    let mut sides = [source, home, last].map(|side| side.iter().peekable());
    let longest = source.len().max(home.len()).max(last.len());
    let mut nodes: Vec<Node<'a>> = Vec::with_capacity(longest);
    let mut above: Vec<usize> = Vec::new();
    // All sides are in one order, so that the next path is first in one of them.
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
