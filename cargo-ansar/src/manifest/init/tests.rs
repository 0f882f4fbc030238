//! Tests of the proposed roles and manifests.

use std::path::Path;

use proptest::prelude::*;

use crate::manifest;
use crate::manifest::init::*;

fn component(package: &str, name: &str) -> Target {
    Target {
        package: package.to_owned(),
        name: name.to_owned(),
        kind: TargetKind::Component,
    }
}

/// Proposes a manifest, and checks the properties that all proposals have.
#[track_caller]
fn proposed(manifest: &str, bins: &[Target]) -> Proposal {
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
    let found: Vec<&RoleName> = read.roles.iter().map(|role| &role.name).collect();
    let names: Vec<&RoleName> = described.iter().map(|it| &it.role).collect();
    assert_eq!(found, names, "{}", proposal.manifest);
    for (proposed, found) in described.iter().zip(&read.roles) {
        let tested = found.properties.test.as_ref().map(|it| &it.target);
        if proposed.is_integration_test {
            assert_eq!(tested, Some(&TargetName::Test(proposed.target.clone())));
        } else {
            assert_eq!((tested, &found.executable), (None, &proposed.target));
        }
        let test = proposed.is_integration_test || looks_like_a_test(proposed.target.as_str());
        assert_eq!(read.tests.matches(&proposed.role), test, "{}", found.name);
    }
    proposal
}

fn roles(bins: &[&str]) -> Vec<String> {
    let bins: Vec<Target> = bins.iter().map(|name| component("p", name)).collect();
    let roles = proposed("", &bins).roles.into_iter();
    roles.map(|it| it.role.to_string()).collect()
}

#[test]
fn a_description_is_appended_and_nothing_else_changes() {
    let manifest = "# mine\n[workspace]   # here\nmembers=[ 'a' ]\n";
    let of = |name: &str, kind| Target {
        kind,
        ..component("a", name)
    };
    let targets = [
        component("a", "server"),
        component("a", "client"),
        of("api", TargetKind::Test),
        of("tool", TargetKind::Foreign),
    ];
    assert_eq!(
        proposed(manifest, &targets).manifest,
        r#"# mine
[workspace]   # here
members=[ 'a' ]

# The processes of this workspace, for `cargo ansar`. A role whose name matches `tests` is a
# test; all others run while the tests run.
# Next: `cargo ansar test`, or `cargo ansar watch` to test again at every save.
[workspace.metadata.ansar]
tests = "test-.*"

# Components: they link `ansar-runtime`. You may add `settings = { … }`, `env = { … }` and
# `after = ["ROLE"]`, the roles that must be ready first.
# Next: `cargo ansar run server-0`, and `cargo ansar log server-0` in another terminal.
[workspace.metadata.ansar.role.server-0]
executable = "server"

# Components that test the others. You may add `settings = { … }`, and
# `retry = { first_steps = [1.0, 2.0] }` for one that returns `Maybe`.
# Next: `cargo ansar test test-client`.
[workspace.metadata.ansar.role.test-client]
executable = "client"

# Integration tests, as they are. The address of a role `api-0` with a `{port}` is in
# `ANSAR_API_0_ADDRESS`. You may add `after = ["ROLE"]` and `filter = ["PART OF A NAME"]`.
# Next: `cargo ansar test test-api`.
[workspace.metadata.ansar.role.test-api]
test = "api"

# Others, which only you know how to run. To make one a role, remove the `# ` before its
# lines, and add what it needs, such as:
#   args = ["--port", "{port}"]    a port of its own; the role is ready when it listens there
#   env = { PORT = "{port}" }      the same, by a variable
#   ready = "done"                 for one that ends by itself, such as a migration
#   after = ["ROLE"]               roles that must be ready first
# Next: `cargo ansar run tool-0`.

# [workspace.metadata.ansar.role.tool-0]
# executable = "tool"
"#
    );
}

#[test]
fn a_workspace_of_programs_learns_what_to_do_with_them() {
    let tool = Target {
        kind: TargetKind::Foreign,
        ..component("a", "tool")
    };
    let proposal = proposed("", std::slice::from_ref(&tool));
    assert!(proposal.roles.is_empty());
    let (head, _) = proposal.manifest.split_once("\n\n").unwrap();
    assert_eq!(
        head,
        "# The processes of this workspace, for `cargo ansar`. A role whose name matches `tests` is a\n\
         # test; all others run while the tests run.\n\
         [workspace.metadata.ansar]\ntests = \"test-.*\""
    );
    let with_server = proposed("", &[tool, component("a", "server")]).manifest;
    assert!(with_server.contains("\n# Next: `cargo ansar run`, until Control-C.\n[workspace"));
}

