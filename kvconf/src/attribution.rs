//! Who changed something, why, and which writes belong together: headers that any client can read.

use std::sync::Arc;

use crate::value::tame;
use crate::{Entry, Headers};

/// Who made a change.
pub(crate) const AUTHOR: &str = "Kvconf-Author";
/// Why.
pub(crate) const REASON: &str = "Kvconf-Reason";
/// The id that all entries of one change set share.
pub(crate) const CHANGE: &str = "Kvconf-Change";
/// On an entry of a change that goes back unless it is confirmed: the revision that is current again then.
pub(crate) const PROVISIONAL: &str = "Kvconf-Provisional";
/// On an entry that says what a key goes back to: the id of the change that waits to be confirmed.
pub(crate) const BEFORE: &str = "Kvconf-Before";
/// On an entry that makes a provisional value last: the id of the change that it confirms.
pub(crate) const CONFIRMS: &str = "Kvconf-Confirms";
/// On an entry that brings back what was there: the id of the change that it takes back.
pub(crate) const TAKES_BACK: &str = "Kvconf-Takes-Back";
/// An entry's place in its change set; see [`crate::watch::sets`] for its form.
pub(crate) const SET: &str = "Kvconf-Set";

/// Who changed something, why, and in which change set, as far as the writer said it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Attribution {
    /// Who; `None` for a client that does not say it.
    pub author: Option<Arc<str>>,
    /// Why.
    pub reason: Option<Arc<str>>,
    /// The change set's id.
    pub change: Option<Arc<str>>,
}

/// Who makes a change when nobody says so: the program.
pub(crate) fn program_name() -> String {
    let path = std::env::current_exe().ok();
    let stem =
        path.as_deref().and_then(|path| path.file_stem()).map(|stem| stem.to_string_lossy().into_owned());
    stem.filter(|name| !name.chars().any(char::is_control)).unwrap_or_else(|| "unknown".to_owned())
}

impl Attribution {
    /// What an entry's headers say.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        let headers = entry.headers();
        let read = |name| headers.get(name).filter(|text| !text.is_empty()).map(Arc::from);
        Self { author: read(AUTHOR), reason: read(REASON), change: read(CHANGE) }
    }

    /// Who, for a terminal or a log: whoever may write to the bucket may write any text there.
    pub(crate) fn shown_author(&self) -> Option<String> {
        self.author.as_deref().map(tame)
    }

    /// Adds what is known to a write's headers.
    pub(crate) fn stamp(&self, headers: &mut Headers) {
        headers.reserve(3);
        for (name, text) in [(CHANGE, &self.change), (AUTHOR, &self.author), (REASON, &self.reason)] {
            if let Some(text) = text {
                headers.add(name, &**text);
            }
        }
    }
}

/// Whether a text is visible ASCII with spaces at most inside, or empty: what almost every header is, and then there is no
/// need to look closer.
pub(crate) fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_end = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_graphic);
    is_end(bytes.first()) && is_end(bytes.last()) && bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// A new change set's id: 96 random bits as 24 hexadecimal digits.
pub(crate) fn new_change_id() -> Arc<str> {
    let mut bits: u128 = rand::random();
    let mut id = String::with_capacity(24);
    for _ in 0..24 {
        let digit = (bits & 0xf) as u8;
        id.push(char::from(if digit < 10 { b'0' + digit } else { b'a' - 10 + digit }));
        bits >>= 4;
    }
    id.into()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::origin::KeyOrigin;
    use crate::{Key, Operation, Origin, Revision};

    // P10: whoever may write to a bucket may write any author, and what it says ends on somebody's terminal.
    #[test]
    fn an_author_that_plays_tricks_on_a_terminal_is_shown_escaped() {
        let hostile = "ops\u{1b}[2K\u{202e}";
        let entry = Entry {
            key: Key::new("a.b").unwrap(),
            revision: Revision::new(3),
            value: bytes::Bytes::new(),
            operation: Operation::Put,
            marker: None,
            created: SystemTime::UNIX_EPOCH,
            headers: [(AUTHOR, hostile)].into_iter().collect(),
        };
        let origin = Origin::Key(KeyOrigin::of(&entry));
        assert_eq!(origin.to_string(), "revision 3 by ops\\u{1b}[2K\\u{202e}");
        assert_eq!(Attribution::of(&entry).author.as_deref(), Some(hostile), "programs get what was written");
    }
}
