//! A role that is being translated, and its text in the manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use crate::manifest::import::{Binary, Described};
use crate::manifest::values::is_valid_program;
use crate::model::name::{ExecutableName, RoleName, is_package_name, is_tag};
use crate::model::quoted::escaped;
use crate::model::readiness::{Health, Probe, check_pattern};
use crate::model::role_properties::EnvFile;
use crate::model::role_search::RolePattern;
use crate::model::stop::StopSignal;

/// Longest line of values; longer environments get a table of their own.
const WIDEST: usize = 100;

/// A role that is being translated. Its texts are templates, as they stand in
/// the manifest.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) name: RoleName,
    /// Its name in the source.
    pub(super) source_name: String,
    /// Line of its name in the source, from 1.
    pub(super) line: u32,
    pub(super) runs: Runs,
    pub(super) args: Vec<String>,
    pub(super) cwd: Option<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) env_files: Vec<EnvFile>,
    pub(super) setup: Vec<Vec<String>>,
    pub(super) ready: Option<Probe<String>>,
    pub(super) health: Option<Health<String>>,
    pub(super) stop_signal: Option<StopSignal>,
    pub(super) stop_grace: Option<Duration>,
    pub(super) unprivileged: bool,
    pub(super) ports: BTreeMap<String, u16>,
    pub(super) restart: Option<&'static str>,
    pub(super) tags: BTreeSet<String>,
    /// Roles that must be ready before, with the line in the source.
    pub(super) after: Vec<(RoleName, u32)>,
    /// Number of instances; 1 if unset.
    pub(super) count: Option<u32>,
    /// Set if the source does not start it.
    pub(super) disabled: bool,
    /// The port in the source that was replaced by the port of the role.
    replaced: Option<u16>,
    comments: Vec<String>,
    /// Number of comments about parts without a counterpart.
    remarks: usize,
}

/// The program of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Runs {
    /// A bin or an example of the workspace.
    Executable {
        name: ExecutableName,
        package: Option<String>,
    },
    /// The first of these programs that exists.
    Program(Vec<String>),
    /// Nothing that could be translated, for this reason: the role is commented
    /// out.
    Nothing(String),
}

impl Draft {
    pub(super) fn new(name: RoleName, source_name: &str, line: u32) -> Self {
        Self {
            name,
            source_name: source_name.to_owned(),
            line,
            runs: Runs::Nothing("it has no command".to_owned()),
            args: Vec::new(),
            cwd: None,
            env: Vec::new(),
            env_files: Vec::new(),
            setup: Vec::new(),
            ready: None,
            health: None,
            stop_signal: None,
            stop_grace: None,
            unprivileged: false,
            ports: BTreeMap::new(),
            restart: None,
            tags: BTreeSet::new(),
            after: Vec::new(),
            count: None,
            disabled: false,
            replaced: None,
            comments: Vec::new(),
            remarks: 0,
        }
    }

    /// Says in a comment why a part of the source has no counterpart.
    pub(super) fn remark(&mut self, what: &str, line: u32, reason: &str) {
        self.comments.push(remark(what, line, reason));
        self.remarks += 1;
    }

    /// Says something else in a comment.
    pub(super) fn comment(&mut self, text: &str) {
        self.comments.push(comment(text));
    }

    /// Sets a variable, or says in a comment why it cannot be set.
    pub(super) fn variable(&mut self, name: &str, value: String, line: u32) {
        let reason = if name.is_empty() || name.contains(['=', '\0']) {
            "it is no name of a variable"
        } else if name.starts_with("ANSAR_") || name == "NOTIFY_SOCKET" {
            "the tool sets it"
        } else if value.contains('\0') {
            "its value contains NUL"
        } else {
            self.env.retain(|(other, _)| other != name);
            self.env.push((name.to_owned(), value));
            return;
        };
        self.remark(&format!("variable `{name}`"), line, reason);
    }

    /// Sets the folder, or says in a comment why it is not set.
    pub(super) fn folder(&mut self, key: &str, folder: &str, line: u32) {
        match folder.trim_start_matches("./") {
            "" | "." => {}
            _ if folder.contains('\0') => self.remark(key, line, "it contains NUL"),
            folder => self.cwd = Some(literal(folder)),
        }
    }

