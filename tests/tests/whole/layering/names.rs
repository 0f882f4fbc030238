//! Resolution of the names in a crate: modules of the crate, or paths of other
//! crates.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Module, Name, Named, Source};

/// The target of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// An item in a module of the crate; the crate root is the empty path.
    Own(Module),
    /// An item of another crate, or a local one.
    Foreign(Vec<String>),
}

/// The modules of a crate, and the names its root defines.
pub(super) struct Names<'c> {
    modules: BTreeSet<&'c [String]>,
    /// Names that the crate root imports.
    root: BTreeMap<&'c str, &'c Named>,
    /// Module of each `macro_rules!`.
    macros: BTreeMap<&'c str, &'c [String]>,
}

/// Maximal length of a chain of imports.
const DEPTH: usize = 8;

impl<'c> Names<'c> {
    pub(super) fn of(sources: &'c [Source]) -> Self {
        let root = sources.iter().find(|source| source.module.is_empty());
        let definitions = sources.iter().flat_map(|source| {
            let named = source.named.iter();
            named.filter_map(|named| match &named.name {
                Name::Definition(name) => Some((name.as_str(), source.module.as_slice())),
                _ => None,
            })
        });
        Self {
            modules: sources.iter().map(|s| s.module.as_slice()).collect(),
            root: root.map(imports).unwrap_or_default(),
            macros: definitions.collect(),
        }
    }

    /// Resolves `named`, a path in `source`; `None` if it is not a path.
    pub(super) fn meaning(&self, source: &Source, named: &Named) -> Option<Meaning> {
        let Name::Path { segments, .. } = &named.name else {
            return None;
        };
        let path = self.absolute(&imports(source), named, segments, DEPTH);
        Some(match path.split_first() {
            Some((first, rest)) if first == "crate" => Meaning::Own(self.module(rest)),
            _ => Meaning::Foreign(path),
        })
    }

    /// Returns the path from `crate` or from the name of another crate on.
    fn absolute(
        &self,
        imports: &BTreeMap<&str, &Named>,
        at: &Named,
        segments: &[String],
        depth: usize,
    ) -> Vec<String> {
        let Some((first, rest)) = segments.split_first() else {
            return Vec::new();
        };
        let from = |module: &[String], rest: &[String]| {
            let krate = ["crate".to_owned()];
            [&krate, module, rest].concat()
        };
        match first.as_str() {
            "crate" => return segments.to_vec(),
            "self" => return from(&at.within, rest),
            "super" => {
                let ups = segments.iter().take_while(|s| *s == "super").count();
                let height = at.within.len().saturating_sub(ups);
                return from(&at.within[..height], &segments[ups..]);
            }
            _ => {}
        }
        let child = [at.within.as_slice(), std::slice::from_ref(first)].concat();
        let imported = imports.get(first.as_str()).filter(|_| depth > 0);
        match imported.map(|import| (import, &import.name)) {
            // An import does not refer to itself.
            Some((import, Name::Path { segments: path, .. })) if path.as_slice() != segments => {
                let mut path = self.absolute(imports, import, path, depth - 1);
                path.extend_from_slice(rest);
                path
            }
            _ if self.modules.contains(child.as_slice()) => from(&at.within, segments),
            _ => segments.to_vec(),
        }
    }

    /// Returns the module that contains the item `path`.
    fn module(&self, path: &[String]) -> Module {
        let longest = (1..=path.len())
            .rev()
            .map(|length| &path[..length])
            .find(|module| self.modules.contains(module));
        if let Some(module) = longest {
            return module.to_vec();
        }
        // The root itself contains only re-exports, and exported macros, which
        // belong to the module that defines them.
        let Some(name) = path.first() else {
            return Module::new();
        };
        match self.root.get(name.as_str()).map(|named| &named.name) {
            Some(Name::Path { segments, .. }) if self.is_below_root(segments) => self.module(
                segments
                    .strip_prefix(&["crate".to_owned()])
                    .unwrap_or(segments),
            ),
            _ => self
                .macros
                .get(name.as_str())
                .map_or_else(Module::new, |m| m.to_vec()),
        }
    }

    fn is_below_root(&self, segments: &[String]) -> bool {
        let first = segments.iter().find(|segment| *segment != "crate");
        first.is_some_and(|first| self.modules.contains(std::slice::from_ref(first)))
    }
}

/// Returns the names that the imports of a file introduce.
fn imports(source: &Source) -> BTreeMap<&str, &Named> {
    let named = source.named.iter().filter_map(|named| match &named.name {
        Name::Path {
            imported_as: Some(name),
            ..
        } => Some((name.as_str(), named)),
        _ => None,
    });
    named.collect()
}
