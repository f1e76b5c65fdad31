//! Values in messages: short, on one line, and without anything that plays tricks on a terminal.

use std::fmt::Write as _;

/// How many characters of a value a message shows.
const SHOWN_CHARS: usize = 64;

/// How long a message that somebody else's type made may become.
const MESSAGE_CHARS: usize = 400;

/// Shows stored bytes in a message: numbers, durations and sizes as they are, everything else quoted.
pub(crate) fn show(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) if reads_as_quantity(text) => shorten(text, SHOWN_CHARS),
        _ => quote(bytes),
    }
}

/// Shows stored bytes in backquotes, or how many there are.
pub(crate) fn quote(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => quote_text(text),
        Err(_) => format!("<{} bytes, not UTF-8>", bytes.len()),
    }
}

/// Shows a text in backquotes.
pub(crate) fn quote_text(text: &str) -> String {
    format!("`{}`", shorten(text, SHOWN_CHARS))
}

/// What a type of the user says, made fit for one line.
pub(crate) fn tame(message: &str) -> String {
    shorten(message, MESSAGE_CHARS)
}

/// `9999`, `-1.5`, `1h 30m`, `64 MiB`.
fn reads_as_quantity(text: &str) -> bool {
    text.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | ' '))
        && !text.ends_with(' ')
}

fn shorten(text: &str, max_chars: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max_chars));
    let mut rest = text.chars();
    for c in rest.by_ref().take(max_chars) {
        if hides(c) {
            // Writing to a String cannot fail.
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Control characters, and those that turn the direction of text or have no width (Unicode TR 9 and TR 36).
fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_stand_bare_and_everything_else_quoted() {
        let shown = |text: &str| show(text.as_bytes());
        assert_eq!(shown("9999"), "9999");
        assert_eq!(shown("-1.5e-7"), "-1.5e-7");
        assert_eq!(shown("1h 30m"), "1h 30m");
        assert_eq!(shown("eu-west"), "`eu-west`");
        assert_eq!(shown(""), "``");
        assert_eq!(shown("60\n"), r"`60\n`");
        assert_eq!(shown(r#"["NL"]"#), r#"`["NL"]`"#);
    }

    #[test]
    fn long_values_are_cut_and_hidden_characters_escaped() {
        assert_eq!(quote("é".repeat(65).as_bytes()), format!("`{}…`", "é".repeat(64)));
        assert_eq!(quote("é".repeat(64).as_bytes()), format!("`{}`", "é".repeat(64)));
        assert_eq!(quote(b"\x1b[31mred"), r"`\u{1b}[31mred`");
        assert_eq!(quote("a\u{202e}b".as_bytes()), r"`a\u{202e}b`");
        assert_eq!(quote(&[1, 2, 0xff, 0xfe, 0]), "<5 bytes, not UTF-8>");
    }
}
