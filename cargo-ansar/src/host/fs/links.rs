//! Following symlinks, and telling which ones were followed.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Limit of symlinks on one way, as the kernel has it.
const LIMIT: usize = 40;

/// The way from a path to what it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Followed {
    /// The path without symlinks, whether anything is there or not.
    pub path: PathBuf,
    /// The symlinks that were followed, each as its folder and its name.
    pub links: Vec<(PathBuf, OsString)>,
}

/// Follows the symlinks in an absolute path; `None` where they lead in a
/// circle.
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
            // The root, which forgets what stood before it.
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
    fn every_link_on_the_way_is_told() {
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
