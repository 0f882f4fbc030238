//! Compose files: a service is a program of this machine or a binary of the
//! workspace.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::fmt::friendly::SpanParser;

use crate::manifest::import::command::built;
use crate::manifest::import::draft::{
    Draft, Names, Rendered, Runs, find_whole, literal, remark, render,
};
use crate::manifest::import::images::{Database, Image, name};
use crate::manifest::import::yaml::{Entry, Value, Yaml};
use crate::manifest::import::{ImportError, Input, MOST_SERVICES};
use crate::model::name::RoleName;
use crate::model::readiness::Probe;
use crate::model::role_properties::EnvFile;

/// Deepest default in a default of a variable.
const DEEPEST: u32 = 8;

/// Keys of a service that are translated, or that say nothing about a process.
const TRANSLATED: [&str; 18] = [
    "image",
    "build",
    "command",
    "entrypoint",
    "environment",
    "env_file",
    "ports",
    "expose",
    "depends_on",
    "healthcheck",
    "restart",
    "stop_signal",
    "stop_grace_period",
    "working_dir",
    "profiles",
    "container_name",
    "platform",
    "pull_policy",
];

/// A service, and the facts about it that other services use.
struct Service<'a> {
    name: &'a str,
    line: u32,
    node: &'a Yaml,
    role: RoleName,
    image: Option<Image>,
    runs: Option<String>,
    /// Ports on which it listens in its container, the first one first.
    ports: Vec<u16>,
    database: Database,
    /// The role that creates its database.
    creator: Option<RoleName>,
}

/// Translates a compose file.
///
/// # Errors
///
/// Returns an error if `services` is not a mapping of mappings.
pub(super) fn translate(root: &Yaml, input: &Input<'_>) -> Result<Rendered, ImportError> {
    let entries = entries(root, "services")?;
    let mut names = Names::of(entries.iter().map(|entry| entry.key.as_str()));
    let mut services = Vec::new();
    for entry in entries {
        if !matches!(entry.value.value, Value::Map(_)) {
            let reason = format!("service `{}` is not a mapping", entry.key);
            return Err(ImportError::new(entry.line, reason));
        }
        let Some(role) = names.role(&entry.key).cloned() else {
            continue;
        };
        services.push(Service::of(entry, role, input));
    }
    for service in &mut services {
        if service.image == Some(Image::Postgres) && service.database.needs_creation() {
            service.creator = names.add(&format!("{}-create", service.name));
        }
    }
    let completed = services.iter().flat_map(Service::completed);
    let completed: Vec<&str> = completed.collect();
    let translator = Translator {
        input,
        by_name: services.iter().map(|it| (it.name, it)).collect(),
    };
    let mut drafts = Vec::new();
    for service in &services {
        let mut draft = translator.draft(service);
        if completed.contains(&service.name) {
            draft.ready = Some(Probe::Done);
        }
        drafts.push(draft);
        if let Some(creator) = &service.creator {
            let source = format!("database of {}", service.name);
            let mut draft = Draft::new(creator.clone(), &source, service.line);
            service.database.create(&mut draft, &service.role);
            drafts.push(draft);
        }
    }
    let mut rendered = render(drafts, input.tests);
    let known = |key: &str| ["services", "version", "name"].contains(&key) || key.starts_with("x-");
    for entry in root
        .entries()
        .iter()
        .rev()
        .filter(|entry| !known(&entry.key))
    {
        let reason = "it describes containers";
        let line = remark(&format!("`{}`", entry.key), entry.line, reason);
        rendered.text.insert_str(0, &format!("{line}\n"));
        rendered.remarks += 1;
    }
    Ok(rendered)
}

/// Returns the entries of a mapping of services or processes.
pub(super) fn entries<'a>(root: &'a Yaml, key: &str) -> Result<&'a [Entry], ImportError> {
    let node = root.get(key);
    let line = node.map_or(1, |node| node.line);
    let entries = node.map_or(&[][..], Yaml::entries);
    if entries.is_empty() {
        let reason = format!("`{key}` is not a mapping with at least one entry");
        return Err(ImportError::new(line, reason));
    }
    if entries.len() > MOST_SERVICES {
        let reason = format!("more than {MOST_SERVICES} {key}");
        return Err(ImportError::new(line, reason));
    }
    Ok(entries)
}

