//! Makes a tree of processes: managers that call managers, and their duties.

use std::process::ExitCode;

use ansar_runtime::Typed;
use ansar_runtime::{
    Aborted, Cannot, Context, Fault, Faulted, FromReturned, Input, Maybe, Message, Result,
};
use test_fixtures::messages::{Job, JobReturned};
use tokio::task::JoinSet;

/// The result of a duty: a message of any type that is no fault.
struct Done;

impl FromReturned for Done {
    fn from_returned(returned: Typed) -> Result<Self, String> {
        let none = [Aborted::NAME, Faulted::NAME, Maybe::NAME, Cannot::NAME];
        if none.contains(&returned.name.as_str()) {
            return Err(format!("returned a `{}`, expected a result", returned.name));
        }
        Ok(Self)
    }
}

async fn busy(cx: Context, Input(job): Input<Job>) -> Result<JobReturned> {
    let below = match job.management_levels {
        0 => Err(Cannot::because(
            "`management_levels` is 0, expected 1 or more",
        ))?,
        1 => 0,
        _ => job.managers,
    };
    cx.console(format_args!(
        "{} duties and {below} managers",
        job.duties.len()
    ));
    let mut calls: JoinSet<Result<u64, Fault>> = JoinSet::new();
    for duty in &job.duties {
        let call = cx.call::<Done>(duty, &());
        calls.spawn_local(async move { call.await.map(|Done| 1) });
    }
    let next = Job {
        management_levels: job.management_levels - 1,
        ..job
    };
    for _ in 0..below {
        let call = cx.call::<JobReturned>("busy", &next);
        calls.spawn_local(async move { Ok(call.await?.processes) });
    }
    let mut processes = 1;
    while let Some(done) = calls.join_next().await {
        // The first fault ends the other calls.
        processes += done??;
    }
    Ok(JobReturned { processes })
}

fn main() -> ExitCode {
    ansar_runtime::main(busy)
}
