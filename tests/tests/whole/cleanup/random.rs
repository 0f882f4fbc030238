//! Kills every command at a random moment: the next one works, no process runs
//! on, and no change is incomplete.
//!
//! As in `kills`, the work is done in a subreaper process, so that every orphan
//! is counted, however well hidden.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tests::{Output, Running, Signal, Workspace, children_of, eventually};

use super::kills::{INNER, ROUNDS, SEED, living, now, pause, run_inner, variable};
use super::workspace;

/// Number of rounds unless [`ROUNDS`] is set.
const USUAL_ROUNDS: u64 = 4;

/// The commands, with `N` for the number of the round, and the latest moment of
/// the kill in milliseconds.
const COMMANDS: [(&str, u64); 22] = [
    ("add snooze more-{number} --count=3 --seconds=N", 150),
    ("update snooze-.* --seconds=N", 150),
    ("set timeout snooze-.*", 100),
    ("settings snooze-0", 150),
    ("delete -f more-.*", 150),
    ("delete -f snooze-.*", 150),
    ("delete -f", 400),
    ("destroy -f", 400),
    ("create", 30),
    ("snapshot -f out", 400),
    ("deploy -f", 1_500),
    ("deploy -f dist testing", 600),
    ("deploy -f --storage-path testing", 600),
    ("run -f noop-0 strays-0 deserts-0", 400),
    ("test", 1_500),
    ("start -f", 500),
    ("start -f w-0 server-0", 400),
    ("stop -f", 400),
    ("restart -f", 500),
    ("with -f deserts-0 -- sleep 0.2", 800),
    ("watch", 2_000),
    ("status", 60),
];

/// The process to kill, and its state.
#[derive(Debug, Clone, Copy)]
enum Victim {
    /// The command, which is its guardian.
    Command,
    /// The engine below it.
    Engine,
    /// Both at one instant.
    Both,
    /// Both, after the engine was suspended.
    Suspended,
    /// The engine in the background and its guardian, at one instant.
    Background,
    /// The engine in the background after it was suspended.
    SuspendedBackground,
}

const VICTIMS: [Victim; 6] = [
    Victim::Command,
    Victim::Engine,
    Victim::Both,
    Victim::Suspended,
    Victim::Background,
    Victim::SuspendedBackground,
];

#[test]
fn random_kills_over_every_command() {
    let rounds = variable(ROUNDS).unwrap_or(USUAL_ROUNDS);
    if variable(INNER).is_some() {
        let seed = variable(SEED).expect("the outer process gives a seed");
        return Chaos::new(seed).rounds(rounds);
    }
    let (_, module) = module_path!().split_once("::").unwrap_or_default();
    run_inner(
        &format!("{module}::random_kills_over_every_command"),
        rounds,
    );
}

struct Chaos {
    workspace: Workspace,
    random: fastrand::Rng,
    /// The round, and the number of kills of each victim.
    round: u64,
    hits: BTreeMap<String, usize>,
}

/// A component that replaces a file of its model all the time.
const WRITER: &str = r#"#!/bin/sh
# ansar-component: 1
case "$*" in *--dump-*) echo '{"value": {}}'; echo '{"value": null}'; exit ;; esac
trap 'exit 0' INT TERM
i=0
while :; do
    i=$((i + 1))
    echo "$i" > .ansar-home/model/w-0/next 2> /dev/null
    mv .ansar-home/model/w-0/next .ansar-home/model/w-0/now 2> /dev/null
    sleep 0.02
done
"#;

impl Chaos {
    fn new(seed: u64) -> Self {
        set_child_subreaper(true).expect("Linux has subreapers");
        let workspace = workspace("");
        let path = workspace.write("dist/writer", WRITER);
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(path, mode).expect("it is ours");
        Self {
            workspace,
            random: fastrand::Rng::with_seed(seed),
            round: 0,
            hits: BTreeMap::new(),
        }
    }

    #[expect(clippy::print_stderr, reason = "the counts are the outcome")]
    fn rounds(mut self, rounds: u64) {
        for round in 0..rounds {
            self.round = round;
            self.prepare();
            self.strike();
        }
        self.ansar("destroy -f");
        assert!(self.left().is_empty(), "{:?}", self.left());
        eprintln!("killed in {rounds} rounds: {:?}", self.hits);
    }

