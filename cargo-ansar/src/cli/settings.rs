//! Splits the settings of a component off a command line before clap parses the
//! rest.
//!
//! Everything after `--` is a setting. For some commands, so is any
//! `--name=value` that is not one of their flags.

use std::ffi::OsString;

use ansar_contract::launch;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// A command line split into arguments and settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Arguments for clap.
    pub arguments: Vec<OsString>,
    /// Names without dashes, and values.
    pub settings: Vec<(String, String)>,
}

/// Position of settings among the arguments of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingPosition {
    /// Anywhere before or after `--`.
    Anywhere,
    /// After `--` only.
    AfterDashes,
}

/// Reason why an argument is not a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSetting {
    /// An argument after `--` that does not have the form of a setting.
    #[error("`{0}` is not a setting, expected `--name=value`")]
    Form(String),
    /// A flag that is built into every component.
    #[error("`--{0}` is not a setting: it is a built-in flag of every component")]
    BuiltIn(String),
}

/// Splits settings off `arguments`. `is_flag` returns true for long names of
/// the command's own flags.
pub fn split(
    arguments: impl IntoIterator<Item = OsString>,
    is_flag: impl Fn(&str) -> bool,
) -> Result<Split, NoSetting> {
    let mut split = Split {
        arguments: Vec::new(),
        settings: Vec::new(),
    };
    let mut arguments = arguments.into_iter();
    for argument in arguments.by_ref() {
        if argument == "--" {
            break;
        }
        match setting(&argument) {
            Some((name, value)) if !is_flag(&name) => split.settings.push((name, value)),
            _ => split.arguments.push(argument),
        }
    }
    for argument in arguments {
        let Some(setting) = setting(&argument) else {
            return Err(NoSetting::Form(argument.to_string_lossy().into_owned()));
        };
        split.settings.push(setting);
    }
    let mut names = split.settings.iter().map(|(name, _)| name);
    match names.find(|name| launch::BUILT_IN_FLAGS.contains(&name.as_str())) {
        Some(name) => Err(NoSetting::BuiltIn(name.clone())),
        None => Ok(split),
    }
}

fn setting(argument: &OsString) -> Option<(String, String)> {
    let (name, value) = argument.to_str()?.strip_prefix("--")?.split_once('=')?;
    (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
}

/// Explains the form of a setting if an unknown flag may be meant as one.
/// Returns any other error unchanged.
pub fn explain(
    error: clap::Error,
    mut command: clap::Command,
    place: SettingPosition,
) -> clap::Error {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    if error.kind() != ErrorKind::UnknownArgument || !flag.starts_with("--") {
        return error;
    }
    let suggestion = error.get(ContextKind::SuggestedArg);
    if place == SettingPosition::AfterDashes && suggestion.is_some() {
        return error;
    }
    let meant = match suggestion {
        Some(ContextValue::String(meant)) => format!("; did you mean `{meant}`?"),
        _ => String::new(),
    };
    let setting = match place {
        SettingPosition::Anywhere => format!("`{flag}=VALUE`"),
        SettingPosition::AfterDashes => format!("`-- {flag}=VALUE`, after the other arguments"),
    };
    command.error(
        ErrorKind::UnknownArgument,
        format!("`{flag}` is not a flag; write a setting as {setting}{meant}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splits(arguments: &[&str]) -> Result<(Vec<String>, Vec<String>), NoSetting> {
        let split = split(arguments.iter().map(OsString::from), |name| name == "count")?;
        let arguments = split
            .arguments
            .iter()
            .map(|a| a.to_string_lossy().into_owned());
        let settings = split
            .settings
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        Ok((arguments.collect(), settings.collect()))
    }

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn what_is_no_flag_is_a_setting() {
        assert_eq!(
            splits(&["robot-arm", "--rotation=-90.0", "--count=4", "left-arm"]),
            Ok((
                strings(&["robot-arm", "--count=4", "left-arm"]),
                strings(&["rotation=-90.0"])
            ))
        );
    }

    #[test]
    fn behind_the_dashes_everything_is_a_setting() {
        assert_eq!(
            splits(&["x", "--", "--count=4", "--a=b=c"]),
            Ok((strings(&["x"]), strings(&["count=4", "a=b=c"])))
        );
        assert_eq!(splits(&["x", "--", "y"]), Err(NoSetting::Form("y".into())));
    }

    #[test]
    fn a_flag_of_every_component_is_no_setting() {
        for line in [&["x", "--role-name=y"][..], &["x", "--", "--home-path=/h"]] {
            assert!(
                matches!(splits(line), Err(NoSetting::BuiltIn(_))),
                "{line:?}"
            );
        }
    }

    #[test]
    fn a_flag_without_a_value_is_left_to_clap() {
        assert_eq!(
            splits(&["--rotation", "--=x"]),
            Ok((strings(&["--rotation", "--=x"]), Vec::new()))
        );
    }
}
