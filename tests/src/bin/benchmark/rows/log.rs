//! The last five minutes of a log of one gigabyte, compared with printing as
//! many bytes.

use std::fs::{self, File};
use std::io::{BufWriter, Write};

use jiff::{SignedDuration, Timestamp};

use super::{MANY_PAIRS, same};
use crate::compare::{Judged, interleaved, timed};
use crate::world::{World, run};

/// Size of a segment in bytes, and the number of segments.
const SEGMENT: usize = 1 << 20;
const SEGMENTS: usize = 1024;
/// Time that the log covers.
const SPAN: SignedDuration = SignedDuration::from_mins(100);
/// Text of each line.
const TEXT: &str = "^ <00000009>noop - What a role writes again and again, of a usual length";

pub(crate) fn row(world: &World) -> Judged {
    let home = world.make_home("log", &same("noop", 1));
    let logs = home.join("logs/test-0");
    fs::create_dir_all(&logs).expect("the home can be written");
    let line = format!("[00000017] 2023-04-06T01:52:17.317 {TEXT}\n").len();
    let per_segment = SEGMENT / line;
    #[expect(clippy::disallowed_methods, reason = "the log ends now")]
    let begin = Timestamp::now() - SPAN;
    let between = SPAN.as_nanos() / i128::try_from(SEGMENTS * per_segment).expect("it fits");
    let at = |number: usize| {
        let after = between * i128::try_from(number).expect("it fits");
        begin + SignedDuration::from_nanos(i64::try_from(after).expect("it fits"))
    };
    for segment in 0..SEGMENTS {
        let first = segment * per_segment;
        let name = at(first).strftime("%Y-%m-%dT%H-%M-%S%.6f.log").to_string();
        let file = File::create(logs.join(name)).expect("the folder is there");
        let mut file = BufWriter::new(file);
        for number in first..first + per_segment {
            let stamp = at(number).strftime("%Y-%m-%dT%H:%M:%S%.3f");
            writeln!(file, "[00000017] {stamp} {TEXT}").expect("there is room");
        }
        file.flush().expect("there is room");
    }
    let query = || {
        let mut command = world.ansar(&home);
        command.args(["log", "test-0", "--back=5m"]);
        command
    };
    let printed = query().output().expect("it starts").stdout;
    assert!(printed.len() > SEGMENT, "the log has five minutes");
    let plain = home.join("plain");
    fs::write(&plain, [&printed[..], &printed].concat()).expect("there is room");
    let tail = || {
        let mut command = world.program("tail");
        let length = format!("--bytes={}", printed.len());
        command.arg(length).arg(&plain);
        command
    };
    let ours = || timed(|| run(&mut query()));
    interleaved(MANY_PAIRS / 2, 2.0, ours, || timed(|| run(&mut tail())))
}
