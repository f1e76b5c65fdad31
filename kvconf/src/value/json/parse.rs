//! JSON text to a tree, by RFC 8259.

use std::collections::BTreeMap;

use derive_more::Display;

use super::{MAX_DEPTH, Tree};
use crate::value::show::quote_text;

/// Why a text is no JSON.
#[derive(Debug, Clone, PartialEq, Eq, Display)]
pub(crate) enum Fault {
    #[display("it ends too early")]
    Short,
    #[display("unexpected {} {at}", quote_text(&found.to_string()))]
    Unexpected { found: char, at: Position },
    #[display("bad escape in the text {at}")]
    Escape { at: Position },
    #[display("the key {} stands twice", quote_text(key))]
    Twice { key: String },
    #[display("nested deeper than {MAX_DEPTH} levels")]
    Deep,
}

impl Fault {
    /// What is wrong, without the place, and the place; `None` for the end of the text.
    pub(crate) fn told(&self) -> (String, Option<Position>) {
        match self {
            Self::Unexpected { found, at } => {
                (format!("unexpected {}", quote_text(&found.to_string())), Some(*at))
            }
            Self::Escape { at } => ("bad escape in the text".to_owned(), Some(*at)),
            Self::Short | Self::Twice { .. } | Self::Deep => (self.to_string(), None),
        }
    }
}

/// Whether a text is one number, by JSON's grammar.
#[cfg(feature = "yaml")]
pub(crate) fn is_number(text: &str) -> bool {
    matches!(parse(text), Ok(Tree::Number(number)) if number == text)
}

/// Where in a text, counted from one, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Most values have one line only.
        if self.line > 1 {
            write!(f, "at line {} column {}", self.line, self.column)
        } else {
            write!(f, "at column {}", self.column)
        }
    }
}

/// Reads one JSON value with nothing but space around it.
pub(crate) fn parse(text: &str) -> Result<Tree, Fault> {
    let mut parser = Parser::new(text);
    let tree = parser.value(0)?;
    parser.end()?;
    Ok(tree)
}

/// The grammar, piece by piece. `at` is always at the start of a character.
pub(crate) struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// How many bytes were read.
    pub(crate) const fn offset(&self) -> usize {
        self.at
    }

    /// Nothing but space may follow.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        self.space();
        if self.peek().is_some() { Err(self.unexpected()) } else { Ok(()) }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(crate) fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn position(&self) -> Position {
        let before = self.text.get(..self.at).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        Position { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
    }

    fn unexpected(&self) -> Fault {
        match self.rest().chars().next() {
            Some(found) => Fault::Unexpected { found, at: self.position() },
            None => Fault::Short,
        }
    }

    pub(crate) fn take(&mut self, byte: u8) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    pub(crate) fn value(&mut self, depth: u8) -> Result<Tree, Fault> {
        self.space();
        match self.peek() {
            Some(b'[' | b'{') if depth >= MAX_DEPTH => Err(Fault::Deep),
            Some(b'n') => self.word("null", Tree::Null),
            Some(b't') => self.word("true", Tree::Bool(true)),
            Some(b'f') => self.word("false", Tree::Bool(false)),
            Some(b'"') => Ok(Tree::Text(self.string()?)),
            Some(b'[') => self.list(depth),
            Some(b'{') => self.object(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.unexpected()),
        }
    }

    fn word(&mut self, word: &str, tree: Tree) -> Result<Tree, Fault> {
        word.bytes().try_for_each(|byte| self.take(byte))?;
        Ok(tree)
    }

    fn list(&mut self, depth: u8) -> Result<Tree, Fault> {
        let mut items = Vec::new();
        self.open(b'[')?;
        while self.member(b']', items.is_empty())? {
            items.push(self.value(depth + 1)?);
        }
        Ok(Tree::List(items))
    }

    fn object(&mut self, depth: u8) -> Result<Tree, Fault> {
        let mut entries = BTreeMap::new();
        self.open(b'{')?;
        while self.member(b'}', entries.is_empty())? {
            let key = self.string()?;
            self.space();
            self.take(b':')?;
            let value = self.value(depth + 1)?;
            if entries.contains_key(&key) {
                return Err(Fault::Twice { key });
            }
            entries.insert(key, value);
        }
        Ok(Tree::Object(entries))
    }

    /// Begins a list or an object; [`Parser::member`] says whether there is a member.
    pub(crate) fn open(&mut self, open: u8) -> Result<(), Fault> {
        self.take(open)?;
        self.space();
        Ok(())
    }

    /// Whether another member follows, which then stands right at the parser; `first` as long as none was read. Takes the
    /// comma before it, or `close` at the end.
    pub(crate) fn member(&mut self, close: u8, first: bool) -> Result<bool, Fault> {
        if first {
            if self.peek() != Some(close) {
                return Ok(true);
            }
        } else {
            self.space();
            if self.peek() == Some(b',') {
                self.take(b',')?;
                self.space();
                return Ok(true);
            }
        }
        self.take(close).map(|()| false)
    }

    fn number(&mut self) -> Result<Tree, Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        // No digit may follow a leading zero: it is then unexpected to whoever reads on.
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Tree::Number(self.text.get(start..self.at).unwrap_or_default().to_owned()))
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected()) } else { Ok(()) }
    }

    pub(crate) fn string(&mut self) -> Result<String, Fault> {
        self.take(b'"')?;
        let mut text = String::new();
        loop {
            let plain = self.rest().find(|c| c == '"' || c == '\\' || c < ' ').ok_or(Fault::Short)?;
            text.push_str(self.rest().get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                _ => return Err(self.unexpected()),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let begin = self.at;
        // Only where it is bad: to find a place takes as long as the text before it.
        let bad = |parser: &mut Self| {
            parser.at = begin;
            Fault::Escape { at: parser.position() }
        };
        self.at += 1;
        let c = match self.peek().ok_or(Fault::Short)? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.code_point().ok_or_else(|| bad(self));
            }
            _ => return Err(bad(self)),
        };
        self.at += 1;
        Ok(c)
    }

    /// Behind `\u`. Characters beyond 16 bits are two escapes; half of such a pair is no character.
    fn code_point(&mut self) -> Option<char> {
        let first = self.hex()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        self.at += self.rest().starts_with("\\u").then_some(2)?;
        let second = self.hex().filter(|second| (0xdc00..0xe000).contains(second))?;
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4)?;
        // `from_str_radix` would take a sign.
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let value = u32::from_str_radix(digits, 16).ok()?;
        self.at += 4;
        Some(value)
    }
}
