//! The pure state of the interface.
//!
//! [`Model::update`] takes an event and returns what has to be done; nothing
//! here reads a clock, a file or a terminal.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ansar_contract::line::Level;
use regex::bytes::Regex;

use crate::logs::merge::Filter;
use crate::logs::window::{Anchor, Page};
use crate::model::input::{Input, Key};
use crate::model::name::RoleName;
use crate::model::run_report::Failure;
use crate::ui::command::Command;
use crate::ui::layout::{Layout, Pane};
use crate::ui::log_feed::LogRequest;
use crate::ui::role_list::{Group, RoleList, Row};
use crate::ui::snapshot::{Role, Snapshot};
use crate::ui::update::{LastRun, Update};

/// Lines that the wheel moves by.
const WHEEL: i64 = 3;
/// Columns that an arrow moves the logs by.
const SIDESTEP: usize = 8;
/// Most lines of a command's output that are kept.
const KEPT_LINES: usize = 500;
/// Levels that the level key passes through.
const LEVELS: [Level; 6] = [
    Level::Debug,
    Level::Trace,
    Level::Object,
    Level::Console,
    Level::Warning,
    Level::Fault,
];

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Input of the user.
    Input(Input),
    /// Something new of the home.
    Update(Update),
    /// A command that was started has printed a line.
    Printed(usize, String),
    /// A command that was started has ended; true if it succeeded.
    Ended(usize, bool),
    /// Something that was to be done has failed.
    Failed(String),
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Show another part of the logs.
    Logs(LogRequest),
    /// Run a command of this tool, with these arguments.
    Run {
        /// Identifies the command in events.
        id: usize,
        /// The arguments.
        arguments: Vec<String>,
        /// Roles that it starts or stops.
        roles: Vec<RoleName>,
    },
    /// Press a key of the command `watch` that runs below.
    Press(char),
    /// Interrupt the commands that run, but not `watch`.
    Interrupt,
    /// Open a file in the editor.
    Edit {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u32,
    },
    /// Copy text to the clipboard.
    Copy(String),
    /// Draw everything again.
    Redraw,
    /// Suspend this program.
    Suspend,
    /// End.
    Quit,
}

/// A message at the bottom of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The text.
    pub text: String,
    /// True for an error.
    pub is_error: bool,
}

/// A command that was started and has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Identifies it in events.
    pub id: usize,
    /// Its arguments.
    pub title: String,
    /// True if its whole output is shown at the end.
    shows_output: bool,
    /// Its last lines.
    pub lines: Vec<String>,
}

/// Text above the panes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlay {
    /// The keys.
    Help,
    /// The output of a command.
    Output {
        /// The command.
        title: String,
        /// Its lines.
        lines: Vec<String>,
        /// Index of the first visible line.
        top: usize,
        /// True if it failed.
        is_error: bool,
    },
}

/// The state of the interface.
#[derive(Debug)]
pub struct Model {
    /// The name of the workspace or home.
    pub name: String,
    /// Folder that paths are shown relative to.
    pub folder: PathBuf,
    /// Columns and rows of the screen.
    pub size: (u16, u16),
    /// True if the user has chosen an editor; otherwise places are links.
    pub has_editor: bool,
    /// The roles.
    pub snapshot: Snapshot,
    /// True once the roles are known.
    pub is_attached: bool,
    /// The list of roles.
    pub list: RoleList,
    /// Roles whose logs are shown; all if empty.
    pub marked: BTreeSet<RoleName>,
    /// The pane with the focus.
    pub focus: Pane,
    /// Lines that are shown.
    pub level: Level,
    /// Pattern that lines must match.
    pub pattern: Option<Regex>,
    /// The text of a pattern that is being typed.
    pub prompt: Option<String>,
    /// The shown lines.
    pub page: Page,
    /// Columns that are hidden at the left of the logs.
    pub hidden: usize,
    /// The last run.
    pub last_run: Option<Box<LastRun>>,
    /// Index of the selected failure.
    pub failure: usize,
    /// Commands that run, oldest first.
    pub jobs: Vec<Job>,
    /// The command `watch` that runs below, if any.
    pub watching: Option<usize>,
    /// Message at the bottom.
    pub notice: Option<Notice>,
    /// Text above the panes.
    pub overlay: Option<Overlay>,
    started: usize,
    requested: Requested,
}

/// Last request for a page of the logs.
#[derive(Debug, Default)]
struct Requested {
    selection: Option<(Vec<RoleName>, Filter)>,
    height: Option<usize>,
}

