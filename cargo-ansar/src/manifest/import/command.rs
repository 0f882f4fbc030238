//! Command lines, as a shell would read them.

use crate::manifest::import::draft::{Draft, Runs, literal};
use crate::manifest::import::{Binary, Input};
use crate::model::name::{ExecutableName, is_package_name};

/// Stands for `$PORT` while a line is split into words: a character for private
/// use.
const PORT: char = '\u{e000}';

/// A command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Words that need no shell.
    Words {
        /// Variables that are set in front of the command.
        variables: Vec<(String, String)>,
        /// The program and its arguments.
        words: Vec<String>,
    },
    /// A line with pipes, variables, patterns or other syntax.
    Shell(String),
}

impl Line {
    /// Reads a line. With `port`, `$PORT` is the port of the role, and not
    /// syntax.
    pub(super) fn read(line: &str, port: bool) -> Self {
        let shell = || Self::Shell(line.to_owned());
        if line.contains(PORT) {
            return shell();
        }
        let marked = if port { marked(line) } else { line.to_owned() };
        if needs_shell(&marked) {
            return shell();
        }
        let Ok(mut words) = shell_words::split(&marked) else {
            return shell();
        };
        let count = words.iter().take_while(|word| is_assignment(word)).count();
        let variables = words.drain(..count).filter_map(|word| {
            let (name, value) = word.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        let variables = variables.collect();
        if words.first().is_some_and(|word| word == "exec") {
            words.remove(0);
        }
        Self::Words { variables, words }
    }
}

/// Replaces `$PORT` and `${PORT}`.
fn marked(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('$') {
        let (before, variable) = rest.split_at(at);
        text.push_str(before);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let bare = variable.strip_prefix("$PORT");
        let bare = bare.filter(|after| !after.starts_with(is_name));
        let is_escaped = before.ends_with('\\');
        match bare.or_else(|| variable.strip_prefix("${PORT}")) {
            Some(after) if !is_escaped => {
                text.push(PORT);
                rest = after;
            }
            _ => {
                text.push('$');
                rest = &variable[1..];
            }
        }
    }
    text.push_str(rest);
    text
}

/// Returns true if a line is more than words and quotes.
fn needs_shell(line: &str) -> bool {
    const SYNTAX: &str = "|&;<>()$`*?[]{}!\n";
    let mut quote = None;
    let mut begins_word = true;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None | Some('"'), '\\') => {
                chars.next();
            }
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (Some('"'), '$' | '`') => return true,
            (None, c) if SYNTAX.contains(c) || (begins_word && (c == '#' || c == '~')) => {
                return true;
            }
            _ => {}
        }
        begins_word = quote.is_none() && c.is_whitespace();
    }
    quote.is_some()
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name);
    name.is_some_and(|name| {
        let first = name.chars().next();
        first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// Returns the text of a manifest for a word.
fn template(word: &str) -> String {
    literal(word).replace(PORT, "{port}")
}

/// Makes the draft run a command line of the source's line `at`. `shell` runs
/// what is more than words.
pub(super) fn run(draft: &mut Draft, line: Line, shell: &str, input: &Input<'_>, at: u32) {
    match line {
        Line::Words { variables, words } => {
            for (name, value) in variables {
                draft.variable(&name, template(&value), at);
            }
            run_words(draft, &words, input, at);
        }
        Line::Shell(line) => {
            draft.runs = Runs::Program(vec![shell.to_owned()]);
            draft.args = vec!["-c".to_owned(), literal(&line)];
        }
    }
}

/// Makes the draft run a program with arguments, or the binary of the workspace
/// that the words start.
pub(super) fn run_words(draft: &mut Draft, words: &[String], input: &Input<'_>, at: u32) {
    let Some((program, arguments)) = words.split_first() else {
        draft.runs = Runs::Nothing("it has no command".to_owned());
        return;
    };
    let arguments_of_cargo = match arguments.split_first() {
        Some((command, rest)) if program == "cargo" && ["run", "r"].contains(&&**command) => {
            Some(rest)
        }
        _ => None,
    };
    let run = arguments_of_cargo.and_then(CargoRun::read);
    let found = run.and_then(|run| {
        let (name, package) = run.executable(input.bins, &draft.source_name)?;
        Some((run, name, package))
    });
    if let Some((run, name, package)) = found {
        draft.executable(&name, package, input.bins);
        draft.args = run.arguments.iter().map(|word| template(word)).collect();
        for flag in run.build_flags {
            let reason = "build options are keys of `[workspace.metadata.ansar.build]`";
            draft.remark(&format!("`{flag}`"), at, reason);
        }
        return;
    }
    draft.args = arguments.iter().map(|word| template(word)).collect();
    match built(program, input.bins) {
        Some(name) => draft.executable(&name, None, input.bins),
        None => draft.runs = Runs::Program(vec![program.replace(PORT, "$PORT")]),
    }
}

/// Returns the binary that a path or a name stands for: `target/release/NAME`
/// or a name of the workspace.
pub(super) fn built(program: &str, bins: &[Binary]) -> Option<String> {
    let (folder, name) = match program.rsplit_once('/') {
        Some((folder, name)) => (Some(folder), name),
        None => (None, program),
    };
    let is_target = folder.is_none_or(|folder| {
        let folder = folder.strip_prefix("./").unwrap_or(folder);
        folder.starts_with("target/")
    });
    let known = bins.iter().any(|bin| bin.name == name);
    (is_target && known).then(|| name.to_owned())
}

/// Arguments of `cargo run`.
#[derive(Default)]
struct CargoRun {
    name: Option<String>,
    package: Option<String>,
    /// Flags that change what is built.
    build_flags: Vec<String>,
    arguments: Vec<String>,
}

impl CargoRun {
    /// Reads the words behind `cargo run`, if all flags are known.
    fn read(words: &[String]) -> Option<Self> {
        let mut run = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (flag, joined) = match word.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            let mut value = || joined.clone().or_else(|| words.next().cloned());
            match flag {
                "--bin" | "--example" => run.name = Some(value()?),
                "-p" | "--package" => run.package = Some(value()?),
                "-q" | "--quiet" | "-v" | "--verbose" | "--locked" | "--offline" | "--frozen" => {}
                "-r" | "--release" | "--all-features" | "--no-default-features" => {
                    run.build_flags.push(flag.to_owned());
                }
                "-F" | "--features" | "--profile" => {
                    run.build_flags.push(format!("{flag} {}", value()?));
                }
                "--" => run.arguments.extend(words.by_ref().cloned()),
                flag if flag.starts_with('-') => return None,
                _ => {
                    run.arguments.push(word.clone());
                    run.arguments.extend(words.by_ref().cloned());
                }
            }
        }
        Some(run)
    }

    /// Returns the executable and its package, if one was named. Without a
    /// name, it is the only binary, or the one that is called like the role.
    fn executable(&self, bins: &[Binary], role: &str) -> Option<(String, Option<String>)> {
        let package = self.package.clone();
        let package = package.filter(|package| is_package_name(package));
        if let Some(name) = &self.name {
            return name
                .parse::<ExecutableName>()
                .is_ok()
                .then(|| (name.clone(), package));
        }
        let of_package = |bin: &&Binary| package.as_ref().is_none_or(|it| *it == bin.package);
        let mut candidates = bins.iter().filter(of_package);
        let first = candidates.next()?;
        let bin = match candidates.next() {
            None => first,
            Some(_) => bins
                .iter()
                .filter(of_package)
                .find(|bin| bin.name == role)?,
        };
        Some((bin.name.clone(), package))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<Vec<String>> {
        match Line::read(line, true) {
            Line::Words { words, .. } => Some(words.iter().map(|word| template(word)).collect()),
            Line::Shell(_) => None,
        }
    }

    #[test]
    fn quotes_and_ports_need_no_shell() {
        for (line, expected) in [
            ("a b  c", &["a", "b", "c"][..]),
            ("a 'b c' \"d e\" f\\ g", &["a", "b c", "d e", "f g"]),
            ("exec a -p $PORT", &["a", "-p", "{port}"]),
            (
                "a --port=${PORT} \"$PORT\"",
                &["a", "--port={port}", "{port}"],
            ),
            ("a '{x}' '$HOME' '*'", &["a", "{{x}}", "$HOME", "*"]),
            ("X=1 Y_2='a b' a=b c", &["c"]),
            ("a x#y ~", &["a"]),
        ] {
            if line.ends_with('~') {
                assert_eq!(words(line), None);
            } else {
                assert_eq!(
                    words(line).as_deref(),
                    Some(expected)
                        .map(|e| e.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>())
                        .as_deref(),
                    "{line}"
                );
            }
        }
    }

    #[test]
    fn other_syntax_needs_a_shell() {
        for line in [
            "a | b", "a && b", "a; b", "a > b", "a $X", "a \"$X\"", "a `b`", "a *.c", "(a)",
            "a {b,c}", "! a", "a # b", "~/a", "a 'b", "a $PORTS", "a \\", "\u{e000}",
        ] {
            let expected = line != "a \\";
            assert_eq!(words(line).is_none(), expected, "{line}");
        }
    }
}