impl<'a> Service<'a> {
    fn of(entry: &'a Entry, role: RoleName, input: &Input<'_>) -> Self {
        let node = &entry.value;
        let image = node
            .text_of("image")
            .and_then(|image| interpolated(image).ok());
        let mut service = Self {
            name: &entry.key,
            line: entry.line,
            node,
            role,
            image: image.as_deref().and_then(Image::of),
            runs: None,
            ports: Vec::new(),
            database: Database::default(),
            creator: None,
        };
        if node.get("build").is_some() {
            service.image = None;
        }
        if service.image.is_none() {
            service.runs = service.binary(image.as_deref(), input);
        }
        for key in ["ports", "expose"] {
            let elements = node.get(key).map_or(&[][..], Yaml::elements);
            let ports = elements
                .iter()
                .filter_map(|element| container_port(element).ok());
            service.ports.extend(ports);
        }
        match service.image {
            Some(image) => service.ports = vec![image.port()],
            None if service.ports.is_empty() => {
                let probed = node.get("healthcheck").and_then(probed_url);
                service
                    .ports
                    .extend(probed.as_deref().and_then(port_of_url));
            }
            None => {}
        }
        if service.image == Some(Image::Postgres) {
            for (name, value, _) in variables(node) {
                if let Some(Ok(value)) = value.map(interpolated) {
                    service.database.take(name, &value);
                }
            }
        }
        service
    }

    /// Returns the binary of the workspace that the service runs: the one that
    /// its command names, the only one in its build context, or the one with
    /// its name, which is the name of the image unless it is built.
    fn binary(&self, image: Option<&str>, input: &Input<'_>) -> Option<String> {
        let (words, _) = self.words().ok()?;
        if let Some(bin) = words.first().and_then(|word| in_image(word, input)) {
            return Some(bin);
        }
        let build = self.node.get("build");
        let context = build.and_then(|build| build.text().or_else(|| build.text_of("context")));
        if let Some(context) = context.and_then(|context| interpolated(context).ok()) {
            let folder = context.trim_start_matches("./").trim_end_matches('/');
            let is_member = !folder.is_empty() && folder != ".";
            let mut bins = input
                .bins
                .iter()
                .filter(|bin| is_member && bin.folder == Path::new(folder));
            if let (Some(only), None) = (bins.next(), bins.next()) {
                return Some(only.name.clone());
            }
        }
        // The name of a service says little about an image of others.
        let name = match build {
            Some(_) => self.name,
            None => name(image?),
        };
        let known = input.bins.iter().any(|bin| bin.name == name);
        known.then(|| name.to_owned())
    }

    /// Returns the words of the entry point and the command, and the line of
    /// the last one.
    fn words(&self) -> Result<(Vec<String>, u32), (&'static str, u32, String)> {
        let mut words = Vec::new();
        let mut at = self.line;
        for key in ["entrypoint", "command"] {
            let Some(node) = self.node.get(key) else {
                continue;
            };
            at = node.line;
            for element in node.elements() {
                let Some(text) = element.text() else {
                    return Err((key, at, "it is not a list of texts".to_owned()));
                };
                let text = interpolated(text).map_err(|variable| (key, at, unset(&variable)))?;
                if matches!(node.value, Value::List(_)) {
                    words.push(text);
                } else {
                    let split = shell_words::split(&text);
                    words.extend(split.map_err(|_| (key, at, "a quote is not closed".to_owned()))?);
                }
            }
        }
        Ok((words, at))
    }

    /// Returns the services whose completion this one waits for.
    fn completed(&self) -> impl Iterator<Item = &'a str> {
        let entries = self.node.get("depends_on").map_or(&[][..], Yaml::entries);
        let completed = entries.iter().filter(|entry| {
            entry.value.text_of("condition") == Some("service_completed_successfully")
        });
        completed.map(|entry| entry.key.as_str())
    }

    fn is_translated(&self) -> bool {
        self.image.is_some() || self.runs.is_some()
    }
}

/// Returns the binary that the first word of a command names, as a path in an
/// image or by its name.
fn in_image(word: &str, input: &Input<'_>) -> Option<String> {
    let name = word.rsplit('/').next().unwrap_or(word);
    built(word, input.bins).or_else(|| built(name, input.bins))
}

