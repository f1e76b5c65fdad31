//! What of the file system decides what a path leads to.
//!
//! The path's own name in its folder, every symbolic link on the way, and where something is missing, its name. Kubernetes
//! swaps `..data` and leaves `app.toml -> ..data/app.toml` alone; so the links are followed one by one.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::Entries;

/// How many links a path may lead over, as in Linux.
const MAX_LINKS: usize = 40;

/// Every entry of a folder whose change can change what the path leads to. Blocks.
pub(super) fn of(path: &Path) -> Entries {
    let mut entries = Entries::new();
    let mut links = 0;
    let mut at = PathBuf::new();
    let mut left: VecDeque<Step> = steps(path).collect();
    while let Some(step) = left.pop_front() {
        let name = match step {
            Step::Root(root) => {
                at = root;
                continue;
            }
            Step::Up => {
                at.pop();
                continue;
            }
            Step::Name(name) => name,
        };
        let entry = at.join(name);
        let kind = fs::symlink_metadata(&entry);
        if let Ok(kind) = &kind
            && kind.is_symlink()
        {
            links += 1;
            let target = if links > MAX_LINKS { None } else { fs::read_link(&entry).ok() };
            entries.insert(entry);
            let Some(target) = target else { break };
            for step in steps(&target).collect::<Vec<_>>().into_iter().rev() {
                left.push_front(step);
            }
        } else if kind.is_err() || left.is_empty() {
            // Here it ends, or here it is to be waited for.
            entries.insert(entry);
            break;
        } else {
            at = entry;
        }
    }
    entries
}

enum Step {
    Root(PathBuf),
    Up,
    Name(OsString),
}

fn steps(path: &Path) -> impl Iterator<Item = Step> {
    path.components().filter_map(|component| match component {
        Component::Prefix(_) | Component::RootDir => Some(Step::Root(PathBuf::from(component.as_os_str()))),
        Component::CurDir => None,
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Name(name.to_owned())),
    })
}
