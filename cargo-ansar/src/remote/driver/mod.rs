//! Drivers, as data: the words of the commands that run agents on nodes.
//!
//! Pure. A driver only places: stdin and stdout of its command are the stream to
//! the agent, and everything else happens on that stream.

mod command;
mod kubernetes;
mod slurm;

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
        if name == DriverName::Local && !options.more_args.is_empty() {
            return Err(RemoteError::NoArguments);
        }
        if let Some(template) = &options.pod_template {
            kubernetes::check(template).map_err(|part| RemoteError::Pod {
                file: options.pod.clone().unwrap_or_default(),
                reason: format!("`{part}` has another type than in a pod"),
            })?;
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
    /// of a shard, in a place of this name.
    pub fn place(&self, shard: usize, name: &str, script: &str) -> Vec<String> {
        let shell = ["/bin/sh", "-c", script].map(str::to_owned);
        match self.name {
            DriverName::Local => shell.to_vec(),
            DriverName::Command => command::place(&self.options, shard, script),
            DriverName::Slurm => slurm::place(&self.options, name, script),
            DriverName::Kubernetes => kubernetes::place(&self.options, name, script),
        }
    }

    /// Returns the words of the command that runs `script` once more on the node of
    /// a shard, in a place of the same name, after its agent was lost; `None` if the
    /// files of an agent are gone with its place.
    pub fn place_again(
        &self,
        shard: usize,
        name: &str,
        node: &str,
        script: &str,
    ) -> Option<Vec<String>> {
        Some(match self.name {
            DriverName::Local | DriverName::Command => self.place(shard, name, script),
            DriverName::Slurm => slurm::place_on(&self.options, node, name, script),
            DriverName::Kubernetes => return None,
        })
    }

    /// Returns the commands about places of these names; `None` if places end with
    /// their command.
    pub fn release(&self, names: &[String]) -> Option<Release> {
        let options = &self.options;
        match self.name {
            DriverName::Local | DriverName::Command => None,
            DriverName::Slurm => Some(Release {
                release: slurm::release(names),
                look: slurm::look(names),
                is_needed: false,
            }),
            DriverName::Kubernetes => Some(Release {
                release: kubernetes::release(options, names),
                look: kubernetes::look(options, names),
                is_needed: true,
            }),
        }
    }

    /// Returns the words of the command by which an agent gives the place of this
    /// name back itself; empty if there is none on its node.
    pub fn cancel(&self, name: &str) -> Vec<String> {
        match self.name {
            DriverName::Slurm => slurm::release(&[name.to_owned()]),
            _ => Vec::new(),
        }
    }
}

/// The commands of a driver about the places of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The words of the command that gives them back.
    pub release: Vec<String>,
    /// The words of the command that lists those which are left.
    pub look: Vec<String>,
    /// True if none ends by itself.
    pub is_needed: bool,
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
        assert_eq!(
            local.place(3, "x", "echo 'a'"),
            ["/bin/sh", "-c", "echo 'a'"]
        );
        let words = driver(&["docker", "exec", "-i", "n{shard}"], None).place(1, "x", "echo 'a'");
        assert_eq!(
            words,
            ["docker", "exec", "-i", "n1", "sh", "-c", "echo 'a'"]
        );
    }

    #[test]
    fn ssh_gets_words_that_its_shell_reads_back() {
        let quoted = ["n1", "sh", "-c", r"'echo '\''a'\'''"];
        let ssh = driver(&["/usr/bin/ssh", "n{shard}"], None).place(1, "x", "echo 'a'");
        assert_eq!(ssh[1..], quoted);
        let other = driver(&["rsh", "n{shard}"], Some(true)).place(1, "x", "echo 'a'");
        assert_eq!(other[1..], quoted);
        let plain = driver(&["ssh", "n{shard}"], Some(false)).place(1, "x", "echo 'a'");
        assert_eq!(plain[1..], ["n1", "sh", "-c", "echo 'a'"]);
    }

    #[test]
    fn a_command_is_needed() {
        let none = Driver::new(DriverName::Command, DriverOptions::default());
        assert_eq!(none, Err(RemoteError::NoCommand));
    }

    #[test]
    fn slurm_gets_a_job_for_each_shard() {
        let options = DriverOptions {
            time_limit: Some(std::time::Duration::from_secs(90)),
            more_args: vec!["--partition=debug".to_owned()],
            ..DriverOptions::default()
        };
        let slurm = Driver::new(DriverName::Slurm, options).unwrap();
        let words = slurm.place(1, "ansar-a-1", "echo 'a'").join(" ");
        let expected = "srun -Q -N1 -n1 -u -J ansar-a-1 -t 2 --exclusive --partition=debug \
                        /bin/sh -c echo 'a'";
        assert_eq!(words, expected);
        let again = slurm.place_again(1, "ansar-a-1", "n2", "echo 'a'");
        let again = again.unwrap().join(" ");
        let expected = "srun -Q -N1 -n1 -u -J ansar-a-1 -t 1 --nodelist=n2 --partition=debug \
                        /bin/sh -c echo 'a'";
        assert_eq!(again, expected);
        let names = ["ansar-a-0".to_owned(), "ansar-a-1".to_owned()];
        let Release { release, look, .. } = slurm.release(&names).unwrap();
        let script = "scancel --name=ansar-a-0; scancel --name=ansar-a-1";
        assert_eq!(release, ["/bin/sh", "-c", script]);
        let expected = "squeue -h -o %i -t PENDING,CONFIGURING,RUNNING,SUSPENDED \
                        -n ansar-a-0,ansar-a-1";
        assert_eq!(look.join(" "), expected);
    }
}
