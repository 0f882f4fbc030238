//! Timeline of a run as SVG: a line per phase and per role.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::events::{DeployEvent, Kind, RoleEvent, RunEvent};
use crate::home::last_run::LastRun;
use crate::model::name::RoleName;

/// Width of a line in SVG units.
const WIDTH: f64 = 1000.0;
/// Maximum number of roles with a line.
const MOST: usize = 200;

/// Phases and roles of a run, in milliseconds from its beginning.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Timeline {
    /// Length of the run.
    length: i64,
    /// Phases of the run.
    phases: Vec<Part>,
    /// Roles in the order of their starts.
    roles: Vec<(RoleName, Vec<Part>)>,
    /// The conditions under which roles are ready.
    awaits: BTreeMap<RoleName, String>,
}

/// A part of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    what: &'static str,
    from: i64,
    to: i64,
}

/// Current activity of a role, and its beginning.
struct Doing {
    nth: usize,
    what: &'static str,
    since: i64,
}

impl Timeline {
    /// Builds the timeline from the events of a run.
    pub(super) fn of(last: &LastRun) -> Self {
        let begun = last.events.iter().map(|event| event.at).min();
        let begun = begun.unwrap_or(last.at);
        let since = |at: Timestamp| at.as_millisecond() - begun.as_millisecond();
        let mut timeline = Self {
            length: since(last.at).max(1),
            ..Self::default()
        };
        let mut doing: BTreeMap<RoleName, Doing> = BTreeMap::new();
        let mut phase: Option<(&'static str, i64)> = None;
        for event in &last.events {
            let at = since(event.at);
            let mut next = |what| {
                let before = phase.replace((what, at));
                timeline.phase(before, at);
            };
            match &event.kind {
                Kind::Deploy(DeployEvent::Building {}) => next("build"),
                Kind::Deploy(DeployEvent::Built {}) => next("deploy"),
                Kind::Run(RunEvent::Testing { .. }) => next("tests"),
                Kind::Run(RunEvent::Stopping { .. }) => {
                    next("stop");
                    for doing in doing.values_mut() {
                        timeline.part(doing, "stop", at);
                    }
                }
                Kind::Role(event) => timeline.life(&mut doing, event, at),
                Kind::Deploy(_) | Kind::Run(_) | Kind::Log(_) | Kind::Source(_) => {}
            }
        }
        let end = timeline.length;
        timeline.phase(phase, end);
        for mut doing in doing.into_values() {
            timeline.part(&mut doing, "", end);
        }
        timeline
    }

    fn life(&mut self, doing: &mut BTreeMap<RoleName, Doing>, event: &RoleEvent, at: i64) {
        match event {
            RoleEvent::Restarting { role, .. } => {
                let nth = self.line_of(role);
                let (what, since) = ("wait", at);
                doing.insert(role.clone(), Doing { nth, what, since });
            }
            RoleEvent::Started { role, awaits, .. } => {
                let awaits = awaits.iter().map(|awaits| (role.clone(), awaits.clone()));
                self.awaits.extend(awaits);
                if let Some(mut before) = doing.remove(role) {
                    self.part(&mut before, "", at);
                }
                let nth = self.line_of(role);
                let (what, since) = ("start", at);
                doing.insert(role.clone(), Doing { nth, what, since });
            }
            RoleEvent::Ready { role } => {
                if let Some(doing) = doing.get_mut(role) {
                    self.part(doing, "run", at);
                }
            }
            RoleEvent::Ended { role, .. } => {
                if let Some(mut doing) = doing.remove(role) {
                    self.part(&mut doing, "", at);
                }
            }
            RoleEvent::Unhealthy { .. }
            | RoleEvent::Healthy { .. }
            | RoleEvent::Retrying { .. }
            | RoleEvent::Rerunning { .. }
            | RoleEvent::Slow { .. }
            | RoleEvent::Check { .. }
            | RoleEvent::Unkillable { .. }
            | RoleEvent::Unrecorded { .. } => {}
        }
    }

    fn phase(&mut self, phase: Option<(&'static str, i64)>, to: i64) {
        if let Some((what, from)) = phase {
            self.phases.push(Part { what, from, to });
        }
    }

    fn line_of(&mut self, role: &RoleName) -> usize {
        let known = self.roles.iter().position(|(other, _)| other == role);
        known.unwrap_or_else(|| {
            self.roles.push((role.clone(), Vec::new()));
            self.roles.len() - 1
        })
    }

    /// Ends the current activity of a role, and begins the next.
    fn part(&mut self, doing: &mut Doing, next: &'static str, at: i64) {
        let (what, from) = (doing.what, doing.since);
        if at > from || what != "stop" {
            self.roles[doing.nth].1.push(Part { what, from, to: at });
        }
        (doing.what, doing.since) = (next, at);
    }

    /// Draws the lines. If the roles start in the second half of the run,
    /// usually after a long build, they get a scale of their own.
    pub(super) fn draw(&self) -> Drawing {
        let mut window = Window {
            from: 0,
            to: self.length,
        };
        let scale = window.scale();
        let phases = self.phases.iter();
        let phases = phases.map(|part| window.line("phase", part.what, &[*part]));
        let phases = phases.collect();
        let starts = self.roles.iter().flat_map(|(_, parts)| parts);
        let first = starts.map(|part| part.from).min().unwrap_or(0);
        let role_scale = (2 * first > self.length).then(|| {
            window.from = first.min(self.length - 1);
            window.scale()
        });
        let roles = self.roles.iter().take(MOST);
        let roles = roles.map(|(role, parts)| {
            let mut line = window.line("mono", role.as_str(), parts);
            let starts = line.bars.iter_mut().filter(|bar| bar.class == "start");
            for (bar, awaits) in starts.zip(self.awaits.get(role).into_iter().cycle()) {
                bar.note = format!(", waited for {awaits}");
            }
            line
        });
        Drawing {
            scale,
            phases,
            role_scale,
            roles: roles.collect(),
            more_roles: self.roles.len().saturating_sub(MOST),
        }
    }
}

/// A timeline in the units of its SVG, for the template.
pub(super) struct Drawing {
    pub(super) scale: Vec<Mark>,
    pub(super) phases: Vec<Line>,
    /// The scale of the roles, if it differs from that of the phases.
    pub(super) role_scale: Option<Vec<Mark>>,
    pub(super) roles: Vec<Line>,
    /// Number of roles without a line.
    pub(super) more_roles: usize,
}

/// A mark of a scale.
pub(super) struct Mark {
    pub(super) percent: String,
    pub(super) text: String,
}

/// A line of a phase or a role.
pub(super) struct Line {
    pub(super) class: &'static str,
    pub(super) name: String,
    pub(super) ticks: Vec<String>,
    pub(super) bars: Vec<Bar>,
    pub(super) time: String,
}

/// A part of a line.
pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) x: String,
    pub(super) width: String,
    pub(super) time: String,
    /// Further information, after a comma.
    pub(super) note: String,
}

