//! A text as a tree in which everything knows its place.

use crate::value::{MAX_DEPTH, Tree};

/// Where something stands in a text. Both count from one; columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Position {
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    pub(crate) fn new(line: usize, column: usize) -> Self {
        let count = |n| u32::try_from(n).unwrap_or(u32::MAX);
        Self { line: count(line), column: count(column) }
    }
}

/// One value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) value: Value,
    pub(super) at: Position,
}

/// What all formats have in common.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// As it stands, but for signs, underscores and bases that JSON does not know; `inf` and `nan` too.
    Number(String),
    Text(String),
    List(Vec<Item>),
    /// In the order of the text; no name twice.
    Table(Vec<Member>),
}

/// One name in a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub(super) name: String,
    /// Where the name stands.
    pub(super) at: Position,
    pub(super) item: Item,
}

/// Something that keeps a text from being understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: Position,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(at: Position, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// Finds lines and columns of offsets, also in a text of one line that is a million characters long.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    /// Where each line begins.
    starts: Vec<usize>,
    /// How many characters begin before each block.
    blocks: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// How many bytes are counted at most to find a column.
    const BLOCK: usize = 256;

    pub(super) fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let mut count = 0;
        let blocks = bytes.chunks(Self::BLOCK).map(|block| {
            let before = count;
            count += characters(block);
            before
        });
        Self { bytes, starts, blocks: blocks.collect() }
    }

    /// Where an offset in bytes lies.
    pub(super) fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.bytes.len());
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        Position::new(line, self.before(offset).saturating_sub(self.before(start)) + 1)
    }

    /// How many characters begin before an offset.
    fn before(&self, offset: usize) -> usize {
        let block = (offset / Self::BLOCK).min(self.blocks.len().saturating_sub(1));
        let counted = self.blocks.get(block).copied().unwrap_or_default();
        counted + characters(self.bytes.get(block * Self::BLOCK..offset).unwrap_or_default())
    }
}

/// How many characters begin in a piece of UTF-8.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

impl Item {
    /// The value as JSON keeps it.
    pub(super) fn to_tree(&self) -> Result<Tree, Fault> {
        self.tree(0)
    }

    fn tree(&self, depth: u8) -> Result<Tree, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::new(self.at, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(match &self.value {
            Value::Null => Tree::Null,
            Value::Bool(value) => Tree::Bool(*value),
            Value::Number(number) if is_finite(number) => Tree::Number(number.clone()),
            Value::Number(number) => {
                return Err(Fault::new(self.at, format!("`{number}` has no stored form")));
            }
            Value::Text(text) => Tree::Text(text.clone()),
            Value::List(items) => {
                Tree::List(items.iter().map(|item| item.tree(depth + 1)).collect::<Result<_, _>>()?)
            }
            Value::Table(members) => {
                let entry = |member: &Member| Ok((member.name.clone(), member.item.tree(depth + 1)?));
                Tree::Object(members.iter().map(entry).collect::<Result<_, _>>()?)
            }
        })
    }

    /// What stands there, for "expected …, found …".
    pub(super) const fn found(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

/// Whether a number is more than a word for something that is none.
fn is_finite(number: &str) -> bool {
    number.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_are_those_that_an_editor_shows(text in "([aé€\\n]|[a-z]{300}){0,12}", at in any::<proptest::sample::Index>()) {
            let lines = Lines::new(&text);
            let offsets: Vec<usize> = text.char_indices().map(|(offset, _)| offset).chain([text.len()]).collect();
            let offset = offsets[at.index(offsets.len())];
            let before = &text[..offset];
            let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
            prop_assert_eq!(lines.position(offset), Position::new(before.matches('\n').count() + 1, column));
        }
    }
}
