//! Text for the keys of `watch`.

use crate::logs::header::Head;
use crate::model::run_report::LogRecord;
use crate::report::human::count;
use crate::report::shell::Shell;

/// Shows the keys.
pub fn help(shell: &mut Shell) {
    shell.status(
        "Keys",
        "enter re-runs, f runs failed roles, a runs all; r restarts roles, l shows logs, q quits",
    );
}

/// Shows that there was no role to restart.
pub fn nothing_to_restart(shell: &mut Shell) {
    shell.status("Unchanged", "no operational role runs");
}

/// Shows log lines of several roles, each with its role, at every verbosity.
pub fn logs(shell: &mut Shell, said: &[LogRecord]) {
    if said.is_empty() {
        return shell.status("Log", "of all roles: nothing yet");
    }
    let lines = count(said.len(), "line");
    shell.status("Log", &format!("of all roles, the last {lines}"));
    let width = said.iter().map(|said| said.role.as_str().len()).max();
    let width = width.unwrap_or_default();
    for said in said {
        let line = said.text.trim_end_matches('\n');
        let shown = Head::of(line.as_bytes()).map_or(0, |head| head.shown);
        let (role, line) = (said.role.as_str(), &line[shown..]);
        shell.tell(&format!("{role:width$} | {line}"));
    }
}
