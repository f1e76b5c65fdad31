//! How people read times, values and differences.

use std::fmt;
use std::time::SystemTime;

use crate::calendar::date;

/// A date and a time of day to the second, UTC: `2026-03-01 14:02:09`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp(pub(crate) SystemTime);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(at) = date(self.0) else { return f.write_str("a time that no calendar has") };
        write!(f, "{} {:02}:{:02}:{:02}", at.date(), at.hour(), at.minute(), at.second())
    }
}

/// Whether what is written carries colours for a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Colored,
}

/// The colours in use: the eight that every terminal has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ink {
    Old,
    New,
    Head,
    Note,
}

impl Style {
    /// Writes a text in a colour. Texts that are aligned are padded before, for an escape has no width.
    pub(crate) fn paint(self, f: &mut fmt::Formatter<'_>, ink: Ink, text: &str) -> fmt::Result {
        let code = match ink {
            _ if self == Self::Plain => return f.write_str(text),
            Ink::Old => "31",
            Ink::New => "32",
            Ink::Head => "1",
            Ink::Note => "33",
        };
        write!(f, "\x1b[{code}m{text}\x1b[0m")
    }
}

/// What can be written in either style.
pub(crate) trait Render {
    fn render(&self, f: &mut fmt::Formatter<'_>, style: Style) -> fmt::Result;
}

/// Writes the same as the value that it came from, in colours (ANSI escapes): earlier values red, later ones green.
#[derive(Debug, Clone, Copy)]
pub struct Colored<'a, X>(pub(crate) &'a X);

impl<X: Render> fmt::Display for Colored<'_, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.render(f, Style::Colored)
    }
}

/// One line of a difference: a key, what stood there, what stands there.
pub(crate) struct Line<'a> {
    pub(crate) key: &'a str,
    pub(crate) before: String,
    pub(crate) after: String,
}

/// Writes lines below each other, the keys and the earlier values padded to one width.
pub(crate) fn write_lines(
    f: &mut fmt::Formatter<'_>,
    style: Style,
    indent: &str,
    lines: &[Line<'_>],
) -> fmt::Result {
    /// Wider columns are not padded for: one long value would push all others off the screen.
    const WIDEST: usize = 40;
    let width = |text: &str| text.chars().count();
    let widest =
        |texts: &mut dyn Iterator<Item = usize>| texts.filter(|width| *width <= WIDEST).max().unwrap_or(0);
    let keys = widest(&mut lines.iter().map(|line| width(line.key)));
    let befores = widest(&mut lines.iter().map(|line| width(&line.before)));
    for (at, line) in lines.iter().enumerate() {
        let end_of_last = if at == 0 { "" } else { "\n" };
        write!(f, "{end_of_last}{indent}{:keys$}  ", line.key)?;
        style.paint(f, Ink::Old, &format!("{:befores$}", line.before))?;
        f.write_str(" → ")?;
        style.paint(f, Ink::New, &line.after)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    // P10
    #[test]
    fn a_time_that_no_calendar_has_is_told_as_such() {
        let second = Duration::from_secs(1);
        assert_eq!(Stamp(SystemTime::UNIX_EPOCH + second).to_string(), "1970-01-01 00:00:01");
        assert_eq!(Stamp(SystemTime::UNIX_EPOCH - second).to_string(), "1969-12-31 23:59:59");
        let far = second * u32::MAX * 1_000_000;
        for time in [SystemTime::UNIX_EPOCH - far, SystemTime::UNIX_EPOCH + far] {
            assert_eq!(Stamp(time).to_string(), "a time that no calendar has");
        }
    }
}
