//! Names in the source files of a crate: paths, macros and modules, read from
//! tokens.
//!
//! Comments are not tokens, texts are literals, and the body of a macro is a
//! tree of tokens: every name in code is found, and nothing else. Code that is
//! compiled only for tests is skipped.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, Spacing, Span, TokenStream, TokenTree};

/// Path of a module in its crate: `["host", "clock"]`.
pub(super) type Module = Vec<String>;

/// One source file.
pub(super) struct Source {
    /// The path shown in violations.
    pub(super) file: String,
    pub(super) module: Module,
    pub(super) named: Vec<Named>,
    /// Modules that are declared for tests only.
    test_modules: Vec<Module>,
}

/// A path or a macro that is named in a file.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) line: usize,
    /// The module around it: the file's, or an inline one.
    pub(super) within: Module,
    pub(super) name: Name,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// A path, with the name that an import gives it.
    Path {
        segments: Vec<String>,
        imported_as: Option<String>,
    },
    /// `name!`
    Macro(String),
    /// `macro_rules! name`
    Definition(String),
}

impl Source {
    /// Parses the text of a file.
    pub(super) fn parse(file: &str, module: Module, text: &str) -> Self {
        let tokens: TokenStream = match text.parse() {
            Ok(tokens) => tokens,
            Err(error) => panic!("{file}:{} - {error}", error.span().start().line),
        };
        let mut reader = Reader {
            named: Vec::new(),
            test_modules: Vec::new(),
        };
        reader.read(tokens, &module);
        Self {
            file: file.to_owned(),
            module,
            named: reader.named,
            test_modules: reader.test_modules,
        }
    }
}

/// Reads every source file of the crate in `folder`, except those for tests.
/// Files are shown relative to `root`.
pub(super) fn sources(root: &Path, folder: &Path) -> Vec<Source> {
    let mut files = Vec::new();
    collect(folder, &mut files);
    files.sort();
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a source file is text");
        let shown = path.strip_prefix(root).unwrap_or(path);
        let module = module_of(path.strip_prefix(folder).unwrap_or(path));
        Source::parse(&shown.to_string_lossy(), module, &text)
    };
    less_tests(files.iter().map(read).collect())
}

