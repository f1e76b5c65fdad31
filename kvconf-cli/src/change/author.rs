//! In whose name a change is made, when nobody says it.

use std::process::{Command, Stdio};

/// The author: as given, else `KVCONF_AUTHOR`, else who commits with git, else the user of the system.
pub(crate) fn author(given: Option<&str>) -> String {
    let variable = |name: &str| std::env::var(name).ok();
    choose(given, &variable, &of_git)
}

fn choose(
    given: Option<&str>,
    variable: &dyn Fn(&str) -> Option<String>,
    git: &dyn Fn() -> Option<String>,
) -> String {
    let filled = |text: &String| !text.trim().is_empty();
    let user = || ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| variable(name).filter(filled));
    given
        .map(str::to_owned)
        .or_else(|| variable("KVCONF_AUTHOR").filter(filled))
        .or_else(|| git().filter(filled))
        .or_else(user)
        .unwrap_or_else(|| "unknown".to_owned())
}

fn of_git() -> Option<String> {
    let output =
        Command::new("git").args(["config", "--get", "user.name"]).stdin(Stdio::null()).output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_named_first_is_the_author() {
        // P7
        let variables = |name: &str| match name {
            "KVCONF_AUTHOR" => Some("ops".to_owned()),
            "LOGNAME" => Some("root".to_owned()),
            _ => None,
        };
        let only_user = |name: &str| variables(name).filter(|_| name == "LOGNAME");
        let git = || Some("dev".to_owned());
        assert_eq!(choose(Some("on-call"), &variables, &git), "on-call");
        assert_eq!(choose(None, &variables, &git), "ops");
        assert_eq!(choose(None, &only_user, &git), "dev");
        assert_eq!(choose(None, &only_user, &|| None), "root");
        assert_eq!(choose(None, &|_| None, &|| None), "unknown");
    }
}