    /// Adds a tag, or says in a comment why it is not added.
    pub(super) fn tag(&mut self, key: &str, tag: &str, line: u32) {
        if is_tag(tag) {
            self.tags.insert(tag.to_owned());
        } else {
            self.remark(key, line, "a tag has ASCII letters, digits, `-` and `_`");
        }
    }

    /// Makes it run a bin or an example of the workspace.
    pub(super) fn executable(&mut self, name: &str, package: Option<String>, bins: &[Binary]) {
        let named = bins.iter().filter(|bin| bin.name == name);
        let packages: BTreeSet<&str> = named.map(|bin| bin.package.as_str()).collect();
        let package = package.or_else(|| packages.first().map(|&package| package.to_owned()));
        let package = package.filter(|package| packages.len() > 1 && is_package_name(package));
        self.runs = match name.parse() {
            Ok(name) => Runs::Executable { name, package },
            Err(error) => Runs::Nothing(format!("{error}")),
        };
        if packages.is_empty() {
            self.comment(&format!(
                "no package of the workspace has a binary `{name}`"
            ));
        }
    }

    /// Returns true if it is commented out.
    pub(super) fn is_comment(&self) -> bool {
        self.disabled || matches!(self.runs, Runs::Nothing(_))
    }

    /// Replaces a TCP port that the program is told, in its arguments and
    /// variables, by the port of the role. Returns true if there was one, now or
    /// before.
    pub(super) fn replace_port(&mut self, port: u16) -> bool {
        let digits = port.to_string();
        let mut was_replaced = false;
        let mut replace = |text: &mut String, is_port: bool| {
            let new = with_port(text, &digits, is_port);
            was_replaced |= new != *text;
            *text = new;
        };
        let mut is_value = false;
        for arg in &mut self.args {
            let names_port = arg.to_ascii_lowercase().contains("port") || arg == "-p";
            replace(arg, is_value);
            is_value = names_port;
        }
        for (name, value) in &mut self.env {
            replace(value, name.to_ascii_uppercase().contains("PORT"));
        }
        if was_replaced {
            self.replaced = Some(port);
        }
        self.replaced == Some(port)
    }

    /// Makes it listen on a port, which is fixed unless the program is told its
    /// port.
    pub(super) fn listens(&mut self, port: u16) {
        if port == 0 {
            return;
        }
        if !self.replace_port(port) {
            self.ports.insert("port".to_owned(), port);
        }
        if self.ready.is_none() {
            self.ready = Some(Probe::Listen(None));
        }
    }

    /// Returns the reason for which a manifest could not have this program and
    /// its texts.
    fn refusal(&self) -> Option<String> {
        if let Runs::Program(programs) = &self.runs {
            if let Some(program) = programs.iter().find(|program| !is_valid_program(program)) {
                return Some(format!("`{program}` is not the name or path of a program"));
            }
        }
        if let Some(Probe::Log(pattern)) = &self.ready {
            if let Err(reason) = check_pattern(pattern) {
                return Some(reason);
            }
        }
        let probes = [
            self.ready.as_ref(),
            self.health.as_ref().map(|it| &it.probe),
        ];
        let probes = probes.into_iter().flatten().flat_map(Probe::texts);
        let texts = self.args.iter().chain(&self.cwd).chain(probes);
        let has_nul = texts
            .chain(self.setup.iter().flatten())
            .any(|text| text.contains('\0'));
        has_nul.then(|| "it contains NUL".to_owned())
    }

    fn described(&self) -> Option<Described> {
        let runs = match &self.runs {
            Runs::Nothing(_) => return None,
            Runs::Executable { name, .. } => name.to_string(),
            Runs::Program(programs) => programs.first()?.clone(),
        };
        (!self.disabled).then(|| Described {
            role: self.name.clone(),
            runs,
        })
    }
}

/// Replaces a port in a word: `HOST:PORT`, `--port=PORT`, and `PORT` alone if
/// the word is known to be a port.
fn with_port(text: &str, port: &str, is_port: bool) -> String {
    const HOSTS: [&str; 5] = ["0.0.0.0", "127.0.0.1", "localhost", "[::]", "[::1]"];
    if is_port && text == port {
        return "{port}".to_owned();
    }
    match text.split_once('=') {
        Some((flag, value)) if value == port && flag.to_ascii_lowercase().contains("port") => {
            return format!("{flag}={{port}}");
        }
        _ => {}
    }
    for host in HOSTS {
        let address = format!("{host}:{port}");
        if let Some(at) = find_whole(text, &address) {
            let (before, after) = (&text[..at], &text[at + address.len()..]);
            return format!("{before}{{address}}{after}");
        }
    }
    match text.strip_prefix(':') {
        Some(value) if value == port => ":{port}".to_owned(),
        _ => text.to_owned(),
    }
}

