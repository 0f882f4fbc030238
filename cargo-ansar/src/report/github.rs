//! Failures as GitHub annotations.

use std::path::Path;

use crate::model::run_report::{Failure, RunReport};
use crate::report::shell::Shell;

/// Writes an error annotation per failure, and a warning per failed try of a
/// flaky role, to stderr, which the workflow runner reads like stdout. Files
/// below `root` are named relative to it, as in the repository.
pub fn annotate(shell: &mut Shell, run: &RunReport, root: Option<&Path>) {
    for failure in &run.failures {
        shell.command(&annotation("error", failure, root));
    }
    for failure in run.flakes() {
        shell.command(&annotation("warning", failure, root));
    }
}

fn annotation(level: &str, failure: &Failure, root: Option<&Path>) -> String {
    let path = Path::new(&failure.source);
    let file = root.and_then(|root| path.strip_prefix(root).ok());
    let file = property(&file.unwrap_or(path).to_string_lossy());
    let column = failure.column.map(|column| format!(",col={column}"));
    format!(
        "::{level} file={file},line={}{},title={}::{}",
        failure.line,
        column.unwrap_or_default(),
        property(failure.role.as_str()),
        text(&failure.text)
    )
}

fn text(text: &str) -> String {
    let text = text.replace('%', "%25");
    text.replace('\r', "%0D").replace('\n', "%0A")
}

fn property(value: &str) -> String {
    text(value).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn an_annotation_is_one_line_whatever_it_says() {
        let mut failures = sample::run().failures;
        assert_eq!(
            annotation("error", &failures[0], Some(Path::new("/ws"))),
            "::error file=src/a.rs,line=7,col=5,title=test-a::expected <x>%0A- x%0A+ y"
        );
        let flaky = sample::run();
        let flaky: Vec<_> = flaky.flakes().collect();
        assert_eq!(
            annotation("warning", flaky[0], None),
            "::warning file=/ws/src/a.rs,line=11,col=9,title=test-d::expected y"
        );
        failures[1].source = "/a,b:c%\r\n::error ::".to_owned();
        assert_eq!(
            annotation("error", &failures[1], Some(Path::new("/ws"))),
            "::error file=/a%2Cb%3Ac%25%0D%0A%3A%3Aerror %3A%3A,line=9,title=test-a::\
             & 100%25, <script>alert(1)</script>"
        );
    }
}
