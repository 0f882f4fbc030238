//! Tests of every error that a description can have, with its position and
//! message.

use crate::manifest::properties::PROPERTIES;
use crate::manifest::tests::try_read;
use crate::manifest::*;

#[track_caller]
fn read_err(text: &str) -> DescriptionError {
    try_read(text).expect_err(text)
}

/// Asserts the error text for `[workspace.metadata.ansar]` followed by `text`,
/// which begins in line 2.
#[track_caller]
fn refused(text: &str, expected: &str) {
    let text = format!("[workspace.metadata.ansar]\n{text}");
    let error = read_err(&text);
    assert_eq!(error.to_string(), format!("/ws/Cargo.toml:{expected}"));
}

#[test]
fn an_error_has_its_parts() {
    let text = "[workspace.metadata.ansar.role.\"é-{number}\"]\nsetings = 1\n";
    let error = read_err(text);
    assert_eq!(error.manifest, Path::new("/ws/Cargo.toml"));
    assert_eq!((error.line, error.column), (2, 1));
    assert_eq!(
        error.key,
        r#"workspace.metadata.ansar.role."é-{number}".setings"#
    );
    assert!(error.message.starts_with("unknown key `workspace.metadata"));
    assert_eq!(error.hint.as_deref(), Some("did you mean `settings`?"));
}

#[test]
fn invalid_toml_is_refused_at_its_position() {
    refused(
        "tests = \n",
        "2:9: invalid TOML: string values must be quoted, expected literal string",
    );
    refused(
        "deploy = 'link'\ndeploy = 'link'",
        "3:1: invalid TOML: duplicate key",
    );
    let deep = format!("home = {}{}", "[".repeat(1000), "]".repeat(1000));
    assert_eq!(
        read_err(&deep).message,
        "invalid TOML: cannot recurse further; max recursion depth met"
    );
}

#[test]
fn deep_nesting_is_refused() {
    // Each level of braces may contain a dotted path of the greatest length.
    let path = ["x"; 79].join(".");
    let mut text = format!(
        "[workspace.metadata.ansar.role.a.input.{}]\n",
        ["x"; 74].join(".")
    );
    text += &format!("{path} = {{ ").repeat(79);
    text += &(path + " = 1 " + &"}".repeat(79));
    let error = read_err(&text);
    assert!(error.message.contains("nested too deeply"), "{error}");
}

