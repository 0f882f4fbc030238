//! The rules of the module layout, checked against the names in source files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use super::names::{Meaning, Names};
use super::source::{Module, Name, Source};

/// The layers of a crate, and the exceptions from the rules.
pub(super) struct Layout {
    /// Top-level modules, lowest layer first.
    pub(super) layers: &'static [&'static [&'static str]],
    /// Module that may access the operating system.
    pub(super) system: &'static str,
    /// Module that may print; `None` if every module may.
    pub(super) printer: Option<&'static str>,
    pub(super) allowed: &'static [Allowed],
}

/// A restricted name that a file may use.
pub(super) struct Allowed {
    pub(super) file: &'static str,
    pub(super) name: &'static str,
    pub(super) reason: &'static str,
}

/// Names that access the clock, the environment, processes, signals, files and
/// the network.
const SYSTEM: &[&str] = &[
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "nix",
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::process::Command",
    "std::process::exit",
    "std::time::Instant::now",
    "std::time::SystemTime",
    "tokio::fs",
    "tokio::net",
    "tokio::process",
    "tokio::signal",
];

/// Names that write to the standard streams.
const OUTPUT: &[&str] = &["anstream", "std::io::stderr", "std::io::stdout"];
const PRINTS: &[&str] = &["dbg", "eprint", "eprintln", "print", "println"];

/// The rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    Layers,
    Cycles,
    System,
    Exit,
    Output,
    Exceptions,
}

impl Rule {
    /// Returns the reason for the rule, as one sentence.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Layers => {
                "imports must not climb: a lower layer that knows a higher one \
                 cannot be read, tested or changed without it"
            }
            Self::Cycles => {
                "imports form no cycle: modules in a cycle can only be understood \
                 and changed together"
            }
            Self::System => {
                "only one module accesses the system: all other code can be tested \
                 with plain data, and safe file and process handling stays in one place"
            }
            Self::Exit => {
                "one file at most ends the process: an exit elsewhere would skip \
                 cleanup and the choice of the exit code"
            }
            Self::Output => {
                "only one module prints: every output format sees the same events, \
                 and untrusted text is sanitised in one place"
            }
            Self::Exceptions => {
                "an exception that is not needed is removed: it would permit a \
                 later violation"
            }
        }
    }
}

/// A violation of a rule, and its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Violation {
    file: String,
    line: usize,
    text: String,
    pub(super) rule: Rule,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} - {}", self.file, self.line, self.text)
    }
}

/// Returns every violation in the files of one crate, sorted.
pub(super) fn violations(layout: &Layout, sources: &[Source]) -> Vec<Violation> {
    let mut inspection = Inspection {
        layout,
        sources,
        names: Names::of(sources),
        used: BTreeSet::new(),
        found: BTreeSet::new(),
    };
    inspection.layers();
    inspection.cycles();
    inspection.system();
    inspection.exits();
    inspection.output();
    inspection.stale();
    inspection.found.into_iter().collect()
}

struct Inspection<'c> {
    layout: &'c Layout,
    sources: &'c [Source],
    names: Names<'c>,
    /// Indices of the exceptions that were needed.
    used: BTreeSet<usize>,
    found: BTreeSet<Violation>,
}

/// For each module, the modules it names, each with its first place.
type Edges = BTreeMap<Module, BTreeMap<Module, (String, usize)>>;

impl<'c> Inspection<'c> {
    /// Returns the layer of a module, from 1 as in `ARCHITECTURE.md`; `None` if its
    /// top-level module has none.
    fn layer(&self, module: &[String]) -> Option<usize> {
        let top = module.first()?;
        let mut layers = self.layout.layers.iter();
        let layer = layers.position(|layer| layer.iter().any(|name| name == top))?;
        Some(layer + 1)
    }

    /// Checks that no file names a module of a higher layer.
    fn layers(&mut self) {
        for (source, line, target) in self.references() {
            if is_root(&source.module) {
                continue;
            }
            let Some(own) = self.layer(&source.module) else {
                let text = format!("module `{}` has no layer", shown(&source.module[..1]));
                self.violation(Rule::Layers, source, 1, text);
                continue;
            };
            let text = match self.layer(&target) {
                Some(layer) if layer <= own => continue,
                Some(layer) => format!(
                    "names `{}` of layer {layer} from layer {own}",
                    shown(&target)
                ),
                None => format!("names `{}`, which is above all layers", shown(&target)),
            };
            self.violation(Rule::Layers, source, line, text);
        }
    }

