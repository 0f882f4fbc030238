//! The page that lives: serves roles, logs and the last run to browsers of this
//! machine, and runs commands for them.
//!
//! Every page has a [`Source`] of its own, since it has chosen logs of its own.
//! Commands belong to the server, and all pages see them.

mod access;
mod view;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use askama::Template;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

use crate::error::Error;
use crate::home::Home;
use crate::host::clock;
use crate::host::net::web_server::{Body, Request, Response, WebServer};
use crate::model::name::RoleName;
use crate::model::role_search::RolePattern;
use crate::report::html;
use crate::ui::command::Command;
use crate::ui::jobs::Jobs;
use crate::ui::log_feed::LogRequest;
use crate::ui::model::Event;
use crate::ui::snapshot::{Role, Snapshot};
use crate::ui::source::Source;
use crate::ui::update::Update;
use crate::ui::web::access::{Access, Grant};
use crate::ui::web::view::{Choice, Job, Message, View};
use crate::workspace::Places;
use crate::workspace::roles::test_pattern;

/// Messages that a page may be behind; a page that does not read them is
/// disconnected from the output of commands.
const BEHIND: usize = 1_000;

/// The page.
#[derive(Template)]
#[template(path = "live.html")]
struct Live<'p> {
    name: &'p str,
    nonce: &'p str,
    /// Path of its requests.
    place: &'p str,
}

/// A server of pages, which listens.
#[derive(Debug)]
pub struct Site {
    server: WebServer,
    shared: Rc<Shared>,
    job_events: UnboundedReceiver<Event>,
}

/// The parts that all pages of a server share.
#[derive(Debug)]
struct Shared {
    access: RefCell<Access>,
    /// The link that opens the next page.
    link: watch::Sender<String>,
    home: Home,
    tests: RolePattern,
    name: String,
    /// The roles, as a page has seen them last.
    roles: RefCell<Snapshot>,
    /// The commands that run; none once the server ends.
    jobs: RefCell<Option<Jobs>>,
    /// Arguments of the commands that run.
    titles: RefCell<BTreeMap<usize, String>>,
    started: Cell<usize>,
    /// News of commands, for all pages.
    told: broadcast::Sender<Job>,
}

/// The body of a request to run a command.
#[derive(Debug, Deserialize)]
struct Wanted {
    command: Command,
    #[serde(default)]
    roles: Vec<RoleName>,
}

impl Site {
    /// Listens on a loopback port; 0 chooses a free one.
    pub async fn open(places: &Places, port: u16) -> Result<Self, Error> {
        let (home, workspace) = places.open()?;
        let tests = test_pattern(workspace.as_ref())?;
        let folder = workspace.map_or_else(|| places.folder.clone(), |it| it.root);
        let named = folder.file_name().unwrap_or(folder.as_os_str());
        let server = WebServer::listen(port)
            .await
            .map_err(|source| Error::System {
                what: "listen on a loopback port",
                source,
            })?;
        let secret = || Uuid::new_v4().simple().to_string();
        let access = Access::new(server.address().port(), secret);
        let (send, job_events) = mpsc::unbounded_channel();
        let shared = Shared {
            link: watch::Sender::new(access.link()),
            access: RefCell::new(access),
            tests,
            name: named.to_string_lossy().into_owned(),
            roles: RefCell::default(),
            jobs: RefCell::new(Some(Jobs::new(places.clone(), &home, send))),
            titles: RefCell::default(),
            started: Cell::new(0),
            told: broadcast::Sender::new(BEHIND),
            home,
        };
        Ok(Self {
            server,
            shared: Rc::new(shared),
            job_events,
        })
    }

    /// Returns the link that opens a page. It is replaced when it was used.
    pub fn link(&self) -> watch::Receiver<String> {
        self.shared.link.subscribe()
    }

    /// Serves pages for ever. Cancel safe.
    pub async fn serve(&mut self) {
        let shared = self.shared.clone();
        let serving = self.server.serve(move |request| shared.answer(request));
        let telling = async {
            while let Some(event) = self.job_events.recv().await {
                self.shared.tell(event);
            }
        };
        tokio::join!(serving, telling);
    }

    /// Interrupts the commands that run, and waits until they have ended.
    pub async fn finish(self) {
        if let Some(jobs) = self.shared.jobs.take() {
            jobs.finish().await;
        }
    }
}

impl Shared {
    fn answer(self: &Rc<Self>, request: &Request) -> Response {
        let grant = self.access.borrow_mut().check(request);
        let grant = match grant {
            Ok(grant) => grant,
            Err(refusal) => return text(403, refusal.text()),
        };
        if let Grant::Token { cookie } = grant {
            let mut page = self.page();
            page.headers.push(("set-cookie", cookie));
            let link = self.access.borrow().link();
            self.link.send_replace(link);
            return page;
        }
        let access = self.access.borrow();
        let path = request.path.strip_prefix(access.place());
        match (&*request.method, path.unwrap_or_default()) {
            ("GET", "") => self.page(),
            ("GET", "events") => self.clone().stream(&request.query),
            ("POST", "run") => match serde_json::from_slice(&request.body) {
                Ok(wanted) => self.run(&wanted),
                Err(error) => text(400, &format!("{error}\n")),
            },
            ("POST", "interrupt") => {
                if let Some(jobs) = &*self.jobs.borrow() {
                    jobs.interrupt();
                }
                text(202, "")
            }
            _ => text(404, "there is no such page\n"),
        }
    }

