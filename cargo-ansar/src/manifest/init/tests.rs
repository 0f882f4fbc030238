//! Tests of the proposed roles and manifests.

use std::path::Path;

use proptest::prelude::*;

use crate::manifest;
use crate::manifest::init::*;

fn component(package: &str, name: &str) -> Bin {
    Bin {
        package: package.to_owned(),
        name: name.to_owned(),
        kind: BinKind::Component,
    }
}

/// Proposes a manifest, and checks the properties that all proposals have.
#[track_caller]
fn proposed(manifest: &str, bins: &[Bin]) -> Proposal {
    let proposal = propose(manifest, bins).unwrap();
    assert!(proposal.manifest.starts_with(manifest));
    let manifest = Path::new("Cargo.toml");
    let document = manifest::parse(manifest, &proposal.manifest).unwrap();
    let read = manifest::read(manifest, &document);
    let read = read.unwrap().unwrap();
    assert!(
        proposal.skipped.iter().all(|bin| !bin.reason.is_empty()),
        "{proposal:?}"
    );
    let mut described: Vec<_> = proposal.roles.clone();
    described.sort();
    let found = read.roles.into_iter();
    let found: Vec<_> = found.map(|role| (role.name, role.executable)).collect();
    assert_eq!(found, described, "{}", proposal.manifest);
    for (role, executable) in &proposal.roles {
        let test = looks_like_a_test(executable.as_str());
        assert_eq!(read.tests.matches(role), test, "{role}");
    }
    proposal
}

fn roles(bins: &[&str]) -> Vec<String> {
    let bins: Vec<Bin> = bins.iter().map(|name| component("p", name)).collect();
    let roles = proposed("", &bins).roles.into_iter();
    roles.map(|(role, _)| role.to_string()).collect()
}

#[test]
fn a_description_is_appended_and_nothing_else_changes() {
    let manifest = "# mine\n[workspace]   # here\nmembers=[ 'a' ]\n";
    let bins = [
        component("a", "server"),
        component("a", "client"),
        Bin {
            kind: BinKind::Foreign,
            ..component("a", "tool")
        },
    ];
    assert_eq!(
        proposed(manifest, &bins).manifest,
        r#"# mine
[workspace]   # here
members=[ 'a' ]

[workspace.metadata.ansar]
tests = "test-.*"

[workspace.metadata.ansar.role.server-0]
executable = "server"

[workspace.metadata.ansar.role.test-client]
executable = "client"

# Other binaries. To make one a role, remove `# ` in front of its lines and fill in:
#   args    its arguments, such as ["--port", "{port}"]
#   env     its variables, such as { PORT = "{port}" }
#   ready   "started", "listen", "done" or { http = "http://{address}/health" }
#   after   roles that must be ready before it starts

# [workspace.metadata.ansar.role.tool-0]
# executable = "tool"
# args = []
# env = {}
# ready = "started"
# after = []
"#
    );
}

#[test]
fn bins_that_look_like_tests_become_test_roles() {
    for (bin, role) in [
        ("server", "server-0"),
        ("testing", "testing-0"),
        ("clients", "clients-0"),
        ("test", "test-test"),
        ("tests", "test-tests"),
        ("client", "test-client"),
        ("test-client", "test-client"),
        ("load_Test_2", "test-load_Test_2"),
        ("test_all", "test-test_all"),
        ("my-client", "test-my-client"),
    ] {
        assert_eq!(roles(&[bin]), [role]);
    }
    assert_eq!(
        roles(&["test-client", "client", "a", "z"]),
        ["a-0", "z-0", "test-client", "test-client-1"]
    );
}