/// Removes the files of modules that are compiled only for tests.
pub(super) fn less_tests(mut sources: Vec<Source>) -> Vec<Source> {
    let of_tests: Vec<_> = sources
        .iter()
        .flat_map(|s| s.test_modules.clone())
        .collect();
    sources.retain(|source| !of_tests.iter().any(|test| source.module.starts_with(test)));
    sources
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder)
        .expect("a crate has a source folder")
        .flatten()
    {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn module_of(path: &Path) -> Module {
    let parts = path.with_extension("");
    let mut module: Module = parts
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    let last = module.last().map(String::as_str);
    if last == Some("mod") || module == ["lib"] {
        module.pop();
    }
    module
}

struct Reader {
    named: Vec<Named>,
    test_modules: Vec<Module>,
}

impl Reader {
    fn read(&mut self, tokens: TokenStream, within: &Module) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at = self.step(&tokens, at, within);
        }
    }

    /// Reads the tokens at `at`; returns the position of the next ones.
    fn step(&mut self, tokens: &[TokenTree], at: usize, within: &Module) -> usize {
        if let Some(attribute) = attribute(tokens, at) {
            if is_for_tests(&attribute) {
                return self.skip_item(tokens, at, within);
            }
            self.read(attribute.stream(), within);
            return at + 2;
        }
        match &tokens[at] {
            TokenTree::Group(group) => {
                self.read(group.stream(), within);
                at + 1
            }
            TokenTree::Ident(word) => match word.to_string().as_str() {
                "use" => self.import(tokens, at, within),
                "mod" => self.module(tokens, at, within),
                "macro_rules" if is_punct(tokens, at + 1, '!') => self.define(tokens, at, within),
                _ => self.path(tokens, at, within),
            },
            TokenTree::Punct(_) if is_separator(tokens, at) && !is_path_part(tokens, at) => {
                self.path(tokens, at, within)
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => at + 1,
        }
    }

    /// `use a::{b, c as d};`
    fn import(&mut self, tokens: &[TokenTree], at: usize, within: &Module) -> usize {
        let end = tokens[at..]
            .iter()
            .position(|token| matches!(token, TokenTree::Punct(p) if p.as_char() == ';'))
            .map_or(tokens.len(), |length| at + length);
        // `use<'a>` in a type is not an import.
        if is_punct(tokens, at + 1, '<') {
            return at + 1;
        }
        self.tree(&tokens[at + 1..end], &[], within);
        end
    }

    /// Reads one tree of an import, below `prefix`.
    fn tree(&mut self, tokens: &[TokenTree], prefix: &[String], within: &Module) {
        let mut segments = prefix.to_vec();
        let mut imported_as = None;
        let mut at = 0;
        let mut place = None;
        while let Some(token) = tokens.get(at) {
            place.get_or_insert_with(|| token.span());
            match token {
                TokenTree::Ident(word) if word == "as" => {
                    imported_as = tokens.get(at + 1).map(ToString::to_string);
                    break;
                }
                TokenTree::Ident(word) if word == "self" && !segments.is_empty() => {}
                TokenTree::Ident(word) => segments.push(word.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == '*' => segments.push("*".to_owned()),
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    let inner: Vec<_> = group.stream().into_iter().collect();
                    let comma = |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == ',');
                    for tree in inner.split(comma) {
                        self.tree(tree, &segments, within);
                    }
                    return;
                }
                _ => {}
            }
            at += 1;
        }
        let last = segments.last().cloned();
        if let (Some(place), Some(last)) = (place, last) {
            let imported_as = imported_as.or_else(|| (last != "*").then_some(last));
            self.found(
                place,
                within,
                Name::Path {
                    segments,
                    imported_as,
                },
            );
        }
    }

    /// Reads `mod name { … }`, whose tokens are within it; `mod name;` names
    /// nothing.
    fn module(&mut self, tokens: &[TokenTree], at: usize, within: &Module) -> usize {
        let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) =
            (tokens.get(at + 1), tokens.get(at + 2))
        else {
            return at + 2;
        };
        self.read(body.stream(), &below(within, &name.to_string()));
        at + 3
    }

    fn define(&mut self, tokens: &[TokenTree], at: usize, within: &Module) -> usize {
        if let Some(name) = tokens.get(at + 2) {
            self.found(name.span(), within, Name::Definition(name.to_string()));
        }
        at + 3
    }

    /// Reads a path, or the name of a macro.
    fn path(&mut self, tokens: &[TokenTree], start: usize, within: &Module) -> usize {
        let mut segments = Vec::new();
        let mut at = start;
        if is_separator(tokens, at) {
            at += 2;
        }
        while let Some(TokenTree::Ident(word)) = tokens.get(at) {
            segments.push(word.to_string());
            at += 1;
            if !(is_separator(tokens, at)
                && matches!(tokens.get(at + 2), Some(TokenTree::Ident(_))))
            {
                break;
            }
            at += 2;
        }
        let place = tokens[start].span();
        let is_macro =
            is_punct(tokens, at, '!') && matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
        // A field or a method: its type is unknown here.
        let is_member = start > 0 && is_punct(tokens, start - 1, '.') && !is_range(tokens, start)
            || start > 1 && is_separator(tokens, start - 2);
        if let (true, [name]) = (is_macro, segments.as_slice()) {
            self.found(place, within, Name::Macro(name.clone()));
        } else if !segments.is_empty() && !is_member && !is_keyword(&segments) {
            if let (true, Some(name)) = (is_macro, segments.last()) {
                self.found(place, within, Name::Macro(name.clone()));
            }
            let imported_as = None;
            self.found(
                place,
                within,
                Name::Path {
                    segments,
                    imported_as,
                },
            );
        }
        at.max(start + 1)
    }

    /// Skips an item that is compiled only for tests, with its attributes.
    fn skip_item(&mut self, tokens: &[TokenTree], mut at: usize, within: &Module) -> usize {
        while attribute(tokens, at).is_some() {
            at += 2;
        }
        let mut ends_with_semicolon = false;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Ident(word) => match word.to_string().as_str() {
                    "use" | "static" | "type" => ends_with_semicolon = true,
                    "const" => {
                        ends_with_semicolon = !matches!(
                            tokens.get(at + 1),
                            Some(TokenTree::Ident(next))
                                if ["fn", "unsafe", "async", "extern"].iter().any(|w| next == w)
                        );
                    }
                    "mod" => {
                        if let (Some(name), true) =
                            (tokens.get(at + 1), is_punct(tokens, at + 2, ';'))
                        {
                            self.test_modules.push(below(within, &name.to_string()));
                        }
                    }
                    _ => {}
                },
                TokenTree::Punct(punct) if punct.as_char() == ';' => return at + 1,
                TokenTree::Group(group)
                    if group.delimiter() == Delimiter::Brace && !ends_with_semicolon =>
                {
                    return at + 1;
                }
                _ => {}
            }
            at += 1;
        }
        at
    }

    fn found(&mut self, place: Span, within: &Module, name: Name) {
        self.named.push(Named {
            line: place.start().line,
            within: within.clone(),
            name,
        });
    }
}

