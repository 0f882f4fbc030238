//! Commands of drivers that say what is left, or give it back.

use std::time::Duration;

use crate::host::process::{Exit, Program, StderrMode};

/// Time that such a command gets.
const LIMIT: Duration = Duration::from_secs(5);

/// Runs a command and returns its output; `None` if there is none, or if it has
/// failed.
pub(super) async fn answer_of(words: &[String]) -> Option<Vec<u8>> {
    answer_within(LIMIT, words).await
}

/// Like [`answer_of`], with another limit of time.
pub(super) async fn answer_within(limit: Duration, words: &[String]) -> Option<Vec<u8>> {
    let mut words = words.iter();
    let program = Program {
        path: words.next()?.into(),
        arguments: words.map(Into::into).collect(),
        environment: None,
        folder: None,
        stdin: None,
    };
    let run = tokio::time::timeout(limit, program.run(StderrMode::Piped)).await;
    match run.ok()?.ok()? {
        (Exit::Code(0), output, _) => Some(output.trim_ascii().to_vec()),
        _ => None,
    }
}
