//! `history`, `returned`, `log` and `folder`: queries about a role's past and
//! files.

use crate::commands;
use crate::workspace::Places;
use std::time::Duration;

use clap::{Args, ValueEnum};
use regex::bytes::Regex;

use ansar_contract::line::Level;

use crate::cli::Session;
use crate::cli::exit::Exit;
use crate::cli::search::SearchArgs;
use crate::commands::{address, folder, log};
use crate::error::Error;
use crate::logs::query::{Begin, End, Length, Mark, When};
use crate::model::name::{NameError, RoleName};
use crate::model::placeholder::DEFAULT_PORT;
use crate::report::{human, query};

/// Arguments of `history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Name of the role
    role: RoleName,
    /// Show times, process ids and causes, too
    #[arg(short, long)]
    long_listing: bool,
}

/// Arguments of `returned`.
#[derive(Debug, Args)]
pub struct ReturnedArgs {
    /// Name of the role
    role: RoleName,
    /// Index of the start in its `history` [default: the latest]
    #[arg(long, value_name = "N")]
    start: Option<usize>,
    /// Time limit for a running role to end, as in `30s` [default: none]
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time::time)]
    timeout: Option<Duration>,
}

/// Arguments of `folder`.
#[derive(Debug, Args)]
pub struct FolderArgs {
    /// Kind of folder or file: bin, settings, input, logs, tmp, model, resource
    #[arg(hide_possible_values = true)]
    name: Name,
    /// Name of the role
    role: RoleName,
}

/// Arguments of `address`.
#[derive(Debug, Args)]
pub struct AddressArgs {
    /// Name of the role, or ROLE/PORT for a port with a name
    #[arg(value_name = "ROLE")]
    of: Port,
}

/// A port of a role, as `ROLE` or `ROLE/PORT`.
#[derive(Debug, Clone)]
struct Port {
    role: RoleName,
    name: String,
}

impl std::str::FromStr for Port {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (role, name) = text.split_once('/').unwrap_or((text, DEFAULT_PORT));
        Ok(Self {
            role: role.parse()?,
            name: name.to_owned(),
        })
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Name {
    Bin,
    Settings,
    Input,
    Logs,
    Tmp,
    Model,
    Resource,
}

/// Arguments of `log`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without a beginning: prints the last five minutes. Times are UTC, \
                        or local with `--clock`."
)]
pub struct LogArgs {
    #[command(flatten)]
    search: SearchArgs,
    /// Print lines from this time on, as in `2023-04-06T01:52:17`
    #[arg(long, value_name = "TIME", conflicts_with_all = ["last", "start", "back"])]
    from: Option<When>,
    /// Print lines from the start of the current unit on: MONTH, WEEK, DAY,
    /// HOUR, HALF, QUARTER, TEN, FIVE, MINUTE
    #[arg(long, value_name = "UNIT", conflicts_with_all = ["start", "back"])]
    last: Option<Mark>,
    /// Print lines from the start with this index in the role's `history` on
    #[arg(long, value_name = "N", conflicts_with = "back")]
    start: Option<usize>,
    /// Print lines from this long ago on, as in `1h30m`
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true)]
    back: Option<Length>,
    /// Print lines up to this time
    #[arg(long, value_name = "TIME", conflicts_with_all = ["span", "count", "follow"])]
    to: Option<When>,
    /// Print lines up to this long after the first moment
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true, conflicts_with_all = ["count", "follow"])]
    span: Option<Length>,
    /// Print the first N lines; the last ones with `--tail`
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Print the last N lines
    #[arg(long, value_name = "N", conflicts_with = "count")]
    tail: Option<u64>,
    /// Read and print times in local time
    #[arg(long)]
    clock: bool,
    /// Print new lines as they are logged, until Control-C
    #[arg(long)]
    follow: bool,
    /// Print lines up to this level of detail: FAULT (fewest), WARNING, CONSOLE,
    /// OBJECT, TRACE, DEBUG (all)
    #[arg(long, value_name = "LEVEL", default_value = "DEBUG")]
    level: Level,
    /// Print lines that match this regular expression
    #[arg(long, value_name = "RE")]
    grep: Option<Regex>,
}

