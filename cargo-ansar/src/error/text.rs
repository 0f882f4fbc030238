//! Parts of messages and hints.

use crate::model::name::RoleName;

/// Hint for an unknown executable.
pub(super) const LIST_EXECUTABLES: &str =
    "see the executables of the roles with `cargo ansar list -l`";

/// Hint for a workspace that describes no role.
pub(super) const DESCRIBE: &str = "describe roles in `Cargo.toml`: remove the `# ` before those that \
                        `cargo ansar init` proposed in comments, or add \
                        `[workspace.metadata.ansar.role.NAME]` and below it `executable = \"NAME\"`";

pub(super) fn pronoun(roles: &[RoleName]) -> &'static str {
    if roles.len() == 1 { "it" } else { "them" }
}

pub(super) fn names(roles: &[RoleName]) -> String {
    let names = roles.iter().map(|role| format!("`{role}`"));
    names.collect::<Vec<_>>().join(", ")
}

/// Returns roles as the subject of a sentence, with its verb.
pub(super) fn roles_are(roles: &[RoleName]) -> String {
    let (noun, verb) = match roles {
        [_] => ("role", "is"),
        _ => ("roles", "are"),
    };
    format!("{noun} {} {verb}", names(roles))
}

/// Joins role names as shell words.
pub(super) fn role_words<'r>(roles: impl IntoIterator<Item = &'r RoleName>) -> String {
    let names: Vec<&str> = roles.into_iter().map(RoleName::as_str).collect();
    names.join(" ")
}

/// Returns a hint that suggests names, and the command that lists all.
pub(super) fn suggest(meant: &[String], command: &str) -> String {
    if meant.is_empty() {
        return format!("list the roles with `cargo ansar {command}`");
    }
    let meant: Vec<_> = meant.iter().map(|name| format!("`{name}`")).collect();
    let meant = meant.join(", ");
    format!("did you mean {meant}? see all with `cargo ansar {command}`")
}
