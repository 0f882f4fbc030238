//! Text about the roles of a home.

use ansar_contract::envelope::Envelope;
use serde::Serialize;
use serde_json::Value;

use crate::commands::delete;
use crate::commands::list::{Disk, Listed, Listing};
use crate::model::name::ExecutableName;
use crate::report::human::{count, roles};
use crate::report::json;
use crate::report::shell::{Form, Shell};

/// Shows roles as data: one name per line, or a table with totals.
pub fn listed(shell: &mut Shell, listing: &Listing) {
    if shell.form() != Form::Human {
        return listed_as_json(shell, listing);
    }
    if listing.roles.is_empty() {
        shell.status(
            "Listed",
            &format!("no roles of home `{}`", listing.home.display()),
        );
    }
    let mut rows: Vec<(&str, String, Option<Disk>, &str)> = listing.roles.iter().map(row).collect();
    let sums = listing.total.map(|total| {
        let roles = count(total.roles, "role");
        (roles, count(total.executables, "executable"), total.disk)
    });
    if let Some((roles, executables, disk)) = &sums {
        rows.push((roles, executables.clone(), Some(*disk), ""));
    }
    let role_width = rows.iter().map(|row| row.0.len()).max().unwrap_or(0);
    let executable_width = rows.iter().map(|row| row.1.len()).max().unwrap_or(0);
    for (role, executable, disk, retired) in rows {
        shell.data(&match disk {
            None => format!("{role}{retired}"),
            Some(Disk { files, bytes }) => format!(
                "{role:role_width$}  {executable:executable_width$}  {files:>5} files  \
                 {bytes:>12} bytes{retired}"
            ),
        });
    }
}

/// A listed role as JSON.
#[derive(Serialize)]
struct Line<'a> {
    role: &'a str,
    executable: Option<&'a ExecutableName>,
    retired: bool,
    /// Number of files on disk, if requested.
    files: Option<usize>,
    bytes: Option<u64>,
}

fn listed_as_json(shell: &mut Shell, listing: &Listing) {
    for listed in &listing.roles {
        let line = Line {
            role: &listed.role,
            executable: listed.executable.as_ref(),
            retired: listed.retired,
            files: listed.disk.map(|disk| disk.files),
            bytes: listed.disk.map(|disk| disk.bytes),
        };
        json::item(shell, line);
    }
}

fn row(listed: &Listed) -> (&str, String, Option<Disk>, &str) {
    let executable = listed.executable.as_ref();
    let executable = executable.map_or_else(|| "-".to_owned(), ToString::to_string);
    let retired = if listed.retired { " (retired)" } else { "" };
    (&listed.role, executable, listed.disk, retired)
}

/// Shows an encoding as data, in the form of an input file.
pub fn encoding(shell: &mut Shell, value: &Value) {
    if shell.form() != Form::Human {
        return json::item(shell, Envelope::of(value));
    }
    // JSON values always have a text.
    let text = serde_json::to_string_pretty(&Envelope::of(value)).unwrap_or_default();
    shell.json(&text);
}

/// Shows the outcome of `delete`.
pub fn deleted(shell: &mut Shell, outcome: &delete::Outcome) {
    shell.status("Deleted", &roles(&outcome.roles));
    if !outcome.described.is_empty() {
        shell.warn(&format!(
            "{} described in `Cargo.toml`, and created again by the next `cargo ansar test`",
            match outcome.described.as_slice() {
                [only] => format!("role `{only}` is"),
                all => format!("{} are", count(all.len(), "role")),
            }
        ));
    }
}
