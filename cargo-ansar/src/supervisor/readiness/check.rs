//! Probes in a form that can be looked at, and their texts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use regex::bytes::Regex;

use crate::host::net::http::Url;
use crate::host::process::Program;
use crate::model::readiness::Probe;
use crate::supervisor::readiness::Conditions;
use crate::supervisor::readiness::schedule::{Pace, Tally};

/// A probe whose texts were parsed.
#[derive(Debug, Clone)]
pub(crate) enum Check {
    /// A process of the role listens on this address.
    Listen(SocketAddr),
    /// This file exists.
    File(PathBuf),
    /// A server or a command answers.
    Ask(Rc<Question>),
    /// A line matches.
    Log(Regex),
    /// The role announces it.
    Notify,
    /// The role has exited successfully.
    Done,
    /// The process has started.
    Started,
}

/// A question whose answer takes time.
#[derive(Debug)]
pub(crate) enum Question {
    /// A connection to this `HOST:PORT`.
    Tcp(String),
    /// A GET request.
    Http {
        /// The URL.
        url: Url,
        /// The accepted status codes; 200 to 299 if empty.
        status: Vec<u16>,
    },
    /// A process.
    Command {
        /// The program.
        program: Program,
        /// The text that its stdout must contain.
        says: Option<String>,
    },
}

impl Question {
    /// Returns the address to connect to; `None` for a command.
    pub(crate) fn address(&self) -> Option<String> {
        match self {
            Self::Tcp(address) => Some(address.clone()),
            Self::Http { url, .. } => Some(url.address()),
            Self::Command { .. } => None,
        }
    }
}

impl Check {
    /// Parses a probe. Returns the reason if a text of it is not valid.
    pub(crate) fn of(probe: &Probe<String>, start: &Conditions<'_>) -> Result<Self, String> {
        let Conditions { program, port, .. } = *start;
        Ok(match probe {
            Probe::Listen(at) => Self::Listen(address(at.as_deref(), port)?),
            Probe::Tcp(address) => Self::Ask(Rc::new(Question::Tcp(address.clone()))),
            Probe::Http { url, status } => Self::Ask(Rc::new(Question::Http {
                url: url.parse().map_err(|error| format!("`{url}`: {error}"))?,
                status: status.clone(),
            })),
            Probe::Log(pattern) => {
                let pattern = Regex::new(pattern);
                Self::Log(pattern.map_err(|error| error.to_string())?)
            }
            Probe::Command { command, says } => {
                let (path, arguments) = command.split_first().ok_or("its command is empty")?;
                Self::Ask(Rc::new(Question::Command {
                    program: Program {
                        path: path.into(),
                        arguments: arguments.iter().map(Into::into).collect(),
                        environment: program.environment.clone(),
                        folder: program.folder.clone(),
                        stdin: None,
                    },
                    says: says.clone(),
                }))
            }
            Probe::File(path) => Self::File(match &program.folder {
                Some(folder) => folder.join(path),
                None => path.into(),
            }),
            Probe::Notify => Self::Notify,
            Probe::Done => Self::Done,
            Probe::Started => Self::Started,
        })
    }

    /// Returns the pace of looks.
    pub(crate) fn pace(&self) -> Pace {
        match self {
            Self::Listen(_) | Self::File(_) | Self::Started => Pace::Cheap,
            Self::Ask(question) => match **question {
                Question::Tcp(_) | Question::Http { .. } => Pace::Connection,
                Question::Command { .. } => Pace::Process,
            },
            Self::Log(_) | Self::Notify | Self::Done => Pace::Event,
        }
    }

    /// Describes the condition.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Listen(address) => format!("a listener on {address}"),
            Self::File(path) => format!("file `{}`", path.display()),
            Self::Ask(question) => question.to_string(),
            Self::Log(pattern) => format!("log line `{pattern}`"),
            Self::Notify => "`READY=1`".to_owned(),
            Self::Done => "its exit".to_owned(),
            Self::Started => "its start".to_owned(),
        }
    }

    /// Returns one line about the answers so far, none of which met the
    /// condition.
    pub(crate) fn explain(&self, answers: &Tally) -> String {
        match self {
            Self::Listen(address) => format!("nothing listens on {address}"),
            Self::File(path) => format!("file `{}` does not exist", path.display()),
            Self::Ask(question) => match (&**question, answers.last()) {
                (Question::Command { .. }, Some(last)) => format!("{question} {last}"),
                (Question::Command { .. }, None) => format!("{question} has not exited yet"),
                _ => format!("{question}: {answers}"),
            },
            Self::Log(pattern) => format!("no log line matched `{pattern}`"),
            Self::Notify => "it did not send `READY=1` to `NOTIFY_SOCKET`".to_owned(),
            Self::Done => "it did not exit".to_owned(),
            Self::Started => "it did not start".to_owned(),
        }
    }

    /// Returns one line about an answer that did not meet the condition.
    pub(crate) fn failed(&self, why: &str) -> String {
        match self {
            Self::Ask(question) => match **question {
                Question::Command { .. } => format!("{question} {why}"),
                _ => format!("{question}: {why}"),
            },
            other => other.explain(&Tally::default()),
        }
    }
}

