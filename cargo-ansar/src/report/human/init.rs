//! Text about the description that `init` has written.

use std::path::Path;

use crate::commands::init;
use crate::home::shell_quoted;
use crate::manifest::import::Described;
use crate::manifest::init::Proposed;
use crate::model::quoted::escaped;
use crate::report::human::count;
use crate::report::shell::Shell;

/// Shows the outcome of `init`.
pub fn described(shell: &mut Shell, outcome: &init::Outcome) {
    for skipped in &outcome.skipped {
        shell.warn(&format!("skipped {skipped}"));
    }
    for proposed in &outcome.roles {
        let (role, runs) = (&proposed.role, runs(proposed));
        shell.status("Described", &format!("role `{role}`, which runs {runs}"));
    }
    for proposed in &outcome.programs {
        let (role, runs) = (&proposed.role, runs(proposed));
        let role = format!("role `{role}` in a comment, which runs {runs}");
        shell.status("Proposed", &role);
    }
    wrote(shell, &outcome.manifest);
    let is_test = |it: &Proposed| it.role.as_str().starts_with("test-");
    shell.hint(match &*outcome.roles {
        [] => "remove the `# ` before its roles, add what they need, then type `cargo ansar run`",
        roles if roles.iter().any(is_test) => "now type `cargo ansar test`",
        _ => "now type `cargo ansar run`",
    });
    for file in &outcome.importable {
        let file = shell_quoted(file);
        shell.status("Found", &format!("`{file}`, which describes processes too"));
        shell.hint(&format!(
            "translate it with `cargo ansar init --from {file}`"
        ));
    }
}

/// Names what a proposed role runs.
fn runs(proposed: &Proposed) -> String {
    let target = &proposed.target;
    if proposed.is_integration_test {
        format!("the tests of `{target}`")
    } else {
        format!("`{target}`")
    }
}

/// Shows the outcome of `init --from`.
pub fn imported(shell: &mut Shell, outcome: &init::Imported) {
    for Described { role, runs } in &outcome.roles {
        shell.status(
            "Described",
            &format!("role `{role}`, which runs `{}`", escaped(runs)),
        );
    }
    wrote(shell, &outcome.manifest);
    if outcome.remarks > 0 {
        let parts = count(outcome.remarks, "part");
        let are = if outcome.remarks == 1 { "is" } else { "are" };
        let file = outcome.file.display();
        shell.warn(&format!(
            "{parts} of `{file}` {are} not translated; comments say why"
        ));
    }
}

fn wrote(shell: &mut Shell, manifest: &Path) {
    let manifest = manifest.display();
    shell.status(
        "Wrote",
        &format!("`[workspace.metadata.ansar]` in `{manifest}`"),
    );
}
