//! Tests of the rules: each finds its violations in every form, and nothing
//! else.

use super::rules::{Allowed, Layout, violations};
use super::source::{Module, Source, less_tests};

const LAYOUT: Layout = Layout {
    layers: &[
        &["model"],
        &["host"],
        &["home", "delta"],
        &["ops"],
        &["report"],
    ],
    system: "host",
    printer: Some("report"),
    allowed: &[],
};

/// Returns the violations in these files of a crate, each with its text.
fn wrong(layout: &Layout, files: &[(&str, &str)]) -> Vec<String> {
    let module = |file: &str| -> Module {
        let path = file.trim_end_matches(".rs");
        let path = path.trim_end_matches("/mod").trim_end_matches("lib");
        path.split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    // Adds an empty file for every module in the layers.
    let others = ["model", "host", "home", "delta", "ops", "report"];
    let others = others.iter().map(|name| (format!("{name}/mod.rs"), ""));
    let given = files.iter().map(|(file, text)| ((*file).to_owned(), *text));
    let mut sources: Vec<Source> = Vec::new();
    for (file, text) in given.chain(others) {
        if sources.iter().all(|source| source.module != module(&file)) {
            sources.push(Source::parse(&file, module(&file), text));
        }
    }
    let found = violations(layout, &less_tests(sources));
    found.iter().map(ToString::to_string).collect()
}

/// Returns the violations of one text in the file `home/x.rs`.
fn wrong_in_home(text: &str) -> Vec<String> {
    wrong(&LAYOUT, &[("home/x.rs", text)])
}

#[test]
fn every_form_of_a_climbing_import_is_found() {
    for text in [
        "use crate::ops;",
        "use crate::ops::start;",
        "use crate::{model, ops::{start, stop}};",
        "use crate::{model::Role, ops as o};",
        "use super::super::ops::start;",
        "use super::super::{ops};",
        "fn f() { crate::ops::start() }",
        "fn f() { format!(\"{}\", crate::ops::NAME) }",
        "macro_rules! m { () => { $crate::ops::start() } }",
        "mod inner { use super::super::super::ops; }",
        "fn f(it: crate::ops::It) {}",
        "fn f() -> Vec<crate::ops::It> {}",
        "#[serde(with = \"x\")] #[x(crate::ops::It)] struct S;",
        "pub(crate) use crate::ops::*;",
    ] {
        let found = wrong_in_home(text);
        assert!(
            matches!(found.as_slice(), [one] if one.starts_with("home/x.rs:1 - names `ops`")),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn comments_literals_and_tests_are_ignored() {
    for text in [
        "// use crate::ops;",
        "/* use crate::ops; */",
        "/// See [`crate::ops`], `std::fs::read` and `println!`.\nfn f() {}",
        "const X: &str = \"crate::ops std::fs println!()\";",
        "const X: &str = r#\"use crate::ops;\"#;",
        "#[cfg(test)] mod tests { use crate::ops; fn f() { println!() } }",
        "#[cfg(all(test, unix))] use crate::ops;",
        "#[cfg(test)] use crate::{ops, report}; fn f() {}",
        "#[cfg(test)] #[derive(Debug)] struct S { it: crate::ops::It }",
        "#[test] fn f() { std::fs::read(\"x\"); }",
        "use crate::model::Role; use super::y; use self::z; fn f() { a.ops().env }",
        "use std::process::ExitCode; use std::time::{Duration, Instant};",
    ] {
        assert_eq!(wrong_in_home(text), [""; 0], "{text}");
    }
    let test_file = wrong(
        &LAYOUT,
        &[
            ("home/x.rs", "#[cfg(test)]\nmod tests;"),
            ("home/x/tests.rs", "use crate::ops;"),
        ],
    );
    assert_eq!(test_file, [""; 0]);
}

#[test]
fn code_after_a_test_item_is_checked() {
    for text in [
        "#[cfg(test)] use crate::model::{a, b}; use crate::ops;",
        "#[cfg(test)] const X: u8 = { 1 }; use crate::ops;",
        "#[cfg(test)] const fn f() {} use crate::ops;",
        "#[cfg(not(test))] use crate::ops;",
        "#[cfg(any(test, unix))] use crate::ops;",
    ] {
        assert_eq!(wrong_in_home(text).len(), 1, "{text}");
    }
}

#[test]
fn system_access_is_found_outside_host() {
    for (text, name) in [
        ("use std::fs;", "std::fs"),
        ("use std::{fs::File};", "std::fs"),
        ("fn f() { std::env::var(\"X\") }", "std::env"),
        ("fn f() { ::std::process::exit(1) }", "std::process::exit"),
        (
            "use std::process; fn f() { process::Command::new(\"x\") }",
            "std::process::Command",
        ),
        (
            "use std::time::Instant; fn f() { vec![Instant::now()] }",
            "std::time::Instant::now",
        ),
        ("use std::time::*;", "std::time::Instant::now"),
        ("use std::time::SystemTime as T;", "std::time::SystemTime"),
        (
            "use jiff::Timestamp as T; fn f() { T::now() }",
            "jiff::Timestamp::now",
        ),
        (
            "fn f() { tokio::select! { _ = tokio::signal::ctrl_c() => {} } }",
            "tokio::signal",
        ),
        ("use nix::unistd::Pid;", "nix"),
    ] {
        let found = wrong_in_home(text);
        let expected = format!("home/x.rs:1 - uses `{name}` outside `host`");
        assert!(found.contains(&expected), "{text}: {found:?}");
        assert_eq!(wrong(&LAYOUT, &[("host/x.rs", text)]), [""; 0], "{text}");
    }
}

#[test]
fn printing_is_found_outside_report() {
    for text in [
        "fn f() { println!(\"x\") }",
        "fn f() { vec![dbg!(1)] }",
        "fn f() { std::eprintln!() }",
        "use std::io::{self, Write}; fn f() { io::stderr().flush() }",
        "use anstream::println;",
    ] {
        assert!(!wrong_in_home(text).is_empty(), "{text}");
        let elsewhere = [("report/human.rs", text)];
        assert_eq!(wrong(&LAYOUT, &elsewhere), [""; 0], "{text}");
        let silent = Layout {
            printer: None,
            ..LAYOUT
        };
        assert_eq!(wrong(&silent, &[("home/x.rs", text)]), [""; 0], "{text}");
    }
}

#[test]
fn every_edge_of_a_cycle_is_reported() {
    let found = wrong(
        &LAYOUT,
        &[
            ("home/a.rs", "\nuse super::b::B;"),
            ("home/b.rs", "use crate::home::c;"),
            ("home/c.rs", "fn f() { super::a::g() }"),
            ("home/mod.rs", "mod a; mod b; mod c; use self::a::A;"),
            ("home/d.rs", "use super::e; use super::TOP;"),
            ("home/e.rs", ""),
        ],
    );
    let ring = "home::a → home::b → home::c → home::a";
    assert_eq!(
        found,
        [
            format!("home/a.rs:2 - names `home::b` in a cycle, {ring}"),
            format!("home/b.rs:1 - names `home::c` in a cycle, {ring}"),
            format!("home/c.rs:1 - names `home::a` in a cycle, {ring}"),
        ]
    );
    let found = wrong(
        &LAYOUT,
        &[
            ("home/a.rs", "use crate::delta::x;"),
            ("delta/x.rs", "use crate::home::b;"),
            ("home/b.rs", ""),
        ],
    );
    let ring = "delta → home → delta";
    assert_eq!(
        found,
        [
            format!("delta/x.rs:1 - names `home` in a cycle, {ring}"),
            format!("home/a.rs:1 - names `delta` in a cycle, {ring}"),
        ]
    );
}

#[test]
fn the_crate_root_may_only_re_export() {
    let root = (
        "lib.rs",
        "pub use model::role::Role; pub mod ops; fn own() {}",
    );
    let role = (
        "model/role.rs",
        "#[macro_export] macro_rules! named { () => {} }",
    );
    for (text, count) in [
        ("use crate::Role;", 0),
        ("use crate::named;", 0),
        ("use crate::own;", 1),
        ("use crate::*;", 1),
    ] {
        let found = wrong(&LAYOUT, &[root, role, ("home/x.rs", text)]);
        assert_eq!(found.len(), count, "{text}: {found:?}");
    }
}

#[test]
fn a_module_without_a_layer_is_named() {
    let found = wrong(&LAYOUT, &[("utils.rs", "use crate::model;")]);
    assert_eq!(found, ["utils.rs:1 - module `utils` has no layer"]);
}

#[test]
fn one_file_may_end_the_process() {
    let text = "fn f() { std::process::exit(1) }";
    assert_eq!(wrong(&LAYOUT, &[("host/a.rs", text)]), [""; 0]);
    let found = wrong(&LAYOUT, &[("host/a.rs", text), ("host/b.rs", text)]);
    assert_eq!(
        found,
        [
            "host/a.rs:1 - ends the process, as 2 files do",
            "host/b.rs:1 - ends the process, as 2 files do",
        ]
    );
}

#[test]
fn unused_exceptions_are_reported() {
    let layout = Layout {
        allowed: &[Allowed {
            file: "home/x.rs",
            name: "std::fs",
            reason: "because",
        }],
        ..LAYOUT
    };
    let text = "use std::fs::File;";
    assert_eq!(wrong(&layout, &[("home/x.rs", text)]), [""; 0]);
    assert_eq!(
        wrong(&layout, &[("home/x.rs", "use std::env; use std::fs;")]).len(),
        1
    );
    assert_eq!(
        wrong(&layout, &[("home/y.rs", text)]),
        [
            "home/x.rs:1 - does not use `std::fs`, but is allowed to: because",
            "home/y.rs:1 - uses `std::fs` outside `host`",
        ]
    );
}
