//! JUnit files: they follow their schema, and their counts are right.

use super::schema::{Element, Schema};
use crate::test::{CLIENT, CLIENT_RS, Group, SERVER};

const SCHEMA: &str = include_str!("junit.xsd");

/// A file whose stated counts were checked.
pub(crate) struct File {
    root: Element,
    pub(crate) tests: usize,
    pub(crate) failures: usize,
    pub(crate) errors: usize,
}

impl File {
    /// Returns the number of elements with this name, at any depth.
    pub(crate) fn count(&self, name: &str) -> usize {
        count(&self.root, name)
    }
}

fn count(element: &Element, name: &str) -> usize {
    let below = element.children.iter().map(|child| count(child, name));
    below.sum::<usize>() + usize::from(element.name == name)
}

/// Reads a file that follows the schema and has correct counts.
#[track_caller]
pub(crate) fn checked(text: &str) -> File {
    let root = Element::read(text);
    let wrong = Schema::read(SCHEMA).wrong(&root);
    assert_eq!(wrong, Vec::<String>::new(), "{text}");
    let number = |element: &Element, name: &str| -> usize {
        element.attributes[name].parse().expect("it is a number")
    };
    for suite in root.children.iter().chain([&root]) {
        for (stated, counted) in [
            ("tests", "testcase"),
            ("failures", "failure"),
            ("errors", "error"),
            ("skipped", "skipped"),
        ] {
            assert_eq!(
                number(suite, stated),
                count(suite, counted),
                "{stated} in {text}"
            );
        }
    }
    File {
        tests: number(&root, "tests"),
        failures: number(&root, "failures"),
        errors: number(&root, "errors"),
        root,
    }
}

#[test]
fn every_outcome_follows_the_schema() {
    let group = Group::of(&[
        SERVER,
        CLIENT,
        r#"test-differs = { executable = "talks", input = "difference" }"#,
        r#"test-error = { executable = "talks", input = "error" }"#,
        r#"test-many = { executable = "talks", input = "many" }"#,
        r#"test-crash = { executable = "silent" }"#,
        r#"test-flaky = { executable = "talks", input = "flaky" }"#,
    ]);
    group.edit(CLIENT_RS, "b\"eager\"", "b\"<![CDATA[ & \\x00\\x1b ]]>\"");
    let output = group.test(["--retries=1", "--junit=made/junit.xml"]).run();
    output.code(100);
    let text = group.read("made/junit.xml");
    let file = checked(&text);
    assert_eq!(
        (file.tests, file.failures, file.errors),
        (6, 3, 2),
        "{text}"
    );
    assert_eq!(file.count("flakyFailure"), 1, "{text}");
    assert_eq!(
        (file.count("rerunFailure"), file.count("rerunError")),
        (3, 2),
        "{text}"
    );

    // Also validated by `xmllint`, if installed.
    let found = group.shell("command -v xmllint").run();
    if found.status.success() {
        group.write("junit.xsd", SCHEMA);
        let judged = group
            .shell("xmllint --noout --schema junit.xsd made/junit.xml")
            .run();
        judged.success();
    }

    // Nothing was run, and the file has an error that says why.
    group.describe(&[
        r#"broken-0 = { executable = "panics" }"#,
        r#"test-flaky = { executable = "talks", input = "flaky" }"#,
    ]);
    group.test(["--junit=made/junit.xml"]).run().code(100);
    let text = group.read("made/junit.xml");
    let file = checked(&text);
    assert_eq!((file.count("testcase"), file.errors), (2, 1), "{text}");
}

#[test]
fn the_schema_check_finds_errors() {
    let good = "<testsuites name='n' tests='1' skipped='0' failures='0' errors='0' time='0.5'>\
         <testsuite name='n' tests='1' skipped='0' failures='0' errors='0' time='0.5'>\
         <testcase name='a' classname='n' time='0.5'/></testsuite></testsuites>";
    checked(good);
    for (from, to, wrong) in [
        (" time='0.5'/>", " time='soon'/>", "`time` of `testcase`"),
        (
            " tests='1' skipped='0' failures='0' errors='0' time='0.5'><testcase",
            "><testcase",
            "has no `tests`",
        ),
        (" classname='n'", " class='n'", "unknown attribute `class`"),
        ("<testcase name", "<failure/><testcase name", "`failure`"),
        ("<testsuite name", "text<testsuite name", "text"),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good, "{from}");
        let found = Schema::read(SCHEMA).wrong(&Element::read(&bad));
        assert!(
            found.iter().any(|it| it.contains(wrong)),
            "{wrong}: {found:?}"
        );
    }
}
