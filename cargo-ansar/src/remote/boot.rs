//! The first words on a new stream: a script of POSIX sh that puts this program
//! into the store of the node, if it is not there yet, and becomes the agent.

use crate::host::fs::Hash;

/// Variable with the folder of an agent's files, in place of `ansar-UID` in the
/// folder for temporary files.
pub const SCRATCH: &str = "ANSAR_SCRATCH";

/// Answer of a node that has the program.
pub const HAVE: &[u8] = b"have\n";
/// Answer of a node that reads the program next.
pub const WANT: &[u8] = b"want\n";
/// Answer of a node that has read the program.
pub const GOT: &[u8] = b"got\n";

/// Exit code of a script that cannot use its folder, or has not got the whole
/// program.
pub const FAILED: i32 = 75;

/// Exit codes of a shell that cannot execute a program.
pub const NOT_EXECUTABLE: [i32; 2] = [126, 127];

/// Returns the script for a program of this hash and size. It writes one of the
/// answers, and nothing before.
///
/// The folder must be the user's own: another user may have made one of that
/// name in a folder for temporary files. A program of which only a
/// part has arrived never gets its final name. If another agent has stored the
/// program meanwhile, its copy is kept. Bytes after the program are left for the
/// agent: none may be sent before the node has answered that it has the program.
pub fn script(hash: Hash, size: u64) -> String {
    format!(
        "umask 077; d=\"${{{SCRATCH}:-${{SLURM_TMPDIR:-${{TMPDIR:-/tmp}}}}/ansar-$(id -u)}}\"; f=store/{hash}; t=$f.$$\n\
         mkdir -p \"$d/store\" && [ -O \"$d\" ] && [ ! -L \"$d\" ] && chmod 700 \"$d\" && cd \"$d\" || {{ echo \"cannot use folder $d\" >&2; exit {FAILED}; }}\n\
         if [ -x $f ]; then echo have; else echo want; head -c {size} >$t && [ $(wc -c <$t) -eq {size} ] && chmod 700 $t && {{ ln $t $f 2>&- || [ -x $f ] || mv $t $f; }} && rm -f $t && echo got || {{ rm -f $t; exit {FAILED}; }}; fi\n\
         exec ./$f agent\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_has_four_lines() {
        let script = script(Hash::of(b"x"), 1);
        assert_eq!(script.lines().count(), 4);
        assert!(script.is_ascii());
        assert!(script.ends_with(" agent\n"));
    }
}
