//! Tests that read the page as a tree of elements, without a browser: its tags
//! are balanced, and its texts are those of the run, including hostile ones.

use crate::model::run_report::TestResult;
use crate::report::html::*;
use crate::report::sample;

/// Returns the elements of a page: each tag with its attributes, and the text
/// that follows it.
fn elements(page: &str) -> Vec<(&str, &str)> {
    let tags = page.split('<').skip(1);
    tags.map(|tag| tag.split_once('>').expect("a tag ends"))
        .collect()
}

/// Returns the text of a page without markup.
fn texts(page: &str) -> String {
    let texts = elements(page).into_iter().map(|(_, text)| text);
    let text: String = texts.collect();
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    let text = text.replace("&quot;", "\"").replace("&#39;", "'");
    text.replace("&amp;", "&")
}

#[track_caller]
fn is_balanced(page: &str) {
    let mut open = Vec::new();
    for (tag, _) in elements(page) {
        let name = tag
            .split([' ', '/'])
            .find(|part| !part.is_empty())
            .unwrap_or_default();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "`<{tag}>`");
        } else if !tag.starts_with('!') && !tag.ends_with('/') && name != "meta" {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn everything_that_was_found_is_on_the_page() {
    let last = sample::last();
    let page = page(&last, &[]);
    is_balanced(&page);
    let texts = texts(&page);
    for row in &last.report.roles {
        assert!(texts.contains(row.role.as_str()), "{row:?}");
    }
    let run = &last.report;
    for failure in run.failures.iter().chain(run.flakes()) {
        assert!(texts.contains(&failure.place()), "{failure:?}");
        for line in failure.text.lines() {
            assert!(texts.contains(line), "{line}");
        }
        for said in &failure.context {
            assert!(texts.contains(&short(&said.text)), "{said:?}");
        }
    }
}

#[test]
fn tests_of_a_target_are_listed_and_collapsed() {
    let mut last = sample::last();
    let row = &mut last.report.roles[0];
    let tests = (0..5000).map(|number| TestResult {
        name: format!("orders::test_{number}"),
        passed: number != 7,
        elapsed: (number != 8).then_some(f64::from(number) / 10_000.0),
    });
    row.tests = tests.collect();
    row.unfinished = vec!["orders::endless".to_owned()];
    row.ignored = 2;
    last.report.failures[0].test = Some("orders::test_7".to_owned());
    let page = page(&last, &[]);
    is_balanced(&page);
    assert!(page.len() < 1 << 20, "{}", page.len());
    let (_, tests) = page.split_once("<section id=\"tests\">").unwrap();
    let (tests, _) = tests.split_once("</section>").unwrap();
    assert!(
        tests.contains("<details class=\"card\">"),
        "it is collapsed"
    );
    assert!(tests.contains("5001 tests, 1 failed, 1 unfinished, 2 ignored"));
    let rows: Vec<String> = tests.split("<tr>").skip(1).map(texts).collect();
    assert_eq!(rows.len(), 5001);
    let lines: Vec<&str> = rows.iter().map(|row| row.trim()).collect();
    assert!(
        lines[0].starts_with("failedorders::test_7 /ws/src/a.rs:7:5"),
        "{}",
        lines[0]
    );
    assert_eq!(lines[1], "unfinishedorders::endless");
    assert_eq!(lines[2], "passedorders::test_0<1ms");
    assert!(
        lines.contains(&"passedorders::test_8"),
        "a time that is not known is empty"
    );
    assert!(lines.contains(&"passedorders::test_4000400ms"));
}

#[test]
fn the_lines_of_the_timeline_are_drawn_to_scale() {
    let page = page(&sample::last(), &[]);
    for line in [
        r#"<rect class="build" data-from="0" data-to="800" x="0.0" width="347.8""#,
        r#"<rect class="run" data-from="1150" data-to="2100" x="500.0" width="413.0""#,
    ] {
        assert!(page.contains(line), "{line} in {page}");
    }
}

#[test]
fn the_last_loops_are_a_strip() {
    use crate::home::loops::{Loop, LoopVerdict, VERSION};

    let of = |verdict| Loop {
        version: VERSION,
        at: jiff::Timestamp::UNIX_EPOCH,
        verdict,
        failed: 2,
        deployed: 1,
        build: 1.0,
        deploy: 0.0,
        start: 0.0,
        test: 1.0,
    };
    let loops = [LoopVerdict::Passed, LoopVerdict::Failed, LoopVerdict::Error].map(of);
    let page = page(&sample::last(), &loops);
    is_balanced(&page);
    for text in [
        r#"<span class="passed">2.0s</span>"#,
        r#"aria-label="00:00:00: 2 failed, 1 deployed; build 1.00s, "#,
        r#"<rect class="run" y="0.0" width="10" height="50.0"/>"#,
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
}

#[test]
fn nothing_of_the_page_is_elsewhere_and_nothing_is_run() {
    let mut last = sample::last();
    let hostile = "\"'><img src=http://x onerror=alert(1)><script>alert(2)</script>";
    for failure in &mut last.report.failures {
        failure.text = format!("{hostile}\n- {hostile}");
        failure.source = hostile.to_owned();
        failure.context[0].text = hostile.to_owned();
    }
    last.report.command = hostile.to_owned();
    let page = page(&last, &[]);
    is_balanced(&page);
    for (tag, _) in elements(&page) {
        for word in ["script", "img", "link", "iframe", "object"] {
            assert_ne!(tag.split(' ').next(), Some(word), "<{tag}>");
        }
        let attributes = [" src=", " href=", " on", "url("];
        assert!(!attributes.iter().any(|it| tag.contains(it)), "<{tag}>");
    }
    assert!(
        !include_str!("page.css").contains("url(") && !include_str!("page.css").contains("@import")
    );
    assert!(texts(&page).contains(hostile));
}