#[test]
fn integration_tests_become_test_roles() {
    let of = |package: &str, name: &str, kind| Target {
        kind,
        ..component(package, name)
    };
    let targets = [
        component("a", "test-api"),
        of("a", "api", TargetKind::Test),
        of("a", "orders", TargetKind::Test),
        of("b", "orders", TargetKind::Test),
        of("b", "own", TargetKind::TestWithoutHarness),
        of("b", "slow", TargetKind::TestWithFeatures),
    ];
    let proposal = proposed("", &targets);
    let (_, tests) = proposal.manifest.split_once("# Integration").unwrap();
    let (_, tests) = tests.split_once("test-a-orders`.\n").unwrap();
    assert_eq!(
        tests,
        r#"[workspace.metadata.ansar.role.test-a-orders]
test = "orders"
package = "a"

[workspace.metadata.ansar.role.test-api-1]
test = "api"

[workspace.metadata.ansar.role.test-b-orders]
test = "orders"
package = "b"

# Others, which only you know how to run. To make one a role, remove the `# ` before its
# lines, and add what it needs, such as:
#   args = ["--port", "{port}"]    a port of its own; the role is ready when it listens there
#   env = { PORT = "{port}" }      the same, by a variable
#   ready = "done"                 for one that ends by itself, such as a migration
#   after = ["ROLE"]               roles that must be ready first
# Next: `cargo ansar test test-own`.

# [workspace.metadata.ansar.role.test-own]
# test = "own"
# It has a harness of its own, which is also started with `--list`.

# [workspace.metadata.ansar.role.test-slow]
# test = "slow"
# It requires features: name them in `[workspace.metadata.ansar.build]`.
"#
    );
    assert_eq!(proposal.skipped, []);
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
    let section = section(&choices(&BTreeSet::from([&bins[0]])).0);
    let section = section.as_str();
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
    let tool = Target {
        kind: TargetKind::Foreign,
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
            kind: TargetKind::Component,
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
        "no target can be described: binary `sérver` of package `a`: role name `sérver-0` holds `é`, expected ASCII letters, digits, `-` and `_` only"
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
        "no package of the workspace has a binary or an integration test, expected one to run as a role"
    );
}

#[test]
fn binaries_that_are_no_components_are_commented_out() {
    let of = |name: &str, kind| Target {
        kind,
        ..component("a", name)
    };
    let bins = [
        component("a", "server"),
        of("cli", TargetKind::Other),
        of("keen", TargetKind::NotBuilt),
        of("smoke-test", TargetKind::Foreign),
        Target {
            package: "b".to_owned(),
            ..of("server", TargetKind::Foreign)
        },
    ];
    let proposal = proposed("", &bins);
    let programs = proposal.programs.iter();
    let programs: Vec<_> = programs.map(|it| it.role.as_str()).collect();
    assert_eq!(programs, ["cli-0", "keen-0", "test-smoke-test"]);
    let (_, comments) = proposal.manifest.split_once("run cli-0`.\n").unwrap();
    assert_eq!(
        comments,
        r#"
# [workspace.metadata.ansar.role.cli-0]
# executable = "cli"

# [workspace.metadata.ansar.role.keen-0]
# executable = "keen"
# It was not built: the features that it requires are not enabled.

# [workspace.metadata.ansar.role.test-smoke-test]
# executable = "smoke-test"
"#
    );
    let skipped: Vec<_> = proposal.skipped.iter().map(|bin| &bin.reason).collect();
    assert_eq!(
        skipped,
        ["package `a` has a binary of that name, which is used"]
    );
    // The roles are valid once the comment signs are removed.
    let before = proposal.manifest.strip_suffix(comments).unwrap();
    let lines = comments.lines().map(|line| match line.strip_prefix("# ") {
        Some(bare) if bare.starts_with('[') || bare.contains(" = ") => bare,
        _ => line,
    });
    let text = before.to_owned() + &lines.collect::<Vec<_>>().join("\n");
    let path = Path::new("Cargo.toml");
    let read = manifest::parse(path, &text).and_then(|it| manifest::read(path, &it));
    let roles = read.unwrap().unwrap().roles;
    assert_eq!(roles.len(), 4, "{text}");
}

fn targets() -> impl Strategy<Value = Vec<Target>> {
    let name = prop_oneof![
        "(test-|tests_|client|server|a|-|_){1,3}",
        "[a-z0-9é.-]{0,4}",
        any::<String>(),
    ];
    let kind = prop::sample::select(vec![
        TargetKind::Component,
        TargetKind::Component,
        TargetKind::Other,
        TargetKind::NotBuilt,
        TargetKind::Foreign,
        TargetKind::Test,
        TargetKind::TestWithFeatures,
        TargetKind::TestWithoutHarness,
    ]);
    let bin = ("[ab-]{0,2}", name, kind);
    let bin = bin.prop_map(|(package, name, kind)| Target {
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
        text in prop_oneof![manifest(), any::<String>()], targets in targets(),
    ) {
        if propose(&text, &targets).is_ok() {
            proposed(&text, &targets);
        }
    }
}