impl Model {
    /// Returns the state before anything is known. Paths are shown relative to
    /// `folder`.
    pub fn new(name: String, folder: PathBuf, size: (u16, u16)) -> Self {
        Self {
            name,
            folder,
            size,
            has_editor: true,
            snapshot: Snapshot::default(),
            is_attached: false,
            list: RoleList::default(),
            marked: BTreeSet::new(),
            focus: Pane::Roles,
            level: Level::Debug,
            pattern: None,
            prompt: None,
            page: Page::default(),
            hidden: 0,
            last_run: None,
            failure: 0,
            jobs: Vec::new(),
            watching: None,
            notice: None,
            overlay: None,
            started: 0,
            requested: Requested::default(),
        }
    }

    /// Notes that a command `watch` runs below; returns what identifies it.
    pub fn watch(&mut self) -> usize {
        let id = self.job("watch".to_owned(), false);
        self.watching = Some(id);
        id
    }

    /// Returns the layout of the screen.
    pub fn layout(&self) -> Layout {
        let rows = self.last_run.as_ref().map_or(0, |last| {
            let failures = last.report.failures.len();
            let context = self.selected_failure().map_or(0, context_rows);
            1 + failures + context
        });
        let rows = u16::try_from(rows).unwrap_or(u16::MAX);
        Layout::of(self.size, rows, self.focus)
    }

    /// Returns the selected failure of the last run.
    pub fn selected_failure(&self) -> Option<&Failure> {
        self.failures().get(self.failure)
    }

    /// Returns the failures of the last run.
    pub fn failures(&self) -> &[Failure] {
        let last = self.last_run.as_ref();
        last.map_or(&[], |last| &last.report.failures)
    }