    fn ansar(&self, words: &str) -> Output {
        let command = self.workspace.ansar(words.split(' '));
        let value = self.round + 10;
        let given = match words.split(' ').next() {
            Some("set") => format!(r#"{{"value": {value}}}"#),
            Some("settings") => format!(r#"{{"value": {{"seconds": {value}}}}}"#),
            _ => String::new(),
        };
        let output = command.stdin(&given).run();
        output.check(!output.stderr.contains("panicked"), || {
            "expected no panic".to_owned()
        });
        output
    }

    /// Prepares the home for a round.
    fn prepare(&mut self) {
        let text = format!("version {}\n", self.round).repeat(2_000);
        for file in ["zombie-0/text", "zombie-0/deep/text", "w-0/text"] {
            let file = format!("testing/model-by-role/{file}");
            self.workspace.write(file, &text);
        }
        let file = "testing/resource-by-executable/zombie/text";
        self.workspace.write(file, &text);
        if !self.workspace.path().join(".ansar-home").exists() {
            self.ansar("create").success();
        }
        self.ansar("deploy -f").success();
        let there = self.listed();
        for (role, words) in [
            ("snooze-0", "add snooze snooze-{number} --count=3"),
            ("more-0", "add snooze more-{number} --count=3"),
        ] {
            if !there.contains(role) {
                self.ansar(words).success();
            }
        }
        if !there.contains("w-0") {
            self.ansar("deploy -f dist testing").success();
            self.ansar("add writer w-0").success();
        }
        if self.random.bool() {
            self.ansar("start -f server-0 zombie-0 deserts-0");
        }
    }

    #[expect(clippy::print_stderr, reason = "a failure is explained by its rounds")]
    fn strike(&mut self) {
        let (words, most) = COMMANDS[self.random.usize(..COMMANDS.len())];
        let victim = VICTIMS[self.random.usize(..VICTIMS.len())];
        let after = Duration::from_micros(self.random.u64(..most * 1_000));
        eprintln!("round {}: {victim:?} {after:?} into `{words}`", self.round);
        let words = words.replace("=N", &format!("={}", self.round + 10));
        if words == "create" {
            self.ansar("destroy -f").success();
        }
        let before = self.entries();
        let given = match words.split(' ').next() {
            Some("set") => format!(r#"{{"value": {}}}"#, self.round + 10),
            Some("settings") => r#"{"value": {"seconds": 9}}"#.to_owned(),
            _ => String::new(),
        };
        let command = self.workspace.ansar(words.split(' ')).stdin(&given).start();
        pause(now() + after);
        if self.hit(victim, &command) {
            *self.hits.entry(format!("{victim:?}")).or_default() += 1;
        }
        // After a kill of the engine in the background, it may run for ever.
        command.signal(Signal::SIGKILL);
        let output = command.wait();
        output.check(!output.stderr.contains("panicked"), || {
            "expected no panic".to_owned()
        });
        self.is_whole(&words, &before);
    }

    /// Kills the victim; false if it does not run.
    fn hit(&self, victim: Victim, command: &Running<'_>) -> bool {
        let guardian = Pid::from_raw(i32::try_from(command.pid()).expect("it is a process"));
        let engine = children_of(command.pid()).into_iter().next();
        let both = engine.map(|engine| (guardian, Pid::from_raw(engine)));
        let killed = RefCell::new(Vec::new());
        let send = |pid, signal| {
            let _ = kill(pid, signal);
            killed.borrow_mut().push(pid);
        };
        let kill_both = |(guardian, engine)| {
            // A suspended guardian cannot act in between.
            send(guardian, Signal::SIGSTOP);
            send(engine, Signal::SIGKILL);
            send(guardian, Signal::SIGKILL);
        };
        match (victim, both) {
            (Victim::Command, _) => send(guardian, Signal::SIGKILL),
            (Victim::Engine, Some((_, engine))) => send(engine, Signal::SIGKILL),
            (Victim::Both, Some(both)) => kill_both(both),
            (Victim::Suspended, Some(both)) => {
                send(both.1, Signal::SIGSTOP);
                pause(now() + Duration::from_millis(50));
                kill_both(both);
            }
            (Victim::Background, _) => match self.background() {
                Some(both) => kill_both(both),
                None => return false,
            },
            (Victim::SuspendedBackground, _) => match self.background() {
                Some((_, engine)) => {
                    send(engine, Signal::SIGSTOP);
                    pause(now() + Duration::from_millis(50));
                    send(engine, Signal::SIGKILL);
                }
                None => return false,
            },
            (Victim::Engine | Victim::Both | Victim::Suspended, None) => return false,
        }
        // A dying process still runs as far as the next command can tell.
        let gone = eventually(|| killed.borrow().iter().all(|pid| !lives(*pid)).then_some(()));
        assert!(gone.is_some(), "{killed:?} cannot be killed");
        true
    }

    /// Returns the guardian and the engine in the background.
    fn background(&self) -> Option<(Pid, Pid)> {
        let all = self.workspace.processes();
        let own = all.iter().filter(|(_, line)| line.contains(" supervise "));
        let own: Vec<i32> = own.map(|(pid, _)| *pid).collect();
        own.iter().find_map(|&guardian| {
            let below = children_of(guardian.unsigned_abs());
            let engine = below.into_iter().find(|pid| own.contains(pid))?;
            Some((Pid::from_raw(guardian), Pid::from_raw(engine)))
        })
    }

    fn left(&self) -> BTreeMap<i32, String> {
        let mut left = BTreeMap::new();
        // An engine in the background without requests exits after 10 s.
        let limit = now() + Duration::from_secs(20);
        let _ = eventually(|| {
            left = living(&self.workspace, None);
            (left.is_empty() || now() > limit).then_some(())
        });
        left
    }

    fn listed(&self) -> BTreeSet<String> {
        let list = self.ansar("list --all-roles");
        list.success().stdout.lines().map(str::to_owned).collect()
    }

    /// Returns the contents of the roles' entries and settings.
    fn entries(&self) -> BTreeMap<String, Vec<u8>> {
        let home = self.workspace.path().join(".ansar-home");
        let mut entries = BTreeMap::new();
        for area in ["entry", "settings"] {
            for name in names(&home.join(area)) {
                let bytes = fs::read(home.join(area).join(&name)).unwrap_or_default();
                entries.insert(format!("{area}/{name}"), bytes);
            }
        }
        entries
    }

    /// Checks everything after a command was killed.
    fn is_whole(&mut self, words: &str, before: &BTreeMap<String, Vec<u8>>) {
        let next = [
            "status",
            "list",
            "run noop-0",
            "stop -f",
            "add noop",
            "destroy",
        ];
        let next = next[self.random.usize(..next.len())];
        let home = self.workspace.path().join(".ansar-home");
        if next != "destroy" || words.starts_with("destroy") {
            self.ansar(next);
        }
        let stop = self.ansar("stop -f");
        if !stop.status.success() {
            stop.code(96).stderr_has("no home at");
            assert!(words.starts_with("destroy") || words == "create");
            self.ansar("create").success();
        }
        // The next command that changes something removes unfinished files.
        let set = self.ansar("set timeout noop-0 --not-set");
        let left = self.left();
        assert!(left.is_empty(), "`{words}`, `{next}` left {left:#?}");
        let staged = self.staged(&self.workspace.path());
        assert!(staged.is_empty(), "`{words}`, `{next}`: {staged:?}");
        let engines = names(&home.join("engine"));
        assert!(
            engines.is_empty(),
            "`{words}`, `{next}`: {engines:?}\n{}",
            set.stderr
        );
        self.roles_are_whole(words);
        self.groups_are_whole(words, before);
        self.files_are_whole();
        self.ansar("delete -f noop-1");
    }

    /// Returns the staged or pending files at any depth in a folder.
    fn staged(&self, folder: &Path) -> Vec<String> {
        let find = self.workspace.program("find").arg(folder);
        let find = find.args(["-name", "target", "-prune", "-o"]);
        let find = find.args(["-name", ".ansar-alias-*", "-print", "-o"]);
        let output = find.args(["-name", "pending.json", "-print"]).run();
        output.stdout.lines().map(str::to_owned).collect()
    }

    /// Asserts that each role is complete or absent.
    fn roles_are_whole(&self, words: &str) {
        let roles = self.listed();
        let home = self.workspace.path().join(".ansar-home");
        for area in ["settings", "input", "entry"] {
            for name in names(&home.join(area)) {
                let role = name.trim_end_matches(".json");
                assert!(roles.contains(role), "`{words}`: {area}/{name}");
            }
        }
        for area in ["model", "tmp", "logs", "history"] {
            for name in names(&home.join(area)) {
                let role = name.split('.').next().unwrap_or_default();
                assert!(roles.contains(role), "`{words}`: {area}/{name}");
            }
        }
        for role in &roles {
            let told = self.ansar(&format!("settings {role}"));
            told.success().stderr_lacks("error");
        }
        for role in roles.iter().take(2) {
            for words in ["history ROLE", "log ROLE --last=MONTH"] {
                let output = self.ansar(&words.replace("ROLE", role));
                output.success().stderr_lacks("warning");
            }
        }
        self.ansar("status").success();
    }

    /// Asserts that the roles changed by one command are all old or all new.
    fn groups_are_whole(&self, words: &str, before: &BTreeMap<String, Vec<u8>>) {
        let now = self.entries();
        for group in ["snooze", "more"] {
            let has = |number| now.contains_key(&format!("entry/{group}-{number}.json"));
            let is_alike = has(0) == has(1) && has(1) == has(2);
            assert!(is_alike, "`{words}`: {:?}", now.keys());
        }
        if !(words.starts_with("update") || words.starts_with("set ")) {
            return;
        }
        let changed = |name: &String| now.get(name) != before.get(name);
        let snoozing = |area: &str| {
            let area = format!("{area}/snooze-");
            now.keys().filter(move |name| name.starts_with(&area))
        };
        let count = snoozing("entry").filter(|name| changed(name)).count();
        assert!([0, 3].contains(&count), "`{words}` changed {count} roles");
    }

    /// Asserts that each deployed file is of one version.
    fn files_are_whole(&self) {
        let home = self.workspace.path().join(".ansar-home");
        for file in [
            "model/zombie-0/text",
            "model/zombie-0/deep/text",
            "model/w-0/text",
            "resource/zombie/text",
        ] {
            let Ok(text) = fs::read_to_string(home.join(file)) else {
                continue;
            };
            let first = text.lines().next().unwrap_or_default();
            assert_eq!(text, format!("{first}\n").repeat(2_000), "{file}");
        }
    }
}

fn lives(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.collect()
}
