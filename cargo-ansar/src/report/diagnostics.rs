//! Failures in the form of compiler errors: JSON messages for editors, or text
//! like rustc's.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::model::name::ExecutableName;
use crate::model::run_report::{Failure, RunReport};
use crate::report::shell::Shell;

/// JSON messages of one command: Cargo's own, unchanged, then one per failure,
/// then a single `build-finished`.
#[derive(Debug, Clone, Default)]
pub struct Stream(Arc<Mutex<Vec<Target>>>);

/// A target that Cargo compiled or tried to compile.
#[derive(Debug, PartialEq)]
struct Target {
    package: Value,
    folder: PathBuf,
    told: Value,
}

impl Stream {
    /// Returns true if a line of Cargo is to be printed. Records the packages
    /// and targets that it names.
    pub fn passes(&self, line: &[u8]) -> bool {
        // A target that fails to compile has messages, but no artifact.
        let names_target = line.starts_with(br#"{"reason":"compiler-artifact""#)
            || line.starts_with(br#"{"reason":"compiler-message""#);
        let target = names_target.then(|| Target::of(line)).flatten();
        if let Some(target) = target {
            let mut targets = self.targets();
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        // `finish` prints the end after the failures.
        !line.is_empty() && !line.starts_with(br#"{"reason":"build-finished""#)
    }

    /// Shows failures, if a package for them is known. Failures of flaky roles
    /// are warnings.
    pub fn failures(&self, shell: &mut Shell, run: &RunReport) {
        let targets = self.targets();
        for (level, failure) in told(run) {
            if let Some(target) = target(&targets, failure) {
                shell.json(&message(level, failure, target).to_string());
            }
        }
    }

    /// Shows `build-finished`.
    pub fn finish(&self, shell: &mut Shell, success: bool) {
        shell.json(&json!({"reason": "build-finished", "success": success}).to_string());
        shell.flush();
    }

    fn targets(&self) -> std::sync::MutexGuard<'_, Vec<Target>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target {
    fn of(line: &[u8]) -> Option<Self> {
        let mut line: Value = serde_json::from_slice(line).ok()?;
        let manifest = PathBuf::from(line["manifest_path"].as_str()?);
        Some(Self {
            package: line["package_id"].take(),
            folder: manifest.parent()?.to_owned(),
            told: line["target"].take(),
        })
    }

    fn is_bin(&self, name: &str) -> bool {
        self.told["name"] == name
            && self.told["kind"]
                .as_array()
                .is_some_and(|kinds| kinds.iter().any(|kind| kind == "bin"))
    }
}

/// Returns the target of a failure: the executable that found it if its package
/// contains the source, else the package that does, else the executable.
fn target<'t>(targets: &'t [Target], failure: &Failure) -> Option<&'t Target> {
    let source = Path::new(&failure.source);
    let name = failure.executable.as_ref().map(ExecutableName::as_str);
    let is_bin = |target: &&Target| name.is_some_and(|name| target.is_bin(name));
    let mut around: Vec<_> = targets.iter().collect();
    around.retain(|target| source.starts_with(&target.folder));
    let depth = |target: &&Target| target.folder.components().count();
    let deepest = around.iter().map(depth).max();
    around.retain(|target| Some(depth(target)) == deepest);
    let own = around.iter().copied().find(is_bin);
    own.or_else(|| around.first().copied())
        .or_else(|| targets.iter().find(is_bin))
        .or_else(|| targets.last())
}

/// Severity of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    Error,
    /// The role is flaky: it passed in a later try.
    Warning,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Returns the failures of a run as errors, and those of flaky roles as
/// warnings.
fn told(run: &RunReport) -> impl Iterator<Item = (Severity, &Failure)> {
    let failures = run.failures.iter().map(|it| (Severity::Error, it));
    failures.chain(run.flakes().map(|it| (Severity::Warning, it)))
}

fn message(severity: Severity, failure: &Failure, target: &Target) -> Value {
    let column = failure.column.unwrap_or(1);
    let details: Vec<_> = failure.details().collect();
    let children = match details.as_slice() {
        [] => Vec::new(),
        lines => vec![json!({
            "message": lines.join("\n"), "code": null, "level": "note",
            "spans": [], "children": [], "rendered": null
        })],
    };
    json!({
        "reason": "compiler-message",
        "package_id": target.package,
        "manifest_path": target.folder.join("Cargo.toml").display().to_string(),
        "target": target.told,
        "message": {
            "rendered": text(severity, failure) + "\n",
            "$message_type": "diagnostic",
            "children": children,
            "level": severity.as_str(),
            "message": headline(severity, failure),
            "spans": [{
                "byte_start": 0, "byte_end": 0,
                "column_start": column, "column_end": column,
                "expansion": null,
                "file_name": failure.source,
                "is_primary": true,
                "label": null,
                "line_start": failure.line, "line_end": failure.line,
                "suggested_replacement": null, "suggestion_applicability": null,
                "text": []
            }],
            "code": null
        }
    })
}

/// Returns the role and its failure. A failure without a check already names
/// the role.
fn headline(severity: Severity, failure: &Failure) -> String {
    let (role, text) = (failure.role.as_str(), failure.headline());
    if severity == Severity::Warning {
        format!("{role} is flaky: {text}")
    } else if text.starts_with(&format!("{role}: ")) {
        text.to_owned()
    } else {
        format!("{role}: {text}")
    }
}

/// Formats a failure like an error of rustc.
fn text(severity: Severity, failure: &Failure) -> String {
    lines(severity, failure).join("\n")
}

/// Returns the lines of a failure in this form.
fn lines(severity: Severity, failure: &Failure) -> Vec<String> {
    let (source, line) = (&failure.source, failure.line);
    let column = failure.column.unwrap_or(1);
    let mut lines = vec![
        format!("{}: {}", severity.as_str(), headline(severity, failure)),
        format!("  --> {source}:{line}:{column}"),
    ];
    lines.extend(failure.details().map(|line| format!("   = {line}")));
    lines
}

/// Shows that a loop begins, so that a problem matcher discards earlier
/// diagnostics.
pub fn running(shell: &mut Shell) {
    shell.data("[Running 'cargo ansar test']");
    shell.flush();
}

/// Shows that a loop has ended, so that what was shown since it began is all.
pub fn finished(shell: &mut Shell, exit: u8) {
    shell.data(&format!("[Finished running. Exit status: {exit}]"));
    shell.flush();
}

/// Shows failures as text.
pub fn texts(shell: &mut Shell, run: &RunReport) {
    for (severity, failure) in told(run) {
        for line in lines(severity, failure) {
            shell.data(&line);
        }
        shell.data("");
    }
}

#[cfg(test)]
mod tests {
    use cargo_metadata::Message;

    use super::*;
    use crate::report::sample;

    fn artifact(package: &str, folder: &str, name: &str, kind: &str) -> Vec<u8> {
        let line = format!(
            r#"{{"reason":"compiler-artifact","package_id":"{package}","manifest_path":"{folder}/Cargo.toml",
            "target":{{"kind":["{kind}"],"crate_types":["{kind}"],"name":"{name}","src_path":"{folder}/src/main.rs",
            "edition":"2024","doc":true,"doctest":false,"test":true}},
            "profile":{{"opt_level":"0","debuginfo":0,"debug_assertions":true,"overflow_checks":true,"test":false}},
            "features":[],"filenames":[],"executable":null,"fresh":true}}"#
        );
        line.replace('\n', "").into_bytes()
    }

