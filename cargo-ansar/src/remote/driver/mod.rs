//! Drivers, as data: the words of the commands that run agents on nodes.
//!
//! Pure. A driver only places: stdin and stdout of its command are the stream to
//! the agent, and everything else happens on that stream.

mod command;

use crate::model::remote::{DriverName, DriverOptions, RemoteError};

/// A driver with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    name: DriverName,
    options: DriverOptions,
}

impl Driver {
    /// Returns a driver with the options of the manifest.
    ///
    /// # Errors
    ///
    /// Returns an error if an option is missing without which it cannot work.
    pub fn new(name: DriverName, options: DriverOptions) -> Result<Self, RemoteError> {
        if name == DriverName::Command && options.command.is_empty() {
            return Err(RemoteError::NoCommand);
        }
        Ok(Self { name, options })
    }

    /// Returns its name.
    pub fn name(&self) -> DriverName {
        self.name
    }

    /// Returns true if all its agents run on this machine.
    pub fn is_local(&self) -> bool {
        self.name == DriverName::Local
    }

    /// Returns the words of the command that runs `script` in a shell on the node
    /// of a shard.
    pub fn place(&self, shard: usize, script: &str) -> Vec<String> {
        let shell = ["/bin/sh", "-c", script].map(str::to_owned);
        match self.name {
            DriverName::Local => shell.to_vec(),
            DriverName::Command => command::place(&self.options, shard, script),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn driver(command: &[&str], quote: Option<bool>) -> Driver {
        let options = DriverOptions {
            command: command.iter().map(|&word| word.to_owned()).collect(),
            quote,
            ..DriverOptions::default()
        };
        Driver::new(DriverName::Command, options).unwrap()
    }

    #[test]
    fn a_shell_runs_the_script() {
        let local = Driver::new(DriverName::Local, DriverOptions::default()).unwrap();
        assert_eq!(local.place(3, "echo 'a'"), ["/bin/sh", "-c", "echo 'a'"]);
        let words = driver(&["docker", "exec", "-i", "n{shard}"], None).place(1, "echo 'a'");
        assert_eq!(
            words,
            ["docker", "exec", "-i", "n1", "sh", "-c", "echo 'a'"]
        );
    }

    #[test]
    fn ssh_gets_words_that_its_shell_reads_back() {
        let quoted = ["n1", "sh", "-c", r"'echo '\''a'\'''"];
        let ssh = driver(&["/usr/bin/ssh", "n{shard}"], None).place(1, "echo 'a'");
        assert_eq!(ssh[1..], quoted);
        let other = driver(&["rsh", "n{shard}"], Some(true)).place(1, "echo 'a'");
        assert_eq!(other[1..], quoted);
        let plain = driver(&["ssh", "n{shard}"], Some(false)).place(1, "echo 'a'");
        assert_eq!(plain[1..], ["n1", "sh", "-c", "echo 'a'"]);
    }

    #[test]
    fn a_command_is_needed() {
        let none = Driver::new(DriverName::Command, DriverOptions::default());
        assert_eq!(none, Err(RemoteError::NoCommand));
    }
}
