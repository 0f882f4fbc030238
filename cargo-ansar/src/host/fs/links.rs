//! Resolving a path, and recording the symlinks on the way.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Maximum number of symlinks in a path, as in the kernel.
const LIMIT: usize = 40;

/// A resolved path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Followed {
    /// The path without symlinks; it need not exist.
    pub path: PathBuf,
    /// The symlinks that were followed, each as its folder and its name.
    pub links: Vec<(PathBuf, OsString)>,
}

/// Resolves the symlinks in an absolute path; `None` if they form a loop.
pub fn follow(path: &Path) -> Option<Followed> {
    let mut followed = Followed::default();
    let mut ahead: VecDeque<PathBuf> = parts(path);
    while let Some(part) = ahead.pop_front() {
        match part.components().next() {
            Some(Component::ParentDir) => drop(followed.path.pop()),
            Some(Component::Normal(name)) => {
                let Ok(target) = fs::read_link(followed.path.join(name)) else {
                    followed.path.push(name);
                    continue;
                };
                let link = (followed.path.clone(), name.to_owned());
                followed.links.push(link);
                if followed.links.len() > LIMIT {
                    return None;
                }
                for part in parts(&target).into_iter().rev() {
                    ahead.push_front(part);
                }
            }
            // An absolute target replaces what was resolved so far.
            Some(Component::RootDir | Component::Prefix(_)) => followed.path.push(&part),
            Some(Component::CurDir) | None => {}
        }
    }
    Some(followed)
}

fn parts(path: &Path) -> VecDeque<PathBuf> {
    let parts = path.components();
    parts.map(|part| PathBuf::from(part.as_os_str())).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn all_followed_links_are_returned() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("work/src")).unwrap();
        fs::create_dir_all(root.join("shared/deep")).unwrap();
        symlink("../../shared", root.join("work/src/shared")).unwrap();
        symlink("b.rs", root.join("shared/deep/a.rs")).unwrap();
        symlink(root.join("shared/c.rs"), root.join("shared/deep/b.rs")).unwrap();
        symlink("circle", root.join("circle")).unwrap();
        let link = |folder: &str, name: &str| (root.join(folder), OsString::from(name));
        let followed = follow(&root.join("work/src/shared/deep/a.rs")).unwrap();
        assert_eq!(followed.path, root.join("shared/c.rs"));
        let links = [
            link("work/src", "shared"),
            link("shared/deep", "a.rs"),
            link("shared/deep", "b.rs"),
        ];
        assert_eq!(followed.links, links);
        let plain = follow(&root.join("work/./src/../x")).unwrap();
        assert_eq!((plain.path, plain.links.len()), (root.join("work/x"), 0));
        assert_eq!(follow(&root.join("circle/x")), None);
    }
}