    fn page(&self) -> Response {
        let nonce = Uuid::new_v4().simple().to_string();
        let access = self.access.borrow();
        let live = Live {
            name: &self.name,
            nonce: &nonce,
            place: access.place(),
        };
        let policy = format!(
            "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; \
             connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        // Rendering into a string fails only if a value cannot be displayed.
        let mut page = response(200, Body::Text(live.render().unwrap_or_default()));
        page.headers = headers("text/html; charset=utf-8");
        page.headers.push(("content-security-policy", policy));
        page
    }

    /// Begins the stream of messages for a page, whose choice is in the query.
    fn stream(self: Rc<Self>, query: &str) -> Response {
        let json = percent_decode_str(query).decode_utf8_lossy();
        let choice: Choice = match serde_json::from_str(&json) {
            Ok(choice) => choice,
            Err(error) => return text(400, &format!("{error}\n")),
        };
        let view = match View::new(choice, clock::zone()) {
            Ok(view) => view,
            Err(error) => return text(400, &format!("{error}\n")),
        };
        let source = match Source::attach(&self.home, self.tests.clone()) {
            Ok(source) => source,
            Err(error) => return text(500, &format!("cannot start a thread: {error}\n")),
        };
        let (send, events) = mpsc::channel(1);
        tokio::task::spawn_local(feed(self, view, source, send));
        let mut stream = response(200, Body::Stream(events));
        stream.headers = headers("text/event-stream");
        stream
    }

    /// Runs a command.
    fn run(&self, wanted: &Wanted) -> Response {
        let mut arguments = {
            let snapshot = self.roles.borrow();
            let roles = wanted.roles.iter();
            let roles: Vec<&Role> = roles.filter_map(|role| snapshot.role(role)).collect();
            if roles.is_empty() && wanted.command.takes_roles() {
                return text(404, "there is no such role\n");
            }
            wanted.command.arguments(&roles)
        };
        if wanted.command.takes_roles() {
            arguments.extend(wanted.roles.iter().map(ToString::to_string));
        }
        let id = self.started.get() + 1;
        self.started.set(id);
        let title = arguments.join(" ");
        self.titles.borrow_mut().insert(id, title.clone());
        let changed: &[RoleName] = if wanted.command.changes_roles() {
            &wanted.roles
        } else {
            &[]
        };
        let started = match &mut *self.jobs.borrow_mut() {
            Some(jobs) => jobs.start(id, &arguments, changed),
            None => return text(503, "the server ends\n"),
        };
        let begun = Job {
            id,
            title,
            line: None,
            success: None,
        };
        // There may be no page any more.
        let _ = self.told.send(begun);
        if let Err(error) = started {
            self.tell(Event::Printed(id, format!("error: {error}")));
            self.tell(Event::Ended(id, false));
        }
        text(202, "")
    }

    /// Tells all pages what a command does.
    fn tell(&self, event: Event) {
        let (id, line, success) = match event {
            Event::Printed(id, line) => (id, Some(crate::ui::text::clean(&line)), None),
            Event::Ended(id, success) => (id, None, Some(success)),
            Event::Input(_) | Event::Update(_) | Event::Failed(_) => return,
        };
        let title = match success {
            None => self.titles.borrow().get(&id).cloned(),
            Some(_) => self.titles.borrow_mut().remove(&id),
        };
        let told = Job {
            id,
            title: title.unwrap_or_default(),
            line,
            success,
        };
        // There may be no page any more.
        let _ = self.told.send(told);
    }
}

/// Sends messages to a page until it is gone.
async fn feed(shared: Rc<Shared>, mut view: View, mut source: Source, to: mpsc::Sender<String>) {
    source.show_logs(LogRequest::Resize(view.height()));
    let mut told = shared.told.subscribe();
    let running = shared.titles.borrow().clone().into_iter();
    let mut messages: Vec<Message> = running
        .map(|(id, title)| {
            Message::Job(Job {
                id,
                title,
                line: None,
                success: None,
            })
        })
        .collect();
    loop {
        for message in messages.drain(..) {
            if to.send(message.event()).await.is_err() {
                return;
            }
        }
        tokio::select! {
            update = source.next() => messages.push(shared.message(&mut view, &source, update)),
            job = told.recv() => match job {
                Ok(job) => messages.push(Message::Job(job)),
                // Lines that the page is too slow for are left out.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            },
            () = to.closed() => return,
        }
    }
}

impl Shared {
    fn last_run(&self) -> Result<Option<html::Part>, Error> {
        let loops = self.home.loops()?;
        let last = self.home.last_run()?;
        Ok(last.map(|last| html::part(&last, &loops)))
    }

    fn message(&self, view: &mut View, source: &Source, update: Update) -> Message {
        match update {
            Update::Roles(snapshot) => {
                if let Some(request) = view.select(&snapshot) {
                    source.show_logs(request);
                }
                let message = view.roles(&snapshot, clock::now());
                self.roles.replace(snapshot);
                message
            }
            Update::LastRun(_) => match self.last_run() {
                Ok(run) => Message::Run { run },
                Err(error) => Message::Trouble {
                    text: error.to_string(),
                },
            },
            Update::Page(page) => view.logs(page),
            Update::Trouble(text) => Message::Trouble {
                text: crate::ui::text::clean(&text),
            },
        }
    }
}

fn response(status: u16, body: Body) -> Response {
    Response {
        status,
        headers: headers("text/plain; charset=utf-8"),
        body,
    }
}

fn text(status: u16, text: &str) -> Response {
    response(status, Body::Text(text.to_owned()))
}

/// Returns the headers of every response.
fn headers(kind: &str) -> Vec<(&'static str, String)> {
    [
        ("content-type", kind),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}
