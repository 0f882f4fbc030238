//! The page of `cargo ansar ui --web`, in a browser and for other clients.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::Value;
use tests::{Browser, Running, Signal, Workspace};

use crate::ui::deployed;

/// The row of a role, as an expression of the page.
fn row(role: &str) -> String {
    format!("document.querySelector('[data-role={role}]')?.closest('tr')")
}

/// A button of a role.
fn button(role: &str, command: &str) -> String {
    format!("button[data-role={role}][data-command={command}]")
}

/// Starts a server, and returns its first link.
#[track_caller]
fn served(workspace: &Workspace) -> (Running<'_>, String) {
    let mut server = workspace.ansar(["ui", "--web"]).env("TZ", "UTC").start();
    let link = server.wait_for_next_on_stdout("http://127.0.0.1:");
    (server, link.trim().to_owned())
}

/// Starts a server, and opens its page; returns `None` if there is no browser.
#[track_caller]
fn opened(workspace: &Workspace) -> Option<(Running<'_>, Browser<'_>)> {
    let mut browser = Browser::start(workspace)?;
    let (server, link) = served(workspace);
    browser.open(&link);
    browser.wait_for(&row("clock-0"));
    Some((server, browser))
}

#[track_caller]
fn end(server: Running<'_>) {
    server.signal(Signal::SIGINT);
    server.wait().code(130);
}

/// Waits until a role is in a state, and returns the text of its row.
#[track_caller]
fn wait_for_state(browser: &mut Browser<'_>, role: &str, state: &str) -> String {
    let row = row(role);
    let text = browser.wait_for(&format!(
        "(row => row?.dataset.state === '{state}' && row.innerText)({row})"
    ));
    text.as_str().unwrap_or_default().to_owned()
}

/// Waits until the page shows a process of a role other than `before`, and
/// returns it.
#[track_caller]
fn process(browser: &mut Browser<'_>, role: &str, before: i32) -> i32 {
    let row = row(role);
    let pid = browser.wait_for(&format!(
        "(pid => pid !== {before} && pid)(Number({row}.cells[6].innerText))"
    ));
    i32::try_from(pid.as_i64().expect("it is a number")).expect("it is a process id")
}

/// Waits until a screen reader is told of something.
#[track_caller]
fn wait_until_said(browser: &mut Browser<'_>, text: &str) {
    browser.wait_for(&format!(
        "document.querySelector('#said').textContent.includes('{text}')"
    ));
}

#[test]
fn buttons_start_restart_and_stop_a_role() {
    let workspace = deployed();
    let Some((server, mut browser)) = opened(&workspace) else {
        return;
    };
    wait_for_state(&mut browser, "clock-0", "stopped");
    browser.click(&button("clock-0", "start"));
    wait_for_state(&mut browser, "clock-0", "ready");
    let first = process(&mut browser, "clock-0", 0);
    browser.wait_for("document.querySelector('#jobs .passed')");
    browser.click(&button("clock-0", "restart"));
    let second = process(&mut browser, "clock-0", first);
    browser.wait_for("document.querySelectorAll('#jobs .passed').length === 2");
    let status = workspace.ansar(["status", "--format", "json"]).run();
    assert_eq!(status.json_lines()[0]["pid"], second);

    // The server breaks.
    kill(Pid::from_raw(second), Signal::SIGKILL).expect("it runs");
    let text = wait_for_state(&mut browser, "clock-0", "failed");
    assert!(text.contains("killed by signal 9"), "{text}");
    wait_until_said(&mut browser, "clock-0 failed");

    browser.click(&button("clock-0", "start"));
    wait_for_state(&mut browser, "clock-0", "ready");
    browser.wait_for("document.querySelectorAll('#jobs .passed').length === 3");
    browser.click(&button("clock-0", "stop"));
    wait_for_state(&mut browser, "clock-0", "stopped");
    drop(browser);
    end(server);
}

#[test]
fn a_test_run_shows_its_verdict() {
    let workspace = deployed();
    let Some((server, mut browser)) = opened(&workspace) else {
        return;
    };
    browser.wait_for("document.querySelector('#run-about').innerText === 'no run yet'");
    browser.click("button[data-command=test]");
    let failure = browser.wait_for("document.querySelector('#failures article')?.innerText");
    let failure = failure.as_str().unwrap_or_default();
    assert!(failure.contains("exited with 3"), "{failure}");
    browser.wait_for("document.querySelector('#run-verdict .failed')");
    // The command says why, and is open since it failed.
    browser.wait_for("document.querySelector('#jobs details[open] .failed')");

    workspace.edit("Cargo.toml", "exit 3", "exit 0");
    browser.click("button[data-command=test-failed]");
    browser.wait_for("document.querySelector('#run-verdict .passed')");
    wait_until_said(&mut browser, "last run: Passed");
    drop(browser);
    end(server);
}

