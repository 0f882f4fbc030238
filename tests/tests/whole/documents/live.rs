//! The pictures of the page of `cargo ansar ui --web`, in a browser.
//!
//! Fonts and versions of browsers differ, so a picture is renewed on demand, and
//! only its size is compared.

use std::fs;

use tests::{Browser, Signal, loopback, repository};

use super::commands::demonstration;

/// Roles beside those of the demonstration.
const ROLES: &str = r#"
[workspace.metadata.ansar.role.db-0]
program = "sh"
args = ["-c", """
echo 'starting PostgreSQL 15.10, listening on 127.0.0.1:20419'
echo 'database system is ready to accept connections'
while :; do echo 'checkpoint complete: wrote 112 buffers (0.7%)'; sleep 0.7; done"""]
ready = { log = "ready to accept connections" }
tags = ["storage"]
[workspace.metadata.ansar.role.cache-0]
program = "sh"
args = ["-c", "while :; do echo 'DB saved on disk'; sleep 0.9; done"]
tags = ["storage"]
[workspace.metadata.ansar.role.mail-0]
program = "sh"
args = ["-c", "sleep 0.6; echo 'no route to 127.0.0.1:2525: connection refused'; exit 1"]
restart = "on-failure"
"#;

/// Replaces what differs from machine to machine on the page.
const ANONYMOUS: &str = "
    document.querySelector('h1').firstChild.data = 'cargo-ansar ';
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        texts.currentNode.data = texts.currentNode.data
            .replaceAll('FOLDER', '/home/me/cargo-ansar').replaceAll('HOST', '127.0.0.1');
    }";

#[test]
fn the_pictures_of_the_page_can_be_made() {
    let host = loopback().to_string();
    let workspace = demonstration(&host);
    let Some(mut browser) = Browser::start(&workspace) else {
        return;
    };
    workspace.shell("cargo ansar test").run().success();
    let words = "test-fixtures/testing/model-by-role/server-0/word-map.json";
    workspace.edit(words, "droll", "witty");
    workspace.shell("cargo ansar test").run().code(100);
    let manifest = workspace.read("Cargo.toml") + ROLES;
    workspace.write("Cargo.toml", &manifest);
    workspace.ansar(["deploy"]).run().success();
    workspace.ansar(["start"]).run().success();
    let mut server = workspace.ansar(["ui", "--web"]).env("TZ", "UTC").start();
    let link = server.wait_for_next_on_stdout("http://127.0.0.1:");
    browser.open(link.trim());
    browser.wait_for("document.querySelector('#running .again')");
    browser.wait_for("document.querySelector('#failures article')");
    browser.wait_for("document.querySelectorAll('#lines-shown div').length > 12");
    let folder = workspace.path().display().to_string();
    let anonymous = ANONYMOUS.replace("FOLDER", &folder).replace("HOST", &host);
    for (width, highest) in [(1200, 1640), (420, 1850)] {
        for (is_dark, scheme) in [(false, "light"), (true, "dark")] {
            browser.show_as(width, is_dark);
            browser.evaluate(&format!("(() => {{{anonymous}}})()"));
            let picture = browser.picture(highest);
            let path = repository().join(format!("docs/src/images/page-{width}-{scheme}.png"));
            if is_renewed() {
                fs::write(&path, &picture).expect("the book can be written");
            }
            let kept = fs::read(&path).expect("the picture is kept");
            assert_eq!(columns(&picture), width);
            assert_eq!(columns(&kept), width, "{}", path.display());
        }
    }
    drop(browser);
    server.signal(Signal::SIGINT);
    server.wait().code(130);
    workspace.ansar(["stop"]).run().success();
}

#[expect(clippy::disallowed_methods, reason = "the developer asks for it there")]
fn is_renewed() -> bool {
    std::env::var("SNAPSHOTS").is_ok_and(|action| action == "overwrite")
}

/// Returns the width of a PNG file, in pixels.
fn columns(picture: &[u8]) -> u32 {
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"));
    let width = picture.get(16..20).expect("it has a header");
    u32::from_be_bytes(width.try_into().expect("it has four bytes"))
}