/// Range of time that is drawn, in milliseconds from the beginning of the run.
#[derive(Debug, Clone, Copy)]
struct Window {
    from: i64,
    to: i64,
}

impl Window {
    fn length(self) -> i64 {
        self.to - self.from
    }

    /// The marks, from the beginning of the window on.
    fn marks(self) -> impl Iterator<Item = i64> {
        let step = step(self.length());
        (0..=self.length() / step).map(move |nth| nth * step)
    }

    /// Returns the marks with their texts.
    fn scale(self) -> Vec<Mark> {
        let step = step(self.length());
        let marks = self.marks().map(|after| Mark {
            percent: format!("{:.2}", 100.0 * self.place(self.from + after) / WIDTH),
            text: match after {
                0 if self.from > 0 => span(self.from),
                _ if self.from > 0 => format!("+{}", tick(after, step)),
                _ => tick(after, step),
            },
        });
        marks.collect()
    }

    fn line(self, class: &'static str, name: &str, parts: &[Part]) -> Line {
        let ticks = self.marks().skip(1);
        let ticks = ticks.map(|after| format!("{:.1}", self.place(self.from + after)));
        Line {
            class,
            name: name.to_owned(),
            ticks: ticks.collect(),
            bars: parts.iter().map(|part| self.bar(*part)).collect(),
            time: span(parts.iter().map(|part| part.to - part.from).sum()),
        }
    }

    fn bar(self, Part { what, from, to }: Part) -> Bar {
        let (x, end) = (self.place(from), self.place(to));
        // Short parts get a visible minimum width.
        let width = (end - x).max(2.0);
        Bar {
            class: what,
            from,
            to,
            x: format!("{:.1}", x.min(WIDTH - width)),
            width: format!("{width:.1}"),
            time: span(to - from),
            note: String::new(),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "no run takes so many milliseconds"
    )]
    fn place(self, at: i64) -> f64 {
        WIDTH * ((at - self.from) as f64 / self.length() as f64).clamp(0.0, 1.0)
    }
}

/// Returns the milliseconds between two marks of a scale: a round number that
/// fits at most five times into `length`.
fn step(length: i64) -> i64 {
    let mut unit = 1;
    loop {
        for step in [unit, 2 * unit, 5 * unit] {
            if length / step <= 5 {
                return step;
            }
        }
        unit *= 10;
    }
}