    /// Returns a path as it is shown.
    pub fn shown_path<'p>(&self, path: &'p str) -> &'p str {
        let relative = Path::new(path).strip_prefix(&self.folder);
        relative.ok().and_then(Path::to_str).unwrap_or(path)
    }

    /// Returns the selected role.
    pub fn role(&self) -> Option<&Role> {
        self.snapshot.role(self.list.role()?)
    }

    /// Handles an event; returns what has to be done.
    pub fn update(&mut self, event: Event) -> Vec<Action> {
        let mut actions = match event {
            Event::Input(Input::Resize(width, height)) => {
                self.size = (width, height);
                Vec::new()
            }
            Event::Input(input) => self.input(input),
            Event::Update(update) => {
                self.receive(update);
                Vec::new()
            }
            Event::Printed(id, line) => {
                if let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) {
                    if job.lines.len() >= KEPT_LINES {
                        job.lines.remove(0);
                    }
                    job.lines.push(line);
                }
                Vec::new()
            }
            Event::Ended(id, is_success) => {
                self.ended(id, is_success);
                Vec::new()
            }
            Event::Failed(text) => {
                self.tell_error(text);
                Vec::new()
            }
        };
        self.settle(&mut actions);
        actions
    }

    /// Keeps the selections valid, and requests the logs that are to be shown.
    fn settle(&mut self, actions: &mut Vec<Action>) {
        self.failure = self.failure.min(self.failures().len().saturating_sub(1));
        let layout = self.layout();
        self.list.reveal(usize::from(layout.roles.height));
        let height = usize::from(layout.logs.height);
        if height > 0 && self.requested.height != Some(height) {
            self.requested.height = Some(height);
            actions.push(Action::Logs(LogRequest::Resize(height)));
        }
        if !self.is_attached {
            return;
        }
        let roles = self.snapshot.roles.iter().map(|role| &role.name);
        let roles = roles.filter(|role| self.marked.is_empty() || self.marked.contains(*role));
        let filter = Filter {
            level: self.level,
            grep: self.pattern.clone(),
        };
        let selection = (roles.cloned().collect::<Vec<_>>(), filter);
        if self.requested.selection.as_ref() != Some(&selection) {
            let (roles, filter) = selection.clone();
            self.requested.selection = Some(selection);
            actions.push(Action::Logs(LogRequest::Select { roles, filter }));
        }
    }

    fn receive(&mut self, update: Update) {
        match update {
            Update::Roles(snapshot) => {
                self.list.replace(&snapshot);
                self.marked.retain(|role| snapshot.role(role).is_some());
                self.snapshot = snapshot;
                self.is_attached = true;
            }
            Update::LastRun(last) => {
                self.last_run = last;
                self.failure = 0;
            }
            Update::Page(page) => self.page = page,
            Update::Trouble(text) => self.tell_error(text),
        }
    }

    fn ended(&mut self, id: usize, is_success: bool) {
        let Some(at) = self.jobs.iter().position(|job| job.id == id) else {
            return;
        };
        let job = self.jobs.remove(at);
        if self.watching == Some(id) {
            self.watching = None;
        }
        if job.shows_output || !is_success && !is_test(&job.title) {
            self.overlay = Some(Overlay::Output {
                title: job.title,
                lines: job.lines,
                top: 0,
                is_error: !is_success,
            });
            return;
        }
        let last = job.lines.last().map_or("", |line| line.trim());
        self.notice = Some(Notice {
            text: format!("{}: {last}", job.title),
            is_error: !is_success,
        });
    }

    fn tell(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice {
            text: text.into(),
            is_error: false,
        });
    }

    fn tell_error(&mut self, text: String) {
        self.notice = Some(Notice {
            text,
            is_error: true,
        });
    }

    fn input(&mut self, input: Input) -> Vec<Action> {
        match input {
            Input::Key(Key::Control('z')) => vec![Action::Suspend],
            Input::Key(Key::Control('l')) => vec![Action::Redraw],
            Input::Key(Key::Control('c')) => self.interrupt(),
            Input::Key(key) if self.overlay.is_some() => {
                self.overlay_key(key);
                Vec::new()
            }
            Input::Key(key) if self.prompt.is_some() => {
                self.prompt_key(key);
                Vec::new()
            }
            Input::Key(key) => {
                self.notice = None;
                self.key(key)
            }
            Input::Paste(text) => {
                if let Some(prompt) = &mut self.prompt {
                    prompt.extend(text.chars().filter(|c| !c.is_control()));
                }
                Vec::new()
            }
            Input::Click(x, y) => {
                self.click(x, y);
                Vec::new()
            }
            Input::Wheel(x, y, is_up) => self.wheel(x, y, is_up),
            Input::Resize(..) => Vec::new(),
        }
    }

    /// Ends the commands that run, or else this program.
    fn interrupt(&mut self) -> Vec<Action> {
        if self.jobs.iter().all(|job| Some(job.id) == self.watching) {
            return vec![Action::Quit];
        }
        self.tell("interrupting");
        vec![Action::Interrupt]
    }

    fn overlay_key(&mut self, key: Key) {
        let room = usize::from(self.size.1).saturating_sub(4).max(1);
        let Some(Overlay::Output { lines, top, .. }) = &mut self.overlay else {
            self.overlay = None;
            return;
        };
        let last = lines.len().saturating_sub(room);
        match key {
            Key::Up | Key::Char('k') => *top = top.saturating_sub(1),
            Key::Down | Key::Char('j') => *top = (*top + 1).min(last),
            Key::PageUp => *top = top.saturating_sub(room),
            Key::PageDown | Key::Char(' ') => *top = (*top + room).min(last),
            Key::Home => *top = 0,
            Key::End => *top = last,
            _ => self.overlay = None,
        }
    }

    fn prompt_key(&mut self, key: Key) {
        let Some(text) = &mut self.prompt else {
            return;
        };
        match key {
            Key::Char(c) => text.push(c),
            Key::Backspace => drop(text.pop()),
            Key::Control('u') => text.clear(),
            Key::Escape => self.prompt = None,
            Key::Enter => {
                let text = self.prompt.take().unwrap_or_default();
                if text.is_empty() {
                    self.pattern = None;
                    return;
                }
                match Regex::new(&text) {
                    Ok(pattern) => self.pattern = Some(pattern),
                    Err(error) => {
                        let reason = error.to_string();
                        let reason = reason.lines().last().unwrap_or_default();
                        let reason = reason.trim_start_matches("error: ");
                        self.tell_error(format!("`{text}` is no regular expression: {reason}"));
                        self.prompt = Some(text);
                    }
                }
            }
            _ => {}
        }
    }

    fn key(&mut self, key: Key) -> Vec<Action> {
        match key {
            Key::Char('q') => return vec![Action::Quit],
            Key::Char('?') => self.overlay = Some(Overlay::Help),
            Key::Tab => self.focus = self.focus.next(),
            Key::BackTab => self.focus = self.focus.previous(),
            Key::Char('1') => self.focus = Pane::Roles,
            Key::Char('2') => self.focus = Pane::Logs,
            Key::Char('3') => self.focus = Pane::Failures,
            Key::Char(' ') => self.mark(),
            Key::Char('o') => self.only(),
            Key::Char('a') => self.marked.clear(),
            Key::Char('/') => {
                let pattern = self.pattern.as_ref().map(Regex::as_str);
                self.prompt = Some(pattern.unwrap_or_default().to_owned());
            }
            Key::Char('l') => self.next_level(1),
            Key::Char('L') => self.next_level(LEVELS.len() - 1),
            Key::Escape => self.clear(),
            Key::Char('s') => return self.on_selected(Command::Start),
            Key::Char('x') => return self.on_selected(Command::Stop),
            Key::Char('r') => return self.on_selected(Command::Restart),
            Key::Char('t') => return self.test(Command::Test, 'a'),
            Key::Char('f') => return self.test(Command::TestFailed, 'f'),
            Key::Char('d') => return self.run(Command::Deploy.arguments(&[]), Vec::new()),
            Key::Char('w') => return self.why(),
            Key::Char('c') => return self.copy_address(),
            Key::Enter => return self.open(),
            Key::Left => self.hidden = self.hidden.saturating_sub(SIDESTEP),
            Key::Right => self.hidden += SIDESTEP,
            _ => return self.movement(key),
        }
        Vec::new()
    }

    /// Moves the selection or the page of the pane with the focus.
    fn movement(&mut self, key: Key) -> Vec<Action> {
        let layout = self.layout();
        let height = match self.focus {
            Pane::Roles => layout.roles.height,
            Pane::Logs => layout.logs.height,
            Pane::Failures => layout.failures.height,
        };
        let page = i64::from(height).saturating_sub(1).max(1);
        let by = match key {
            Key::Up | Key::Char('k') => -1,
            Key::Down | Key::Char('j') => 1,
            Key::PageUp | Key::Control('b') => -page,
            Key::PageDown | Key::Control('f') => page,
            Key::Home | Key::Char('g') => i64::MIN,
            Key::End | Key::Char('G') => i64::MAX,
            _ => {
                self.tell("? shows the keys");
                return Vec::new();
            }
        };
        self.scroll(self.focus, by)
    }

    /// Moves the selection or the page of a pane.
    fn scroll(&mut self, pane: Pane, by: i64) -> Vec<Action> {
        let step = isize::try_from(by).unwrap_or(isize::MAX);
        match pane {
            Pane::Roles => self.list.step(step),
            Pane::Failures => self.failure = self.failure.saturating_add_signed(step),
            Pane::Logs => {
                return vec![Action::Logs(match by {
                    i64::MIN => LogRequest::Jump(Anchor::First),
                    i64::MAX => LogRequest::Jump(Anchor::Last),
                    by => LogRequest::Scroll(by),
                })];
            }
        }
        Vec::new()
    }

    fn click(&mut self, x: u16, y: u16) {
        if self.overlay.take().is_some() {
            return;
        }
        let layout = self.layout();
        if layout.is_narrow && y == 1 {
            self.focus = match 3 * x / self.size.0.max(1) {
                0 => Pane::Roles,
                1 => Pane::Logs,
                _ => Pane::Failures,
            };
            return;
        }
        let Some(pane) = layout.pane(x, y) else {
            return;
        };
        self.focus = pane;
        if layout.roles.contains((x, y).into()) {
            let row = self.list.top + usize::from(y - layout.roles.y);
            if row < self.list.rows.len() {
                if row == self.list.selected {
                    self.mark();
                }
                self.list.selected = row;
            }
        }
        if pane == Pane::Failures && y > layout.failures.y {
            let row = usize::from(y - layout.failures.y - 1);
            self.failure = self.failure_at(row).unwrap_or(self.failure);
        }
    }

    /// Returns the failure in a row of its pane, below the verdict.
    fn failure_at(&self, row: usize) -> Option<usize> {
        let top = self.top_failure();
        let context = self.selected_failure().map_or(0, context_rows);
        let nth = top + row;
        match nth.checked_sub(self.failure) {
            None | Some(0) => Some(nth),
            Some(behind) if behind <= context => None,
            Some(_) => Some(nth - context),
        }
        .filter(|nth| *nth < self.failures().len())
    }

    /// Returns the index of the first visible failure.
    pub fn top_failure(&self) -> usize {
        let room = usize::from(self.layout().failures.height).saturating_sub(1);
        let context = self.selected_failure().map_or(0, context_rows);
        let above = room.saturating_sub(1 + context.min(room / 2));
        self.failure.saturating_sub(above)
    }

    fn wheel(&mut self, x: u16, y: u16, is_up: bool) -> Vec<Action> {
        let by = if is_up { -WHEEL } else { WHEEL };
        match self.layout().pane(x, y) {
            Some(pane) if self.overlay.is_none() => self.scroll(pane, by),
            _ => Vec::new(),
        }
    }

    /// Adds the selection to the roles whose logs are shown, or removes it.
    fn mark(&mut self) {
        let selection = self.list.selection();
        if selection.iter().all(|role| self.marked.contains(role)) {
            for role in &selection {
                self.marked.remove(role);
            }
        } else {
            self.marked.extend(selection);
        }
    }

    /// Shows the logs of the selection alone, or those of all roles again.
    fn only(&mut self) {
        let selection: BTreeSet<RoleName> = self.list.selection().into_iter().collect();
        if self.marked == selection {
            self.marked.clear();
        } else {
            self.marked = selection;
        }
    }

    fn next_level(&mut self, by: usize) {
        let at = LEVELS.iter().position(|level| *level == self.level);
        let next = (at.unwrap_or_default() + by) % LEVELS.len();
        self.level = LEVELS[next];
    }

    /// Removes the filters of the logs, and then the marks.
    fn clear(&mut self) {
        let is_filtered = self.pattern.is_some() || self.level != Level::Debug;
        self.pattern = None;
        self.level = Level::Debug;
        self.hidden = 0;
        if !is_filtered {
            self.marked.clear();
        }
    }

    /// Runs a command on the selected role, or on the roles of the selected
    /// group.
    fn on_selected(&mut self, command: Command) -> Vec<Action> {
        let selection = self.list.selection();
        let roles = selection.iter();
        let roles: Vec<&Role> = roles.filter_map(|it| self.snapshot.role(it)).collect();
        if roles.is_empty() {
            self.tell("there is no role");
            return Vec::new();
        }
        let mut arguments = command.arguments(&roles);
        match self.list.rows.get(self.list.selected) {
            Some(Row::Group {
                group: Group::Tag(tag),
                ..
            }) => arguments.push(format!("@{tag}")),
            _ => arguments.extend(selection.iter().map(ToString::to_string)),
        }
        let changed = command.changes_roles();
        self.run(arguments, if changed { selection } else { Vec::new() })
    }

    /// Runs tests: with a command, or by a key of the `watch` that runs below.
    fn test(&mut self, command: Command, key: char) -> Vec<Action> {
        if self.watching.is_none() {
            return self.run(command.arguments(&[]), Vec::new());
        }
        let tests = command.arguments(&[]).join(" ");
        self.tell(format!("watch runs `{tests}`"));
        vec![Action::Press(key)]
    }

    fn why(&mut self) -> Vec<Action> {
        if self.list.role().is_none() {
            self.tell("select a role");
            return Vec::new();
        }
        self.on_selected(Command::Why)
    }

    fn run(&mut self, arguments: Vec<String>, roles: Vec<RoleName>) -> Vec<Action> {
        let id = self.job(arguments.join(" "), arguments[0] == "why");
        vec![Action::Run {
            id,
            arguments,
            roles,
        }]
    }

    /// Adds a command that runs; returns what identifies it.
    fn job(&mut self, title: String, shows_output: bool) -> usize {
        self.started += 1;
        let id = self.started;
        self.jobs.push(Job {
            id,
            title,
            shows_output,
            lines: Vec::new(),
        });
        id
    }

    fn copy_address(&mut self) -> Vec<Action> {
        let role = self.role();
        let address = role.and_then(|role| role.addresses.first());
        match address.map(|(_, address)| address.to_string()) {
            Some(address) => {
                self.tell(format!("copied {address}"));
                vec![Action::Copy(address)]
            }
            None => {
                self.tell("this role has no port");
                Vec::new()
            }
        }
    }

    /// Opens the selected failure in the editor.
    fn open(&mut self) -> Vec<Action> {
        if self.focus == Pane::Roles {
            self.only();
            return Vec::new();
        }
        match self.selected_failure() {
            Some(_) if !self.has_editor => {
                self.tell("set `EDITOR`, or click the place, which is a link");
                Vec::new()
            }
            Some(failure) => vec![Action::Edit {
                file: PathBuf::from(&failure.source),
                line: failure.line,
            }],
            None => {
                self.tell("the last run has no failures");
                Vec::new()
            }
        }
    }
}

/// Returns the number of rows below a failure that is selected.
fn context_rows(failure: &Failure) -> usize {
    failure.details().count()
        + failure
            .context
            .iter()
            .map(|it| it.text.lines().count())
            .sum::<usize>()
}

/// Returns true if a command runs tests. Failed tests are shown by the last
/// run.
fn is_test(title: &str) -> bool {
    title.split(' ').next() == Some("test")
}
