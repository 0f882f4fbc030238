//! Documents as data: their files, blocks of code, headings and tables.
//!
//! Reads the Markdown that the documents use, not all of Markdown.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tests::repository;

/// The folder of the book's chapters, relative to the repository.
pub(super) const BOOK: &str = "docs/src";

/// A document.
pub(crate) struct Page {
    /// Its path, relative to the repository.
    pub(crate) path: PathBuf,
    /// Its text.
    pub(crate) text: String,
}

/// A block of code.
pub(crate) struct Block<'p> {
    /// Number of its first line of code, from 1.
    pub(super) line: usize,
    /// Language after the opening fence.
    pub(crate) language: &'p str,
    /// Lines of code.
    pub(crate) lines: Vec<&'p str>,
}

impl Page {
    /// Reads a document by its path in the repository.
    #[track_caller]
    pub(crate) fn read(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_owned();
        match fs::read_to_string(repository().join(&path)) {
            Ok(text) => Self { path, text },
            Err(error) => panic!("`{}` is not read: {error}", path.display()),
        }
    }

    /// Reads a chapter of the book by its path in [`BOOK`].
    #[track_caller]
    pub(crate) fn chapter(path: &str) -> Self {
        Self::read(Path::new(BOOK).join(path))
    }

    /// Returns every document: those in the root, and the chapters of the book.
    pub(super) fn all() -> Vec<Self> {
        let mut paths = markdown(Path::new(""));
        let mut folders = vec![PathBuf::from(BOOK)];
        while let Some(folder) = folders.pop() {
            paths.extend(markdown(&folder));
            folders.extend(entries(&folder).into_iter().filter(|path| is_dir(path)));
        }
        paths.sort();
        paths.into_iter().map(Self::read).collect()
    }

    /// The fenced blocks of code.
    #[track_caller]
    pub(crate) fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks: Vec<Block<'_>> = Vec::new();
        let mut is_inside = false;
        for (number, line) in (1..).zip(self.text.lines()) {
            match line.strip_prefix("```") {
                Some(language) if !is_inside => {
                    is_inside = true;
                    blocks.push(Block {
                        line: number + 1,
                        language,
                        lines: Vec::new(),
                    });
                }
                Some(_) => is_inside = false,
                None if is_inside => blocks.last_mut().expect("it is open").lines.push(line),
                None => {}
            }
        }
        assert!(
            !is_inside,
            "a block of `{}` has no end",
            self.path.display()
        );
        blocks
    }

    /// The lines outside of fenced blocks, each with its number.
    pub(super) fn prose(&self) -> Vec<(usize, &str)> {
        let mut is_inside = false;
        let lines = (1..).zip(self.text.lines());
        lines
            .filter(|(_, line)| {
                let is_fence = line.starts_with("```");
                is_inside ^= is_fence;
                !is_inside && !is_fence
            })
            .collect()
    }

    /// The text of every heading, in order.
    pub(super) fn headings(&self) -> Vec<&str> {
        let lines = self.prose().into_iter();
        lines.filter_map(|(_, line)| heading(line)).collect()
    }

    /// The prose of each section, by its heading.
    pub(super) fn sections(&self) -> BTreeMap<String, Vec<&str>> {
        let mut sections: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut current = String::new();
        for (_, line) in self.prose() {
            match heading(line) {
                Some(title) => current = title.replace('`', ""),
                None => sections.entry(current.clone()).or_default().push(line),
            }
        }
        sections
    }
}

/// The first column of the tables in `lines`: the code spans of each row.
pub(super) fn first_column<'p>(lines: &[&'p str]) -> Vec<&'p str> {
    let rows = lines.iter().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells.flat_map(code_spans).collect()
}

/// The code spans of a line.
pub(super) fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn heading(line: &str) -> Option<&str> {
    let title = line.trim_start_matches('#');
    (title.len() < line.len()).then(|| title.strip_prefix(' '))?
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join(folder)).expect("the folder is read");
    let names = entries.map(|entry| entry.expect("the folder is read").file_name());
    names.map(|name| folder.join(name)).collect()
}

fn is_dir(path: &Path) -> bool {
    repository().join(path).is_dir()
}

fn markdown(folder: &Path) -> Vec<PathBuf> {
    let mut files = entries(folder);
    files.retain(|path| path.extension().is_some_and(|it| it == "md") && !is_dir(path));
    files
}
