//! Container images of well-known servers, as programs of this machine.

use crate::manifest::import::draft::{Draft, Runs, literal};
use crate::model::name::RoleName;
use crate::model::readiness::Probe;

/// A server that runs as a program too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Image {
    Postgres,
    Redis,
    Nginx,
}

impl Image {
    /// Returns the server of an image such as `docker.io/library/redis:7`.
    pub(super) fn of(image: &str) -> Option<Self> {
        match name(image) {
            "postgres" | "postgresql" => Some(Self::Postgres),
            "redis" => Some(Self::Redis),
            "nginx" => Some(Self::Nginx),
            _ => None,
        }
    }

    /// Returns the port on which it listens in a container.
    pub(super) fn port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Redis => 6379,
            Self::Nginx => 80,
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis-server",
            Self::Nginx => "nginx",
        }
    }

    /// Returns the program and makes the draft run it. `words` is the command
    /// that replaces the image's own, `at` its line.
    pub(super) fn run(self, draft: &mut Draft, words: &[String], at: u32) {
        let own = words.first().is_some_and(|word| word == self.program());
        let more = match words {
            [_, more @ ..] if own => more,
            [first, ..] if first.starts_with('-') => words,
            [] => &[],
            _ => {
                let reason = format!("it does not begin with `{}`", self.program());
                draft.remark("command", at, &reason);
                &[]
            }
        };
        let strings = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        draft.runs = Runs::Program(vec![self.program().to_owned()]);
        match self {
            Self::Postgres => {
                let installed = "/usr/lib/postgresql/*/bin/postgres";
                draft.runs = Runs::Program(strings(&["postgres", installed]));
                draft.args = strings(&[
                    "-D",
                    "{model}/data",
                    "-p",
                    "{port}",
                    "-c",
                    "listen_addresses={bind}",
                    "-k",
                    "",
                    "-c",
                    "fsync=off",
                ]);
                draft.ready = Some(Probe::Log("ready to accept connections".to_owned()));
                draft.unprivileged = true;
            }
            Self::Redis => {
                draft.args = strings(&[
                    "--bind", "{bind}", "--port", "{port}", "--dir", "{model}", "--save", "",
                ]);
                let needs_password = more.iter().any(|word| word == "--requirepass");
                let ping = ["redis-cli", "-h", "{bind}", "-p", "{port}", "ping"];
                draft.ready = Some(if needs_password {
                    Probe::Log("Ready to accept connections".to_owned())
                } else {
                    Probe::Command {
                        command: strings(&ping),
                        says: Some("PONG".to_owned()),
                    }
                });
            }
            Self::Nginx => {
                draft.args = strings(&[
                    "-p",
                    ".",
                    "-e",
                    "stderr",
                    "-g",
                    "daemon off; pid {tmp}/nginx.pid;",
                ]);
            }
        }
        draft.args.extend(more.iter().map(|word| literal(word)));
    }
}

/// Returns the last part of an image's name, without its tag.
pub(super) fn name(image: &str) -> &str {
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split([':', '@']).next().unwrap_or(last)
}

/// User and database that the image of `postgres` creates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Database {
    pub(super) user: Option<String>,
    pub(super) name: Option<String>,
}

impl Database {
    /// Takes a variable of the image; returns false if it is none.
    pub(super) fn take(&mut self, variable: &str, value: &str) -> bool {
        match variable {
            "POSTGRES_USER" => self.user = Some(value.to_owned()),
            "POSTGRES_DB" => self.name = Some(value.to_owned()),
            "POSTGRES_PASSWORD" | "POSTGRES_HOST_AUTH_METHOD" | "PGDATA" => {}
            _ => return false,
        }
        true
    }

    fn user(&self) -> &str {
        self.user.as_deref().unwrap_or("postgres")
    }

    /// Adds the set-up of the server.
    pub(super) fn set_up(&self, draft: &mut Draft) {
        let user = literal(self.user());
        let command = [
            "initdb",
            "-D",
            "{model}/data",
            "-A",
            "trust",
            "-U",
            &user,
            "-N",
        ];
        draft.setup = vec![command.iter().map(|&word| word.to_owned()).collect()];
        draft.comment("It accepts every password. Its data is in the `model` folder of the role.");
    }

    /// Returns true if a database must be created after the server's start.
    pub(super) fn needs_creation(&self) -> bool {
        let name = self.name.as_deref().unwrap_or(self.user());
        name != "postgres" && is_plain(name) && is_plain(self.user())
    }

    /// Makes a draft create the database unless it exists.
    pub(super) fn create(&self, draft: &mut Draft, server: &RoleName) {
        let (user, name) = (self.user(), self.name.as_deref().unwrap_or(self.user()));
        draft.runs = Runs::Program(vec!["sh".to_owned()]);
        draft.args = vec![
            "-c".to_owned(),
            format!(
                "psql \"$0\" -tAc \"SELECT 1 FROM pg_database WHERE datname = '{name}'\" \
                 | grep -q 1 || createdb --maintenance-db=\"$0\" {name}"
            ),
            format!("postgres://{user}@{{address:{server}}}/postgres"),
        ];
        draft.ready = Some(Probe::Done);
        draft.after = vec![(server.clone(), draft.line)];
    }
}

/// Returns true if a name needs no quotes, in SQL and in a shell.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() < 64
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
