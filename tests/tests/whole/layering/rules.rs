//! The rules of the house, held against what files name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use super::names::{Meaning, Names};
use super::source::{Module, Name, Source};

/// A crate's floors, and what is let pass.
pub(super) struct House {
    /// Top-level modules, lowest floor first.
    pub(super) floors: &'static [&'static [&'static str]],
    /// The module that may touch the world.
    pub(super) door: &'static str,
    /// The module that may print; none where printing is not ruled.
    pub(super) voice: Option<&'static str>,
    pub(super) allowed: &'static [Allowed],
}

/// A name of the world in a file outside the door.
pub(super) struct Allowed {
    pub(super) file: &'static str,
    pub(super) name: &'static str,
    pub(super) reason: &'static str,
}

/// What reaches the clock, the environment, processes, signals and files.
const WORLD: &[&str] = &[
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "nix",
    "std::env",
    "std::fs",
    "std::process::Command",
    "std::process::exit",
    "std::time::Instant::now",
    "std::time::SystemTime",
    "tokio::fs",
    "tokio::process",
    "tokio::signal",
];

/// What reaches the terminal.
const OUTPUT: &[&str] = &["anstream", "std::io::stderr", "std::io::stdout"];
const PRINTS: &[&str] = &["dbg", "eprint", "eprintln", "print", "println"];

/// A broken rule, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Violation {
    file: String,
    line: usize,
    text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} - {}", self.file, self.line, self.text)
    }
}

/// Every broken rule in the files of one crate, sorted.
pub(super) fn violations(house: &House, sources: &[Source]) -> Vec<Violation> {
    let mut inspection = Inspection {
        house,
        sources,
        names: Names::of(sources),
        used: BTreeSet::new(),
        found: BTreeSet::new(),
    };
    inspection.floors();
    inspection.cycles();
    inspection.world();
    inspection.exits();
    inspection.output();
    inspection.stale();
    inspection.found.into_iter().collect()
}

struct Inspection<'c> {
    house: &'c House,
    sources: &'c [Source],
    names: Names<'c>,
    /// The exceptions that were needed.
    used: BTreeSet<usize>,
    found: BTreeSet<Violation>,
}

/// Who names whom, and on which line first.
type Edges = BTreeMap<Module, BTreeMap<Module, (String, usize)>>;

impl<'c> Inspection<'c> {
    /// The floor of a top-level module; what is on none is above all.
    fn floor(&self, module: &[String]) -> Option<usize> {
        let top = module.first()?;
        let mut floors = self.house.floors.iter();
        floors.position(|floor| floor.iter().any(|name| name == top))
    }

    /// Nobody names a higher floor.
    fn floors(&mut self) {
        for (source, line, target) in self.references() {
            if is_root(&source.module) {
                continue;
            }
            let Some(own) = self.floor(&source.module) else {
                let text = format!("module `{}` has no floor", shown(&source.module[..1]));
                self.violation(source, 1, text);
                continue;
            };
            let text = match self.floor(&target) {
                Some(floor) if floor <= own => continue,
                Some(floor) => format!(
                    "names `{}` of floor {floor} from floor {own}",
                    shown(&target)
                ),
                None => format!("names `{}`, which is above all floors", shown(&target)),
            };
            self.violation(source, line, text);
        }
    }

    /// The modules of one floor, and the files of one module, form no cycle.
    fn cycles(&mut self) {
        let mut tops = Edges::new();
        let mut files = Edges::new();
        for (source, line, target) in self.references() {
            let (from, to) = (&source.module, &target);
            if is_root(from) || is_root(to) {
                continue;
            }
            let place = || (source.file.clone(), line);
            if from[0] != to[0] {
                if self.floor(from) == self.floor(to) {
                    let edges = tops.entry(from[..1].to_vec()).or_default();
                    edges.entry(to[..1].to_vec()).or_insert_with(place);
                }
            } else if !from.starts_with(to) && !to.starts_with(from) {
                // A parent holds its children together: they may name it.
                let edges = files.entry(from.clone()).or_default();
                edges.entry(to.clone()).or_insert_with(place);
            }
        }
        for edges in [tops, files] {
            let mut told = BTreeSet::new();
            for start in edges.keys() {
                let Some(cycle) = cycle_through(&edges, start) else {
                    continue;
                };
                if cycle.iter().any(|module| told.contains(module)) {
                    continue;
                }
                for (from, to) in cycle.iter().zip(cycle.iter().skip(1).chain([start])) {
                    let (file, line) = edges[from][to].clone();
                    let text = format!("names `{}` in a cycle, {}", shown(to), ring(&cycle));
                    self.found.insert(Violation { file, line, text });
                }
                told.extend(cycle);
            }
        }
    }

    /// Nobody but the door touches the world.
    fn world(&mut self) {
        for (source, line, path) in self.foreign() {
            if source
                .module
                .first()
                .is_some_and(|top| top == self.house.door)
            {
                continue;
            }
            for name in WORLD.iter().filter(|name| reaches(&path, name)) {
                let text = format!("uses `{name}` outside `{}`", self.house.door);
                self.unless_allowed(source, line, name, text);
            }
        }
    }

