//! The command line of a component without the feature `cli`: the flags that the engine and
//! callers use, in the form `--NAME=VALUE`, and settings in that form.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use ansar_contract::launch;

use super::arguments::{Arguments, Request};
use super::declaration::Declaration;
use super::{USAGE, executable_name};
use crate::host::streams;

/// Reads the command line. Prints the reason if it cannot be accepted, and returns the exit
/// code.
#[expect(clippy::needless_pass_by_value, reason = "as with the feature `cli`")]
pub(crate) fn read(
    declaration: &Declaration,
    arguments: Vec<OsString>,
) -> Result<Arguments, ExitCode> {
    parse(declaration, &arguments).map_err(|reason| {
        streams::complain(&format!("error: {reason}"));
        ExitCode::from(USAGE)
    })
}

fn parse(declaration: &Declaration, arguments: &[OsString]) -> Result<Arguments, String> {
    let mut parsed = Arguments {
        name: executable_name(arguments),
        request: Request::Run,
        role: None,
        origin: None,
        signature: None,
        debug_level: None,
        settings_file: None,
        input_file: None,
        output_file: None,
        settings: Vec::new(),
    };
    let (mut home, mut role) = (None, None);
    let (mut settings, mut input) = (false, false);
    for argument in arguments.iter().skip(1) {
        let shown = argument.to_string_lossy();
        let unexpected = || format!("unexpected argument `{shown}`, expected `--NAME=VALUE`");
        let flag = argument.as_bytes().strip_prefix(b"--");
        let flag = flag.ok_or_else(unexpected)?;
        let end = flag.iter().position(|byte| *byte == b'=');
        let name = std::str::from_utf8(&flag[..end.unwrap_or(flag.len())]);
        let name = name.map_err(|_| unexpected())?;
        let value = end.map(|end| OsStr::from_bytes(&flag[end + 1..]));
        match name {
            launch::DUMP_SETTINGS => settings = true,
            launch::DUMP_INPUT => input = true,
            launch::STORE_SETTINGS => parsed.request = Request::StoreSettings,
            launch::FACTORY_RESET => parsed.request = Request::FactoryReset,
            _ => {
                let value = value.ok_or_else(unexpected)?;
                let text = value.to_str().unwrap_or_default();
                match name {
                    launch::HOME_PATH => home = Some(PathBuf::from(value)),
                    launch::ROLE_NAME => role = Some(text.to_owned()),
                    launch::POINT_OF_ORIGIN => parsed.origin = Some(text.parse()?),
                    launch::CALL_SIGNATURE => parsed.signature = Some(text.parse()?),
                    launch::DEBUG_LEVEL => parsed.debug_level = Some(text.parse()?),
                    launch::SETTINGS_FILE => parsed.settings_file = Some(value.into()),
                    launch::INPUT_FILE => parsed.input_file = Some(value.into()),
                    launch::OUTPUT_FILE => parsed.output_file = Some(value.into()),
                    _ => {
                        let field = setting(declaration, name).ok_or_else(unexpected)?;
                        parsed.settings.push((field, text.to_owned()));
                    }
                }
            }
        }
    }
    if home.is_some() != role.is_some() {
        let (home, role) = (launch::HOME_PATH, launch::ROLE_NAME);
        return Err(format!("expected both `--{home}` and `--{role}`"));
    }
    parsed.role = home.zip(role);
    if settings || input {
        parsed.request = Request::Dump { settings, input };
    }
    Ok(parsed)
}

/// Returns the field of a setting, by its name with `-` or `_`.
fn setting(declaration: &Declaration, name: &str) -> Option<String> {
    let schema = declaration.settings.as_ref()?;
    let field = name.replace('-', "_");
    schema.fields().iter().find(|it| **it == field).cloned()
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::component::parameter::{Parameter, Settings};

    #[derive(Default, Serialize, Deserialize)]
    struct Arm {
        joint_names: Vec<String>,
    }

    fn read_all(arguments: &[&str]) -> Result<Arguments, String> {
        let mut declaration = Declaration::default();
        Settings::<Arm>::declare(&mut declaration);
        let all = ["/bin/robot-arm"].iter().chain(arguments);
        let all: Vec<_> = all.map(OsString::from).collect();
        parse(&declaration, &all)
    }

    #[test]
    fn flags_of_the_engine_and_settings_are_read() {
        let read = read_all(&["--home-path=h", "--role-name=r", "--joint-names=[]"]).unwrap();
        assert_eq!(read.role, Some(("h".into(), "r".into())));
        assert_eq!(read.settings, [("joint_names".to_owned(), "[]".to_owned())]);
        let both = Request::Dump {
            settings: true,
            input: true,
        };
        let dump = read_all(&["--dump-settings", "--dump-input"]).unwrap();
        assert_eq!(dump.request, both);
        for wrong in ["--role-name=r", "--speed=1", "x", "--debug-level=LOUD"] {
            assert!(read_all(&[wrong]).is_err(), "{wrong}");
        }
    }
}
