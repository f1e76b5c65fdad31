//! Names in a bucket: keys, prefixes and filters.

use std::fmt;
use std::sync::Arc;

use derive_more::{Display, Error};

/// The longest key, in bytes.
///
/// A key travels inside a subject on the protocol's control line, which a server caps at 4 096 bytes by default; this
/// leaves room for the API prefix, the bucket's name and the reply subject.
pub const MAX_KEY_BYTES: usize = 1_024;

/// Why a text is no key, prefix, filter or bucket name.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is empty.
    #[display("a key must not be empty")]
    Empty,
    /// A part between two dots, before the first or after the last one, is empty.
    #[display("{text:?} has an empty part (two dots in a row, or a dot at an end)")]
    EmptyToken {
        /// What was given.
        text: String,
    },
    /// A character outside `[-/_=.a-zA-Z0-9]`.
    #[display("{text:?} has {character:?} at byte {at}; a key is made of a-z A-Z 0-9 - / _ = and dots")]
    Character {
        /// What was given.
        text: String,
        /// The first character that does not fit.
        character: char,
        /// Its offset in bytes.
        at: usize,
    },
    /// More than [`MAX_KEY_BYTES`] bytes.
    #[display("a key of {bytes} bytes is too long, the most is {MAX_KEY_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// `>` somewhere else than as the last part of a filter, or a `*` that is not a whole part.
    #[display(
        "{text:?} is no filter: `*` stands for one whole part, `>` for all parts from there on, at the end only"
    )]
    Wildcard {
        /// What was given.
        text: String,
    },
    /// A bucket name with a character outside `[-_a-zA-Z0-9]`.
    #[display("{text:?} is no bucket name: it is made of a-z A-Z 0-9 - and _")]
    BucketName {
        /// What was given.
        text: String,
    },
}

const fn is_key_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'/' | b'_' | b'=')
}

fn check_length(text: &str) -> Result<(), KeyError> {
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    if text.len() > MAX_KEY_BYTES {
        return Err(KeyError::TooLong { bytes: text.len() });
    }
    Ok(())
}

/// Whether every part has a character and all characters are ones that keys may have.
fn is_key(text: &[u8]) -> bool {
    let mut before = b'.';
    for byte in text {
        if !(is_key_byte(*byte) || (*byte == b'.' && before != b'.')) {
            return false;
        }
        before = *byte;
    }
    before != b'.'
}

fn check_token(text: &str, token: &str) -> Result<(), KeyError> {
    if token.is_empty() {
        return Err(KeyError::EmptyToken { text: text.to_owned() });
    }
    match token.char_indices().find(|(_, c)| !(c.is_ascii() && is_key_byte(*c as u8))) {
        None => Ok(()),
        Some((at, character)) => {
            let start = token.as_ptr() as usize - text.as_ptr() as usize;
            Err(KeyError::Character { text: text.to_owned(), character, at: start + at })
        }
    }
}

/// Says whether `name` can be a bucket's name.
///
/// # Errors
/// [`KeyError::Empty`] or [`KeyError::BucketName`].
pub fn check_bucket_name(name: &str) -> Result<(), KeyError> {
    if name.is_empty() {
        return Err(KeyError::Empty);
    }
    if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        Ok(())
    } else {
        Err(KeyError::BucketName { text: name.to_owned() })
    }
}

/// One key of a bucket: parts of `[-/_=a-zA-Z0-9]`, joined by dots. Cloning is cheap.
///
/// ```
/// use kvconf::{Key, KeyError};
///
/// let key = Key::new("checkout.max_items")?;
/// assert_eq!(key.as_str(), "checkout.max_items");
/// assert!(matches!(Key::new("a..b"), Err(KeyError::EmptyToken { .. })));
/// # Ok::<(), KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Display)]
pub struct Key(Arc<str>);

