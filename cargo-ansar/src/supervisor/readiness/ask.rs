//! Questions whose answers take time: connections, requests and commands.

use std::io;
use std::time::Duration;

use crate::host::net::own_network::{Network, in_network};
use crate::host::net::{http, tcp};
use crate::host::process::signal::{self, Signal};
use crate::host::process::{Exit, Pipe, Process, Program, StderrMode};
use crate::model::duration::ShortDuration;
use crate::supervisor::readiness::check::Question;
use crate::supervisor::readiness::schedule::Answer;

/// Time that a server gets to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Time that a command gets to exit.
const COMMAND_LIMIT: Duration = Duration::from_secs(2);
/// Number of bytes of a command's output that are kept.
const KEPT: usize = 64 * 1024;
/// Number of characters of an output that a message shows.
const SHOWN: usize = 200;

/// Asks once, in a network or in that of this process. Dropping the future
/// closes the connection, or kills the command's process group.
pub(crate) async fn ask(question: &Question, network: Option<&Network>) -> Answer {
    match question {
        Question::Tcp(address) => match tcp::answers(address, network, ANSWER_LIMIT).await {
            Ok(()) => Answer::Met,
            Err(error) => Answer::Unmet(error.to_string().into()),
        },
        Question::Http { url, status } => match http::status(url, network, ANSWER_LIMIT).await {
            Ok(code) if accepts(status, code) => Answer::Met,
            Ok(code) => Answer::Unmet(code.to_string().into()),
            Err(error) => Answer::Unmet(error.to_string().into()),
        },
        Question::Command { program, says } => {
            match tokio::time::timeout(COMMAND_LIMIT, run(program, network)).await {
                Ok(Ok(ran)) => judge(&ran, says.as_deref()),
                Ok(Err(error)) => Answer::Unmet(format!("cannot be run: {error}").into()),
                Err(_) => {
                    let limit = ShortDuration(COMMAND_LIMIT);
                    Answer::Unmet(format!("did not exit within {limit}").into())
                }
            }
        }
    }
}

fn accepts(status: &[u16], code: u16) -> bool {
    if status.is_empty() {
        (200..300).contains(&code)
    } else {
        status.contains(&code)
    }
}

/// The exit and the output of a command.
struct Ran {
    exit: Exit,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Runs a command, and kills what remains of its group.
async fn run(program: &Program, network: Option<&Network>) -> io::Result<Ran> {
    let program = in_network(program.clone(), network)?;
    let mut process = Process::start(&program, StderrMode::Piped).await?;
    let stderr = async {
        match &process.stderr {
            Some(stderr) => read(stderr).await,
            None => Ok(Vec::new()),
        }
    };
    let (stdout, stderr) = tokio::try_join!(read(&process.stdout), stderr)?;
    let exit = process.end().await?;
    if signal::group_is_alive(process.pid()) {
        // The rest may have ended meanwhile.
        let _ = signal::send_to_group(process.pid(), Signal::Kill);
    }
    Ok(Ran {
        exit,
        stdout,
        stderr,
    })
}

/// Reads to the end, and returns the beginning.
async fn read(pipe: &Pipe) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    while pipe.read_more(&mut kept).await? {
        kept.truncate(KEPT);
    }
    Ok(kept)
}

fn judge(ran: &Ran, says: Option<&str>) -> Answer {
    let last = |output: &[u8]| last_line(output).map(|line| format!(": {line}"));
    let why = || {
        last(&ran.stderr)
            .or_else(|| last(&ran.stdout))
            .unwrap_or_default()
    };
    match (ran.exit, says) {
        (Exit::Code(0), None) => Answer::Met,
        (Exit::Code(0), Some(says)) => {
            let has = memchr::memmem::find(&ran.stdout, says.as_bytes()).is_some();
            match last_line(&ran.stdout) {
                _ if has => Answer::Met,
                Some(line) => {
                    Answer::Unmet(format!("printed \"{line}\", expected `{says}`").into())
                }
                None => Answer::Unmet(format!("printed nothing, expected `{says}`").into()),
            }
        }
        (Exit::Code(code), _) => Answer::Unmet(format!("exited with {code}{}", why()).into()),
        (Exit::Signal(number), _) => {
            Answer::Unmet(format!("was killed by {}{}", signal::name(number), why()).into())
        }
    }
}

/// Returns the last line that is not empty, shortened.
fn last_line(output: &[u8]) -> Option<String> {
    let output = String::from_utf8_lossy(output);
    let line = output
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())?;
    let mut shown: String = line.chars().take(SHOWN).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, says: Option<&str>) -> Question {
        Question::Command {
            program: Program {
                path: "/bin/sh".into(),
                arguments: vec!["-c".into(), script.into()],
                environment: None,
                folder: None,
                stdin: None,
            },
            says: says.map(str::to_owned),
        }
    }

    fn unmet(why: &str) -> Answer {
        Answer::Unmet(why.to_owned().into())
    }

    #[tokio::test]
    async fn command_answers_by_exit_and_output() {
        for (script, says, expected) in [
            ("exit 0", None, Answer::Met),
            ("echo PONG", Some("PONG"), Answer::Met),
            (
                "echo first; echo LOADING the dataset",
                Some("PONG"),
                unmet("printed \"LOADING the dataset\", expected `PONG`"),
            ),
            (
                "echo",
                Some("PONG"),
                unmet("printed nothing, expected `PONG`"),
            ),
            (
                "echo PONG; exit 3",
                Some("PONG"),
                unmet("exited with 3: PONG"),
            ),
            ("echo no >&2; exit 1", None, unmet("exited with 1: no")),
            ("kill -9 $$", None, unmet("was killed by SIGKILL")),
        ] {
            assert_eq!(ask(&shell(script, says), None).await, expected, "{script}");
        }
        let missing = Question::Command {
            program: Program {
                path: "/missing".into(),
                arguments: Vec::new(),
                environment: None,
                folder: None,
                stdin: None,
            },
            says: None,
        };
        let answer = ask(&missing, None).await;
        let Answer::Unmet(why) = &answer else {
            panic!("{answer:?}");
        };
        assert!(why.starts_with("cannot be run: No such file"), "{why}");
    }

    #[tokio::test]
    async fn command_that_does_not_exit_is_killed() {
        let expected = unmet("did not exit within 2s");
        assert_eq!(ask(&shell("exec sleep 1000", None), None).await, expected);
    }

    #[tokio::test]
    async fn endless_output_is_not_kept() {
        let ended = ask(&shell("head -c 1000000 /dev/zero", Some("x")), None).await;
        assert!(matches!(ended, Answer::Unmet(_)));
    }

    #[test]
    fn status_is_accepted_by_range_or_list() {
        assert!(accepts(&[], 204) && !accepts(&[], 302));
        assert!(accepts(&[200, 404], 404) && !accepts(&[200, 404], 204));
    }

    #[test]
    fn long_line_is_shortened() {
        let line = last_line("ü".repeat(SHOWN + 1).as_bytes()).unwrap();
        assert_eq!(line.chars().count(), SHOWN + 1);
        assert!(line.ends_with("ü…"));
    }
}