/// Returns the variables of a service, each with its line; without a value if
/// it comes from the environment.
fn variables(node: &Yaml) -> Vec<(&str, Option<&str>, u32)> {
    let Some(environment) = node.get("environment") else {
        return Vec::new();
    };
    let from_list = environment.elements().iter().filter_map(|element| {
        let text = element.text()?;
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        Some((name, value, element.line))
    });
    let entries = environment.entries().iter();
    let from_map = entries.map(|entry| (entry.key.as_str(), entry.value.text(), entry.line));
    from_list.chain(from_map).collect()
}

/// Returns the port in the container of an element of `ports` or `expose`.
fn container_port(element: &Yaml) -> Result<u16, &'static str> {
    let text = match element.text() {
        Some(text) => text,
        None if element
            .text_of("protocol")
            .is_some_and(|protocol| protocol != "tcp") =>
        {
            return Err("only TCP ports are probed");
        }
        None => element.text_of("target").unwrap_or_default(),
    };
    let (text, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    if protocol != "tcp" {
        return Err("only TCP ports are probed");
    }
    let port = text.rsplit(':').next().unwrap_or(text);
    match port.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err("it is not one port"),
    }
}

/// Returns the URL that the command of a health check requests.
fn probed_url(check: &Yaml) -> Option<String> {
    let words = check.get("test")?.elements().iter();
    let words: Vec<&str> = words.filter_map(Yaml::text).collect();
    let command = words.join(" ");
    if !command.contains("curl") && !command.contains("wget") {
        return None;
    }
    let at = command.find("http://")?;
    let url = command[at..]
        .split([' ', '\'', '"', '|', ';', '&', ')'])
        .next()?;
    interpolated(url).ok()
}

fn port_of_url(url: &str) -> Option<u16> {
    let host = url.strip_prefix("http://")?;
    let host = host.split(['/', '?']).next()?;
    match host.rsplit_once(':') {
        Some((_, port)) => port.parse().ok(),
        None => Some(80),
    }
}

fn unset(variable: &str) -> String {
    format!("variable `{variable}` has no default, and values of the environment are not read")
}

/// Replaces variables by their defaults, and `$$` by `$`.
///
/// # Errors
///
/// Returns the first variable that has no default.
fn interpolated(text: &str) -> Result<String, String> {
    interpolated_at(text, DEEPEST)
}

fn interpolated_at(text: &str, depth: u32) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = |text: &str| text.find(|c| !is_name(c)).unwrap_or(text.len());
        if let Some(after) = after.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else if let Some(inner) = after.strip_prefix('{') {
            let close = closing(inner).ok_or_else(|| "{".to_owned())?;
            let (name, operator) = inner[..close].split_at(end(&inner[..close]));
            let default = operator
                .strip_prefix(":-")
                .or_else(|| operator.strip_prefix('-'));
            match default {
                Some(default) if depth > 0 => {
                    result.push_str(&interpolated_at(default, depth - 1)?);
                }
                _ => return Err(name.to_owned()),
            }
            rest = &inner[close + 1..];
        } else if after.starts_with(is_name) {
            return Err(after[..end(after)].to_owned());
        } else {
            result.push('$');
            rest = after;
        }
    }
    result.push_str(rest);
    Ok(result)
}

/// Returns the offset of the brace that closes a variable.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    None
}

/// Translates services.
struct Translator<'a> {
    input: &'a Input<'a>,
    by_name: BTreeMap<&'a str, &'a Service<'a>>,
}

