//! The processes and the files of virtual hosts, as this machine sees them, and the
//! gates that their roles wait for.

use std::fs;
use std::path::{Path, PathBuf};

use super::cluster::{Cluster, NODES};
use super::{STORED, runs};

/// A file of each node that roles read: a named pipe until it is opened.
pub(super) const GATE: &str = "/tmp/gate";

/// Parts of the command lines of processes of a run.
const OURS: [&str; 4] = ["store/", GATE, "cargo-ansar", "srun"];

/// A running process of a host.
#[derive(Debug)]
pub(super) struct Process {
    /// Its id on this machine.
    pub(super) pid: i32,
    /// The id of its parent.
    pub(super) parent: i32,
    /// Its name.
    pub(super) name: String,
    /// Its command line.
    pub(super) command: String,
}

impl Process {
    fn read(path: &Path) -> Option<Self> {
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        let (name, fields) = stat.rsplit_once(") ")?;
        let (pid, name) = name.split_once(" (")?;
        let mut fields = fields.split_ascii_whitespace();
        let state = fields.next()?;
        let command = fs::read(path.join("cmdline")).ok()?;
        let process = Self {
            pid: pid.parse().ok()?,
            parent: fields.next()?.parse().ok()?,
            name: name.to_owned(),
            command: String::from_utf8_lossy(&command).replace('\0', " "),
        };
        (state != "Z").then_some(process)
    }
}

impl Cluster {
    /// Returns the id of the first process of a host, and the namespace of all of them.
    fn host(&self, name: &str) -> (String, PathBuf) {
        let text = fs::read_to_string(self.folder.join(format!("pid/{name}.host")));
        let text = text.expect("the host is up");
        let (first, namespace) = text.trim().split_once(' ').expect("two words");
        (first.to_owned(), namespace.into())
    }

    /// Returns the processes of a host.
    pub(super) fn processes(&self, host: &str) -> Vec<Process> {
        let (_, namespace) = self.host(host);
        let entries = fs::read_dir("/proc").expect("there is a /proc").flatten();
        let own = entries.map(|entry| entry.path()).filter(|path| {
            let other = fs::read_link(path.join("ns/net"));
            other.is_ok_and(|other| other == namespace)
        });
        own.filter_map(|path| Process::read(&path)).collect()
    }

    /// Returns the processes of runs on a host.
    pub(super) fn of_runs(&self, host: &str) -> Vec<String> {
        let processes = self.processes(host).into_iter();
        let ours = processes.filter(|it| OURS.iter().any(|text| it.command.contains(text)));
        ours.map(|it| format!("{} {}", it.pid, it.command))
            .collect()
    }

    /// Returns the processes of runs on a host, and the folders of agents there.
    pub(super) fn traces(&self, host: &str) -> Vec<String> {
        let (first, _) = self.host(host);
        let scratch = PathBuf::from(format!("/proc/{first}/root/tmp/ansar-0"));
        let folders = runs(&scratch).into_iter();
        let folders = folders.map(|folder| folder.display().to_string());
        self.of_runs(host).into_iter().chain(folders).collect()
    }

    /// Gives the nodes the tool, which is large.
    pub(super) fn store_tool(&self) {
        for node in NODES {
            let store = "/tmp/ansar-0/store";
            let script = format!(
                "umask 077; mkdir -p {store}; ln -s {} {store}",
                STORED.display()
            );
            self.on(node, &script);
        }
    }

    /// Makes roles wait that read the gate of their node.
    pub(super) fn close_gates(&self) {
        for node in NODES {
            self.on(node, &format!("rm -f {GATE}; mkfifo {GATE}"));
        }
    }

    /// Lets roles end that wait, and those that come later.
    pub(super) fn open_gates(&self) {
        for node in NODES {
            let script = format!("mv {GATE} {GATE}.old; : >{GATE}; : <>{GATE}.old; rm {GATE}.old");
            self.on(node, &script);
        }
    }
}