#[test]
fn logs_are_filtered_and_are_text() {
    let workspace = deployed();
    workspace.edit(
        "Cargo.toml",
        "echo begun",
        "echo begun '<img src=x onerror=document.title=1>'",
    );
    workspace.ansar(["deploy"]).run().success();
    workspace.ansar(["start"]).run().success();
    let Some((server, mut browser)) = opened(&workspace) else {
        return;
    };
    let log = "document.querySelector('#lines-shown').innerText";
    browser.wait_for(&format!("{log}.includes('100000')"));
    browser.click("#pattern");
    browser.types("begun");
    browser.press("Enter");
    let shown = browser.wait_for(&format!(
        "(text => !text.includes('100000') && text)({log})"
    ));
    let shown = shown.as_str().unwrap_or_default();
    assert!(shown.contains("begun <img src=x onerror"), "{shown}");
    assert_eq!(browser.evaluate("document.images.length"), 0);
    // A pattern that is none is told, and the lines stay.
    browser.click("#pattern");
    browser.types("(");
    browser.press("Enter");
    browser.wait_for("!document.querySelector('#filter-error').hidden");
    let errors = "document.querySelector('#filter-error').innerText";
    browser.wait_for(&format!("{errors}.includes('begun(')"));
    drop(browser);
    end(server);
    workspace.ansar(["stop"]).run().success();
}

#[test]
fn the_page_works_with_keyboard_and_screen_reader() {
    let workspace = deployed();
    let Some((server, mut browser)) = opened(&workspace) else {
        return;
    };
    wait_for_state(&mut browser, "clock-0", "stopped");
    let names = browser.accessible();
    let has = |role: &str, name: &str| names.iter().any(|it| it.0 == role && it.1 == name);
    for (role, name) in [
        ("button", "Run tests"),
        ("button", "Start clock-0"),
        ("button", "Run test-wrong"),
        ("combobox", "Level"),
        ("searchbox", "Pattern"),
        ("checkbox", "follow"),
        ("log", "Logs"),
        ("rowheader", "clock-0"),
        ("columnheader", "State"),
    ] {
        assert!(has(role, name), "no {role} `{name}` in {names:?}");
    }
    for (role, name) in &names {
        let is_control = ["button", "combobox", "searchbox", "checkbox", "link"];
        assert!(!is_control.contains(&&**role) || !name.is_empty(), "{role}");
    }
    let focus = "document.activeElement.getAttribute('aria-label')";
    for _ in 0..30 {
        browser.press("Tab");
        if browser.evaluate(focus) == "Start clock-0" {
            break;
        }
    }
    assert_eq!(browser.evaluate(focus), "Start clock-0");
    browser.press("Enter");
    wait_for_state(&mut browser, "clock-0", "ready");
    wait_until_said(&mut browser, "start clock-0: done");
    // The focus does not fall back to the top of the page when its button goes.
    assert_eq!(browser.evaluate(focus), "Restart clock-0");
    drop(browser);
    workspace.ansar(["stop"]).run().success();
    end(server);
}

#[test]
fn a_page_without_its_server_says_so() {
    let workspace = deployed();
    let Some((server, mut browser)) = opened(&workspace) else {
        return;
    };
    let banner = "(it => !it.hidden && it.innerText)(document.querySelector('#connection'))";
    assert_eq!(browser.evaluate(banner), false);
    end(server);
    let text = browser.wait_for(banner);
    let text = text.as_str().unwrap_or_default();
    assert!(text.contains("What is shown is old"), "{text}");
    let disabled = "document.querySelector('button[data-command=test]').disabled";
    assert_eq!(browser.evaluate(disabled), true);
}

#[test]
fn a_used_or_wrong_link_is_refused() {
    let workspace = deployed();
    let Some(mut browser) = Browser::start(&workspace) else {
        return;
    };
    let (mut server, link) = served(&workspace);
    let refused = "document.body.innerText.startsWith('refused: ')";
    browser.open(&format!("{link}0"));
    assert_eq!(browser.evaluate(refused), true);
    browser.open(&link);
    browser.wait_for(&row("clock-0"));
    // The token is not in the history, and the page can be loaded again.
    let shown = browser.evaluate("location.href");
    assert!(
        !shown.as_str().unwrap_or_default().contains("token"),
        "{shown}"
    );
    browser.open(shown.as_str().unwrap_or_default());
    browser.wait_for(&row("clock-0"));
    let next = server.wait_for_next_on_stdout("http://127.0.0.1:");
    assert_ne!(next.trim(), link);
    // Another browser, which has no cookie.
    let mut other = Browser::start(&workspace).expect("there is one");
    other.open(&link);
    assert_eq!(other.evaluate(refused), true);
    other.open(next.trim());
    other.wait_for(&row("clock-0"));
    drop((browser, other));
    end(server);
}

