//! `completions`: what completes these commands in a shell.

use clap::{Args, ValueEnum};
use clap_complete::Shell as Kind;

use crate::cli::exit::Exit;
use crate::cli::{Session, command};

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell: bash, zsh, fish
    #[arg(hide_possible_values = true)]
    shell: Shell,
}

/// The shells.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Shell {
    /// Loaded by `source <(cargo ansar completions bash)`.
    Bash,
    /// Written to `_cargo-ansar` in a folder of `fpath`.
    Zsh,
    /// Written to `~/.config/fish/completions/cargo-ansar.fish`.
    Fish,
}

/// The executable that Cargo starts for `cargo ansar`.
const EXECUTABLE: &str = "cargo-ansar";

/// Its name in a script for bash: what is generated for commands below one
/// with a `-` does not find itself.
const IN_BASH: &str = "cargo_ansar";

/// Completes the executable and `cargo ansar`, and leaves every other `cargo`
/// to whoever completed it before.
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

/// As for bash; the completion of `cargo` that zsh brings asks for the function
/// `_cargo-ansar` by itself.
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
