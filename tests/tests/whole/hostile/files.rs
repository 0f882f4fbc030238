//! Every file of a home, damaged or replaced by a file of another type.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tests::{Sandbox, executable};

use super::mutation::mutate;
use super::{bounded, cases, well_behaved};

/// Commands that read a home, and some that change it.
const COMMANDS: [&str; 27] = [
    "list",
    "list -l --all-roles",
    "status -l",
    "settings server-0",
    "input factorial-0",
    "get retry noop-0",
    "get env noop-0",
    "history noop-0 -l",
    "history noop-0",
    "returned noop-0",
    "log noop-0 --back=1h",
    "log noop-0 --start=0",
    "log noop-0 --count=3",
    "report",
    "report --html page.html",
    "why server-0",
    "folder model server-0",
    "update server-0 --port=7",
    "set timeout noop-0 --not-set",
    "run noop-0",
    "add noop another",
    "delete noop-0",
    "destroy",
    "destroy -f",
    "deploy --storage-path materials",
    "deploy --storage-path materials --dry-run",
    "-f snapshot copy",
];

/// Creates a home in which roles have run, a snapshot of it, and pristine
/// copies of both.
fn lived_in() -> Sandbox {
    let sandbox = Sandbox::new();
    let bin = executable("noop").parent().expect("a file is in a folder");
    let create = format!("create --redirect-bin={}", bin.display());
    for words in [
        &*create,
        "add noop",
        "add server",
        "add factorial",
        "add checks test-checks",
        "update server-0 --port=1234",
        "run noop-0 factorial-0",
        "run --test-run test-checks",
        "-f snapshot materials",
    ] {
        sandbox.ansar(words.split(' ')).run();
    }
    sandbox.write("materials/model-by-role/server-0/words.json", "{}\n");
    let deploy = "deploy --storage-path materials";
    sandbox.ansar(deploy.split(' ')).run().success();
    copy(
        &sandbox.path().join(".ansar-home"),
        &sandbox.path().join("pristine/home"),
    );
    copy(
        &sandbox.path().join("materials"),
        &sandbox.path().join("pristine/materials"),
    );
    sandbox
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder is made");
    let permissions = fs::metadata(from).expect("it is there").permissions();
    fs::set_permissions(to, permissions).expect("the mode is set");
    for entry in fs::read_dir(from).expect("it is a folder").flatten() {
        let to = to.join(entry.file_name());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("the file is copied");
        }
    }
}

/// Restores the home and its snapshot from the pristine copies.
fn restore(sandbox: &Sandbox) {
    for (name, pristine) in [(".ansar-home", "home"), ("materials", "materials")] {
        let place = sandbox.path().join(name);
        let _ = fs::remove_dir_all(&place);
        let _ = fs::remove_file(&place);
        copy(&sandbox.path().join("pristine").join(pristine), &place);
    }
    let _ = fs::remove_dir_all(sandbox.path().join("copy"));
}

/// All files below a folder, sorted.
fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("it is a folder").flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files.extend(files_of(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}

/// Damages or replaces a file, and returns the name of the change.
fn damage(rng: &mut Rng, file: &Path) -> &'static str {
    let bytes = fs::read(file).expect("the file is read");
    let replace = |by: &dyn Fn()| {
        fs::remove_file(file).expect("the file is removed");
        by();
    };
    match rng.u8(0..24) {
        0 => {
            replace(&|| mkfifo(file, Mode::S_IRWXU).expect("the FIFO is made"));
            "replaced by a FIFO"
        }
        1 => {
            replace(&|| fs::create_dir(file).expect("the folder is made"));
            "replaced by a folder"
        }
        2 => {
            replace(&|| symlink("/dev/zero", file).expect("the link is made"));
            "replaced by a link to /dev/zero"
        }
        3 => {
            replace(&|| symlink(file, file).expect("the link is made"));
            "replaced by a link to itself"
        }
        4 => {
            replace(&|| drop(UnixListener::bind(file)));
            "replaced by a socket"
        }
        5 => {
            replace(&|| {});
            "removed"
        }
        6 => {
            let file = fs::OpenOptions::new().write(true).open(file);
            let grown = file.and_then(|file| file.set_len(1 << 36));
            grown.expect("the file grows");
            "grown to 64 GiB of zeros"
        }
        _ => {
            let (changed, change) = mutate(rng, &bytes);
            fs::write(file, changed).expect("the file is written");
            change
        }
    }
}

#[test]
fn damaged_files_of_a_home_are_named() {
    let sandbox = lived_in();
    let (mut rng, count) = cases("files");
    let mut files = files_of(&sandbox.path().join(".ansar-home"));
    files.extend(files_of(&sandbox.path().join("materials")));
    for number in 0..count {
        restore(&sandbox);
        let file = rng.choice(&files).expect("a home has files").clone();
        let change = damage(&mut rng, &file);
        let command = rng.choice(COMMANDS).expect("there are commands");
        let case = format!("case {number}, `{}` {change}", file.display());
        let output = bounded(&sandbox, command, &case);
        well_behaved(&output, &case);
        // Code 96 means that the home is unusable: the error names the file.
        let name = file.file_name().expect("a file has a name");
        let named = output.stderr.contains(&*name.to_string_lossy());
        let folder = file.parent().expect("a file is in a folder");
        let named = named || output.stderr.contains(&folder.display().to_string());
        // A role without the file has no settings or input yet.
        let stem = file.file_stem().expect("a file has a name");
        let role = format!("role `{}` has no ", stem.to_string_lossy());
        let named = named || !file.exists() && output.stderr.contains(&role);
        output.check(output.status.code() != Some(96) || named, || {
            format!("expected the file to be named, after: {case}")
        });
    }
    restore(&sandbox);
}
