//! JSON with the place of every name, by the grammar that values are read with.

use std::collections::HashSet;

use super::document::{Fault, Item, Lines, Member, Position, Value};
use crate::value::{JsonFault, JsonParser, MAX_DEPTH, Tree};

/// Reads one JSON document.
pub(super) fn parse(text: &str) -> Result<Item, Vec<Fault>> {
    let lines = Lines::new(text);
    let mut reader = Reader { parser: JsonParser::new(text), lines, twice: Vec::new() };
    let root = reader.item(0).and_then(|item| reader.parser.end().map(|()| item));
    match root {
        Ok(item) if reader.twice.is_empty() => Ok(item),
        Ok(_) => Err(reader.twice),
        Err(fault) => {
            let (message, at) = fault.told();
            let here = reader.lines.position(reader.parser.offset());
            let end =
                if matches!(fault, JsonFault::Short) { reader.lines.position(text.len()) } else { here };
            reader.twice.push(Fault::new(at.map_or(end, |at| Position::new(at.line, at.column)), message));
            Err(reader.twice)
        }
    }
}

struct Reader<'a> {
    parser: JsonParser<'a>,
    lines: Lines<'a>,
    /// Names that stand twice; reading goes on.
    twice: Vec<Fault>,
}

impl Reader<'_> {
    fn here(&self) -> Position {
        self.lines.position(self.parser.offset())
    }

    fn item(&mut self, depth: u8) -> Result<Item, JsonFault> {
        self.parser.space();
        let at = self.here();
        let value = match self.parser.peek() {
            Some(b'[' | b'{') if depth >= MAX_DEPTH => return Err(JsonFault::Deep),
            Some(b'[') => self.list(depth)?,
            Some(b'{') => self.table(depth)?,
            _ => scalar(self.parser.value(depth)?),
        };
        Ok(Item { value, at })
    }

    fn list(&mut self, depth: u8) -> Result<Value, JsonFault> {
        let mut items = Vec::new();
        self.parser.open(b'[')?;
        while self.parser.member(b']', items.is_empty())? {
            items.push(self.item(depth + 1)?);
        }
        Ok(Value::List(items))
    }

    fn table(&mut self, depth: u8) -> Result<Value, JsonFault> {
        let mut members: Vec<Member> = Vec::new();
        let mut names = HashSet::new();
        self.parser.open(b'{')?;
        while self.parser.member(b'}', names.is_empty())? {
            let at = self.here();
            let name = self.parser.string()?;
            self.parser.space();
            self.parser.take(b':')?;
            let item = self.item(depth + 1)?;
            if names.insert(name.clone()) {
                members.push(Member { name, at, item });
            } else {
                self.twice.push(Fault::new(at, JsonFault::Twice { key: name }.to_string()));
            }
        }
        Ok(Value::Table(members))
    }
}

fn scalar(tree: Tree) -> Value {
    match tree {
        Tree::Null | Tree::List(_) | Tree::Object(_) | Tree::Bytes(_) => Value::Null,
        Tree::Bool(value) => Value::Bool(value),
        Tree::Number(number) => Value::Number(number),
        Tree::Text(text) => Value::Text(text),
    }
}