#[test]
fn every_layout_of_a_manifest_is_kept() {
    let bins = [component("a", "server")];
    let section = "[workspace.metadata.ansar]\ntests = \"test-.*\"\n\n[workspace.metadata.ansar.role.server-0]\nexecutable = \"server\"\n";
    let crlf = section.replace('\n', "\r\n");
    for (manifest, between, section) in [
        ("", "", section),
        ("[package]\nname = \"a\"", "\n\n", section),
        ("[package]\nname = \"a\"\n", "\n", section),
        ("[package]\nname = \"a\"\n\n", "", section),
        ("[package]\r\nname = \"a\"\r\n", "\r\n", &crlf),
        ("[package]\r\nname = \"a\"\r\n\r\n", "", &crlf),
        ("[package]\r\nname = \"a\" # end", "\r\n\r\n", &crlf),
        ("[workspace.metadata.other]\nx = 1\n", "\n", section),
        ("[workspace]\nmetadata.other.x = 1\n", "\n", section),
        ("workspace.metadata.other.x = 1\n", "\n", section),
        ("[workspace]\n[[bin]]\nname = 'a'\n", "\n", section),
        ("\u{feff}[workspace]\n", "\n", section),
    ] {
        let expected = format!("{manifest}{between}{section}");
        assert_eq!(proposed(manifest, &bins).manifest, expected);
    }
}

#[test]
fn a_bin_of_two_packages_names_its_own() {
    let tool = Bin {
        kind: BinKind::Foreign,
        ..component("a", "server")
    };
    let proposal = proposed("", &[tool, component("b", "server")]);
    let expected = "executable = \"server\"\npackage = \"b\"\n";
    assert!(proposal.manifest.ends_with(expected));

    let proposal = proposed("", &[component("c", "server"), component("b", "server")]);
    assert!(proposal.manifest.ends_with(expected));
    assert_eq!(
        proposal.skipped,
        [Skipped {
            package: "c".to_owned(),
            name: "server".to_owned(),
            reason: "package `b` has a binary of that name, which is used".to_owned(),
        }]
    );
}

#[test]
fn bins_without_a_proper_name_are_left_out() {
    let long = "x".repeat(99);
    let bins = [
        component("a", "sérver"),
        component("a", &long),
        component("a", "b"),
    ];
    let skipped = proposed("", &bins).skipped;
    let names: Vec<&str> = skipped.iter().map(|bin| bin.name.as_str()).collect();
    assert_eq!(names, ["sérver", &long]);
    let error = propose("", &bins[..1]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no binary can be described: `sérver`: role name `sérver-0` holds `é`, expected ASCII letters, digits, `-` and `_` only"
    );
}

#[test]
fn an_existing_description_is_never_changed() {
    let bins = [component("a", "server")];
    for (manifest, line) in [
        ("[workspace]\n\n[workspace.metadata.ansar]\n", 3),
        ("[workspace.metadata.ansar.role.a]\n", 1),
        ("[workspace]\nmetadata.ansar.tests = ''\n", 2),
        ("\n[workspace.metadata]\nansar = 3\n", 3),
        ("[workspace]\nmetadata = { ansar = {} }\n", 2),
        ("workspace = { metadata = { ansar = {} } }\n", 1),
    ] {
        let error = propose(manifest, &bins).unwrap_err();
        assert_eq!(error, ProposalError::Exists { line }, "{manifest}");
    }
}

#[test]
fn manifests_without_room_are_refused() {
    let bins = [component("a", "server")];
    for (manifest, message, hint) in [
        (
            "\nworkspace = { members = [] }",
            "`workspace` in line 2 is not a table with its own header, expected `[workspace]`",
            "write it as a table that begins with `[workspace]`",
        ),
        (
            "[workspace]\nmetadata = { other = 1 }",
            "`workspace.metadata` in line 2 is not a table with its own header, expected `[workspace.metadata]`",
            "write it as a table that begins with `[workspace.metadata]`",
        ),
    ] {
        let error = propose(manifest, &bins).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.hint().as_deref(), Some(hint));
    }
    let error = propose("\n[a", &bins).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("invalid TOML in line 2, column 3: ")
    );
}