/// Returns the offset of an address that is not a part of a longer one.
pub(super) fn find_whole(text: &str, address: &str) -> Option<usize> {
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '{' | '}');
    let mut from = 0;
    while let Some(found) = text[from..].find(address) {
        let at = from + found;
        let before = text[..at].chars().next_back();
        let after = text[at + address.len()..].chars().next();
        if !before.is_some_and(is_host) && !after.is_some_and(|c| c.is_ascii_alphanumeric()) {
            return Some(at);
        }
        from = at + address.chars().next().map_or(1, char::len_utf8);
    }
    None
}

/// Returns a template that is only this text.
pub(super) fn literal(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// Returns the comment for a part of the source without a counterpart.
pub(super) fn remark(what: &str, line: u32, reason: &str) -> String {
    comment(&format!("{what}, line {line}: not translated: {reason}"))
}

/// Returns a line of comment. Control characters are shown by their numbers.
pub(super) fn comment(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c == '\t' { ' ' } else { c })
        .collect();
    let pieces: Vec<char> = text.chars().collect();
    let pieces = pieces
        .chunks(100)
        .map(|piece| escaped(&piece.iter().collect::<String>()));
    format!("# {}", pieces.collect::<String>().trim_end())
}

/// Names roles after their sources: `db` becomes `db-0`.
#[derive(Default)]
pub(super) struct Names {
    taken: BTreeSet<RoleName>,
    roles: BTreeMap<String, RoleName>,
}

impl Names {
    /// Returns a name of its own for each source, in their order.
    pub(super) fn of<'n>(sources: impl IntoIterator<Item = &'n str>) -> Self {
        let mut names = Self::default();
        for source in sources {
            names.add(source);
        }
        names
    }

    /// Returns a new name for a source.
    pub(super) fn add(&mut self, source: &str) -> Option<RoleName> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let stem = source.chars();
        let stem = stem.map(|c| if is_allowed(c) { c } else { '-' });
        let stem: String = stem.take(80).collect();
        let stem = match stem.trim_matches('-') {
            "" => "role",
            stem => stem,
        };
        let mut numbers = (0_u64..).filter_map(|number| format!("{stem}-{number}").parse().ok());
        let name: RoleName = numbers.find(|name| !self.taken.contains(name))?;
        self.taken.insert(name.clone());
        self.roles.insert(source.to_owned(), name.clone());
        Some(name)
    }

    /// Returns true if a role has this name.
    pub(super) fn is_taken(&self, name: &str) -> bool {
        self.taken.contains(name)
    }

    /// Returns the role of a source.
    pub(super) fn role(&self, source: &str) -> Option<&RoleName> {
        self.roles.get(source)
    }
}

/// The text of translated roles.
pub(super) struct Rendered {
    pub(super) text: String,
    pub(super) roles: Vec<Described>,
    /// Number of comments about parts without a counterpart.
    pub(super) remarks: usize,
}

/// Renders the drafts, which become consistent: dependencies on roles that are
/// missing, test roles or in a cycle become comments.
pub(super) fn render(mut drafts: Vec<Draft>, tests: &RolePattern) -> Rendered {
    consistent(&mut drafts, tests);
    let mut rendered = Rendered {
        text: String::new(),
        roles: drafts.iter().filter_map(Draft::described).collect(),
        remarks: drafts.iter().map(|draft| draft.remarks).sum(),
    };
    for draft in &drafts {
        rendered.text.push('\n');
        rendered.text.push_str(&text(draft));
    }
    rendered
}