    /// Checks that neither the modules of a layer nor the files of a module form a
    /// cycle.
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
                if self.layer(from) == self.layer(to) {
                    let edges = tops.entry(from[..1].to_vec()).or_default();
                    edges.entry(to[..1].to_vec()).or_insert_with(place);
                }
            } else if !from.starts_with(to) && !to.starts_with(from) {
                // Children may name the parent that declares them.
                let edges = files.entry(from.clone()).or_default();
                edges.entry(to.clone()).or_insert_with(place);
            }
        }
        for edges in [tops, files] {
            let mut reported = BTreeSet::new();
            for start in edges.keys() {
                let Some(cycle) = cycle_through(&edges, start) else {
                    continue;
                };
                if cycle.iter().any(|module| reported.contains(module)) {
                    continue;
                }
                for (from, to) in cycle.iter().zip(cycle.iter().skip(1).chain([start])) {
                    let (file, line) = edges[from][to].clone();
                    let text = format!("names `{}` in a cycle, {}", shown(to), ring(&cycle));
                    let rule = Rule::Cycles;
                    self.found.insert(Violation {
                        file,
                        line,
                        text,
                        rule,
                    });
                }
                reported.extend(cycle);
            }
        }
    }

    /// Checks that only the system module accesses the operating system.
    fn system(&mut self) {
        for (source, line, path) in self.foreign() {
            if source
                .module
                .first()
                .is_some_and(|top| top == self.layout.system)
            {
                continue;
            }
            for name in SYSTEM.iter().filter(|name| reaches(&path, name)) {
                let text = format!("uses `{name}` outside `{}`", self.layout.system);
                self.unless_allowed(Rule::System, source, line, name, text);
            }
        }
    }

    /// Checks that one file at most ends the process.
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
                self.violation(Rule::Exit, source, line, text.clone());
            }
        }
    }

    /// Checks that only the printer and `main` print.
    fn output(&mut self) {
        let Some(printer) = self.layout.printer else {
            return;
        };
        let may = |source: &Source| {
            source
                .module
                .first()
                .is_some_and(|top| top == printer || top == "main")
        };
        for (source, line, path) in self.foreign() {
            for name in OUTPUT
                .iter()
                .filter(|name| !may(source) && reaches(&path, name))
            {
                let text = format!("uses `{name}` outside `{printer}`");
                self.unless_allowed(Rule::Output, source, line, name, text);
            }
        }
        for source in self.sources.iter().filter(|source| !may(source)) {
            for named in &source.named {
                let Name::Macro(name) = &named.name else {
                    continue;
                };
                if let Some(name) = PRINTS.iter().find(|print| *print == name) {
                    let text = format!("uses `{name}!` outside `{printer}`");
                    self.unless_allowed(Rule::Output, source, named.line, name, text);
                }
            }
        }
    }

    /// Checks that every exception is needed.
    fn stale(&mut self) {
        for (index, allowed) in self.layout.allowed.iter().enumerate() {
            if !self.used.contains(&index) {
                self.found.insert(Violation {
                    file: allowed.file.to_owned(),
                    line: 1,
                    text: format!(
                        "does not use `{}`, but is allowed to: {}",
                        allowed.name, allowed.reason
                    ),
                    rule: Rule::Exceptions,
                });
            }
        }
    }

    fn unless_allowed(
        &mut self,
        rule: Rule,
        source: &Source,
        line: usize,
        name: &str,
        text: String,
    ) {
        let mut allowed = self.layout.allowed.iter();
        match allowed.position(|it| it.file == source.file && it.name == name) {
            Some(index) => {
                self.used.insert(index);
            }
            None => self.violation(rule, source, line, text),
        }
    }

    fn violation(&mut self, rule: Rule, source: &Source, line: usize, text: String) {
        self.found.insert(Violation {
            file: source.file.clone(),
            line,
            text,
            rule,
        });
    }

    /// Returns the modules of the crate that each file names.
    fn references(&self) -> Vec<(&'c Source, usize, Module)> {
        self.meanings(|meaning| match meaning {
            Meaning::Own(module) => Some(module),
            Meaning::Foreign(_) => None,
        })
    }

    /// Returns the paths of other crates that each file names.
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

/// Returns true for the crate root and the root of its executable, which are
/// above all layers.
fn is_root(module: &[String]) -> bool {
    module.is_empty() || module == ["main"]
}

/// Returns true if `path` names `name`, an item in it, or a glob that includes
/// it.
fn reaches(path: &[String], name: &str) -> bool {
    let name: Vec<_> = name.split("::").collect();
    let (path, is_glob) = match path.split_last() {
        Some((last, before)) if last == "*" => (before, true),
        _ => (path, false),
    };
    let same = path.iter().zip(&name).all(|(one, other)| one == other);
    same && (path.len() >= name.len() || is_glob)
}

/// Finds the shortest cycle through `start`.
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
