//! What stands in a bucket, shown so that it plays no tricks on a terminal.

use kvconf::Key;
use unicode_width::UnicodeWidthChar;

use crate::secrecy::Secrecy;

/// A value as it may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown<'a> {
    Text(&'a str),
    /// Not UTF-8.
    Binary(&'a [u8]),
    /// Not to be seen.
    Masked,
}

/// What may be shown of a key's value.
pub(crate) fn shown<'a>(secrecy: Secrecy, key: &Key, value: &'a [u8]) -> Shown<'a> {
    if secrecy.masks(key) && kvconf::seal::key_id(value).is_none() {
        return Shown::Masked;
    }
    match str::from_utf8(value) {
        Ok(text) => Shown::Text(text),
        Err(_) => Shown::Binary(value),
    }
}

impl Shown<'_> {
    /// On one line, no wider than this.
    pub(crate) fn short(self, columns: usize) -> String {
        match self {
            Self::Masked => "<secret>".to_owned(),
            Self::Binary(bytes) => format!("<{} bytes, not UTF-8>", bytes.len()),
            Self::Text("") => "\"\"".to_owned(),
            Self::Text(text) => match kvconf::seal::key_id(text.as_bytes()) {
                Some(id) => cut(&format!("<sealed with {id}>"), columns),
                None => cut(text, columns),
            },
        }
    }
}

/// A text made fit for one line of so many columns; `…` stands for what was cut.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    let mut shown = String::new();
    let mut width = 0;
    let mut fits = 0;
    for character in text.chars() {
        let before = shown.len();
        tame(character, &mut shown);
        width += shown.get(before..).map_or(0, width_of);
        if width > columns {
            shown.truncate(fits);
            shown.push('…');
            return shown;
        }
        if width < columns {
            fits = shown.len();
        }
    }
    shown
}

/// The columns that a text takes.
pub(crate) fn width_of(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// A text of several lines, without anything else that a terminal obeys.
pub(crate) fn tame_lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => shown.push(character),
            _ => tame(character, &mut shown),
        }
    }
    shown
}

/// Control characters, and those that turn the direction of text or have no width, are escaped.
fn tame(character: char, shown: &mut String) {
    let hides = character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        );
    if hides {
        shown.extend(character.escape_default());
    } else {
        shown.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_cut_by_columns_and_not_by_bytes() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(cut("日本語テキスト", 6), "日本…");
        assert_eq!(cut("a\nb\u{1b}[31m\u{202e}", 80), r"a\nb\u{1b}[31m\u{202e}");
    }

    #[test]
    fn masked_binary_and_empty_values_are_told_apart() {
        let (hidden, open) = (
            Secrecy { reveal: false, masks_all: false, schemas: None },
            Secrecy { reveal: true, masks_all: false, schemas: None },
        );
        let key: Key = "db.password".parse().unwrap();
        assert_eq!(shown(hidden, &key, b"hunter2").short(20), "<secret>"); // P11
        assert_eq!(shown(open, &key, b"hunter2").short(20), "hunter2");
        let key: Key = "db.host".parse().unwrap();
        assert_eq!(shown(hidden, &key, b"\xff\xfe").short(40), "<2 bytes, not UTF-8>");
        assert_eq!(shown(hidden, &key, b"").short(20), "\"\"");
    }
}
