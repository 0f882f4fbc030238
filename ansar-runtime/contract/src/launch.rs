//! Launch arguments: how a parent passes a component its role, its home and its
//! streams, as command-line arguments and environment variables.

use std::fmt;
use std::str::FromStr;

/// The version of the contract. A component of another version is refused by
/// name.
pub const VERSION: u32 = 1;

/// `--call-signature=`: which of stdin and stdout carry messages.
pub const CALL_SIGNATURE: &str = "call-signature";
/// `--point-of-origin=`: the kind of parent, see [`Origin`].
pub const POINT_OF_ORIGIN: &str = "point-of-origin";
/// `--home-path=`: the home the role belongs to.
pub const HOME_PATH: &str = "home-path";
/// `--role-name=`: the role that the process plays.
pub const ROLE_NAME: &str = "role-name";
/// `--debug-level=`: the least important log lines that are written.
pub const DEBUG_LEVEL: &str = "debug-level";
/// `--settings-file=`: settings from a file, over the defaults.
pub const SETTINGS_FILE: &str = "settings-file";
/// `--input-file=`: input from a file, over the default.
pub const INPUT_FILE: &str = "input-file";
/// `--output-file=`: the file for the result, instead of stdout.
pub const OUTPUT_FILE: &str = "output-file";
/// `--dump-settings`: print the settings that a run would have, and exit.
pub const DUMP_SETTINGS: &str = "dump-settings";
/// `--dump-input`: print the input that a run would have, and exit.
pub const DUMP_INPUT: &str = "dump-input";
/// `--store-settings`: store the settings for later runs by hand, and exit.
pub const STORE_SETTINGS: &str = "store-settings";
/// `--factory-reset`: remove stored settings, and exit.
pub const FACTORY_RESET: &str = "factory-reset";
/// Flags that are built into every component; no setting has such a name.
pub const BUILT_IN_FLAGS: [&str; 13] = [
    "help",
    CALL_SIGNATURE,
    POINT_OF_ORIGIN,
    HOME_PATH,
    ROLE_NAME,
    DEBUG_LEVEL,
    SETTINGS_FILE,
    INPUT_FILE,
    OUTPUT_FILE,
    DUMP_SETTINGS,
    DUMP_INPUT,
    STORE_SETTINGS,
    FACTORY_RESET,
];

/// The parent's process id; a component ends when it is gone.
pub const PARENT: &str = "ANSAR_PARENT";
/// The home and the engine that a process belongs to.
pub const TOKEN: &str = "ANSAR_TOKEN";
/// The launch of an application that wraps its own `main`, instead of arguments:
/// the number of the [`Origin`], a colon, and the path of the home.
///
/// Processes that the application starts inherit it. It is meant for a process whose
/// parent is [`PARENT`], in the role [`ROLE`].
pub const LAUNCH: &str = "ANSAR_LAUNCH";
/// The role of a process, inherited by the processes that it starts.
pub const ROLE: &str = "ANSAR_ROLE";
/// The datagram socket that receives [notifications](crate::notice).
pub const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// The kind of parent that started a component.
///
/// Displayed and parsed as its number, the value of [`POINT_OF_ORIGIN`].
///
/// ```
/// use ansar_contract::launch::Origin;
///
/// assert_eq!(Origin::Run.to_string(), "3");
/// assert_eq!("3".parse(), Ok(Origin::Run));
/// assert_eq!(Origin::Run.of_calls(), Origin::RunCall);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `cargo ansar start`, in the background.
    Start = 1,
    /// A call by a started role.
    StartCall = 2,
    /// A foreground command: `run`, `test`.
    Run = 3,
    /// A call by a role of a foreground command.
    RunCall = 4,
}

impl Origin {
    /// Returns the origin of the components that a component of this origin calls.
    #[must_use]
    pub const fn of_calls(self) -> Self {
        match self {
            Self::Start | Self::StartCall => Self::StartCall,
            Self::Run | Self::RunCall => Self::RunCall,
        }
    }

    /// Returns true if the component was called by another component.
    pub const fn is_call(self) -> bool {
        matches!(self, Self::StartCall | Self::RunCall)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", *self as u8)
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "1" => Ok(Self::Start),
            "2" => Ok(Self::StartCall),
            "3" => Ok(Self::Run),
            "4" => Ok(Self::RunCall),
            _ => Err("expected 1, 2, 3 or 4".to_owned()),
        }
    }
}

/// The standard streams that carry messages.
///
/// Displayed and parsed as the value of [`CALL_SIGNATURE`]: `i`, `o`, `io` or empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallSignature {
    /// `i`: the input follows on stdin.
    pub input: bool,
    /// `o`: a result is expected on stdout.
    pub output: bool,
}

impl fmt::Display for CallSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.input, self.output) {
            (true, true) => "io",
            (true, false) => "i",
            (false, true) => "o",
            (false, false) => "",
        })
    }
}

impl FromStr for CallSignature {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "io" => Ok((true, true)),
            "i" => Ok((true, false)),
            "o" => Ok((false, true)),
            "" => Ok((false, false)),
            _ => Err("expected `i`, `o` or `io`".to_owned()),
        }
        .map(|(input, output)| Self { input, output })
    }
}
