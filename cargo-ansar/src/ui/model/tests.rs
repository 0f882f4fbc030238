//! Tests of the model: keys and updates in, actions out.

use jiff::Timestamp;

use super::*;
use crate::model::run_report::RunReport;
use crate::ui::snapshot::State;

pub(in crate::ui) fn role(name: &str, tags: &[&str], state: State) -> Role {
    Role {
        name: name.parse().unwrap(),
        executable: "x".parse().unwrap(),
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        is_test: name.starts_with("test-"),
        state,
        reason: None,
        since: None,
        restarts: 0,
        lost: 0,
        pid: None,
        usage: None,
        addresses: Vec::new(),
        engine: None,
    }
}

fn failure(line: u32) -> Failure {
    Failure {
        role: "test-a".parse().unwrap(),
        executable: None,
        source: "/ws/src/a.rs".to_owned(),
        line,
        column: None,
        test: None,
        text: "left is not right\n-one\n+two".to_owned(),
        at: Timestamp::UNIX_EPOCH,
        context: Vec::new(),
    }
}

fn model() -> Model {
    let mut model = Model::new("ws".to_owned(), "/ws".into(), (80, 24));
    model.update(Event::Update(Update::Roles(Snapshot {
        roles: vec![
            role("api-0", &["web"], State::Ready),
            role("db-0", &["storage"], State::Ready),
            role("db-1", &["storage"], State::Waiting),
            role("test-a", &[], State::Stopped),
            role("zeta-0", &[], State::Stopped),
        ],
        ..Snapshot::default()
    })));
    model
}

fn press(model: &mut Model, keys: &str) -> Vec<Action> {
    let keys = keys.chars().map(|c| match c {
        '\n' => Key::Enter,
        '\t' => Key::Tab,
        c => Key::Char(c),
    });
    keys.flat_map(|key| model.update(Event::Input(Input::Key(key))))
        .collect()
}

fn ran(actions: &[Action]) -> Vec<String> {
    let commands = actions.iter().filter_map(|action| match action {
        Action::Run { arguments, .. } => Some(arguments.join(" ")),
        _ => None,
    });
    commands.collect()
}

fn selected(actions: &[Action]) -> Option<(Vec<String>, Level, Option<String>)> {
    let mut requests = actions.iter().filter_map(|action| match action {
        Action::Logs(LogRequest::Select { roles, filter }) => Some((
            roles.iter().map(ToString::to_string).collect(),
            filter.level,
            filter.grep.as_ref().map(|grep| grep.as_str().to_owned()),
        )),
        _ => None,
    });
    requests.next_back()
}

#[test]
fn roles_are_grouped_by_tag_and_the_first_role_is_selected() {
    let model = model();
    let rows = model.list.rows.iter().map(|row| match row {
        Row::Group {
            group,
            roles,
            ready,
        } => format!("{} {ready}/{roles}", group.name()),
        Row::Role(role) => role.to_string(),
    });
    assert_eq!(
        rows.collect::<Vec<_>>(),
        [
            "storage 1/2",
            "db-0",
            "db-1",
            "web 1/1",
            "api-0",
            "roles 0/1",
            "zeta-0",
            "tests 0/1",
            "test-a"
        ]
    );
    assert_eq!(model.list.role().unwrap().as_str(), "db-0");
}

#[test]
fn commands_concern_the_selected_role_or_tag() {
    let mut model = model();
    assert_eq!(
        ran(&press(&mut model, "sxr")),
        ["start db-0", "stop db-0", "restart db-0"]
    );
    assert_eq!(ran(&press(&mut model, "ks")), ["start @storage"]);
    assert_eq!(ran(&press(&mut model, "Gs")), ["test test-a"]);
    assert_eq!(
        ran(&press(&mut model, "tfd")),
        ["test", "test --failed", "deploy -f"]
    );
    assert_eq!(ran(&press(&mut model, "w")), ["why test-a"]);
}

#[test]
fn a_failed_command_shows_its_output() {
    let mut model = model();
    press(&mut model, "s");
    model.update(Event::Printed(1, "error: already running".to_owned()));
    model.update(Event::Ended(1, false));
    let Some(Overlay::Output {
        title,
        lines,
        is_error: true,
        ..
    }) = &model.overlay
    else {
        panic!("expected output");
    };
    assert_eq!((title.as_str(), lines.len()), ("start db-0", 1));
    press(&mut model, "q");
    assert_eq!(model.overlay, None);
    press(&mut model, "s");
    model.update(Event::Printed(2, "     Started db-0".to_owned()));
    model.update(Event::Ended(2, true));
    assert_eq!(
        model.notice.as_ref().unwrap().text,
        "start db-0: Started db-0"
    );
}

#[test]
fn control_c_interrupts_commands_and_then_quits() {
    let mut model = model();
    press(&mut model, "t");
    let control_c = || Event::Input(Input::Key(Key::Control('c')));
    assert_eq!(model.update(control_c()), [Action::Interrupt]);
    model.update(Event::Ended(1, false));
    assert_eq!(model.overlay, None);
    assert_eq!(model.update(control_c()), [Action::Quit]);
}