#[test]
fn a_workspace_without_binaries_is_refused() {
    let error = propose("", &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no package of the workspace has a binary, expected one to run as a role"
    );
}

#[test]
fn binaries_that_are_no_components_are_commented_out() {
    let of = |name: &str, kind| Bin {
        kind,
        ..component("a", name)
    };
    let bins = [
        component("a", "server"),
        of("cli", BinKind::Other),
        of("keen", BinKind::NotBuilt),
        of("smoke-test", BinKind::Foreign),
        Bin {
            package: "b".to_owned(),
            ..of("server", BinKind::Foreign)
        },
    ];
    let proposal = proposed("", &bins);
    let programs = proposal.programs.iter();
    let programs: Vec<_> = programs.map(|(role, _)| role.as_str()).collect();
    assert_eq!(programs, ["cli-0", "keen-0", "test-smoke-test"]);
    let (_, comments) = proposal.manifest.split_once("it starts\n").unwrap();
    assert_eq!(
        comments,
        r#"
# [workspace.metadata.ansar.role.cli-0]
# executable = "cli"
# args = []
# env = {}
# ready = "started"
# after = []

# [workspace.metadata.ansar.role.keen-0]
# executable = "keen"
# args = []
# env = {}
# ready = "started"
# after = []
# It was not built: the features that it requires are not enabled.

# [workspace.metadata.ansar.role.test-smoke-test]
# executable = "smoke-test"
# args = []
# env = {}
# after = []
"#
    );
    let skipped: Vec<_> = proposal.skipped.iter().map(|bin| &bin.reason).collect();
    assert_eq!(
        skipped,
        ["package `a` has a binary of that name, which is used"]
    );
    // The roles are valid once the comment signs are removed.
    let lines = proposal.manifest.lines().map(|line| {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let is_toml = bare.starts_with('[') || bare.contains(" = ");
        if is_toml && !line.starts_with("#  ") {
            bare
        } else {
            line
        }
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let path = Path::new("Cargo.toml");
    let read = manifest::parse(path, &text).and_then(|it| manifest::read(path, &it));
    let roles = read.unwrap().unwrap().roles;
    assert_eq!(roles.len(), 4, "{text}");
    let proposal = proposed("", &bins[1..2]);
    assert!(proposal.roles.is_empty());
    assert!(proposal.manifest.starts_with("[workspace.metadata.ansar]"));
}

fn bins() -> impl Strategy<Value = Vec<Bin>> {
    let name = prop_oneof![
        "(test-|tests_|client|server|a|-|_){1,3}",
        "[a-z0-9é.-]{0,4}",
        any::<String>(),
    ];
    let kind = prop::sample::select(vec![
        BinKind::Component,
        BinKind::Component,
        BinKind::Other,
        BinKind::NotBuilt,
        BinKind::Foreign,
    ]);
    let bin = ("[ab-]{0,2}", name, kind);
    let bin = bin.prop_map(|(package, name, kind)| Bin {
        package,
        name,
        kind,
    });
    prop::collection::vec(bin, 0..8)
}

fn manifest() -> impl Strategy<Value = String> {
    let lines = prop::sample::select(vec![
        "[package]",
        "name = 'a'",
        "[workspace]",
        "members = []",
        "[workspace.metadata.x]",
        "metadata.y = 1",
        "[[bin]]",
        "",
        "# ansar",
        "\r",
        "workspace = {}",
    ]);
    (
        prop::collection::vec(lines, 0..6),
        prop::sample::select(vec!["\n", "\r\n"]),
    )
        .prop_map(|(lines, newline)| lines.join(newline))
}

proptest! {
    #[test]
    fn proposals_are_always_accepted(
        text in prop_oneof![manifest(), any::<String>()], bins in bins(),
    ) {
        if propose(&text, &bins).is_ok() {
            proposed(&text, &bins);
        }
    }
}
