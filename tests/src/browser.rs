//! A headless browser that tests drive, through the protocol of its developer tools.
//!
//! The browser reads requests from a pipe and writes its answers to another one:
//! JSON texts, each followed by a zero byte.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::sync::mpsc::{Receiver, channel};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::deadline::{PATIENCE, eventually};
use crate::running::Running;
use crate::sandbox::Sandbox;
use crate::servers::first_server;
use crate::stream::pipe;

/// Programs that are such a browser.
const NAMES: [&str; 5] = [
    "chromium-headless-shell",
    "chrome-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
];

/// A headless browser with one page. Dropping it kills it.
pub struct Browser<'s> {
    running: Option<Running<'s>>,
    to: File,
    messages: Receiver<Value>,
    asked: u64,
    session: Option<String>,
    /// Its files. Separate from the sandbox, as it creates a socket, whose path
    /// must be short.
    _files: TempDir,
}

impl<'s> Browser<'s> {
    /// Starts a browser; returns `None` if there is none and the test is skipped.
    #[track_caller]
    pub fn start(sandbox: &'s Sandbox) -> Option<Self> {
        let program = first_server(&NAMES)?;
        let files = tempfile::tempdir().expect("there is a folder for temporary files");
        let (its_input, to) = pipe();
        let (from, its_output) = pipe();
        let running = sandbox
            .program(program)
            .env("TMPDIR", files.path())
            .args(["--headless", "--no-sandbox", "--disable-gpu"])
            .args([
                "--no-first-run",
                "--disable-extensions",
                "--hide-scrollbars",
            ])
            .args(["--font-render-hinting=none", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", files.path().display()))
            .stdin_from(its_input)
            .redirected("3<&0 4>&1 </dev/null >/dev/null")
            .stdout(its_output)
            .start();
        let mut browser = Self {
            running: Some(running),
            to: File::from(to),
            messages: read(File::from(from)),
            asked: 0,
            session: None,
            _files: files,
        };
        let target = browser.ask("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.ask("Target.attachToTarget", &attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        Some(browser)
    }

    /// Opens an address, and waits until its page is loaded.
    #[track_caller]
    pub fn open(&mut self, address: &str) {
        let opened = self.ask("Page.navigate", &json!({ "url": address }));
        assert_eq!(opened["errorText"], Value::Null, "{address}");
        self.wait_for("document.readyState === 'complete'");
    }

    /// Evaluates an expression on the page, and returns its value, also that of a
    /// promise.
    #[track_caller]
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let mut answer = self.ask(
            "Runtime.evaluate",
            &json!({ "expression": expression, "awaitPromise": true, "returnByValue": true }),
        );
        let exception = &answer["exceptionDetails"];
        assert!(exception.is_null(), "{expression}: {exception}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is neither false, null, zero nor empty; returns
    /// its value.
    #[track_caller]
    pub fn wait_for(&mut self, expression: &str) -> Value {
        let found = eventually(|| {
            let value = self.evaluate(expression);
            let is_false =
                matches!(&value, Value::Null | Value::Bool(false)) || value == 0 || value == "";
            (!is_false).then_some(value)
        });
        found.unwrap_or_else(|| {
            let text = self.evaluate("document.body.innerText");
            let text = text.as_str().unwrap_or_default();
            panic!("`{expression}` does not become true on the page:\n{text}")
        })
    }

    /// Clicks the middle of the first element that a selector finds.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let quoted = Value::from(selector);
        let place = self.wait_for(&format!(
            "(() => {{
                const found = document.querySelector({quoted});
                found?.scrollIntoView({{ block: 'center', behavior: 'instant' }});
                const box = found?.getBoundingClientRect();
                return box?.width ? [box.x + box.width / 2, box.y + box.height / 2] : null;
            }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1,
            });
            self.ask("Input.dispatchMouseEvent", &event);
        }
    }

    /// Presses a key, such as `Tab` or `Enter`.
    #[track_caller]
    pub fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, None),
            "Enter" => (13, Some("\r")),
            other => panic!("the code of {other} is not known"),
        };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code,
                "text": text.filter(|_| kind == "keyDown").unwrap_or_default(),
            });
            self.ask("Input.dispatchKeyEvent", &event);
        }
    }

    /// Types text into the element that has the focus.
    #[track_caller]
    pub fn types(&mut self, text: &str) {
        self.ask("Input.insertText", &json!({ "text": text }));
    }

    /// Returns the page as a screen reader is told of it: role and name of every
    /// element that has both.
    #[track_caller]
    pub fn accessible(&mut self) -> Vec<(String, String)> {
        let tree = self.ask("Accessibility.getFullAXTree", &json!({}));
        let nodes = tree["nodes"].as_array().expect("there is a tree").iter();
        let shown = nodes.filter(|node| node["ignored"] == false);
        let named = shown.map(|node| {
            let text = |name: &str| node[name]["value"].as_str().unwrap_or_default().to_owned();
            (text("role"), text("name"))
        });
        named.collect()
    }

    /// Shows the page in a window of a width, in light or dark colours.
    #[track_caller]
    pub fn show_as(&mut self, width: u32, is_dark: bool) {
        let size = json!({
            "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false,
        });
        self.ask("Emulation.setDeviceMetricsOverride", &size);
        let scheme = if is_dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.ask(
            "Emulation.setEmulatedMedia",
            &json!({ "features": [feature] }),
        );
    }

    /// Returns a picture of the page, as a PNG file: of its whole width, and of its
    /// height up to `highest`.
    #[track_caller]
    pub fn picture(&mut self, highest: u32) -> Vec<u8> {
        let size = self.ask("Page.getLayoutMetrics", &json!({}))["cssContentSize"].take();
        let height = size["height"].as_f64().unwrap_or_default();
        let clip = json!({
            "x": 0, "y": 0, "width": size["width"], "height": height.min(f64::from(highest)),
            "scale": 1,
        });
        let options = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.ask("Page.captureScreenshot", &options);
        let data = picture["data"].as_str().expect("there is a picture");
        BASE64_STANDARD.decode(data).expect("it is base64")
    }

    /// Sends a request, and waits for its result.
    #[track_caller]
    fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.asked += 1;
        let mut request = json!({ "id": self.asked, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            request["sessionId"] = session.as_str().into();
        }
        let sent = write!(self.to, "{request}\0");
        sent.expect("the browser runs");
        loop {
            let Ok(mut message) = self.messages.recv_timeout(PATIENCE) else {
                panic!("the browser does not answer {method}");
            };
            if message["id"] == self.asked {
                let error = &message["error"];
                assert!(error.is_null(), "{method}: {error}");
                return message["result"].take();
            }
        }
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        // Its processes end with it, which they do not if it is killed.
        let request = json!({ "id": 0, "method": "Browser.close" });
        let is_told = write!(self.to, "{request}\0").is_ok();
        let running = self.running.take();
        if let Some(running) = running.filter(|_| is_told && !std::thread::panicking()) {
            running.wait();
        }
    }
}

/// Reads messages on a thread.
fn read(from: File) -> Receiver<Value> {
    let (send, messages) = channel();
    std::thread::spawn(move || {
        for message in BufReader::new(from).split(0) {
            let message = message.ok().and_then(|it| serde_json::from_slice(&it).ok());
            let Some(message) = message else {
                return;
            };
            if send.send(message).is_err() {
                return;
            }
        }
    });
    messages
}
