//! `completions`: print a completion script for a shell.

use clap::{Args, ValueEnum};
use clap_complete::Shell as Kind;

use crate::cli::exit::Exit;
use crate::cli::{Session, command};

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Shell to complete commands in: bash, zsh, fish
    #[arg(hide_possible_values = true)]
    shell: Shell,
}

/// Supported shells.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Shell {
    /// Loaded by `source <(cargo ansar completions bash)`.
    Bash,
    /// Written to `_cargo-ansar` in a folder of `fpath`.
    Zsh,
    /// Written to `~/.config/fish/completions/cargo-ansar.fish`.
    Fish,
}

/// Executable that Cargo runs for `cargo ansar`.
const EXECUTABLE: &str = "cargo-ansar";

/// Name of the executable in the bash script. `clap_complete` generates broken
/// functions for subcommands of a command with a `-` in its name.
const IN_BASH: &str = "cargo_ansar";

/// Completes `cargo-ansar` and `cargo ansar`; every other `cargo` command goes
/// to the completion function that was there before.
const BASH_THROUGH_CARGO: &str = r#"
complete -F _cargo_ansar -o bashdefault -o default cargo-ansar

_cargo_ansar_through_cargo() {
    if [[ ${COMP_WORDS[1]-} != ansar || $COMP_CWORD -lt 2 ]]; then
        if declare -F _cargo >/dev/null; then
            _cargo "$@"
        fi
        return
    fi
    COMP_WORDS=(cargo-ansar "${COMP_WORDS[@]:2}")
    COMP_CWORD=$((COMP_CWORD - 1))
    _cargo_ansar cargo-ansar "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
}
complete -F _cargo_ansar_through_cargo -o bashdefault -o default cargo
"#;

/// The same for fish. Zsh needs no such code: its own completion of `cargo`
/// calls the function `_cargo-ansar`.
const FISH_THROUGH_CARGO: &str = r#"
function __fish_cargo_ansar_through_cargo
    set -l line (commandline --current-process --cut-at-cursor)
    complete --do-complete (string replace --regex '^\s*cargo\s+ansar' cargo-ansar -- "$line")
end
complete -c cargo -n '__fish_seen_subcommand_from ansar' -f -a '(__fish_cargo_ansar_through_cargo)'
complete -c cargo -n __fish_use_subcommand -f -a ansar -d 'Build, deploy, run and test an application of several processes'
"#;

impl Shell {
    fn script(self) -> Vec<u8> {
        let (kind, name, through_cargo) = match self {
            Self::Bash => (Kind::Bash, IN_BASH, BASH_THROUGH_CARGO),
            Self::Zsh => (Kind::Zsh, EXECUTABLE, ""),
            Self::Fish => (Kind::Fish, EXECUTABLE, FISH_THROUGH_CARGO),
        };
        let mut script = Vec::new();
        clap_complete::generate(kind, &mut command().name(name), name, &mut script);
        script.extend_from_slice(through_cargo.as_bytes());
        script
    }
}

impl Session<'_> {
    pub(super) fn completions(&self, args: &CompletionsArgs) -> Exit {
        let script = String::from_utf8_lossy(&args.shell.script()).into_owned();
        self.printer
            .show(move |shell| shell.verbatim(script.trim_end()));
        Exit::Success
    }
}