fn consistent(drafts: &mut [Draft], tests: &RolePattern) {
    for draft in drafts.iter_mut() {
        if let Some(reason) = draft.refusal() {
            draft.runs = Runs::Nothing(reason);
        }
    }
    let mut packages: BTreeMap<ExecutableName, String> = BTreeMap::new();
    for draft in drafts.iter_mut() {
        let Runs::Executable {
            name,
            package: Some(package),
        } = &draft.runs
        else {
            continue;
        };
        let first = packages.entry(name.clone()).or_insert(package.clone());
        if first != package {
            let reason = format!("`{name}` is the binary of package `{first}` for another role");
            draft.runs = Runs::Nothing(reason);
        }
    }
    let present = drafts.iter().filter(|draft| !draft.is_comment());
    let present: BTreeSet<RoleName> = present.map(|draft| draft.name.clone()).collect();
    for draft in drafts.iter_mut() {
        let mut kept: Vec<(RoleName, u32)> = Vec::new();
        let mut seen = BTreeSet::new();
        for (after, line) in std::mem::take(&mut draft.after) {
            let reason = if !present.contains(&after) {
                "that role is not translated"
            } else if tests.matches(&after) && !tests.matches(&draft.name) {
                "that role is a test role, and this one is not"
            } else {
                if seen.insert(after.clone()) {
                    kept.push((after, line));
                }
                continue;
            };
            draft.remark(&format!("start after `{after}`"), line, reason);
        }
        draft.after = kept;
    }
    without_cycles(drafts);
}

/// Removes the dependencies that close a cycle.
fn without_cycles(drafts: &mut [Draft]) {
    let names = drafts.iter().map(|draft| draft.name.clone());
    let places: BTreeMap<RoleName, usize> = names.zip(0..).collect();
    let mut seen = vec![Seen::No; drafts.len()];
    for start in 0..drafts.len() {
        let mut path = vec![(start, 0)];
        if seen[start] != Seen::No {
            continue;
        }
        seen[start] = Seen::OnPath;
        while let Some((at, next)) = path.last_mut() {
            let Some((after, line)) = drafts[*at].after.get(*next).cloned() else {
                seen[*at] = Seen::Yes;
                path.pop();
                continue;
            };
            let Some(&to) = places.get(&after) else {
                *next += 1;
                continue;
            };
            match seen[to] {
                Seen::OnPath => {
                    drafts[*at].after.remove(*next);
                    let reason = "the roles would wait for each other";
                    drafts[*at].remark(&format!("start after `{after}`"), line, reason);
                }
                Seen::Yes => *next += 1,
                Seen::No => {
                    *next += 1;
                    seen[to] = Seen::OnPath;
                    path.push((to, 0));
                }
            }
        }
    }
}

/// Progress of the search for cycles at a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    No,
    OnPath,
    Yes,
}

/// Returns a TOML string in one line.
fn quoted(text: &str) -> String {
    // JSON's escapes are TOML's, which also forbids one more character.
    let json = serde_json::Value::from(text).to_string();
    json.replace('\u{7f}', "\\u007f")
}

fn array<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts = texts.into_iter().map(|text| quoted(text.as_ref()));
    format!("[{}]", texts.collect::<Vec<_>>().join(", "))
}

fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(is_bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

fn seconds(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("\"{}s\"", duration.as_secs())
    } else {
        format!("\"{}ms\"", duration.as_millis())
    }
}

/// Returns the entries of an inline table for a probe; a word has none.
fn probe(probe: &Probe<String>) -> Result<String, &'static str> {
    Ok(match probe {
        Probe::Listen(None) => return Err("listen"),
        Probe::Notify => return Err("notify"),
        Probe::Done => return Err("done"),
        Probe::Started => return Err("started"),
        Probe::Listen(Some(port)) => format!("listen = {}", quoted(port)),
        Probe::Tcp(address) => format!("tcp = {}", quoted(address)),
        Probe::Log(pattern) => format!("log = {}", quoted(pattern)),
        Probe::File(path) => format!("file = {}", quoted(path)),
        Probe::Http { url, status } if status.is_empty() => format!("http = {}", quoted(url)),
        Probe::Http { url, status } => format!("http = {}, status = {status:?}", quoted(url)),
        Probe::Command { command, says } => {
            let command = array(command);
            match says {
                Some(says) => format!("command = {command}, says = {}", quoted(says)),
                None => format!("command = {command}"),
            }
        }
    })
}