/// Sends a request with these lines, and returns the response.
#[track_caller]
fn ask(host: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(host).expect("it listens");
    let length = body.len();
    write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

/// Another client of a server.
struct Client {
    host: String,
    place: String,
    cookie: String,
}

impl Client {
    /// Uses a link.
    fn enter(link: &str) -> Self {
        let address = link.strip_prefix("http://").expect("it is a link");
        let (host, path) = address.split_once('/').expect("it has a path");
        let head = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n");
        let page = ask(host, &head, "");
        assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
        let (_, cookie) = page.split_once("\r\nset-cookie: ").expect("it has one");
        let (cookie, attributes) = cookie.split_once("; ").expect("it has attributes");
        let attributes = attributes.lines().next().unwrap_or_default();
        let place = attributes.strip_prefix("HttpOnly; SameSite=Strict; Path=");
        Self {
            host: host.to_owned(),
            place: place.expect("it is strict").to_owned(),
            cookie: cookie.to_owned(),
        }
    }

    /// Begins the stream of a page, and waits until it tells of the roles.
    fn attend(&self) -> Stream {
        let (host, place, cookie) = (&self.host, &self.place, &self.cookie);
        let mut stream = TcpStream::connect(host).expect("it listens");
        let head = format!("GET {place}events?%7B%7D HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}");
        write!(stream, "{head}\r\n\r\n").expect("it reads");
        let mut stream = Stream(BufReader::new(stream));
        stream.wait_for("\"clock-0\"");
        stream
    }

    /// Asks to start a role; returns the status.
    fn start(&self, place: &str, lines: &str) -> String {
        let head = format!("POST {place}run HTTP/1.1\r\n{lines}");
        let answer = ask(
            &self.host,
            &head,
            r#"{"command":"start","roles":["clock-0"]}"#,
        );
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    }
}

/// The messages of a page.
struct Stream(BufReader<TcpStream>);

impl Stream {
    /// Waits for a message that contains a text.
    fn wait_for(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            let length = self.0.read_line(&mut line).expect("it is text");
            assert!(length > 0, "the stream has ended");
        }
    }
}

#[test]
fn other_origins_and_hosts_are_refused() {
    let workspace = deployed();
    let (server, link) = served(&workspace);
    let client = Client::enter(&link);
    let mut page = client.attend();
    let Client {
        host,
        place,
        cookie,
    } = &client;
    let own = format!("Host: {host}\r\nOrigin: http://{host}\r\nCookie: {cookie}\r\n");
    for (lines, place) in [
        (format!("Host: {host}\r\nCookie: {cookie}\r\n"), place),
        (own.replace("Origin: http://", "Origin: http://x."), place),
        (
            own.replace("Origin: http://127.0.0.1", "Origin: http://localhost"),
            place,
        ),
        (format!("{own}Sec-Fetch-Site: cross-site\r\n"), place),
        (
            own.replace("Host: 127.0.0.1", "Host: rebound.example"),
            place,
        ),
        (own.replace("Cookie: ansar=", "Cookie: ansar=0"), place),
        (own.clone(), &"/".to_owned()),
    ] {
        assert_eq!(client.start(place, &lines), "403", "{lines}");
    }
    let listed = workspace.ansar(["status", "--format", "json"]).run();
    assert_eq!(listed.json_lines(), [] as [Value; 0]);
    assert_eq!(client.start(place, &own), "202");
    page.wait_for("\"success\":true");
    let events = format!("GET {place}events?%7B%7D HTTP/1.1\r\n{own}");
    assert!(ask(host, &events.replace("%7B", "x"), "").starts_with("HTTP/1.1 400 "));
    end(server);
    drop(page);
    workspace.ansar(["stop"]).run().success();
}

#[test]
fn a_page_of_another_origin_reaches_nothing() {
    let workspace = deployed();
    let Some(mut browser) = Browser::start(&workspace) else {
        return;
    };
    let (server, link) = served(&workspace);
    browser.open(&link);
    browser.wait_for(&row("clock-0"));
    let place = browser.evaluate("location.href");
    let place = place.as_str().unwrap_or_default();
    // It knows the secret path, and the browser has the cookie.
    browser.open("about:blank");
    let body = r#"JSON.stringify({ command: "start", roles: ["clock-0"] })"#;
    for mode in ["no-cors", "cors"] {
        browser.evaluate(&format!(
            "fetch('{place}run', {{ method: 'POST', mode: '{mode}', credentials: 'include', \
             body: {body} }}).catch(() => null).then(() => null)"
        ));
    }
    let read = format!("fetch('{place}').then(it => it.text(), () => 'nothing')");
    assert_eq!(browser.evaluate(&read), "nothing");
    let framed = format!(
        "new Promise(told => {{
            const frame = document.createElement('iframe');
            frame.onload = () => told(true);
            frame.src = '{place}';
            document.body.append(frame);
        }}).then(() => {{
            try {{ return frames[0].document.body.innerText; }} catch {{ return 'nothing'; }}
        }})"
    );
    assert_eq!(browser.evaluate(&framed), "nothing");
    browser.open(place);
    browser.wait_for(&row("clock-0"));
    assert_eq!(
        browser.evaluate("document.querySelector('#jobs').children.length"),
        0
    );
    wait_for_state(&mut browser, "clock-0", "stopped");
    drop(browser);
    end(server);
}