/// Minutes that a query without a beginning goes back.
const DEFAULT_MINUTES: i64 = 5;

impl LogArgs {
    fn options(&self, places: &Places) -> Result<log::Options, Error> {
        let begin = match (self.from, self.last, self.start, self.back) {
            (Some(when), ..) => log::From::Query(Begin::From(when)),
            (_, Some(mark), ..) => log::From::Query(Begin::Last(mark)),
            (_, _, Some(index), _) => log::From::Start(index),
            (_, _, _, Some(length)) => log::From::Query(Begin::Back(length)),
            _ => log::From::Query(Begin::Back(Length::minutes(DEFAULT_MINUTES))),
        };
        let end = match (self.to, self.span, self.count) {
            (Some(when), ..) => End::To(when),
            (_, Some(length), _) => End::Span(length),
            (_, _, Some(count)) => End::Count(count),
            _ => End::Open,
        };
        Ok(log::Options {
            search: self.search.search(places)?,
            begin,
            end,
            tail: self.tail,
            clock: self.clock,
            level: self.level,
            grep: self.grep.clone(),
        })
    }
}

impl Session<'_> {
    pub(super) fn history(&self, args: &HistoryArgs) -> Result<Exit, Error> {
        let outcome = commands::history::history(&self.places, &args.role)?;
        let long = args.long_listing;
        self.printer
            .show(move |shell| query::history(shell, &outcome, long));
        Ok(Exit::Success)
    }

    pub(super) async fn returned(&self, args: &ReturnedArgs) -> Result<Exit, Error> {
        let ReturnedArgs {
            role,
            start,
            timeout,
        } = args;
        let result = commands::history::returned(&self.places, role, *start, *timeout).await?;
        self.printer
            .show(move |shell| human::message(shell, &result));
        Ok(Exit::Success)
    }

    pub(super) fn folder(&self, args: &FolderArgs) -> Result<Exit, Error> {
        let part = match args.name {
            Name::Bin => folder::Part::Bin,
            Name::Settings => folder::Part::Settings,
            Name::Input => folder::Part::Input,
            Name::Logs => folder::Part::Logs,
            Name::Tmp => folder::Part::Tmp,
            Name::Model => folder::Part::Model,
            Name::Resource => folder::Part::Resource,
        };
        let path = folder::folder(&self.places, part, &args.role)?;
        self.printer.show(move |shell| query::folder(shell, &path));
        Ok(Exit::Success)
    }

    pub(super) fn address(&self, args: &AddressArgs) -> Result<Exit, Error> {
        let Port { role, name } = &args.of;
        let address = address::address(&self.places, role, name)?;
        self.printer
            .show(move |shell| shell.data(&address.to_string()));
        Ok(Exit::Success)
    }

    /// Prints stored lines, then new ones until the reader closes stdout.
    pub(super) async fn log(&self, args: &LogArgs) -> Result<Exit, Error> {
        let lines = log::log(&self.places, &args.options(&self.places)?)?;
        let changes = args.follow.then(|| lines.changes());
        let mut changes = changes.transpose()?;
        let mut printing = query::Printing::new(lines, args.follow);
        loop {
            let printed = self.printer.ask(move |shell| {
                let printed = printing.print(shell);
                (printing, printed)
            });
            // The printer answers until it has ended.
            let Some((back, printed)) = printed.await else {
                return Ok(Exit::WriteFailed);
            };
            printing = back;
            let is_read = printed?;
            match &mut changes {
                Some(changes) if is_read && !printing.lines.is_complete() => {
                    changes.next().await;
                    printing.lines.watch(changes)?;
                }
                _ => return Ok(Exit::Success),
            }
        }
    }
}