/// Returns the comments and the table of a role.
fn text(draft: &Draft) -> String {
    let origin = format!("`{}`, line {}", draft.source_name, draft.line);
    let mut text = format!("{}\n", comment(&origin));
    for line in &draft.comments {
        text.push_str(line);
        text.push('\n');
    }
    let reason = match &draft.runs {
        Runs::Nothing(reason) => Some(reason.as_str()),
        _ => draft.disabled.then_some("it is disabled"),
    };
    if let Some(reason) = reason {
        let _ = writeln!(text, "{}", comment(&format!("not translated: {reason}")));
    }
    for line in table(draft).lines() {
        if draft.is_comment() {
            text.push_str("# ");
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn table(draft: &Draft) -> String {
    let mut lines = Vec::new();
    let header = match draft.count {
        None => format!("workspace.metadata.ansar.role.{}", draft.name),
        Some(_) => {
            let name = draft.name.as_str();
            let stem = name.rsplit_once('-').map_or(name, |(stem, _)| stem);
            format!("workspace.metadata.ansar.role.\"{stem}-{{number}}\"")
        }
    };
    lines.push(format!("[{header}]"));
    let mut add = |key: &str, value: String| lines.push(format!("{key} = {value}"));
    match &draft.runs {
        Runs::Executable { name, package } => {
            add("executable", quoted(name.as_str()));
            if let Some(package) = package {
                add("package", quoted(package));
            }
        }
        Runs::Program(programs) => match programs.as_slice() {
            [program] => add("program", quoted(program)),
            programs => add("program", array(programs)),
        },
        Runs::Nothing(_) => add("program", quoted(&draft.source_name)),
    }
    if !draft.args.is_empty() {
        add("args", array(&draft.args));
    }
    if let Some(folder) = &draft.cwd {
        add("cwd", quoted(folder));
    }
    let files = draft.env_files.iter().map(|file| {
        let path = quoted(&file.path);
        if file.optional {
            format!("{{ path = {path}, optional = true }}")
        } else {
            path
        }
    });
    match files.collect::<Vec<_>>().as_slice() {
        [] => {}
        [file] => add("env-file", file.clone()),
        files => add("env-file", format!("[{}]", files.join(", "))),
    }
    let env = draft.env.iter();
    let env: Vec<String> = env
        .map(|(name, value)| format!("{} = {}", key(name), quoted(value)))
        .collect();
    let inline = format!("{{ {} }}", env.join(", "));
    let is_inline = inline.len() + "env = ".len() <= WIDEST;
    if !env.is_empty() && is_inline {
        add("env", inline);
    }
    properties(draft, &mut add);
    if !env.is_empty() && !is_inline {
        lines.push(String::new());
        lines.push(format!("[{header}.env]"));
        lines.extend(env);
    }
    lines.join("\n")
}

fn properties(draft: &Draft, add: &mut impl FnMut(&str, String)) {
    if !draft.setup.is_empty() {
        let commands: Vec<String> = draft.setup.iter().map(array).collect();
        add("setup", format!("[{}]", commands.join(", ")));
    }
    if let Some(ready) = &draft.ready {
        let value = probe(ready).map(|entries| format!("{{ {entries} }}"));
        add("ready", value.unwrap_or_else(quoted));
    }
    if let Some(health) = &draft.health {
        if let Ok(entries) = probe(&health.probe) {
            let every = seconds(health.every);
            let failures = health.failures;
            add(
                "health",
                format!("{{ {entries}, every = {every}, failures = {failures} }}"),
            );
        }
    }
    if draft.stop_signal.is_some() || draft.stop_grace.is_some() {
        let signal = draft
            .stop_signal
            .map(|signal| format!("signal = \"{signal}\""));
        let grace = draft
            .stop_grace
            .map(|grace| format!("grace = {}", seconds(grace)));
        let entries: Vec<String> = signal.into_iter().chain(grace).collect();
        add("stop", format!("{{ {} }}", entries.join(", ")));
    }
    if draft.unprivileged {
        add("unprivileged", "true".to_owned());
    }
    if !draft.ports.is_empty() {
        let ports = draft.ports.iter();
        let ports: Vec<String> = ports
            .map(|(name, port)| format!("{} = {port}", key(name)))
            .collect();
        add("ports", format!("{{ {} }}", ports.join(", ")));
    }
    if let Some(restart) = draft.restart {
        add("restart", quoted(restart));
    }
    if !draft.tags.is_empty() {
        add("tags", array(&draft.tags));
    }
    if !draft.after.is_empty() {
        add(
            "after",
            array(draft.after.iter().map(|(role, _)| role.as_str())),
        );
    }
    if let Some(count) = draft.count {
        add("count", count.to_string());
    }
}
