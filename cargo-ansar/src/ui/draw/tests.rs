//! Tests of the drawing: the pictures of the guide, and every size.

use std::path::{Path, PathBuf};

use ansar_contract::line::{Level, Tag};
use jiff::ToSpan;
use ratatui_core::buffer::Cell;
use ratatui_core::style::Color;
use snapbox::data::DataFormat;
use snapbox::{Assert, Data};

use super::*;
use crate::host::terminal::screen::style_of;
use crate::logs::header::Stamp;
use crate::logs::window;
use crate::logs::window::Page;
use crate::model::input::{Input, Key};
use crate::model::run_report::{Failure, LogRecord, Row, RunReport};
use crate::protocol::Host;
use crate::ui::model::{Event, Overlay};
use crate::ui::snapshot::{Role, Snapshot, State, Usage};
use crate::ui::update::{LastRun, Update};

const THEME: Theme = Theme { colors: true };

fn now() -> Timestamp {
    "2026-05-04T10:41:07.500Z".parse().unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now().checked_sub(seconds.seconds()).unwrap()
}

/// Returns a running role, with an address at this port.
fn role(name: &str, tag: &str, state: State, seconds: i64, port: u16, cpu: f64) -> Role {
    let is_running = state.is_running();
    Role {
        name: name.parse().unwrap(),
        executable: name.split('-').next().unwrap().parse().unwrap(),
        tags: (!tag.is_empty())
            .then(|| tag.to_owned())
            .into_iter()
            .collect(),
        is_test: name.starts_with("test-"),
        state,
        reason: None,
        since: Some(ago(seconds)),
        restarts: 0,
        lost: 0,
        pid: is_running.then_some(4_000 + u32::from(port % 100)),
        usage: is_running.then_some(Usage {
            cpu,
            memory: u64::from(port) << 11,
            processes: 1,
        }),
        addresses: (port > 0)
            .then(|| {
                (
                    "port".to_owned(),
                    format!("127.0.0.1:{port}").parse().unwrap(),
                )
            })
            .into_iter()
            .collect(),
        engine: is_running.then_some((4_000, Host::Background)),
    }
}

fn roles() -> Vec<Role> {
    let mut roles = vec![
        role("api-0", "web", State::Starting, 4, 20_417, 38.2),
        role("cache-0", "storage", State::Ready, 750, 20_418, 0.4),
        role("db-0", "storage", State::Ready, 752, 20_419, 2.1),
        role("gateway-0", "web", State::Waiting, 4, 20_420, 0.0),
        role("mail-0", "", State::Restarting, 2, 20_421, 0.0),
        role("migrate-0", "storage", State::Done, 748, 0, 0.0),
        role("test-orders", "", State::Failed, 63, 0, 0.0),
        role("test-stock", "", State::Done, 64, 0, 0.0),
    ];
    roles[0].reason = Some("GET http://127.0.0.1:20417/health: 503 (12 times)".to_owned());
    roles[3].reason = Some("api-0".to_owned());
    roles[4].restarts = 3;
    roles[4].reason = Some("exited with 1".to_owned());
    roles[4].usage = None;
    roles[6].reason = Some("returned a failure".to_owned());
    roles
}

