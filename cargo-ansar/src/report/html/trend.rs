//! The last loops of `watch` as a strip of bars, whose heights are durations.

use crate::home::loops::{Loop, LoopVerdict};

/// Height of the highest bar in SVG units.
const HEIGHT: f64 = 100.0;

/// The bar of a loop.
pub(super) struct Bar {
    pub(super) class: &'static str,
    /// Verdict, time and durations in words.
    pub(super) title: String,
    pub(super) time: String,
    pub(super) parts: Vec<Part>,
}

/// A phase of a loop, drawn from the bottom.
pub(super) struct Part {
    pub(super) class: &'static str,
    pub(super) y: String,
    pub(super) height: String,
}

/// Returns the bars of loops.
pub(super) fn bars(loops: &[Loop]) -> Vec<Bar> {
    let longest = loops.iter().map(total).fold(0.001, f64::max);
    loops.iter().map(|it| bar(it, longest)).collect()
}

fn bar(it: &Loop, longest: f64) -> Bar {
    let (class, verdict) = match it.verdict {
        LoopVerdict::Passed => ("passed", "passed".to_owned()),
        LoopVerdict::Failed => ("failed", format!("{} failed", it.failed)),
        LoopVerdict::Error => ("not-run", "ended with an error".to_owned()),
    };
    let mut top = HEIGHT;
    let parts = phases(it).into_iter().map(|(class, _, seconds)| {
        let height = HEIGHT * seconds / longest;
        top -= height;
        Part {
            class,
            y: format!("{top:.1}"),
            height: format!("{height:.1}"),
        }
    });
    let parts = parts.collect();
    let times = phases(it)
        .into_iter()
        .map(|(_, name, seconds)| format!("{name} {seconds:.2}s"));
    let times: Vec<String> = times.collect();
    Bar {
        class,
        title: format!(
            "{}: {verdict}, {} deployed; {}",
            it.at.strftime("%H:%M:%S"),
            it.deployed,
            times.join(", ")
        ),
        time: format!("{:.1}s", total(it)),
        parts,
    }
}

/// Returns the phases of a loop: class, name and seconds.
fn phases(it: &Loop) -> [(&'static str, &'static str, f64); 4] {
    let seconds = |seconds: f64| seconds.clamp(0.0, 1e9);
    [
        ("build", "build", seconds(it.build)),
        ("stop", "deploy", seconds(it.deploy)),
        ("start", "start", seconds(it.start)),
        ("run", "tests", seconds(it.test)),
    ]
}

fn total(it: &Loop) -> f64 {
    phases(it).iter().map(|(_, _, seconds)| seconds).sum()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::home::loops::VERSION;

    #[test]
    fn bars_are_drawn_to_scale() {
        let of = |verdict, build: f64, test: f64| Loop {
            version: VERSION,
            at: Timestamp::UNIX_EPOCH,
            verdict,
            failed: 3,
            deployed: 1,
            build,
            deploy: 0.0,
            start: 0.0,
            test,
        };
        let loops = [
            of(LoopVerdict::Failed, 1.0, 3.0),
            of(LoopVerdict::Passed, 0.0, 1.0),
            of(LoopVerdict::Error, 0.0, -1.0),
        ];
        let bars = bars(&loops);
        let drawn = |bar: &Bar| -> Vec<_> {
            let parts = bar.parts.iter();
            parts
                .map(|part| (part.y.clone(), part.height.clone()))
                .collect()
        };
        let text = |y: &str, height: &str| (y.to_owned(), height.to_owned());
        assert_eq!(drawn(&bars[0])[0], text("75.0", "25.0"));
        assert_eq!(drawn(&bars[0])[3], text("0.0", "75.0"));
        assert_eq!(drawn(&bars[1])[3], text("75.0", "25.0"));
        let title = "00:00:00: 3 failed, 1 deployed; \
                     build 1.00s, deploy 0.00s, start 0.00s, tests 3.00s";
        assert_eq!((&*bars[0].title, &*bars[0].time), (title, "4.0s"));
    }
}