impl Translator<'_> {
    fn draft(&self, service: &Service<'_>) -> Draft {
        let mut draft = Draft::new(service.role.clone(), service.name, service.line);
        self.command(service, &mut draft);
        self.environment(service, &mut draft);
        env_file(service, &mut draft);
        ports(service, &mut draft);
        self.healthcheck(service, &mut draft);
        self.depends_on(service, &mut draft);
        for entry in service.node.entries() {
            service_key(service, entry, &mut draft);
        }
        draft
    }

    fn command(&self, service: &Service<'_>, draft: &mut Draft) {
        let (words, at) = service.words().unwrap_or_else(|(key, at, reason)| {
            draft.remark(key, at, &reason);
            (Vec::new(), at)
        });
        if let Some(image) = service.image {
            image.run(draft, &words, at);
            if image == Image::Postgres {
                service.database.set_up(draft);
            }
            if image == Image::Nginx {
                nginx(service, draft);
            }
            return;
        }
        let Some(bin) = &service.runs else {
            let reason = match service.node.text_of("image") {
                Some(image) => {
                    format!("image `{image}` is not known, name a `program` of this machine")
                }
                None => "it is not a binary of the workspace, name a `program`".to_owned(),
            };
            draft.runs = Runs::Nothing(reason);
            return;
        };
        draft.executable(bin, None, self.input.bins);
        let first = words.first().and_then(|word| in_image(word, self.input));
        let own = usize::from(first.as_ref() == Some(bin));
        let arguments = words.iter().skip(own);
        draft.args = arguments.map(|word| self.with_addresses(word)).collect();
    }

    fn environment(&self, service: &Service<'_>, draft: &mut Draft) {
        let is_database = service.image == Some(Image::Postgres);
        for (name, value, line) in variables(service.node) {
            let what = format!("variable `{name}`");
            let Some(value) = value else {
                draft.comment(&format!(
                    "{what}, line {line}: inherited from the command that starts it"
                ));
                continue;
            };
            if is_database && Database::default().take(name, value) {
                continue;
            }
            match interpolated(value) {
                Ok(value) => draft.variable(name, self.with_addresses(&value), line),
                Err(variable) => draft.remark(&what, line, &unset(&variable)),
            }
        }
    }

    /// Returns a template in which addresses of other services are those of
    /// their roles.
    fn with_addresses(&self, text: &str) -> String {
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let end = rest.find(|c| !is_host(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end.max(first.len_utf8()));
            rest = after;
            let service = self.by_name.get(word);
            let service = service.filter(|it| it.is_translated() && !it.ports.is_empty());
            let Some(service) = service else {
                result.push_str(&literal(word));
                continue;
            };
            let digits = after.strip_prefix(':').unwrap_or_default();
            let digits = &digits[..digits
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(digits.len())];
            let port = digits.parse().ok();
            let of_role = |name: &str| format!("{{address:{}{name}}}", service.role);
            let in_url = result.ends_with('@') || result.ends_with("//");
            let ends = after.is_empty() || after.starts_with(['/', '?']);
            match port.and_then(|port: u16| service.ports.iter().position(|it| *it == port)) {
                Some(0) => result.push_str(&of_role("")),
                Some(nth) => result.push_str(&of_role(&format!("/p{}", service.ports[nth]))),
                None if in_url && ends => {
                    result.push_str(&of_role(""));
                    continue;
                }
                None if word == text => return "{bind}".to_owned(),
                None => {
                    result.push_str(&literal(word));
                    continue;
                }
            }
            rest = &after[1 + digits.len()..];
        }
        result
    }

    fn healthcheck(&self, service: &Service<'_>, draft: &mut Draft) {
        let Some(check) = service.node.get("healthcheck") else {
            return;
        };
        let Some(test) = check.get("test") else {
            return;
        };
        if service.image.is_some() {
            let reason = "`ready` of the role replaces it";
            draft.remark("`healthcheck`", check.line, reason);
            return;
        }
        let texts = test.elements().iter().filter_map(Yaml::text);
        let words: Result<Vec<String>, String> = texts.map(interpolated).collect();
        let words = match words {
            Ok(words) => words,
            Err(variable) => {
                draft.remark("`healthcheck`", check.line, &unset(&variable));
                return;
            }
        };
        let is_disabled = check.text_of("disable") == Some("true");
        let probe = match (words.first().map(String::as_str), &words[..]) {
            _ if is_disabled => None,
            (None | Some("NONE"), _) => None,
            _ if probed_url(check).is_some() => self.http(service, check),
            (Some("CMD-SHELL"), [_, line]) => Some(shell(line)),
            (Some("CMD"), [_, command @ ..]) if !command.is_empty() => Some(Probe::Command {
                command: command.iter().map(|word| literal(word)).collect(),
                says: None,
            }),
            (Some(line), [_]) if matches!(test.value, Value::Text(_)) => Some(shell(line)),
            _ => {
                let reason = "expected `CMD` or `CMD-SHELL` and a command";
                draft.remark("`healthcheck`", test.line, reason);
                None
            }
        };
        if probe.is_some() {
            draft.ready = probe;
        }
        let timing = [
            "interval",
            "timeout",
            "retries",
            "start_period",
            "start_interval",
        ];
        for entry in check.entries() {
            if timing.contains(&entry.key.as_str()) {
                let reason = "a role is probed until it is ready, or until `ready-timeout`";
                draft.remark(&format!("`{}`", entry.key), entry.line, reason);
            }
        }
    }

    /// Returns the probe for a URL. The role's own port is that of the home.
    fn http(&self, service: &Service<'_>, check: &Yaml) -> Option<Probe<String>> {
        let url = probed_url(check)?;
        let mut template = self.with_addresses(&url);
        if let Some(port) = service.ports.first() {
            for host in ["localhost", "127.0.0.1", "0.0.0.0", "[::1]"] {
                let mut addresses = vec![format!("{host}:{port}")];
                if *port == 80 {
                    addresses.push(host.to_owned());
                }
                for address in addresses {
                    if let Some(at) = find_whole(&template, &address) {
                        template.replace_range(at..at + address.len(), "{address}");
                    }
                }
            }
        }
        Some(Probe::Http {
            url: template,
            status: Vec::new(),
        })
    }

    fn depends_on(&self, service: &Service<'_>, draft: &mut Draft) {
        let Some(node) = service.node.get("depends_on") else {
            return;
        };
        let from_list = node.elements().iter();
        let from_list = from_list.filter_map(|element| Some((element.text()?, element.line)));
        let from_map = node
            .entries()
            .iter()
            .map(|entry| (entry.key.as_str(), entry.line));
        for (name, line) in from_list.chain(from_map) {
            match self.by_name.get(name) {
                Some(other) => {
                    draft.after.push((other.role.clone(), line));
                    draft
                        .after
                        .extend(other.creator.iter().map(|role| (role.clone(), line)));
                }
                None => draft.remark(
                    "`depends_on`",
                    line,
                    &format!("there is no service `{name}`"),
                ),
            }
        }
    }
}