fn below(module: &Module, name: &str) -> Module {
    let mut below = module.clone();
    below.push(name.to_owned());
    below
}

/// Returns the outer attribute that begins at `at`.
fn attribute(tokens: &[TokenTree], at: usize) -> Option<Group> {
    match (tokens.get(at), tokens.get(at + 1)) {
        (Some(TokenTree::Punct(hash)), Some(TokenTree::Group(group)))
            if hash.as_char() == '#' && group.delimiter() == Delimiter::Bracket =>
        {
            Some(group.clone())
        }
        _ => None,
    }
}

/// Returns true if an attribute limits its item to tests: `test`, `cfg(test)`,
/// `cfg(all(test, …))`.
fn is_for_tests(attribute: &Group) -> bool {
    let tokens: Vec<_> = attribute.stream().into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Ident(word)] => word == "test",
        [TokenTree::Ident(word), TokenTree::Group(condition)] if word == "cfg" => {
            names_test(condition.stream())
        }
        _ => false,
    }
}

fn names_test(condition: TokenStream) -> bool {
    let tokens: Vec<_> = condition.into_iter().collect();
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Ident(word) => word == "test",
        TokenTree::Group(group) => {
            let word = at.checked_sub(1).map(|before| tokens[before].to_string());
            word.as_deref() == Some("all") && names_test(group.stream())
        }
        _ => false,
    })
}

fn is_punct(tokens: &[TokenTree], at: usize, character: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

/// `::`
fn is_separator(tokens: &[TokenTree], at: usize) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct))
        if punct.as_char() == ':' && punct.spacing() == Spacing::Joint)
        && is_punct(tokens, at + 1, ':')
}

/// Returns true if the separator at `at` continues a path, as in `Vec<T>::new`
/// and `<T as U>::name`.
fn is_path_part(tokens: &[TokenTree], at: usize) -> bool {
    at > 0
        && match &tokens[at - 1] {
            TokenTree::Ident(_) => true,
            TokenTree::Punct(punct) => punct.as_char() == '>',
            _ => false,
        }
}

/// Returns true for the `crate` of `pub(crate)`, and for a bare `self` or
/// `super`.
fn is_keyword(segments: &[String]) -> bool {
    matches!(segments, [word] if ["crate", "self", "super"].contains(&word.as_str()))
}

/// Returns true if the dot before `at` belongs to a range.
fn is_range(tokens: &[TokenTree], at: usize) -> bool {
    at > 1 && is_punct(tokens, at - 2, '.')
}