fn lines(count: usize) -> Vec<window::Line> {
    const LINES: [(&str, Tag, &str); 9] = [
        (
            "db-0",
            Tag::Console,
            "checkpoint complete: wrote 112 buffers (0.7%)",
        ),
        ("cache-0", Tag::Console, "DB saved on disk"),
        (
            "api-0",
            Tag::Trace,
            "connect postgres://postgres@127.0.0.1:20419/orders",
        ),
        ("api-0", Tag::Console, "GET /orders/17 200 in 3 ms"),
        (
            "mail-0",
            Tag::Warning,
            "queue is not reachable, next try in 2 s",
        ),
        (
            "mail-0",
            Tag::Fault,
            "no route to 127.0.0.1:20422: connection refused",
        ),
        (
            "db-0",
            Tag::Debug,
            "autovacuum: processing database \"orders\"",
        ),
        ("api-0", Tag::Console, "POST /orders 201 in 9 ms"),
        ("gateway-0", Tag::Console, "waiting for its upstream api-0"),
    ];
    let lines = LINES.iter().cycle().take(count).enumerate();
    lines
        .map(|(nth, (role, tag, text))| {
            let back = i64::try_from(count - nth).unwrap() * 170;
            let at = now().checked_sub(back.milliseconds()).unwrap();
            window::Line {
                role: role.parse().unwrap(),
                pid: 4_017,
                stamp: Stamp::of(at),
                tag: *tag,
                text: (*text).to_owned(),
            }
        })
        .collect()
}

fn report() -> RunReport {
    let row = |role: &str, passed, failed, standing| Row {
        role: role.parse().unwrap(),
        passed,
        failed,
        cut: 0,
        ignored: 0,
        unfinished: Vec::new(),
        tests: Vec::new(),
        standing,
        tries: 1,
        elapsed: Some(1.5),
    };
    let context = |role: &str, tag: char, time: &str, text: &str| LogRecord {
        role: role.parse().unwrap(),
        text: format!("[00004017] 2026-05-04T{time} {tag} {text}"),
    };
    let failure = |line, text: &str, context| Failure {
        role: "test-orders".parse().unwrap(),
        executable: None,
        source: "/home/me/shop/tests/orders.rs".to_owned(),
        line,
        column: Some(5),
        test: None,
        text: text.to_owned(),
        at: ago(63),
        context,
    };
    RunReport {
        command: "test".to_owned(),
        exit: 100,
        elapsed: 3.24,
        passed: 40,
        failed: 2,
        roles: vec![
            row(
                "test-orders",
                17,
                2,
                crate::model::run_report::Standing::Failed,
            ),
            row(
                "test-stock",
                23,
                0,
                crate::model::run_report::Standing::Passed,
            ),
        ],
        failures: vec![
            failure(
                44,
                "cancels: assertion `left == right` failed, left: 200, right: 409",
                vec![
                    context(
                        "api-0",
                        '^',
                        "10:40:03.871",
                        "POST /orders/17/cancel 200 in 4 ms",
                    ),
                    context(
                        "db-0",
                        '?',
                        "10:40:03.872",
                        "duplicate key value violates \"orders_pkey\"",
                    ),
                ],
            ),
            failure(61, "lists: 3 orders, expected 4", Vec::new()),
        ],
        ..RunReport::default()
    }
}

fn model(size: (u16, u16)) -> Model {
    let mut model = Model::new("shop".to_owned(), "/home/me/shop".into(), size);
    model.update(Event::Update(Update::Roles(Snapshot {
        roles: roles(),
        at: now(),
        ..Snapshot::default()
    })));
    model.update(Event::Update(Update::LastRun(Some(Box::new(LastRun {
        at: ago(63),
        report: report(),
    })))));
    for _ in 0..4 {
        model.update(Event::Input(Input::Key(Key::Down)));
    }
    let height = usize::from(model.layout().logs.height);
    model.update(Event::Update(Update::Page(Page {
        lines: lines(height),
        follows: true,
        ..Page::default()
    })));
    model
}

fn drawn(model: &Model, theme: Theme) -> Buffer {
    draw(model, theme, now(), &TimeZone::UTC).cells
}

fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let rows = buffer.content.chunks(width.max(1));
    let rows = rows.map(|row| row.iter().map(Cell::symbol).collect::<String>());
    rows.map(|row| row.trim_end().to_owned() + "\n").collect()
}

