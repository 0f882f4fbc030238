//! Every link has a target, and the book's summary has every chapter.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use regex::Regex;
use tests::repository;

use super::page::{BOOK, Page};

/// Returns the anchor of a heading, as GitHub and mdBook generate it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        _ if letter.is_alphanumeric() => letter.to_lowercase().next(),
        _ => None,
    });
    kept.collect()
}

/// Removes `.` and `..` from a path.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                assert!(plain.pop(), "`{}` leaves the repository", path.display());
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// Returns the targets of the links and pictures of a page, with their lines.
fn links(page: &Page) -> Vec<(usize, String)> {
    let link = Regex::new(r#"\]\(([^)\s]+)\)|(?:src|href)="([^"]+)""#).expect("it is a pattern");
    let mut found = Vec::new();
    for (number, line) in page.prose() {
        for captures in link.captures_iter(line) {
            let target = captures.get(1).or(captures.get(2));
            found.push((
                number,
                target.expect("one side matches").as_str().to_owned(),
            ));
        }
    }
    found
}

#[test]
fn an_anchor_is_made_of_its_heading() {
    assert_eq!(anchor("`cargo ansar test`"), "cargo-ansar-test");
    assert_eq!(anchor("Settings, input & co."), "settings-input--co");
    assert_eq!(
        plain(Path::new("docs/src/../x/./y.md")),
        Path::new("docs/x/y.md")
    );
}

#[test]
fn every_link_has_a_file_and_heading() {
    let pages = Page::all();
    let anchors: BTreeMap<&Path, BTreeSet<String>> = pages
        .iter()
        .map(|page| {
            let headings = page.headings();
            let anchors: BTreeSet<_> = headings.iter().map(|heading| anchor(heading)).collect();
            assert_eq!(anchors.len(), headings.len(), "headings of {:?}", page.path);
            (page.path.as_path(), anchors)
        })
        .collect();
    let mut dead = Vec::new();
    for page in &pages {
        for (line, target) in links(page) {
            if target.contains("://") {
                continue;
            }
            let (file, fragment) = target.split_once('#').unwrap_or((&target, ""));
            let path = match file {
                "" => page.path.clone(),
                file => plain(&page.path.parent().unwrap_or(Path::new("")).join(file)),
            };
            let has_anchor = fragment.is_empty()
                || anchors
                    .get(&*path)
                    .is_some_and(|anchors| anchors.contains(fragment));
            if !repository().join(&path).exists() || !has_anchor {
                dead.push(format!("{}:{line} - {target}", page.path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}

#[test]
fn the_summary_has_every_chapter_once() {
    let summary = Page::chapter("SUMMARY.md");
    let listed: Vec<PathBuf> = links(&summary)
        .into_iter()
        .map(|(_, target)| Path::new(BOOK).join(target))
        .collect();
    let mut sorted = listed.clone();
    sorted.sort();
    let chapters: Vec<PathBuf> = Page::all()
        .into_iter()
        .map(|page| page.path)
        .filter(|path| path.starts_with(BOOK) && *path != summary.path)
        .collect();
    assert_eq!(sorted, chapters, "SUMMARY.md, and the files in {BOOK}");
    let book = std::fs::read_to_string(repository().join("docs/book.toml"));
    assert!(book.expect("there is a book").contains("[book]"));
}