/// Formats a mark of a scale.
fn tick(at: i64, step: i64) -> String {
    match step {
        ..1000 if at < 1000 => format!("{at} ms"),
        ..100 => span(at),
        100..1000 => format!("{}.{} s", at / 1000, at / 100 % 10),
        _ => format!("{} s", at / 1000),
    }
}

/// Formats a duration in milliseconds.
fn span(milliseconds: i64) -> String {
    format!("{}.{:03}s", milliseconds / 1000, milliseconds % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn part(what: &'static str, from: i64, to: i64) -> Part {
        Part { what, from, to }
    }

    #[test]
    fn the_lines_are_what_the_events_tell() {
        let timeline = Timeline::of(&sample::last());
        assert_eq!(timeline.length, 2300);
        assert_eq!(
            timeline.phases,
            [
                part("build", 0, 800),
                part("deploy", 800, 1000),
                part("tests", 1000, 2200),
                part("stop", 2200, 2300),
            ]
        );
        let names: Vec<_> = timeline
            .roles
            .iter()
            .map(|(role, _)| role.as_str())
            .collect();
        assert_eq!(names, ["server-0", "test-a", "test-b", "test-c"]);
        assert_eq!(
            timeline.roles[1].1,
            [part("start", 1100, 1150), part("run", 1150, 2100)]
        );
        // The role ends in the moment in which it is stopped.
        let last = [part("start", 1200, 1250), part("run", 1250, 2200)];
        assert_eq!(timeline.roles[3].1, last);
        let lines = timeline.draw().roles;
        assert_eq!(lines[0].bars[0].note, ", waited for log line `ready`");
        assert_eq!(lines[1].bars[0].note, "");
    }

    #[test]
    fn a_restart_has_a_part_before_it() {
        let mut last = sample::last();
        let begun = last.events[0].at;
        let role: RoleName = "server-0".parse().unwrap();
        let at = |milliseconds: i64| begun + jiff::SignedDuration::from_millis(milliseconds);
        let delay = std::time::Duration::from_millis(100);
        let restarting = Kind::Role(RoleEvent::Restarting {
            role: role.clone(),
            delay,
        });
        let started = Kind::Role(RoleEvent::Started {
            role,
            executable: "server".parse().unwrap(),
            pid: 4712,
            awaits: None,
        });
        for (milliseconds, kind) in [(2000, restarting), (2100, started)] {
            let at = at(milliseconds);
            last.events.push(crate::events::Event { at, kind });
        }
        last.events.sort_by_key(|event| event.at);
        let parts = &Timeline::of(&last).roles[0].1;
        assert_eq!(parts[2..3], [part("wait", 2000, 2100)], "{parts:?}");
    }

    #[test]
    fn a_scale_has_few_marks_at_round_times() {
        for (length, marks) in [
            (1, "0 ms 1 ms"),
            (47, "0 ms 10 ms 20 ms 30 ms 40 ms"),
            (999, "0 ms 200 ms 400 ms 600 ms 800 ms"),
            (2300, "0 ms 500 ms 1.0 s 1.5 s 2.0 s"),
            (61_000, "0 s 20 s 40 s 60 s"),
        ] {
            let step = step(length);
            let marked = (0..=length / step).map(|nth| tick(nth * step, step));
            assert_eq!(marked.collect::<Vec<_>>().join(" "), marks, "{length}");
        }
        assert!(i64::MAX / step(i64::MAX / 100) >= 5, "it ends");
    }

    #[test]
    fn roles_behind_a_long_build_have_a_scale_of_their_own() {
        let role: RoleName = "test-a".parse().unwrap();
        let draw = |from| {
            let timeline = Timeline {
                length: 1000,
                phases: vec![part("build", 0, from)],
                roles: vec![(role.clone(), vec![part("run", from, 1000)])],
                ..Timeline::default()
            };
            timeline.draw()
        };
        let drawing = draw(500);
        assert!(drawing.role_scale.is_none());
        assert_eq!(drawing.roles[0].bars[0].x, "500.0");
        let drawing = draw(990);
        assert_eq!(drawing.roles[0].bars[0].x, "0.0");
        let marks = drawing.role_scale.unwrap().into_iter();
        let marks: Vec<_> = marks.map(|mark| (mark.percent, mark.text)).collect();
        assert_eq!(marks[0].1, "0.990s");
        assert_eq!(marks[1], ("20.00".to_owned(), "+2 ms".to_owned()));
        // A part without length is drawn, too.
        let drawing = draw(1000);
        assert!(drawing.role_scale.is_some());
        assert_eq!(drawing.roles[0].bars.len(), 1);
    }

    #[test]
    fn a_run_without_events_has_no_lines() {
        let mut last = sample::last();
        last.events.clear();
        let expected = Timeline {
            length: 1,
            ..Timeline::default()
        };
        assert_eq!(Timeline::of(&last), expected);
    }
}
