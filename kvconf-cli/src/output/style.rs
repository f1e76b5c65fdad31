//! Colours, or none.

use anstyle::AnsiColor;

/// What a text is, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Heading,
    Key,
    Dim,
    Good,
    Warn,
    Bad,
    Added,
    Removed,
}

/// Whether there are colours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    colours: bool,
}

impl Style {
    pub(crate) const fn new(colours: bool) -> Self {
        Self { colours }
    }

    /// The text in its colour.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colours || text.is_empty() {
            return text.to_owned();
        }
        let style = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Heading => anstyle::Style::new().bold(),
            Tone::Key => AnsiColor::Cyan.on_default(),
            Tone::Dim => anstyle::Style::new().dimmed(),
            Tone::Good => AnsiColor::Green.on_default().bold(),
            Tone::Warn => AnsiColor::Yellow.on_default().bold(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Added => AnsiColor::Green.on_default(),
            Tone::Removed => AnsiColor::Red.on_default(),
        };
        format!("{style}{text}{style:#}")
    }
}