#[test]
fn unknown_keys_are_refused() {
    let properties = PROPERTIES
        .iter()
        .filter(|property| property.change.is_some());
    let properties: Vec<_> = properties.map(|it| format!("`{}`", it.name)).collect();
    let of_role = format!(
        "expected one of `executable`, `program`, `test`, `package`, `settings`, `input`, {}, `start`, `count`, `step`",
        properties.join(", ")
    );
    refused(
        "roles.a = 1",
        "2:1: unknown key `workspace.metadata.ansar.roles`, expected one of `tests`, `snapshot`, `home`, `deploy`, `analyzer`, `retries`, `slow-timeout`, `env`, `env-file`, `network`, `build`, `on`, `role`\nhint: did you mean `role`?",
    );
    refused(
        "role.server-0.executable = 'a'\nrole.server-0.setings = {}",
        &format!(
            "3:15: unknown key `workspace.metadata.ansar.role.server-0.setings`, {of_role}\nhint: did you mean `settings`?"
        ),
    );
    refused(
        "[workspace.metadata.ansar.role.a]\n  \"wh\\nat\" = 1",
        &format!(r#"3:3: unknown key `workspace.metadata.ansar.role.a."wh\nat"`, {of_role}"#),
    );
    refused(
        "role.a = { executable = 'a', retry = { step_limits = 1 } }",
        "2:40: unknown key `workspace.metadata.ansar.role.a.retry.step_limits`, expected one of `first_steps`, `regular_steps`, `step_limit`, `randomized`, `truncated`\nhint: did you mean `step_limit`?",
    );
}

#[test]
fn wrong_types_are_refused() {
    for (text, expected) in [
        (
            "tests = 1",
            "2:9: `@.tests` is an integer, expected a regular expression over role names",
        ),
        (
            "snapshot = []",
            "2:12: `@.snapshot` is an array, expected the path of a folder, absolute or relative to the workspace root",
        ),
        (
            "home = true",
            "2:8: `@.home` is a boolean, expected the path of a folder, absolute or relative to the workspace root",
        ),
        (
            "deploy = 1.5",
            "2:10: `@.deploy` is a float, expected `link` or `copy`",
        ),
        (
            "role = 'a'",
            "2:8: `@.role` is a string, expected a table of roles by name",
        ),
        (
            "role.a = 2026-01-02",
            "2:10: `@.role.a` is a time, expected a table that describes a role",
        ),
        (
            "[[workspace.metadata.ansar.role]]",
            "2:28: `@.role` is an array of tables, expected a table of roles by name",
        ),
        (
            "role.a.executable = {}",
            "2:8: `@.role.a.executable` is a table, expected the name of a binary",
        ),
        (
            "role.a.package = 1",
            "2:18: `@.role.a.package` is an integer, expected the name of a package",
        ),
        (
            "role.a.settings = 1",
            "2:19: `@.role.a.settings` is an integer, expected a table of settings",
        ),
        (
            "role.a.env = []",
            "2:14: `@.role.a.env` is an array, expected a table of environment variables",
        ),
        (
            "role.a.env.PORT = 1",
            "2:19: `@.role.a.env.PORT` is an integer, expected a string",
        ),
        (
            "role.a.timeout = 30",
            "2:18: `@.role.a.timeout` is an integer, expected a duration such as `30s`, `1m30s` or `500ms`",
        ),
        (
            "role.a.after = 'b'",
            "2:16: `@.role.a.after` is a string, expected an array of role names",
        ),
        (
            "role.a.after = ['b',\n 1]",
            "3:2: `@.role.a.after[1]` is an integer, expected the name of a role",
        ),
        (
            "role.a.retry = 1",
            "2:16: `@.role.a.retry` is an integer, expected a table that describes a retry policy",
        ),
        (
            "role.a.retry.first_steps = 1",
            "2:28: `@.role.a.retry.first_steps` is an integer, expected an array of numbers of seconds",
        ),
        (
            "role.a.retry.first_steps = [1, '2']",
            "2:32: `@.role.a.retry.first_steps[1]` is a string, expected a number of seconds",
        ),
        (
            "role.a.retry.step_limit = 1.0",
            "2:27: `@.role.a.retry.step_limit` is a float, expected an integer from 0 to 4294967295",
        ),
        (
            "role.a.count = '1'",
            "2:16: `@.role.a.count` is a string, expected an integer from 0",
        ),
    ] {
        refused(text, &expected.replace('@', "workspace.metadata.ansar"));
    }
    let error = read_err("workspace.metadata.ansar = 3");
    assert_eq!(
        error.to_string(),
        "/ws/Cargo.toml:1:28: `workspace.metadata.ansar` is an integer, expected a table of `tests`, `role` and others"
    );
}

#[test]
fn wrong_restart_and_storage_are_refused() {
    for (text, expected) in [
        (
            "role.a.restart = 'allways'",
            "2:18: `@.role.a.restart` is `allways`, expected `never`, `on-failure` or `always`\nhint: did you mean `always`?",
        ),
        (
            "role.a.storage = 65535",
            "2:18: `@.role.a.storage` is `65535`, expected a number of bytes, 65536 at least",
        ),
        (
            "role.a.storage = -1",
            "2:18: `@.role.a.storage` is `-1`, expected a number of bytes, 65536 at least",
        ),
    ] {
        refused(text, &expected.replace('@', "workspace.metadata.ansar"));
    }
}

#[test]
fn wrong_values_are_refused() {
    for (text, expected) in [
        (
            "tests = 'a('",
            "2:9: invalid `@.tests`: `a(` is no regular expression: unclosed group",
        ),
        (
            "snapshot = ''",
            "2:12: `@.snapshot` is ``, expected the path of a folder, absolute or relative to the workspace root",
        ),
        (
            "home = \"a\\u0000\"",
            "2:8: `@.home` is `a\\u{0}`, expected the path of a folder, absolute or relative to the workspace root",
        ),
        (
            "analyzer = ['a']",
            "2:12: `@.analyzer` is an array, expected the name of a binary",
        ),
        (
            "deploy = 'copi'",
            "2:10: `@.deploy` is `copi`, expected `link` or `copy`\nhint: did you mean `copy`?",
        ),
        (
            "role.a = {}",
            "2:6: `@.role.a` has neither `executable` nor `program` nor `test`, expected one of them",
        ),
        (
            "role.a.executable = 'a.exe'",
            "2:21: invalid `@.role.a.executable`: executable name `a.exe` holds `.`, expected letters, digits, `-` and `_` only",
        ),
        (
            "role.a.package = '-a'",
            "2:18: `@.role.a.package` is `-a`, expected the name of a package",
        ),
        (
            "role.a.settings.x = [1.0, nan]",
            "2:27: `@.role.a.settings.x[1]` is nan, expected a finite number",
        ),
        (
            "role.a.input = -inf",
            "2:16: `@.role.a.input` is infinite, expected a finite number",
        ),
        (
            "role.a.timeout = '30'",
            "2:18: `@.role.a.timeout` is `30`, expected a duration such as `30s`, `1m30s` or `500ms`",
        ),
        (
            "role.a.timeout = '-1s'",
            "2:18: `@.role.a.timeout` is `-1s`, expected a duration such as `30s`, `1m30s` or `500ms`",
        ),
        (
            "role.a.timeout = '0s'",
            "2:18: `@.role.a.timeout` is `0s`, expected a duration of more than zero and at most a year",
        ),
        (
            "role.a.timeout = '99999h'",
            "2:18: `@.role.a.timeout` is `99999h`, expected a duration of more than zero and at most a year",
        ),
        (
            "role.a.after = ['b c']",
            "2:17: invalid `@.role.a.after[0]`: role name `b c` holds ` `, expected ASCII letters, digits, `-` and `_` only",
        ),
        (
            "role.a.retry = { first_steps = [1,\n-1] }",
            "2:32: invalid `@.role.a.retry.first_steps`: `first_steps` is -1, expected seconds from 0 to a year",
        ),
        (
            "role.a.retry.truncated = 2",
            "2:26: invalid `@.role.a.retry.truncated`: `truncated` is 2, expected 0 to 1",
        ),
        (
            "role.a.retry.step_limit = -1",
            "2:27: `@.role.a.retry.step_limit` is `-1`, expected an integer from 0 to 4294967295",
        ),
        (
            "role.a.start = -1",
            "2:16: `@.role.a.start` is `-1`, expected an integer from 0",
        ),
    ] {
        refused(text, &expected.replace('@', "workspace.metadata.ansar"));
    }
    let deep = format!("role.a.input{} = 1", ".x".repeat(76));
    let deeper = format!(
        "role.a.input = {{ y{} = {{ z{} = 1 }} }}",
        ".x".repeat(60),
        ".x".repeat(60)
    );
    assert!(
        try_read(&format!(
            "[workspace.metadata.ansar]\nrole.a.executable = 'a'\n{deep}"
        ))
        .is_ok()
    );
    let error = read_err(&format!("[workspace.metadata.ansar]\n{deeper}"));
    assert!(
        error
            .message
            .ends_with("is nested too deeply, expected at most 100 levels")
    );
}

#[test]
fn invalid_and_reserved_variables_are_refused() {
    for (text, expected) in [
        (
            "role.a.env.'' = ''",
            "2:12: `@.role.a.env.\"\"` is ``, expected the name of a variable, not empty and without `=` and NUL",
        ),
        (
            "role.a.env.'A=B' = ''",
            "2:12: `@.role.a.env.\"A=B\"` is `A=B`, expected the name of a variable, not empty and without `=` and NUL",
        ),
        (
            "role.a.env.A = \"\\u0000\"",
            "2:16: `@.role.a.env.A` is `\\u{0}`, expected a string without NUL",
        ),
        (
            "role.a.env.ANSAR_TOKEN = ''",
            "2:12: `@.role.a.env.ANSAR_TOKEN` sets `ANSAR_TOKEN`, expected a variable that is not the tool's own",
        ),
        (
            "role.a.env.NOTIFY_SOCKET = ''",
            "2:12: `@.role.a.env.NOTIFY_SOCKET` sets `NOTIFY_SOCKET`, expected a variable that is not the tool's own",
        ),
    ] {
        refused(text, &expected.replace('@', "workspace.metadata.ansar"));
    }
}

#[test]
fn wrong_names_and_series_are_refused() {
    for (text, expected) in [
        (
            "role.'a b'.executable = 'a'",
            "2:6: invalid `@.role.\"a b\"`: role name `a b` holds ` `, expected ASCII letters, digits, `-` and `_` only",
        ),
        (
            "role.''.executable = 'a'",
            "2:6: invalid `@.role.\"\"`: the role name is empty, expected letters, digits, `-` and `_`",
        ),
        (
            "role.'a-{numbr}'.executable = 'a'",
            "2:6: invalid `@.role.\"a-{numbr}\"`: unknown variable `{numbr}` in role template `a-{numbr}`, expected `{executable}`, `{number}` or `{uuid}`\nhint: did you mean `{number}`?",
        ),
        (
            "role.'a-{number'.executable = 'a'",
            "2:6: invalid `@.role.\"a-{number\"`: unbalanced `{` in role template `a-{number`, expected `{NAME}`",
        ),
        (
            "role.'a-{uuid}'.executable = 'a'",
            "2:6: `@.role.\"a-{uuid}\"` contains `{uuid}`, expected a name that stays the same\nhint: use `{number}`",
        ),
        (
            "role.a = { executable = 'a', start = 5 }",
            "2:38: `@.role.a.start` is 5, expected no series for a role without `{number}` in its name\nhint: put `{number}` into the name, in quotes: `\"client-{number}\"`",
        ),
        (
            "role.'{executable}' = { executable = 'a', count = 2 }",
            "2:51: `@.role.\"{executable}\".count` is 2, expected no series for a role without `{number}` in its name\nhint: put `{number}` into the name, in quotes: `\"client-{number}\"`",
        ),
        (
            "role.'a{number}' = { executable = 'a', count = 0 }",
            "2:6: invalid `@.role.\"a{number}\"`: count is 0, expected 1 to 10000 roles",
        ),
        (
            "role.'a{number}' = { executable = 'a', count = 2, step = 0 }",
            "2:6: invalid `@.role.\"a{number}\"`: role template `a{number}` makes role `a0` twice, expected a different name for each",
        ),
        (
            "role.'a{number}' = { executable = 'a', count = 10000 }\nrole.b.executable = 'b'",
            "3:6: `@.role.b` is one role too many, expected at most 10000 in all",
        ),
        (
            "role.a-1.executable = 'a'\nrole.'a-{number}' = { executable = 'a', count = 2 }",
            "3:6: `@.role.\"a-{number}\"` describes role `a-1`, expected a name that `@.role.a-1` in line 2 does not describe",
        ),
        (
            "role = { b = { executable = 'x', package = 'p' },\n a = { executable = 'x', package = 'q' } }",
            "3:36: `@.role.a.package` is `q`, expected `p` as in line 2, since both roles run executable `x`",
        ),
    ] {
        refused(text, &expected.replace('@', "workspace.metadata.ansar"));
    }
}

#[test]
fn impossible_orders_are_refused() {
    for (text, expected) in [
        (
            "role.server-0 = { executable = 'a', after = ['db', 'serve-1'] }\nrole.db.executable = 'a'\nrole.server-1.executable = 'a'",
            "2:52: `@.role.server-0.after[1]` is `serve-1`, expected a role that is described here\nhint: did you mean `server-1`?",
        ),
        (
            "role.a = { executable = 'a', after = ['elsewhere'] }",
            "2:39: `@.role.a.after[0]` is `elsewhere`, expected a role that is described here",
        ),
        (
            "role.a = { executable = 'a', after = ['a'] }",
            "2:39: `@.role.a.after[0]` is `a` itself, expected another role",
        ),
        (
            "role.'a-{number}' = { executable = 'a', count = 3, after = ['a-1'] }",
            "2:61: `@.role.\"a-{number}\".after[0]` is `a-1` itself, expected another role",
        ),
        (
            "role.a = { executable = 'a', after = ['test-a'] }\nrole.test-a.executable = 'a'",
            "2:39: `@.role.a.after[0]` is test role `test-a`, expected an operational one, since `a` does not match `test-.*`",
        ),
        (
            "role.c = { executable = 'a', after = ['x', 'b'] }\nrole.b = { executable = 'a', after = ['a'] }\nrole.a = { executable = 'a', after = ['x', 'c'] }\nrole.x.executable = 'x'\nrole.0 = { executable = 'a', after = ['c'] }",
            "4:44: `@.role.a.after[1]` closes a cycle: `a` after `c` after `b` after `a`, expected an order in which the roles can start",
        ),
    ] {
        refused(text, &expected.replace('@', "workspace.metadata.ansar"));
    }
}

#[test]
fn wrong_retries_and_slow_timeouts_are_refused() {
    for (text, expected) in [
        (
            "retries = -1",
            "2:11: `@.retries` is `-1`, expected an integer from 0 to 4294967295",
        ),
        (
            "slow-timeout = 60",
            "2:16: `@.slow-timeout` is an integer, expected a duration such as `30s`, `1m30s` or `500ms`",
        ),
    ] {
        refused(text, &expected.replace('@', "workspace.metadata.ansar"));
    }
}

#[test]
fn every_syntax_error_has_a_position() {
    let deep = ["a"; 500].join(".");
    let nested = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    for text in [
        format!("input.{deep} = 1"),
        format!("[input.{deep}]"),
        format!("input = {nested}"),
        format!("input = {{ {deep} = 1 }}"),
    ] {
        let error = read_err(&format!("[workspace]\n# é\n{text}\nmore = 1\n"));
        assert_eq!(error.line, 3, "{error}");
        assert!(error.column > 1, "{error}");
    }
    let error = not_text(Path::new("/ws/Cargo.toml"), "a = 1\nb = \"");
    assert_eq!(
        error.to_string(),
        "/ws/Cargo.toml:2:6: invalid TOML: not UTF-8"
    );
}

#[test]
fn mistakes_about_programs_are_refused() {
    for (text, expected) in [
        (
            "role.a = { executable = 'a', program = 'b' }",
            "2:6: `@.role.a` has two of `executable`, `program` and `test`, expected one of them",
        ),
        (
            "role.a = { program = [] }",
            "2:22: `@.role.a.program` is `[]`, expected the name or path of a program, or an array of candidates",
        ),
        (
            "role.a = { program = 'x', settings = { a = 1 } }",
            "2:27: `@.role.a.settings` is for components, and `a` runs a program\nhint: use `args` and `env`",
        ),
        (
            "role.a = { executable = 'x', component = true, args = [] }",
            "2:48: `@.role.a.args` is not for roles with `component = true`\nhint: use `settings` and `env`",
        ),
        (
            "role.a = { program = 'x', env = { URL = 'x://{adress:a}/' } }",
            "2:46: unknown placeholder `{adress:a}` in `@.role.a.env.URL`\nhint: did you mean `{address:a}`?",
        ),
        (
            "role.a = { program = 'x', args = ['-p', '{port'] }",
            "2:42: unbalanced `{`, expected `{NAME}`, or `{{` for a brace in `@.role.a.args[1]`\nhint: write `{{` for a brace",
        ),
        (
            "role.db-0 = { program = 'x' }\nrole.a = { program = 'x', args = ['{address:db-1}'] }",
            "3:36: `@.role.a.args[0]` refers to role `db-1`, expected a role that is described here\nhint: did you mean `db-0`?",
        ),
        (
            "role.a = { program = 'x', args = ['{number}'] }",
            "2:36: `@.role.a.args[0]` contains `{number}`, expected a role with a number in its name, not `a`",
        ),
        (
            "role.a = { program = 'x', ports = { port = 70000 } }",
            "2:44: `@.role.a.ports.port` is `70000`, expected a port from 1 to 65535",
        ),
        (
            "role.a = { program = 'x', ports = { Port = 1 } }",
            "2:37: `@.role.a.ports.Port` is `Port`, expected the name of a port: lower-case letters, digits, `-` and `_`",
        ),
        (
            "role.a = { program = 'x', ready = 'dnoe' }",
            "2:35: `@.role.a.ready` is `dnoe`, expected `listen`, `notify`, `done`, `started`, or a table such as `{ log = \"ready\" }` or `{ http = \"http://{address}/health\" }`\nhint: did you mean `done`?",
        ),
        (
            "role.a = { program = 'x', ready = 'listen' }",
            "2:35: `@.role.a.ready` is `listen`, expected a role with a port: use `{port}` in its texts, or set `ports`",
        ),
        (
            "role.a = { program = 'x', ready = { log = '(' } }",
            "2:43: invalid `@.role.a.ready.log`: `(` is no regular expression: error: unclosed group",
        ),
        (
            "role.a = { program = 'x', ready = { http = 'https://x' } }",
            "2:44: `@.role.a.ready.http` is `https://x`, expected a URL such as `http://{address}/health`",
        ),
        (
            "role.a = { program = 'x', ready = { tcp = 'x', status = [200] } }",
            "2:27: invalid `@.role.a.ready`: `status` belongs to `http`",
        ),
        (
            "role.a = { program = 'x', ready = { http = 'http://x', status = [20] } }",
            "2:66: `@.role.a.ready.status[0]` is `20`, expected an array of status codes from 100 to 599",
        ),
        (
            "role.a = { program = 'x', health = { log = 'x' } }",
            "2:27: invalid `@.role.a.health`: expected a probe that can be repeated: `listen`, `tcp`, `http`, `command` or `file`",
        ),
        (
            "role.a = { program = 'x', stop = { signal = 'SIGTREM' } }",
            "2:45: invalid `@.role.a.stop.signal`: `SIGTREM` is no signal to stop with, expected one of `SIGINT`, `SIGTERM`, `SIGQUIT`, `SIGHUP`, `SIGUSR1`, `SIGUSR2`, `SIGABRT`, `SIGALRM`, `SIGWINCH`, `SIGKILL`\nhint: did you mean `SIGTERM`?",
        ),
        (
            "role.a = { program = 'x', setup = [[]] }",
            "2:36: `@.role.a.setup[0]` is `[]`, expected an array of a program and its arguments",
        ),
        (
            "role.a = { program = 'x', tags = ['a b'] }",
            "2:35: `@.role.a.tags[0]` is `a b`, expected a tag of letters, digits, `-` and `_`",
        ),
        (
            "role.a = { program = 'x', watch = ['a***'] }",
            "2:36: invalid `@.role.a.watch[0]`: `a***` is no pattern: wildcards are either regular `*` or recursive `**`",
        ),
        (
            "role.a = { program = 'x', env-file = {} }",
            "2:27: `@.role.a.env-file` is a table, expected the path of a file, or `{ path = \".env\", optional = true }`",
        ),
    ] {
        let expected = expected.replace('@', "workspace.metadata.ansar");
        refused(text, &expected);
    }
}

#[test]
fn names_of_roles_are_not_mistaken() {
    for (text, expected) in [
        (
            "role.db-0 = { program = 'x', args = ['{port:sql}'] }\nrole.a = { executable = 'x', settings = { db = { port = '{port:db-0}' } } }",
            "3:58: `@.role.a.settings.db.port` has a port of its own named `db-0`, expected a name that is not that of a role\nhint: the port of role `db-0` is `{port:db-0/sql}`",
        ),
        (
            "env = { DB = '{port:db}' }\nrole.db.program = 'x'",
            "2:15: `@.env.DB` has a port of its own named `db`, expected a name that is not that of a role\nhint: the port of role `db` is `{port:db/port}`",
        ),
        (
            "role.a = { program = 'x', after = ['api'] }\nrole.api-0.program = 'x'",
            "2:36: `@.role.a.after[0]` is `api`, expected a role that is described here\nhint: did you mean `api-0`?",
        ),
    ] {
        let expected = expected.replace('@', "workspace.metadata.ansar");
        refused(text, &expected);
    }
}

#[test]
fn a_port_may_have_the_name_of_a_role_if_it_is_told_apart() {
    for text in [
        "role.db.program = 'x'\nrole.a = { program = 'x', ports = { db = 4000 }, args = ['{port:db}'] }",
        "role.db.program = 'x'\nrole.a = { program = 'x', args = ['{address:/db}'] }",
    ] {
        try_read(&format!("[workspace.metadata.ansar]\n{text}")).unwrap();
    }
}

#[test]
fn mistakes_about_test_roles_are_refused() {
    for (text, expected) in [
        (
            "role.a = { program = 'x', exclusive = ['db'] }",
            "2:27: `@.role.a.exclusive` is for roles that end by themselves, and `a` runs until it is stopped\nhint: set it for test roles, or for roles with `ready = \"done\"`",
        ),
        (
            "role.a = { program = 'x', before = [['y']] }",
            "2:27: `@.role.a.before` is for test roles, and the name of `a` is not that of one\nhint: use `setup` for what runs once, or a name that matches `tests`",
        ),
        (
            "role.test-a = { program = 'x', after-all = [[]] }",
            "2:45: `@.role.test-a.after-all[0]` is `[]`, expected an array of a program and its arguments",
        ),
        (
            "role.test-a = { program = 'x', before = [['y', '{adress:a}']] }",
            "2:49: unknown placeholder `{adress:a}` in `@.role.test-a.before[0][1]`\nhint: did you mean `{address:a}`?",
        ),
        (
            "role.a = { program = 'x', fresh = ['b'] }",
            "2:27: `@.role.a.fresh` is for test roles, and the name of `a` is not that of one\nhint: use `setup` for what runs once, or a name that matches `tests`",
        ),
        (
            "role.db-0.program = 'x'\nrole.test-a = { program = 'x', fresh = ['bd-0'] }",
            "3:41: `@.role.test-a.fresh[0]` refers to role `bd-0`, expected a role that is described here\nhint: did you mean `db-0`?",
        ),
        (
            "role.test-b.program = 'x'\nrole.test-a = { program = 'x', fresh = ['test-b'] }",
            "3:41: invalid `@.role.test-a.fresh[0]`: `test-b` is a test role",
        ),
        (
            "role.test-a = { program = 'x', exclusive = ['d b'] }",
            "2:45: `@.role.test-a.exclusive[0]` is `d b`, expected a tag of letters, digits, `-` and `_`",
        ),
    ] {
        let expected = expected.replace('@', "workspace.metadata.ansar");
        refused(text, &expected);
    }
}

#[test]
fn drivers_and_their_options_are_checked() {
    for (text, expected) in [
        (
            "on.loca = {}",
            "2:4: unknown key `workspace.metadata.ansar.on.loca`, expected one of `local`, `command`, `slurm`, `kubernetes`\nhint: did you mean `local`?",
        ),
        (
            "on.local.command = ['ssh']",
            "2:10: unknown key `workspace.metadata.ansar.on.local.command`, expected one of `shards`, `place-timeout`, `lease`",
        ),
        (
            "on.command.comand = ['ssh']",
            "2:12: unknown key `workspace.metadata.ansar.on.command.comand`, expected one of `command`, `quote`, `shards`, `place-timeout`, `lease`\nhint: did you mean `command`?",
        ),
    ] {
        refused(text, expected);
    }
    for (text, key) in [
        (
            "on = 1",
            "on` is an integer, expected a table of drivers by name",
        ),
        (
            "on.local = []",
            "on.local` is an array, expected a table of options",
        ),
        (
            "on.local.shards = 0",
            "on.local.shards` is `0`, expected a number of shards, 1 at least",
        ),
        (
            "on.local.lease = '20ms'",
            "on.local.lease` is `20ms`, expected a duration of one second at least, such as \"10s\"",
        ),
        (
            "on.command.command = []",
            "on.command.command` is `[]`, expected an array of words, such as [\"ssh\", \"node{shard}\"]",
        ),
        (
            "on.command.command = ['']",
            "on.command.command[0]` is ``, expected an array of words, such as [\"ssh\", \"node{shard}\"]",
        ),
        (
            "on.slurm.args = ['a', 1]",
            "on.slurm.args[1]` is an integer, expected an array of arguments, such as [\"--partition=debug\"]",
        ),
        (
            "on.slurm.time-limit = '0s'",
            "on.slurm.time-limit` is `0s`, expected a duration of more than zero and at most a year",
        ),
        (
            "on.kubernetes.image = ''",
            "on.kubernetes.image` is ``, expected an image, such as \"debian:12\"",
        ),
        (
            "on.kubernetes.pod = {}",
            "on.kubernetes.pod` is a table, expected a path of a file, such as \"pod.json\"",
        ),
        (
            "on.command.quote = 1",
            "on.command.quote` is an integer, expected `true` or `false`",
        ),
    ] {
        let error = read_err(&format!("[workspace.metadata.ansar]\n{text}"));
        let expected = format!("`workspace.metadata.ansar.{key}");
        assert!(error.message.ends_with(&expected), "{error}");
    }
}
