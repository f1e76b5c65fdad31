//! The line that is being typed: its words, and what it says of where to look. Pure.

use std::ffi::OsString;

use crate::connect::ConnectArgs;

/// A line up to the cursor, as bash gives it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// All words, the last one unfinished.
    pub(super) words: Vec<String>,
    /// Whether the last word has a quote that is still open.
    pub(super) is_quoted: bool,
}

/// Parts a line into words as a shell does: blanks, quotes, and signs behind a backslash.
pub(super) fn split(line: &str) -> Line {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut was_blank = true;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some('\''), _) => push(&mut words, character),
            (_, '\\') => characters.next().into_iter().for_each(|escaped| push(&mut words, escaped)),
            (Some(_), _) => push(&mut words, character),
            (None, '"' | '\'') => quote = Some(character),
            (None, _) if character.is_whitespace() => {
                if !was_blank {
                    words.push(String::new());
                }
                was_blank = true;
                continue;
            }
            (None, _) => push(&mut words, character),
        }
        was_blank = false;
    }
    Line { words, is_quoted: quote.is_some() }
}

fn push(words: &mut [String], character: char) {
    if let Some(word) = words.last_mut() {
        word.push(character);
    }
}

/// What stands before the part that bash replaces: it takes `=` and `:` for the ends of words.
pub(super) fn before<'a>(word: &'a str, replaced: &str) -> &'a str {
    word.strip_suffix(replaced).unwrap_or("")
}

/// What a shell reads back as this text.
pub(super) fn quoted(text: &str, is_quoted: bool) -> String {
    let is_safe = |c: char| c.is_alphanumeric() || "_-./=:@,+%".contains(c);
    let mut shown = String::new();
    for character in text.chars() {
        if !is_quoted && !is_safe(character) {
            shown.push('\\');
        }
        shown.push(character);
    }
    shown
}

/// What a line says that decides what is offered.
#[derive(Debug, Default, Clone)]
pub(super) struct Said {
    /// Where to connect to.
    pub(super) connect: ConnectArgs,
    /// The layer that keys are to be in.
    pub(super) layer: Option<String>,
    /// The prefix that something is to be below.
    pub(super) prefix: Option<String>,
    /// The words that are no flags and no values of those known here: verbs, keys, names.
    pub(super) others: Vec<String>,
}

/// Reads a line that may make no sense yet.
pub(super) fn said(words: impl Iterator<Item = OsString>) -> Said {
    let mut said = Said::default();
    let mut words = words.filter_map(|word| word.into_string().ok()).peekable();
    while let Some(word) = words.next() {
        let (flag, given) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag.to_owned(), Some(value.to_owned())),
            _ => (word, None),
        };
        let place = match flag.as_str() {
            "-b" | "--bucket" => &mut said.connect.bucket,
            "-s" | "--server" => &mut said.connect.server,
            "--context" => &mut said.connect.context,
            "--creds" => &mut said.connect.creds,
            "--user" => &mut said.connect.user,
            "--layer" => &mut said.layer,
            "-p" | "--prefix" => &mut said.prefix,
            _ if !flag.starts_with('-') => {
                said.others.push(flag);
                continue;
            }
            _ => continue,
        };
        *place = given.or_else(|| words.next_if(|next| !next.starts_with('-')));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        split(line).words
    }

    #[test]
    fn a_line_is_parted_as_a_shell_does_it() {
        assert_eq!(words("kvconf set log.level=de"), ["kvconf", "set", "log.level=de"]);
        assert_eq!(words("kvconf  set "), ["kvconf", "set", ""]);
        assert_eq!(words("kvconf set 'a b=c d'"), ["kvconf", "set", "a b=c d"]);
        assert_eq!(words(r#"kvconf set "a \"b" c\ d"#), ["kvconf", "set", "a \"b", "c d"]);
        assert_eq!(words("kvconf set '' "), ["kvconf", "set", "", ""]);
        assert!(split("kvconf set \"log.level=").is_quoted);
        assert_eq!(words("a\\"), ["a"]);
    }

    #[test]
    fn bash_replaces_what_follows_an_equals_sign() {
        assert_eq!(before("log.level=de", "de"), "log.level=");
        assert_eq!(before("log.level=", ""), "log.level=");
        assert_eq!(before("--bucket=p", "p"), "--bucket=");
        assert_eq!(before("log.level=de", "log.level=de"), "");
        assert_eq!(before("a b", "a\\ b"), "");
    }

    #[test]
    fn what_a_shell_would_take_for_a_sign_is_quoted() {
        assert_eq!(quoted("log.level=debug", false), "log.level=debug");
        assert_eq!(quoted("a b>c", false), "a\\ b\\>c");
        assert_eq!(quoted("a b>c", true), "a b>c");
    }

    #[test]
    fn the_line_names_the_bucket_the_layer_and_the_prefix() {
        let line = [
            "kvconf",
            "set",
            "--bucket=shop",
            "-s",
            "nats://h",
            "--layer",
            "env.prod",
            "-p",
            "flags",
            "check",
        ];
        let said = said(line.into_iter().map(OsString::from));
        assert_eq!(said.connect.bucket.as_deref(), Some("shop"));
        assert_eq!(said.connect.server.as_deref(), Some("nats://h"));
        assert_eq!((said.layer.as_deref(), said.prefix.as_deref()), (Some("env.prod"), Some("flags")));
        assert_eq!(said.others, ["kvconf", "set", "check"]);
        let unfinished = super::said(["kvconf", "-b"].into_iter().map(OsString::from));
        assert_eq!(unfinished.connect.bucket, None);
    }
}
