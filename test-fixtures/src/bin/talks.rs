//! Does one of the things that a component can do, chosen by its input.

use std::process::ExitCode;
use std::time::Duration;

use ansar_runtime::{Aborted, Context, Error, Input, Result, TestReport};
use nix::sys::resource::{Resource, getrlimit};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Topic {
    /// An object below the main one, and another below that.
    #[default]
    Children,
    /// Events of the `tracing` crate, of every level.
    Events,
    /// A `tracing` subscriber of its own, set after the first await.
    Subscriber,
    /// A future that never asks for Stop.
    Deaf,
    /// A panic in a task, which is not the component's.
    Task,
    /// A thread that blocks, and looks at Stop now and then.
    Thread,
    /// A comparison of texts of several lines.
    Difference,
    /// Three hundred checks, of which every third fails.
    Many,
    /// An unexpected error.
    Error,
    /// The limit of its descriptors.
    Descriptors,
    /// A check that fails the first time in its life.
    Flaky,
    /// The contents of its folders, from one start to the next.
    Folders,
    /// Text that acts on terminals and on runners of a CI.
    Hostile,
}

async fn talks(cx: Context, Input(topic): Input<Topic>) -> Result<TestReport> {
    cx.console(format_args!("Talking of {topic:?}"));
    match topic {
        Topic::Children => children(&cx),
        Topic::Events => events(),
        Topic::Subscriber => subscriber().await?,
        Topic::Deaf => std::future::pending().await,
        Topic::Task => task(&cx).await?,
        Topic::Thread => thread(&cx).await?,
        Topic::Difference => {
            cx.test_eq("one\ntwo\nthree\n", "one\n2\nthree\n");
        }
        Topic::Many => {
            for number in 0..300 {
                cx.test(number % 3 != 0, format_args!("check {number}"));
            }
        }
        Topic::Error => {
            "no number".parse::<u32>()?;
        }
        Topic::Descriptors => {
            let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
            cx.console(format_args!("Open files: {soft}"));
        }
        Topic::Flaky => {
            let times = cx.model().load::<u32>("tries.json")?.unwrap_or(0);
            cx.model().store("tries.json", &(times + 1))?;
            cx.test(times > 0, format_args!("try {}", times + 1));
        }
        Topic::Folders => {
            for (name, folder) in [("model", cx.model()), ("tmp", cx.tmp())] {
                let times = folder.load::<u32>("times.json")?.unwrap_or(0);
                cx.console(format_args!("{name}: {times} times before"));
                folder.store("times.json", &(times + 1))?;
            }
        }
        Topic::Hostile => hostile(&cx),
    }
    Ok(cx.report())
}

fn hostile(cx: &Context) {
    cx.console("\x1b[2J\x1b[31mred\rover\u{9b}2J\n::error::logged\n##[error]logged");
    cx.test(
        false,
        "answer \x1b]52;c;ZXZpbA==\x07\r\u{202e}\n::stop-commands::x\n  ::add-mask::y",
    );
}

fn children(cx: &Context) {
    let child = cx.child("child");
    child.enter("SPEAKING");
    child.console("first line\nsecond line");
    child.child("grandchild").debug("as well");
}

fn events() {
    tracing::error!("an error");
    tracing::warn!(count = 3, "a warning");
    tracing::info!("an info");
    tracing::debug!("a debug");
    tracing::trace!(target: "elsewhere", "a trace");
}

async fn subscriber() -> Result<()> {
    tracing::info!("before");
    tokio::time::sleep(Duration::from_millis(1)).await;
    tracing::subscriber::set_global_default(Own)?;
    tokio::time::sleep(Duration::from_millis(1)).await;
    tracing::info!("after");
    tokio::task::spawn_blocking(|| tracing::info!("of a thread")).await?;
    Ok(())
}

/// A subscriber that prints the targets of events.
struct Own;

impl tracing::Subscriber for Own {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    #[expect(clippy::print_stderr, reason = "subscribers of applications print")]
    fn event(&self, event: &tracing::Event<'_>) {
        if event.metadata().target() == "talks" {
            eprintln!("own subscriber: {event:?}");
        }
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

async fn task(cx: &Context) -> Result<()> {
    let joined = tokio::task::spawn_local(async { panic!("this task panics") }).await;
    cx.test(joined.is_err(), "a task's panic is its own");
    Ok(())
}

async fn thread(cx: &Context) -> Result<(), Error> {
    let own = cx.clone();
    let stopped = tokio::task::spawn_blocking(move || {
        own.console("Blocking");
        while !own.stop().wait_blocking(Duration::from_millis(10)) {}
        own.console("Heard Stop");
    });
    stopped.await?;
    Err(Aborted {}.into())
}

fn main() -> ExitCode {
    ansar_runtime::main(talks)
}
