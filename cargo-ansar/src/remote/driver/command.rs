//! The driver that runs a command of the user, such as `ssh`.

use std::path::Path;

use crate::model::remote::DriverOptions;

/// Returns the words of the user, followed by the shell and its script.
pub(super) fn place(options: &DriverOptions, shard: usize, script: &str) -> Vec<String> {
    let number = shard.to_string();
    let words = options.command.iter();
    let words = words.chain(&options.more_args);
    let mut words: Vec<String> = words.map(|word| word.replace("{shard}", &number)).collect();
    let script = if passes_to_shell(options) {
        quoted(script)
    } else {
        script.to_owned()
    };
    words.extend(["sh".to_owned(), "-c".to_owned(), script]);
    words
}

/// Returns true if the command joins its words and passes them to a shell, as
/// `ssh` does.
fn passes_to_shell(options: &DriverOptions) -> bool {
    let program = options.command.first();
    let is_ssh = || program.is_some_and(|it| Path::new(it).file_name() == Some("ssh".as_ref()));
    options.quote.unwrap_or_else(is_ssh)
}

/// Returns a text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