impl Key {
    /// Checks and takes a key.
    ///
    /// # Errors
    /// [`KeyError`] when the text is empty, too long, or has an empty part or a character that no key may have.
    pub fn new(text: impl AsRef<str>) -> Result<Self, KeyError> {
        let text = text.as_ref();
        check_length(text)?;
        // One pass for what is usual; only what is wrong is looked at again.
        if !is_key(text.as_bytes()) {
            text.split('.').try_for_each(|token| check_token(text, token))?;
        }
        Ok(Self(text.into()))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts between the dots.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// What stands behind `prefix` and its dot; `None` when the key does not stand under it.
    #[must_use]
    pub fn under<'a>(&'a self, prefix: &Prefix) -> Option<&'a str> {
        if prefix.is_root() {
            return Some(&self.0);
        }
        self.0.strip_prefix(prefix.as_str())?.strip_prefix('.')
    }

    /// Whether the key belongs to the framework (`_kvconf.…`).
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.strip_prefix("_kvconf").is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for Key {
    type Error = KeyError;
    fn try_from(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Key {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl TryFrom<&String> for Key {
    type Error = KeyError;
    fn try_from(text: &String) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl From<&Self> for Key {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

/// What a [`Key`] given as a `Key` cannot be: wrong. It lets one signature take keys and texts.
impl From<std::convert::Infallible> for KeyError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl std::str::FromStr for Key {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

/// The part that all keys of a struct share, without the dot behind it. The root prefix (empty) stands for the bucket.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Display)]
pub struct Prefix(Arc<str>);

impl Prefix {
    /// Checks and takes a prefix; the empty text is [`Prefix::root`].
    ///
    /// # Errors
    /// As [`Key::new`], except that an empty text is fine.
    pub fn new(text: impl AsRef<str>) -> Result<Self, KeyError> {
        let text = text.as_ref();
        if text.is_empty() { Ok(Self::root()) } else { Key::new(text).map(|key| Self(key.0)) }
    }

    /// The prefix of every key.
    #[must_use]
    pub fn root() -> Self {
        Self("".into())
    }

    /// Whether this is the root prefix.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The prefix as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key `<prefix>.<rest>`.
    ///
    /// # Errors
    /// As [`Key::new`].
    pub fn key(&self, rest: &str) -> Result<Key, KeyError> {
        if self.is_root() { Key::new(rest) } else { Key::new(format!("{}.{rest}", self.0)) }
    }

    /// The key of an entry of a map that has one key for each, below this prefix: its name can be any text.
    ///
    /// ```
    /// use kvconf::Prefix;
    ///
    /// let limits = Prefix::new("checkout.limits")?;
    /// assert_eq!(limits.entry("gold")?.as_str(), "checkout.limits.gold");
    /// assert_eq!(limits.entry("a.b c")?.as_str(), "checkout.limits.a=2Eb=20c");
    /// # Ok::<(), kvconf::KeyError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Key::new`]: it can be too long.
    pub fn entry(&self, name: &str) -> Result<Key, KeyError> {
        self.key(&escape_segment(name))
    }

    /// Whether every key under `other` is also under this prefix.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.is_root()
            || self == other
            || other.0.strip_prefix(&*self.0).is_some_and(|rest| rest.starts_with('.'))
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl TryFrom<&str> for Prefix {
    type Error = KeyError;
    fn try_from(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

/// Which keys a read or a watch asks for: one key, a prefix, or a pattern with `*` (one part) and `>` (the rest).
///
/// ```
/// use kvconf::{Filter, Key};
///
/// let ports = Filter::new("app.*.port")?;
/// assert!(ports.matches(&Key::new("app.web.port")?));
/// assert!(!ports.matches(&Key::new("app.web.host")?));
/// # Ok::<(), kvconf::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Display)]
pub struct Filter(Arc<str>);

impl Filter {
    /// Checks and takes a filter.
    ///
    /// # Errors
    /// As [`Key::new`], and [`KeyError::Wildcard`].
    pub fn new(text: impl AsRef<str>) -> Result<Self, KeyError> {
        let text = text.as_ref();
        check_length(text)?;
        let count = text.split('.').count();
        for (at, token) in text.split('.').enumerate() {
            match token {
                "*" => {}
                ">" if at + 1 == count => {}
                _ if token.contains(['*', '>']) => {
                    return Err(KeyError::Wildcard { text: text.to_owned() });
                }
                _ => check_token(text, token)?,
            }
        }
        Ok(Self(text.into()))
    }

    /// Every key of the bucket.
    #[must_use]
    pub fn all() -> Self {
        Self(">".into())
    }

    /// The filter as text, as it stands in a subject behind `$KV.<bucket>.`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the filter asks for `key`.
    #[must_use]
    pub fn matches(&self, key: &Key) -> bool {
        // Nearly all that are asked about are prefixes, and no key ends with a dot.
        if let Some(prefix) = self.0.strip_suffix('>')
            && !prefix.contains('*')
        {
            return key.0.starts_with(prefix);
        }
        let mut tokens = key.tokens();
        for pattern in self.0.split('.') {
            match (pattern, tokens.next()) {
                (">", Some(_)) => return true,
                (_, None) => return false,
                ("*", Some(_)) => {}
                (pattern, Some(token)) => {
                    if pattern != token {
                        return false;
                    }
                }
            }
        }
        tokens.next().is_none()
    }

    /// Whether some key could match both filters.
    ///
    /// ```
    /// # use kvconf::Filter;
    /// let under_app = Filter::new("app.>")?;
    /// assert!(under_app.overlaps(&Filter::new("*.port")?));
    /// assert!(!under_app.overlaps(&Filter::new("app")?));
    /// # Ok::<(), kvconf::KeyError>(())
    /// ```
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.0.split('.'), other.0.split('.'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) | (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
                (None, Some(_)) | (Some(_), None) => return false,
                (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
                _ => return false,
            }
        }
    }

    /// Whether every key that `other` asks for matches this filter too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.0.split('.'), other.0.split('.'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) | (Some(">"), Some(_)) => return true,
                (None, Some(_)) | (Some(_), None | Some(">")) => return false,
                (Some(a), Some(b)) if a == b || a == "*" => {}
                _ => return false,
            }
        }
    }

    /// The prefix, when the filter is `<prefix>.>` or `>` and has no other wildcard.
    #[must_use]
    pub fn as_prefix(&self) -> Option<Prefix> {
        if &*self.0 == ">" {
            return Some(Prefix::root());
        }
        Prefix::new(self.0.strip_suffix(".>")?).ok()
    }

    /// The key, when the filter names exactly one.
    #[must_use]
    pub fn as_key(&self) -> Option<Key> {
        Key::new(&*self.0).ok()
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl From<&Prefix> for Filter {
    fn from(prefix: &Prefix) -> Self {
        if prefix.is_root() { Self::all() } else { Self(format!("{}.>", prefix.0).into()) }
    }
}

impl From<Prefix> for Filter {
    fn from(prefix: Prefix) -> Self {
        Self::from(&prefix)
    }
}

impl From<&Key> for Filter {
    fn from(key: &Key) -> Self {
        Self(key.0.clone())
    }
}

impl From<Key> for Filter {
    fn from(key: Key) -> Self {
        Self(key.0)
    }
}

/// `a.b`, or the other one where one of them is empty.
pub(crate) fn join(left: &str, right: &str) -> String {
    match (left.is_empty(), right.is_empty()) {
        (true, _) => right.to_owned(),
        (_, true) => left.to_owned(),
        _ => [left, ".", right].concat(),
    }
}

/// Writes any text as one part of a key, reversibly.
///
/// Letters, digits, `-`, `_` and `/` stay; every other byte of the UTF-8 form becomes `=` and two upper-case hexadecimal
/// digits; the empty text is a single `=`. Part of the stored format.
pub(crate) fn escape_segment(text: &str) -> String {
    if text.is_empty() {
        return "=".to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_key_byte(byte) && byte != b'=' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("={byte:02X}"));
        }
    }
    out
}

/// Reads what [`escape_segment`] wrote; `None` for anything that it would have written in another way.
pub(crate) fn unescape_segment(segment: &str) -> Option<String> {
    if segment == "=" {
        return Some(String::new());
    }
    if !segment.contains('=') {
        let is_plain = !segment.is_empty() && segment.bytes().all(is_key_byte);
        return is_plain.then(|| segment.to_owned());
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment;
    while let Some(at) = rest.find('=') {
        let (plain, escaped) = rest.split_at(at);
        bytes.extend_from_slice(plain.as_bytes());
        bytes.push(u8::from_str_radix(escaped.get(1..3)?, 16).ok()?);
        rest = escaped.get(3..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    let text = String::from_utf8(bytes).ok()?;
    (escape_segment(&text) == segment).then_some(text)
}

#[cfg(test)]
mod tests;