fn env_file(service: &Service<'_>, draft: &mut Draft) {
    let Some(node) = service.node.get("env_file") else {
        return;
    };
    for element in node.elements() {
        let path = element.text().or_else(|| element.text_of("path"));
        let optional = element.text_of("required") == Some("false");
        match path.map(interpolated) {
            Some(Ok(path)) if is_path(&path) => draft.env_files.push(EnvFile { path, optional }),
            Some(Err(variable)) => draft.remark("`env_file`", element.line, &unset(&variable)),
            Some(Ok(_)) => draft.remark("`env_file`", element.line, "it is not a path"),
            None => draft.remark("`env_file`", element.line, "it has no path"),
        }
    }
}

/// Translates a key with one value, or says why it has no counterpart.
fn service_key(service: &Service<'_>, entry: &Entry, draft: &mut Draft) {
    let (key, line) = (entry.key.as_str(), entry.line);
    let what = format!("`{key}`");
    let value = match entry.value.text().map(interpolated) {
        Some(Ok(value)) => value,
        Some(Err(variable)) if TRANSLATED[10..14].contains(&key) => {
            draft.remark(&what, line, &unset(&variable));
            return;
        }
        Some(Err(_)) | None => String::new(),
    };
    match key {
        "restart" => restart(&value, line, draft),
        "stop_signal" => match signal(&value) {
            Some(signal) => draft.stop_signal = Some(signal),
            None => draft.remark(&what, line, "no role is stopped with this signal"),
        },
        "stop_grace_period" => match duration(&value) {
            Some(grace) => draft.stop_grace = Some(grace),
            None => draft.remark(&what, line, "it is not a duration of more than zero"),
        },
        "working_dir" if value.starts_with('/') => {
            draft.remark(&what, line, "it is a folder of the container");
        }
        "working_dir" => draft.folder(&what, &value, line),
        "profiles" => {
            for tag in entry.value.elements() {
                draft.tag(&what, tag.text().unwrap_or_default(), tag.line);
            }
        }
        "build" => build(&entry.value, draft),
        "volumes" if service.image == Some(Image::Nginx) => {}
        "volumes" => {
            let reason = "a role keeps its data in `{model}`, and sees all files of the machine";
            draft.remark(&what, line, reason);
        }
        "networks" | "network_mode" | "links" | "hostname" | "extra_hosts" | "dns" => {
            let reason = "roles reach each other by `{address:ROLE}`";
            draft.remark(&what, line, reason);
        }
        "extends" => draft.remark(&what, line, "the other service is not read"),
        _ if TRANSLATED.contains(&key) || key.starts_with("x-") => {}
        _ => draft.remark(&what, line, "it describes containers"),
    }
}

