//! Test targets of a workspace as roles.

mod killed;
mod kinds;
mod runs;
mod watching;
mod with;

use std::ops::Deref;

use tests::{Output, Sandbox};

/// A workspace of one package with test targets.
struct Package(Sandbox);

impl Deref for Package {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.0
    }
}

impl Package {
    /// Creates a package that describes `roles`, tables of TOML in which
    /// `[ROLE]` stands for `[workspace.metadata.ansar.role.ROLE]`.
    fn of(roles: &str) -> Self {
        let sandbox = Sandbox::new();
        let roles =
            format!("\n{roles}").replace("\n[test", "\n[workspace.metadata.ansar.role.test");
        let manifest = format!(
            "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
             [workspace]\n{roles}"
        );
        sandbox.write("src/lib.rs", "");
        sandbox.write("Cargo.toml", &manifest);
        Self(sandbox)
    }

    /// Runs `cargo ansar WORDS`.
    #[track_caller]
    fn runs(&self, words: &str) -> Output {
        self.ansar(words.split(' ')).run()
    }

    /// Returns `FILE:LINE` of the line that contains `text`, once.
    #[track_caller]
    fn place(&self, file: &str, text: &str) -> String {
        let source = self.read(file);
        let mut lines = (1..)
            .zip(source.lines())
            .filter(|(_, it)| it.contains(text));
        let (line, _) = lines
            .next()
            .unwrap_or_else(|| panic!("no `{text}` in {file}"));
        assert!(lines.next().is_none(), "`{text}` is there twice");
        let path = self.path().canonicalize().expect("it is there").join(file);
        format!("{}:{line}", path.display())
    }
}
