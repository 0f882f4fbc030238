//! The command line of a component, by hand and in a home.
//!
//! Every setting of the component is a flag beside the runtime's own, so that
//! `--help` shows it and a misspelt one is answered with a suggestion.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use ansar_contract::launch::{self, CallSignature, Origin};
use ansar_contract::line::Level;
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, Command};
use serde_json::Value;

use super::arguments::{Arguments, Request};
use super::declaration::Declaration;
use super::{USAGE, executable_name};

/// Parses the command line. Prints the reason if it cannot be accepted, or help if that was
/// asked for, and returns the exit code.
pub(crate) fn read(
    declaration: &Declaration,
    arguments: Vec<OsString>,
) -> Result<Arguments, ExitCode> {
    parse(declaration, arguments).map_err(|error| {
        let _ = error.print();
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE))
    })
}

fn parse(declaration: &Declaration, arguments: Vec<OsString>) -> Result<Arguments, clap::Error> {
    let name = executable_name(&arguments);
    let mut matches = command(&name, declaration).try_get_matches_from(arguments)?;
    let settings = fields(declaration)
        .filter_map(|(field, _)| Some((field.to_owned(), matches.remove_one(field)?)))
        .collect();
    let asked = |flag: &str| matches.get_flag(flag);
    let request = if asked(launch::FACTORY_RESET) {
        Request::FactoryReset
    } else if asked(launch::STORE_SETTINGS) {
        Request::StoreSettings
    } else if asked(launch::DUMP_SETTINGS) || asked(launch::DUMP_INPUT) {
        Request::Dump {
            settings: asked(launch::DUMP_SETTINGS),
            input: asked(launch::DUMP_INPUT),
        }
    } else {
        Request::Run
    };
    let mut path = |flag| matches.remove_one::<PathBuf>(flag);
    Ok(Arguments {
        name,
        request,
        settings_file: path(launch::SETTINGS_FILE),
        input_file: path(launch::INPUT_FILE),
        output_file: path(launch::OUTPUT_FILE),
        role: path(launch::HOME_PATH).zip(matches.remove_one(launch::ROLE_NAME)),
        origin: matches.remove_one(launch::POINT_OF_ORIGIN),
        signature: matches.remove_one(launch::CALL_SIGNATURE),
        debug_level: matches.remove_one(launch::DEBUG_LEVEL),
        settings,
    })
}

/// Returns the fields that have a flag. A field with the name of a flag of the
/// runtime can only be set in a file.
fn fields(declaration: &Declaration) -> impl Iterator<Item = (&str, Option<&Value>)> {
    declaration
        .settings
        .iter()
        .flat_map(|schema| {
            let fields = schema.fields().iter();
            fields.map(|field| (field.as_str(), schema.default().get(field)))
        })
        .filter(|(field, _)| !launch::BUILT_IN_FLAGS.contains(&flag_of(field).as_str()))
}

/// Returns the flag of a field: `management-levels` for `management_levels`.
fn flag_of(field: &str) -> String {
    field.replace('_', "-")
}

fn command(name: &str, declaration: &Declaration) -> Command {
    let value = |flag: &'static str, parser: ValueParser| {
        Arg::new(flag)
            .long(flag)
            .value_parser(parser)
            .overrides_with(flag)
    };
    let path = |flag| value(flag, ValueParser::path_buf()).value_name("FILE");
    let ask = |flag: &'static str| Arg::new(flag).long(flag).action(ArgAction::SetTrue);
    let parsed = |parser: ValueParser, flag| value(flag, parser).hide(true);
    let mut command = Command::new(name.to_owned())
        .about("A component of a cargo ansar home, run by hand")
        .args([
            path(launch::SETTINGS_FILE).help("Take settings from FILE, over the defaults"),
            path(launch::INPUT_FILE).help("Take the input from FILE"),
            path(launch::OUTPUT_FILE).help("Write the result to FILE instead of stdout"),
            value(launch::DEBUG_LEVEL, parser::<Level>())
                .value_name("LEVEL")
                .help("Log what LEVEL shows: NONE, FAULT, WARNING, CONSOLE, OBJECT, TRACE, DEBUG"),
            ask(launch::DUMP_SETTINGS).help("Print the settings of a run, and end"),
            ask(launch::DUMP_INPUT).help("Print the input of a run, and end"),
            ask(launch::STORE_SETTINGS).help("Keep these settings for later runs, and end"),
            ask(launch::FACTORY_RESET).help("Forget kept settings, and end"),
            parsed(ValueParser::path_buf(), launch::HOME_PATH).requires(launch::ROLE_NAME),
            parsed(ValueParser::string(), launch::ROLE_NAME).requires(launch::HOME_PATH),
            parsed(parser::<CallSignature>(), launch::CALL_SIGNATURE),
            parsed(parser::<Origin>(), launch::POINT_OF_ORIGIN),
        ]);
    for (field, default) in fields(declaration) {
        let mut flag = Arg::new(field.to_owned())
            .long(flag_of(field))
            .value_name("VALUE")
            .help_heading("Settings")
            .allow_hyphen_values(true)
            .overrides_with(field.to_owned());
        if field.contains('_') {
            flag = flag.alias(field.to_owned());
        }
        if let Some(default) = default {
            flag = flag.help(format!("[default: {default}]"));
        }
        command = command.arg(flag);
    }
    command
}

fn parser<T>() -> ValueParser
where
    T: std::str::FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    ValueParser::new(|text: &str| text.parse::<T>())
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::component::parameter::{Parameter, Settings};

    #[derive(Default, Serialize, Deserialize)]
    struct Arm {
        rotation: f64,
        joint_names: Vec<String>,
        home_path: String,
    }

    fn declaration() -> Declaration {
        let mut declaration = Declaration::default();
        Settings::<Arm>::declare(&mut declaration);
        declaration
    }

    fn read_all(arguments: &[&str]) -> Result<Arguments, String> {
        let all = ["/bin/robot-arm"].iter().chain(arguments);
        parse(&declaration(), all.map(OsString::from).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_is_well_formed() {
        command("x", &declaration()).debug_assert();
    }

    #[test]
    fn settings_are_flags_also_with_negative_values() {
        let arguments = read_all(&["--rotation=-90.0", "--joint-names=[\"a\"]"]).unwrap();
        let settings: Vec<_> = arguments
            .settings
            .iter()
            .map(|(f, v)| (&**f, &**v))
            .collect();
        assert_eq!(
            settings,
            [("rotation", "-90.0"), ("joint_names", "[\"a\"]")]
        );
        assert_eq!(arguments.name, "robot-arm");
        assert!(read_all(&["--joint_names=[]"]).is_ok());
    }

    #[test]
    fn a_setting_does_not_shadow_a_flag_of_the_runtime() {
        let arguments = read_all(&["--home-path=h", "--role-name=r"]).unwrap();
        assert_eq!(arguments.role, Some(("h".into(), "r".into())));
        assert!(arguments.settings.is_empty());
    }

    #[test]
    fn a_role_needs_a_home() {
        assert!(read_all(&["--role-name=r"]).is_err());
    }

    #[test]
    fn a_mistyped_setting_is_answered_with_the_nearest() {
        let error = read_all(&["--rotaton=1"]).unwrap_err();
        assert!(error.contains("--rotation"), "{error}");
    }

    #[test]
    fn both_dumps_may_be_asked_at_once() {
        assert_eq!(
            read_all(&["--dump-settings", "--dump-input"])
                .unwrap()
                .request,
            Request::Dump {
                settings: true,
                input: true
            }
        );
    }
}