    #[test]
    fn a_failure_is_a_message_of_the_package_that_has_its_line() {
        let stream = Stream::default();
        for line in [
            artifact("path+file:///ws/lib#0.1.0", "/ws/lib", "library", "lib"),
            artifact("path+file:///ws#app@0.1.0", "/ws", "app", "lib"),
            artifact("path+file:///ws#app@0.1.0", "/ws", "client", "bin"),
        ] {
            assert!(stream.passes(&line));
        }
        assert!(!stream.passes(br#"{"reason":"build-finished","success":true}"#));
        let targets = stream.targets();
        let mut failure = sample::run().failures.remove(0);
        for (source, executable, package, name) in [
            (
                "/ws/src/a.rs",
                "client",
                "path+file:///ws#app@0.1.0",
                "client",
            ),
            (
                "/ws/lib/src/a.rs",
                "client",
                "path+file:///ws/lib#0.1.0",
                "library",
            ),
            (
                "/elsewhere/a.rs",
                "client",
                "path+file:///ws#app@0.1.0",
                "client",
            ),
            (
                "/elsewhere/a.rs",
                "gone",
                "path+file:///ws#app@0.1.0",
                "client",
            ),
        ] {
            failure.source = source.to_owned();
            failure.executable = Some(executable.parse().unwrap());
            let line = message(
                Severity::Error,
                &failure,
                target(&targets, &failure).unwrap(),
            );
            let line = line.to_string();
            let Message::CompilerMessage(message) = serde_json::from_str(&line).unwrap() else {
                panic!("no message of a compiler: {line}");
            };
            assert_eq!(message.package_id.repr, package);
            assert_eq!(message.target.name, name);
            assert_eq!(message.message.message, "test-a: expected <x>");
            let span = &message.message.spans[0];
            assert!(span.is_primary);
            assert_eq!((&*span.file_name, span.line_start), (source, 7));
            assert_eq!(message.message.children[0].message, "- x\n+ y");
        }
    }

    #[test]
    fn as_text_it_has_the_shape_of_an_error_of_rustc() {
        let failures = sample::run().failures;
        assert_eq!(
            text(Severity::Error, &failures[0]),
            "error: test-a: expected <x>\n  --> /ws/src/a.rs:7:5\n   = - x\n   = + y"
        );
        assert_eq!(
            text(Severity::Error, &failures[2]),
            "error: test-b: timed out\n  --> /ws/Cargo.toml:3:1"
        );
        let run = sample::run();
        let (severity, flaky) = told(&run).last().unwrap();
        assert_eq!(
            text(severity, flaky),
            "warning: test-d is flaky: expected y\n  --> /ws/src/a.rs:11:9"
        );
    }
}