/// Returns true if a text can be a path in the manifest.
pub(super) fn is_path(path: &str) -> bool {
    !path.is_empty() && !path.contains('\0')
}

/// Says which part of a build has a counterpart.
fn build(node: &Yaml, draft: &mut Draft) {
    for entry in node.entries() {
        if !["context", "dockerfile", "dockerfile_inline"].contains(&entry.key.as_str()) {
            let reason = "Cargo builds it, with `[workspace.metadata.ansar.build]`";
            draft.remark(&format!("`build.{}`", entry.key), entry.line, reason);
        }
    }
}

fn ports(service: &Service<'_>, draft: &mut Draft) {
    for key in ["ports", "expose"] {
        for element in service.node.get(key).map_or(&[][..], Yaml::elements) {
            if let Err(reason) = container_port(element) {
                draft.remark(&format!("`{key}`"), element.line, reason);
            }
        }
    }
    if service.image.is_some_and(|image| image != Image::Nginx) || draft.is_comment() {
        return;
    }
    for (nth, port) in service.ports.iter().enumerate() {
        if nth == 0 {
            draft.listens(*port);
        } else {
            draft.ports.insert(format!("p{port}"), *port);
        }
    }
}

/// Takes the configuration of nginx from its volumes.
fn nginx(service: &Service<'_>, draft: &mut Draft) {
    let volumes = service.node.get("volumes").map_or(&[][..], Yaml::elements);
    for volume in volumes {
        let mut parts = volume.text().unwrap_or_default().split(':');
        let (source, target) = match volume.entries() {
            [] => (parts.next(), parts.next()),
            _ => (volume.text_of("source"), volume.text_of("target")),
        };
        match (source, target) {
            (Some(source), Some("/etc/nginx/nginx.conf")) if is_path(source) => {
                draft.args.extend(["-c".to_owned(), literal(source)]);
            }
            _ => draft.remark(
                "`volumes`",
                volume.line,
                "nginx reads the files of the machine",
            ),
        }
    }
    draft.comment("Its configuration, which `-c` names, must listen on the port of `ports`.");
}

fn shell(line: &str) -> Probe<String> {
    Probe::Command {
        command: vec!["sh".to_owned(), "-c".to_owned(), literal(line)],
        says: None,
    }
}

fn restart(value: &str, line: u32, draft: &mut Draft) {
    let (policy, limit) = value.split_once(':').unwrap_or((value, ""));
    match policy {
        "always" | "unless-stopped" => draft.restart = Some("always"),
        "on-failure" => draft.restart = Some("on-failure"),
        "no" => {}
        _ => draft.remark("`restart`", line, "expected `no`, `always` or `on-failure`"),
    }
    if !limit.is_empty() {
        draft.remark(
            "`restart`",
            line,
            "restarts have no limit, their delays grow",
        );
    }
}

/// Returns the signal of a name or a number.
pub(super) fn signal(text: &str) -> Option<crate::model::stop::StopSignal> {
    let name = match text {
        "1" => "SIGHUP",
        "2" => "SIGINT",
        "3" => "SIGQUIT",
        "6" => "SIGABRT",
        "9" => "SIGKILL",
        "10" => "SIGUSR1",
        "12" => "SIGUSR2",
        "14" => "SIGALRM",
        "15" => "SIGTERM",
        "28" => "SIGWINCH",
        name => name,
    };
    name.parse().ok()
}

/// Returns a duration such as `1m30s`, of at most a year.
pub(super) fn duration(text: &str) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
    let duration = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => SpanParser::new().parse_unsigned_duration(text).ok()?,
    };
    let fits = duration >= Duration::from_millis(1) && duration <= LONGEST;
    fits.then_some(duration)
}
