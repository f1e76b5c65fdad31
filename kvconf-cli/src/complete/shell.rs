//! What each shell is told to do, and how it is answered.
//!
//! The stock scripts of the engine give bash words that it has parted at `=`, leave a blank behind a key whose value is still to
//! come, and list every flag beside the keys where nothing is typed yet.

use std::ffi::OsString;
use std::io::{Error, Write};
use std::path::Path;

use clap::Command;
use clap_complete::engine::{CompletionCandidate, complete};
use clap_complete::env::{Elvish, EnvCompleter, Powershell, Shells};

use super::line::{before, quoted, split};

/// All of them.
pub(super) const SHELLS: Shells<'static> = Shells(&[&BASH, &Elvish, &FISH, &Powershell, &ZSH]);

const BASH_SCRIPT: &str = r#"# Completions of kvconf for bash.
_NAME() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <(VAR=bash KVCONF_COMPLETE_LINE="${COMP_LINE:0:COMP_POINT}" KVCONF_COMPLETE_WORD="$2" \
        "COMPLETER" -- "BIN" 2>/dev/null)
    # A value, or the rest of a key, is still to come.
    case ${COMPREPLY-} in
        *[=./]) compopt -o nospace 2>/dev/null ;;
    esac
}
complete -o nosort -F _NAME BIN 2>/dev/null || complete -F _NAME BIN
"#;

const ZSH_SCRIPT: &str = r#"#compdef BIN
_NAME() {
    local line
    local -a open closed
    for line in "${(@f)$(VAR=zsh KVCONF_COMPLETE_INDEX=$((CURRENT - 1)) COMPLETER -- "${(@Q)words}" 2>/dev/null)}"; do
        case $line in
            +*) open+=("${line#+}") ;;
            -*) closed+=("${line#-}") ;;
        esac
    done
    # A value, or the rest of a key, is still to come.
    (( $#open )) && _describe -V 'values' open -S ''
    (( $#closed )) && _describe -V 'values' closed
}
if [[ $funcstack[1] == _NAME ]]; then _NAME "$@"; else compdef _NAME BIN; fi
"#;

const FISH_SCRIPT: &str = r#"complete --keep-order --no-files --command BIN --arguments "(VAR=fish COMPLETER -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token --cut-at-cursor) 2>/dev/null)"
"#;

/// What the word at this place could be. Flags are offered where there is nothing else, or where one is being typed.
fn candidates(
    command: &mut Command,
    mut words: Vec<OsString>,
    index: usize,
    folder: Option<&Path>,
) -> Result<Vec<CompletionCandidate>, Error> {
    words.resize(words.len().max(index + 1), OsString::new());
    let is_empty = words.get(index).is_none_or(|word| word.is_empty());
    let mut found = complete(command, words, index, folder)?;
    let is_flag =
        |candidate: &CompletionCandidate| candidate.get_value().as_encoded_bytes().starts_with(b"-");
    if is_empty && !found.iter().all(is_flag) {
        found.retain(|candidate| !is_flag(candidate));
    }
    Ok(found)
}

/// The first line of what is said of it.
fn help(candidate: &CompletionCandidate) -> Option<String> {
    let help = candidate.get_help()?.to_string();
    help.lines().next().map(str::to_owned).filter(|line| !line.is_empty())
}

/// Writes what a shell is answered.
type Answer = fn(&mut Command, Vec<OsString>, Option<&Path>, &mut dyn Write) -> Result<(), Error>;

struct Shell {
    name: &'static str,
    script: &'static str,
    answer: Answer,
}

const BASH: Shell = Shell { name: "bash", script: BASH_SCRIPT, answer: bash };
const ZSH: Shell = Shell { name: "zsh", script: ZSH_SCRIPT, answer: zsh };
const FISH: Shell = Shell { name: "fish", script: FISH_SCRIPT, answer: fish };

impl EnvCompleter for Shell {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is(&self, name: &str) -> bool {
        name == self.name
    }

    fn write_registration(
        &self,
        var: &str,
        name: &str,
        bin: &str,
        completer: &str,
        out: &mut dyn Write,
    ) -> Result<(), Error> {
        let script = self.script.replace("NAME", name).replace("COMPLETER", completer).replace("BIN", bin);
        out.write_all(script.replace("VAR", var).as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        out: &mut dyn Write,
    ) -> Result<(), Error> {
        (self.answer)(command, words, folder, out)
    }
}

fn bash(
    command: &mut Command,
    _: Vec<OsString>,
    folder: Option<&Path>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let line = split(&variable("KVCONF_COMPLETE_LINE"));
    let index = line.words.len().saturating_sub(1);
    let before = line.words.last().map(|word| before(word, &variable("KVCONF_COMPLETE_WORD")).to_owned());
    let words = line.words.iter().map(OsString::from).collect();
    for candidate in candidates(command, words, index, folder)? {
        let value = candidate.get_value().to_string_lossy();
        let rest = value.strip_prefix(before.as_deref().unwrap_or_default()).unwrap_or(&value);
        writeln!(out, "{}", quoted(rest, line.is_quoted))?;
    }
    Ok(())
}

fn zsh(
    command: &mut Command,
    words: Vec<OsString>,
    folder: Option<&Path>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let index = std::env::var("KVCONF_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok());
    let index = index.unwrap_or(words.len().saturating_sub(1));
    for candidate in candidates(command, words, index, folder)? {
        let value = candidate.get_value().to_string_lossy();
        let sign = if value.ends_with(['=', '.', '/']) { '+' } else { '-' };
        let help = help(&candidate).map(|help| format!(":{help}")).unwrap_or_default();
        writeln!(out, "{sign}{}{help}", value.replace('\\', "\\\\").replace(':', "\\:"))?;
    }
    Ok(())
}

fn fish(
    command: &mut Command,
    words: Vec<OsString>,
    folder: Option<&Path>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let index = words.len().saturating_sub(1);
    for candidate in candidates(command, words, index, folder)? {
        let help = help(&candidate).map(|help| format!("\t{help}")).unwrap_or_default();
        writeln!(out, "{}{help}", candidate.get_value().to_string_lossy())?;
    }
    Ok(())
}
