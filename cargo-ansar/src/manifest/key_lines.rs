//! The lines of a description's keys, for commands that show where a value
//! comes from.

use std::collections::BTreeMap;
use std::path::Path;

use crate::manifest::error::DescriptionError;
use crate::manifest::node::{Node, Source};
use crate::manifest::parse;
use crate::model::name::RoleName;

/// The line of each key below `[workspace.metadata.ansar]`, from 1.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyLines(BTreeMap<Vec<String>, u32>);

impl KeyLines {
    /// Reads the keys in the text of a manifest.
    pub fn of(manifest: &Path, text: &str) -> Result<Self, DescriptionError> {
        let document = parse(manifest, text)?;
        let source = Source::new(manifest, document.raw());
        let root = Node::root(&source, document.as_table());
        let mut ansar = ["workspace", "metadata", "ansar"].into_iter();
        let ansar = ansar.try_fold(root, |node, name| node.get(name));
        let mut lines = Self::default();
        if let Some(ansar) = ansar {
            lines.add(&source, &ansar, &mut Vec::new());
        }
        Ok(lines)
    }

    fn add(&mut self, source: &Source<'_>, table: &Node<'_>, path: &mut Vec<String>) {
        // An array of tables has no keys of its own.
        for node in table.entries("a table").unwrap_or_default() {
            path.push(node.name.to_owned());
            self.0.insert(path.clone(), source.line(node.key_at));
            self.add(source, &node, path);
            path.pop();
        }
    }

    /// Returns the line of a key.
    pub fn line(&self, path: &[&str]) -> Option<u32> {
        let path: Vec<String> = path.iter().map(|&name| name.to_owned()).collect();
        self.0.get(&path).copied()
    }

    /// Returns the key of the table that describes a role and begins at `line`:
    /// its name, or the template that it is made from.
    pub fn role(&self, role: &RoleName, line: u32) -> Option<&str> {
        let at_line = self.0.iter().filter(|(_, at)| **at == line);
        let mut keys: Vec<&str> = at_line
            .filter_map(|(path, _)| match path.as_slice() {
                [area, key] if area == "role" => Some(key.as_str()),
                _ => None,
            })
            .collect();
        keys.sort_by_key(|key| (*key != role.as_str(), !key.contains('{')));
        keys.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_all_forms_have_lines() {
        let text = "[workspace.metadata.ansar]\nretries = 2\nenv.A = '1'\n\
                    role.\"a-{number}\" = { executable = 'x',\n  env = { B = '2' } }\n\
                    [workspace.metadata.ansar.role.b]\nexecutable = 'b'\n";
        let lines = KeyLines::of(Path::new("/ws/Cargo.toml"), text).unwrap();
        for (path, expected) in [
            (&["retries"][..], Some(2)),
            (&["env", "A"], Some(3)),
            (&["role", "a-{number}", "env", "B"], Some(5)),
            (&["role", "b"], Some(6)),
            (&["role", "b", "executable"], Some(7)),
            (&["role", "b", "env"], None),
        ] {
            assert_eq!(lines.line(path), expected, "{path:?}");
        }
        assert_eq!(lines.role(&"a-0".parse().unwrap(), 4), Some("a-{number}"));
        assert_eq!(lines.role(&"b".parse().unwrap(), 6), Some("b"));
        let none = KeyLines::of(Path::new("/ws/Cargo.toml"), "[package]\n").unwrap();
        assert_eq!(none, KeyLines::default());
    }
}