    /// One file at most ends the process.
    fn exits(&mut self) {
        let exits: Vec<_> = self
            .foreign()
            .into_iter()
            .filter(|(_, _, path)| path.join("::") == "std::process::exit")
            .collect();
        let files: BTreeSet<_> = exits.iter().map(|(source, ..)| &source.file).collect();
        if files.len() > 1 {
            let text = format!("ends the process, as {} files do", files.len());
            for (source, line, _) in exits {
                self.violation(source, line, text.clone());
            }
        }
    }

    /// Nobody but the voice prints.
    fn output(&mut self) {
        let Some(voice) = self.house.voice else {
            return;
        };
        let may = |source: &Source| {
            source
                .module
                .first()
                .is_some_and(|top| top == voice || top == "main")
        };
        for (source, line, path) in self.foreign() {
            for name in OUTPUT
                .iter()
                .filter(|name| !may(source) && reaches(&path, name))
            {
                let text = format!("uses `{name}` outside `{voice}`");
                self.unless_allowed(source, line, name, text);
            }
        }
        for source in self.sources.iter().filter(|source| !may(source)) {
            for named in &source.named {
                if let Name::Macro(name) = &named.name
                    && let Some(name) = PRINTS.iter().find(|print| *print == name)
                {
                    let text = format!("uses `{name}!` outside `{voice}`");
                    self.unless_allowed(source, named.line, name, text);
                }
            }
        }
    }

    /// An exception that nobody needs is none.
    fn stale(&mut self) {
        for (index, allowed) in self.house.allowed.iter().enumerate() {
            if !self.used.contains(&index) {
                self.found.insert(Violation {
                    file: allowed.file.to_owned(),
                    line: 1,
                    text: format!(
                        "does not use `{}`, but is allowed to: {}",
                        allowed.name, allowed.reason
                    ),
                });
            }
        }
    }

    fn unless_allowed(&mut self, source: &Source, line: usize, name: &str, text: String) {
        let mut allowed = self.house.allowed.iter();
        match allowed.position(|it| it.file == source.file && it.name == name) {
            Some(index) => {
                self.used.insert(index);
            }
            None => self.violation(source, line, text),
        }
    }

    fn violation(&mut self, source: &Source, line: usize, text: String) {
        self.found.insert(Violation {
            file: source.file.clone(),
            line,
            text,
        });
    }

    /// Which modules of the crate each file names.
    fn references(&self) -> Vec<(&'c Source, usize, Module)> {
        self.meanings(|meaning| match meaning {
            Meaning::Own(module) => Some(module),
            Meaning::Foreign(_) => None,
        })
    }

    /// Which paths of other crates each file names.
    fn foreign(&self) -> Vec<(&'c Source, usize, Vec<String>)> {
        self.meanings(|meaning| match meaning {
            Meaning::Own(_) => None,
            Meaning::Foreign(path) => Some(path),
        })
    }

    fn meanings<T>(&self, pick: impl Fn(Meaning) -> Option<T>) -> Vec<(&'c Source, usize, T)> {
        let mut picked = Vec::new();
        for source in self.sources {
            for named in &source.named {
                if let Some(found) = self.names.meaning(source, named).and_then(&pick) {
                    picked.push((source, named.line, found));
                }
            }
        }
        picked
    }
}

/// The crate's root, and the root of its executable: both are above all.
fn is_root(module: &[String]) -> bool {
    module.is_empty() || module == ["main"]
}

/// Whether `path` names `name` or something in it; a glob names what it could.
fn reaches(path: &[String], name: &str) -> bool {
    let name: Vec<_> = name.split("::").collect();
    let (path, is_glob) = match path.split_last() {
        Some((last, before)) if last == "*" => (before, true),
        _ => (path, false),
    };
    let same = path.iter().zip(&name).all(|(one, other)| one == other);
    same && (path.len() >= name.len() || is_glob)
}

/// The shortest way from `start` back to it.
fn cycle_through(edges: &Edges, start: &Module) -> Option<Vec<Module>> {
    let mut before: BTreeMap<&Module, &Module> = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(module) = next.pop_front() {
        for target in edges.get(module)?.keys() {
            if target == start {
                let back = |module: &&Module| before.get(*module).copied();
                let mut cycle: Vec<_> =
                    std::iter::successors(Some(module), back).cloned().collect();
                cycle.reverse();
                return Some(cycle);
            }
            if edges.contains_key(target) && !before.contains_key(target) {
                before.insert(target, module);
                next.push_back(target);
            }
        }
    }
    None
}

fn ring(cycle: &[Module]) -> String {
    let names: Vec<_> = cycle
        .iter()
        .chain(cycle.first())
        .map(|m| shown(m))
        .collect();
    names.join(" → ")
}

fn shown(module: &[String]) -> String {
    if module.is_empty() {
        "crate".to_owned()
    } else {
        module.join("::")
    }
}