/// Returns the screen as text with colour sequences.
fn colored(buffer: &Buffer) -> String {
    let mut text = String::new();
    for row in buffer.content.chunks(usize::from(buffer.area.width)) {
        // Cells of the same style are one sequence.
        for cells in row.chunk_by(|one, other| style_of(one) == style_of(other)) {
            let style = style_of(&cells[0]);
            let symbols: String = cells.iter().map(Cell::symbol).collect();
            text.extend([style.render().to_string(), symbols]);
            text += &style.render_reset().to_string();
        }
        text.push('\n');
    }
    text
}

fn picture(name: &str) -> PathBuf {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/images");
    images.join(format!("ui-{name}.svg"))
}

#[test]
fn the_pictures_of_the_guide_are_drawn() {
    for (width, height) in [(80, 24), (200, 60), (40, 15)] {
        let buffer = drawn(&model((width, height)), THEME);
        let picture_text = Data::text(colored(&buffer)).coerce_to(DataFormat::TermSvg);
        let drawn = picture_text.render().expect("it is drawn");
        let path = picture(&format!("{width}x{height}"));
        let kept = Data::read_from(&path, Some(DataFormat::Text)).raw();
        Assert::new()
            .action_env("SNAPSHOTS")
            .eq(Data::text(drawn).raw(), kept);
    }
}

#[test]
fn a_small_screen_shows_roles_logs_and_failures() {
    let shown = text(&drawn(&model((80, 24)), THEME));
    for part in [
        " cargo ansar shop · 2 ready · 3 starting · 1 failed",
        "10:41:07",
        "● db-0",
        "following",
        "✗ 2 of 42 checks failed · test · 3.2 s · 1m ago",
        "▸ tests/orders.rs:44:5 test-orders cancels: assertion",
        "10:40:03.871 api-0 POST /orders/17/cancel 200",
        "? help  q quit",
    ] {
        assert!(shown.contains(part), "no `{part}` in\n{shown}");
    }
}

#[test]
fn without_an_editor_places_are_links() {
    let mut model = model((80, 24));
    let links = |model: &Model| draw(model, THEME, now(), &TimeZone::UTC).links;
    assert!(links(&model).is_empty());
    model.has_editor = false;
    let links = links(&model);
    assert_eq!(links.len(), 2);
    assert_eq!(links[0].file, Path::new("/home/me/shop/tests/orders.rs"));
    let shown = drawn(&model, THEME);
    let shown: String = links[0]
        .area
        .positions()
        .map(|at| shown[at].symbol())
        .collect();
    assert_eq!(shown, "tests/orders.rs:44:5");
}

#[test]
fn without_colours_nothing_is_coloured() {
    let mut model = model((80, 24));
    for overlay in [None, Some(Overlay::Help)] {
        model.overlay = overlay;
        let buffer = drawn(&model, Theme { colors: false });
        let cells = buffer.content.iter();
        let mut colors = cells.flat_map(|cell| [cell.fg, cell.bg]);
        assert!(colors.all(|color| color == Color::Reset));
    }
    let buffer = drawn(&model, THEME);
    assert!(buffer.content.iter().all(|cell| cell.bg == Color::Reset));
}

#[test]
fn every_size_is_drawn() {
    for width in (0..70).step_by(3).chain([1, 40, 61, 300]) {
        for height in (0..8).chain([15, 16, 24, 90]) {
            let mut model = model((width, height));
            for pane in [Pane::Roles, Pane::Logs, Pane::Failures] {
                model.focus = pane;
                drawn(&model, THEME);
            }
            model.overlay = Some(Overlay::Help);
            drawn(&model, THEME);
        }
    }
}

#[test]
fn text_of_roles_cannot_control_the_terminal() {
    let mut model = model((80, 24));
    model.page.lines[0].text = "\x1b]0;title\x07\x1b[31mred\u{202e}\r\n日本".to_owned();
    model.level = Level::Debug;
    let buffer = drawn(&model, THEME);
    let cells = buffer.content.iter();
    assert!(
        cells
            .flat_map(|cell| cell.symbol().chars())
            .all(|c| !c.is_control())
    );
    assert!(text(&buffer).contains("\\x1b]0;title"));
}
