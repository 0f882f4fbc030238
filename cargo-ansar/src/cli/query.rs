//! The commands that ask what was: `history`, `returned`, `log`, `folder`.

use crate::commands;
use std::time::Duration;

use clap::{Args, ValueEnum};
use regex::bytes::Regex;

use ansar_contract::line::Level;

use crate::cli::Session;
use crate::cli::exit::Exit;
use crate::cli::search::SearchArgs;
use crate::commands::{folder, log};
use crate::error::Error;
use crate::logs::query::{Begin, End, Length, Mark, When};
use crate::model::name::RoleName;
use crate::report::{human, query};

/// Arguments of `history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Of which role
    role: RoleName,
    /// Times, processes and causes, too
    #[arg(short, long)]
    long_listing: bool,
}

/// Arguments of `returned`.
#[derive(Debug, Args)]
pub struct ReturnedArgs {
    /// Of which role
    role: RoleName,
    /// At the start of this index in its `history` [default: the latest]
    #[arg(long, value_name = "N")]
    start: Option<usize>,
    /// How long to wait for a role that runs, as in `30s` [default: forever]
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time::time)]
    timeout: Option<Duration>,
}

/// Arguments of `folder`.
#[derive(Debug, Args)]
pub struct FolderArgs {
    /// Of what: bin, settings, input, logs, tmp, model, resource
    #[arg(hide_possible_values = true)]
    name: Name,
    /// Of which role
    role: RoleName,
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
    group = clap::ArgGroup::new("chosen")
        .args(["patterns", "executable"])
        .multiple(true)
        .required(true),
    after_help = "Without a beginning: the last five minutes. Times are UTC, \
                        and with `--clock` local."
)]
pub struct LogArgs {
    #[command(flatten)]
    search: SearchArgs,
    /// From this time on, as in `2023-04-06T01:52:17`
    #[arg(long, value_name = "TIME", conflicts_with_all = ["last", "start", "back"])]
    from: Option<When>,
    /// From the latest full one of these on: MONTH, WEEK, DAY, HOUR, HALF, QUARTER, TEN, FIVE, MINUTE
    #[arg(long, value_name = "UNIT", conflicts_with_all = ["start", "back"])]
    last: Option<Mark>,
    /// From the start of this index in the role's `history` on
    #[arg(long, value_name = "N", conflicts_with = "back")]
    start: Option<usize>,
    /// From so long ago on, as in `1h30m`
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true)]
    back: Option<Length>,
    /// Up to this time
    #[arg(long, value_name = "TIME", conflicts_with_all = ["span", "count", "follow"])]
    to: Option<When>,
    /// Up to so long after the beginning
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true, conflicts_with_all = ["count", "follow"])]
    span: Option<Length>,
    /// So many, and no more
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Local time, typed and shown
    #[arg(long)]
    clock: bool,
    /// And what follows, until control-c
    #[arg(long)]
    follow: bool,
    /// Only what this level shows: FAULT, WARNING, CONSOLE, OBJECT, TRACE, DEBUG
    #[arg(long, value_name = "LEVEL", default_value = "DEBUG")]
    level: Level,
    /// Only what matches this regular expression
    #[arg(long, value_name = "RE")]
    grep: Option<Regex>,
}

/// How many minutes a query goes back that does not say it.
const USUALLY: i64 = 5;

impl LogArgs {
    fn options(&self, session: &Session<'_>) -> Result<log::Options, Error> {
        let begin = match (self.from, self.last, self.start, self.back) {
            (Some(when), ..) => log::From::Query(Begin::From(when)),
            (_, Some(mark), ..) => log::From::Query(Begin::Last(mark)),
            (_, _, Some(index), _) => log::From::Start(index),
            (_, _, _, Some(length)) => log::From::Query(Begin::Back(length)),
            _ => log::From::Query(Begin::Back(Length::minutes(USUALLY))),
        };
        let end = match (self.to, self.span, self.count) {
            (Some(when), ..) => End::To(when),
            (_, Some(length), _) => End::Span(length),
            (_, _, Some(count)) => End::Count(count),
            _ => End::Open,
        };
        Ok(log::Options {
            places: session.places.clone(),
            search: self.search.search()?,
            begin,
            end,
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

    /// Prints what is there, and then what comes, as long as somebody reads.
    pub(super) async fn log(&self, args: &LogArgs) -> Result<Exit, Error> {
        let lines = log::log(&args.options(self)?)?;
        let changes = args.follow.then(|| lines.changes());
        let mut changes = changes.transpose()?;
        let mut printing = query::Printing::new(lines, args.follow);
        loop {
            let printed = self.printer.ask(move |shell| {
                let printed = printing.print(shell);
                (printing, printed)
            });
            // The printer answers as long as it is there.
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