#[test]
fn logs_are_chosen_by_role_level_and_pattern() {
    let mut model = model();
    let (roles, level, pattern) = selected(&press(&mut model, "o")).unwrap();
    assert_eq!(
        (roles, level, pattern),
        (vec!["db-0".to_owned()], Level::Debug, None)
    );
    let (roles, ..) = selected(&press(&mut model, "j ")).unwrap();
    assert_eq!(roles, ["db-0", "db-1"]);
    let (_, level, _) = selected(&press(&mut model, "lll")).unwrap();
    assert_eq!(level, Level::Console);
    let (.., pattern) = selected(&press(&mut model, "/er+\n")).unwrap();
    assert_eq!(pattern.as_deref(), Some("er+"));
    press(&mut model, "/(\n");
    assert_eq!(model.prompt.as_deref(), Some("er+("));
    assert!(model.notice.as_ref().unwrap().is_error);
    model.update(Event::Input(Input::Key(Key::Escape)));
    let cleared = model.update(Event::Input(Input::Key(Key::Escape)));
    let (roles, level, pattern) = selected(&cleared).unwrap();
    assert_eq!((roles.len(), level, pattern), (2, Level::Debug, None));
    let (roles, ..) = selected(&press(&mut model, "a")).unwrap();
    assert_eq!(roles.len(), 5);
}

#[test]
fn the_selection_survives_new_roles() {
    let mut model = model();
    press(&mut model, "jo");
    let mut snapshot = model.snapshot.clone();
    snapshot
        .roles
        .insert(1, role("aaa-0", &["storage"], State::Ready));
    snapshot
        .roles
        .sort_by(|one, other| one.name.cmp(&other.name));
    model.update(Event::Update(Update::Roles(snapshot)));
    assert_eq!(model.list.role().unwrap().as_str(), "db-1");
    model.update(Event::Update(Update::Roles(Snapshot::default())));
    assert_eq!(model.list.selection(), []);
    assert!(model.marked.is_empty());
    assert_eq!(press(&mut model, "scw\t\n"), []);
}

#[test]
fn a_failure_is_opened_at_its_line() {
    let mut model = model();
    model.update(Event::Update(Update::LastRun(Some(Box::new(LastRun {
        at: Timestamp::UNIX_EPOCH,
        report: RunReport {
            failures: vec![failure(7), failure(9)],
            ..RunReport::default()
        },
    })))));
    let edit = |line| Action::Edit {
        file: "/ws/src/a.rs".into(),
        line,
    };
    assert!(press(&mut model, "3\n").contains(&edit(7)));
    assert!(press(&mut model, "j\n").contains(&edit(9)));
    assert_eq!(model.shown_path("/ws/src/a.rs"), "src/a.rs");
    // The verdict, two failures, and two lines below the first.
    let layout = model.layout();
    press(&mut model, "k");
    for (row, expected) in [(1, 0), (2, 0), (3, 0), (4, 1)] {
        model.failure = 0;
        model.update(Event::Input(Input::Click(3, layout.failures.y + row)));
        assert_eq!(model.failure, expected, "row {row}");
    }
}

#[test]
fn the_mouse_selects_marks_and_scrolls() {
    let mut model = model();
    let layout = model.layout();
    let roles = layout.roles;
    model.update(Event::Input(Input::Click(roles.x + 3, roles.y + 2)));
    assert_eq!(model.list.role().unwrap().as_str(), "db-1");
    model.update(Event::Input(Input::Click(roles.x + 3, roles.y + 2)));
    assert_eq!(model.marked.len(), 1);
    let logs = layout.logs;
    let actions = model.update(Event::Input(Input::Wheel(logs.x, logs.y, true)));
    assert_eq!(actions, [Action::Logs(LogRequest::Scroll(-3))]);
    model.update(Event::Input(Input::Wheel(roles.x, roles.y, false)));
    assert_eq!(model.list.selected, 5);
}

#[test]
fn five_hundred_roles_keep_the_selected_one_visible() {
    let mut model = Model::new("ws".to_owned(), "/ws".into(), (40, 15));
    let roles = (0..500).map(|nth| role(&format!("role-{nth:03}"), &[], State::Ready));
    let snapshot = Snapshot {
        roles: roles.collect(),
        ..Snapshot::default()
    };
    model.update(Event::Update(Update::Roles(snapshot)));
    let height = usize::from(model.layout().roles.height);
    for keys in ["jjj", "G", "k", "g", "G"] {
        press(&mut model, keys);
        let visible = model.list.top..model.list.top + height;
        assert!(
            visible.contains(&model.list.selected),
            "{:?}",
            model.list.selected
        );
    }
    model.update(Event::Input(Input::Resize(200, 60)));
    let height = usize::from(model.layout().roles.height);
    assert_eq!(model.list.top + height, 500);
}

#[test]
fn the_page_is_requested_anew_when_the_screen_changes() {
    let mut model = model();
    let actions = model.update(Event::Input(Input::Resize(100, 40)));
    let height = usize::from(model.layout().logs.height);
    assert_eq!(actions, [Action::Logs(LogRequest::Resize(height))]);
    model.update(Event::Input(Input::Key(Key::Tab)));
    let jump = press(&mut model, "g");
    assert_eq!(jump, [Action::Logs(LogRequest::Jump(Anchor::First))]);
}