/// Writes the question as messages name it: of a command, the name and the last
/// argument.
impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "connection to {address}"),
            Self::Http { url, .. } => write!(f, "GET {url}"),
            Self::Command { program, .. } => {
                let name = program.path.file_name().map(Path::new);
                write!(f, "`{}", name.unwrap_or(&program.path).display())?;
                match program.arguments.as_slice() {
                    [] => write!(f, "`"),
                    [only] => write!(f, " {}`", only.to_string_lossy()),
                    [.., last] => write!(f, " … {}`", last.to_string_lossy()),
                }
            }
        }
    }
}

/// Returns the address to listen on: `at`, which is `PORT` or `HOST:PORT`, or
/// else the port of the role.
fn address(at: Option<&str>, port: Option<SocketAddrV4>) -> Result<SocketAddr, String> {
    let Some(at) = at else {
        return Ok(port.ok_or("it has no port to listen on")?.into());
    };
    let host = port.map_or(Ipv4Addr::LOCALHOST, |port| *port.ip());
    match at.parse::<u16>() {
        Ok(port) => Ok(SocketAddr::new(IpAddr::V4(host), port)),
        Err(_) => at
            .parse()
            .map_err(|_| format!("`{at}` is neither `PORT` nor `ADDRESS:PORT`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Program {
        Program {
            path: "/usr/bin/api".into(),
            arguments: Vec::new(),
            environment: None,
            folder: Some("/w".into()),
            stdin: None,
        }
    }

    fn conditions(program: &Program, port: Option<SocketAddrV4>) -> Conditions<'_> {
        Conditions {
            probes: &[],
            health: None,
            port,
            network: None,
            program,
        }
    }

    fn explained(probe: &Probe<String>) -> String {
        let port = Some("127.0.0.1:20417".parse().unwrap());
        let check = Check::of(probe, &conditions(&program(), port)).unwrap();
        check.explain(&Tally::default())
    }

    fn command(words: &[&str]) -> Probe<String> {
        Probe::Command {
            command: words.iter().map(ToString::to_string).collect(),
            says: None,
        }
    }

    #[test]
    fn each_probe_has_a_text() {
        let url = "http://127.0.0.1:20417/health".to_owned();
        let status = Vec::new();
        for (probe, expected) in [
            (Probe::Listen(None), "nothing listens on 127.0.0.1:20417"),
            (
                Probe::Listen(Some("7".into())),
                "nothing listens on 127.0.0.1:7",
            ),
            (
                Probe::Listen(Some("[::1]:7".into())),
                "nothing listens on [::1]:7",
            ),
            (
                Probe::Tcp("db:5432".into()),
                "connection to db:5432: no answer yet",
            ),
            (
                Probe::Http { url, status },
                "GET http://127.0.0.1:20417/health: no answer yet",
            ),
            (Probe::Log("re.dy".into()), "no log line matched `re.dy`"),
            (command(&["pg_isready"]), "`pg_isready` has not exited yet"),
            (command(&["/bin/a", "b"]), "`a b` has not exited yet"),
            (
                command(&["/bin/redis-cli", "-p", "1", "ping"]),
                "`redis-cli … ping` has not exited yet",
            ),
            (Probe::File("up".into()), "file `/w/up` does not exist"),
            (Probe::File("/t/up".into()), "file `/t/up` does not exist"),
            (
                Probe::Notify,
                "it did not send `READY=1` to `NOTIFY_SOCKET`",
            ),
        ] {
            assert_eq!(explained(&probe), expected);
        }
    }

    #[test]
    fn invalid_text_is_refused() {
        let url = "https://localhost".to_owned();
        let status = Vec::new();
        for (probe, expected) in [
            (Probe::Listen(None), "it has no port to listen on"),
            (
                Probe::Listen(Some("70000".into())),
                "`70000` is neither `PORT` nor `ADDRESS:PORT`",
            ),
            (
                Probe::Http { url, status },
                "`https://localhost`: a URL must begin with `http://`",
            ),
            (command(&[]), "its command is empty"),
        ] {
            let refused = Check::of(&probe, &conditions(&program(), None));
            assert_eq!(refused.unwrap_err(), expected);
        }
        assert!(Check::of(&Probe::Log("(".into()), &conditions(&program(), None)).is_err());
    }
}
