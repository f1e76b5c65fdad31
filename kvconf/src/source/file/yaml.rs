//! YAML 1.2 with the place of every name.
//!
//! Read by the core schema, with two habits that spare surprises: a number that is not written as JSON writes it (`0123`,
//! `+5`) stays a text, and what only some programs understand (merge keys, tags of one's own, several documents) is
//! refused by name.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::MAX_BYTES;
use crate::source::document::{Fault, Item, Member, Position, Value};
use crate::value::MAX_DEPTH;

/// How many values a document may have once its aliases are put in: a few lines can ask for billions.
const MAX_VALUES: usize = 100_000;

/// Reads one YAML document.
pub(super) fn parse(text: &str) -> Result<Item, Vec<Fault>> {
    read(text).map_err(|fault| vec![fault])
}

fn read(text: &str) -> Result<Item, Fault> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| Fault::new(position(*error.marker()), error.info().to_owned()))?;
        builder.take(event, span)?;
    }
    Ok(builder.root.unwrap_or(Item { value: Value::Table(Vec::new()), at: Position::START }))
}

fn too_deep(at: Position) -> Fault {
    Fault::new(at, format!("nested deeper than {MAX_DEPTH} levels"))
}

fn position(marker: saphyr_parser::Marker) -> Position {
    Position::new(marker.line().max(1), marker.col() + 1)
}

/// A list or a table that is not closed yet.
struct Open {
    at: Position,
    anchor: usize,
    /// What there was before.
    before: Size,
    /// How deep the deepest value in it is.
    inner: usize,
    kind: Kind,
}

/// How much something is, its aliases put in.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    values: usize,
    /// Of all texts together. Without aliases there cannot be more of them than the file has.
    bytes: u64,
}

enum Kind {
    List(Vec<Item>),
    Table { members: Vec<Member>, names: HashSet<String>, name: Option<(String, Position)> },
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    /// By the parser's number, with how much each is and how many lists and tables stand in one another there.
    anchors: HashMap<usize, (Item, Size, usize)>,
    size: Size,
    root: Option<Item>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let at = position(span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Fault::new(at, "a second document: a file of settings has one"))
            }
            Event::DocumentStart(_) => Ok(()),
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref(), at)?;
                let size = Size { values: 1, bytes: text.len() as u64 };
                self.grow(size, at)?;
                self.finish(Item { value, at }, anchor, size, 0)
            }
            Event::Alias(anchor) => {
                let unknown = || Fault::new(at, "an alias of something that is not complete");
                let (_, size, depth) = *self.anchors.get(&anchor).ok_or_else(unknown)?;
                // Before it is copied.
                self.grow(size, at)?;
                if self.open.len() + depth > usize::from(MAX_DEPTH) {
                    return Err(too_deep(at));
                }
                let item = self.anchors.get(&anchor).map(|(item, ..)| item.clone()).ok_or_else(unknown)?;
                self.finish(item, 0, size, depth)
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), "seq", at)?;
                self.begin(at, anchor, Kind::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), "map", at)?;
                let kind = Kind::Table { members: Vec::new(), names: HashSet::new(), name: None };
                self.begin(at, anchor, kind)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
        }
    }

    fn begin(&mut self, at: Position, anchor: usize, kind: Kind) -> Result<(), Fault> {
        if self.open.len() >= usize::from(MAX_DEPTH) {
            return Err(too_deep(at));
        }
        if let Some(Open { kind: Kind::Table { name: None, .. }, .. }) = self.open.last() {
            return Err(Fault::new(at, "a name in a table is a text, not a list or a table"));
        }
        self.open.push(Open { at, anchor, before: self.size, inner: 0, kind });
        self.grow(Size { values: 1, bytes: 0 }, at)
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Some(Open { at, anchor, before, inner, kind }) = self.open.pop() else { return Ok(()) };
        let value = match kind {
            Kind::List(items) => Value::List(items),
            Kind::Table { members, .. } => Value::Table(members),
        };
        let size = Size { values: self.size.values - before.values, bytes: self.size.bytes - before.bytes };
        self.finish(Item { value, at }, anchor, size, inner + 1)
    }

    /// Counts what is about to stand there.
    fn grow(&mut self, more: Size, at: Position) -> Result<(), Fault> {
        self.size.values = self.size.values.saturating_add(more.values);
        self.size.bytes = self.size.bytes.saturating_add(more.bytes);
        if self.size.values > MAX_VALUES {
            return Err(Fault::new(at, format!("more than {MAX_VALUES} values, aliases put in")));
        }
        if self.size.bytes > MAX_BYTES {
            return Err(Fault::new(at, format!("texts of more than {MAX_BYTES} bytes, aliases put in")));
        }
        Ok(())
    }

    /// Puts a complete value where it belongs. `depth` is how many lists and tables stand in one another there.
    fn finish(&mut self, item: Item, anchor: usize, size: Size, depth: usize) -> Result<(), Fault> {
        if anchor > 0 {
            self.anchors.insert(anchor, (item.clone(), size, depth));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(item);
            return Ok(());
        };
        open.inner = open.inner.max(depth);
        match &mut open.kind {
            Kind::List(items) => items.push(item),
            Kind::Table { members, names, name } => match name.take() {
                Some((name, at)) => members.push(Member { name, at, item }),
                None => *name = Some(name_of(item, names)?),
            },
        }
        Ok(())
    }
}

fn name_of(item: Item, names: &mut HashSet<String>) -> Result<(String, Position), Fault> {
    let name = match item.value {
        Value::Text(text) | Value::Number(text) => text,
        Value::Bool(value) => value.to_string(),
        Value::Null | Value::List(_) | Value::Table(_) => {
            return Err(Fault::new(item.at, "a name in a table is a text"));
        }
    };
    if name == "<<" {
        return Err(Fault::new(item.at, "merge keys are no part of YAML 1.2"));
    }
    if !names.insert(name.clone()) {
        return Err(Fault::new(item.at, format!("the key `{name}` stands twice")));
    }
    Ok((name, item.at))
}

fn refuse_tag(tag: Option<&Tag>, usual: &str, at: Position) -> Result<(), Fault> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == usual) => {
            Err(Fault::new(at, format!("the tag `{tag}` is not known here")))
        }
        _ => Ok(()),
    }
}

/// YAML 1.2.2 §10.3.2.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Position) -> Result<Value, Fault> {
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    let known = ["null", "bool", "int", "float"];
    if let Some(tag) = tag
        && !is_text
        && !(tag.is_yaml_core_schema() && known.contains(&tag.suffix.as_str()))
    {
        return Err(Fault::new(at, format!("the tag `{tag}` is not known here")));
    }
    if is_text || (style != ScalarStyle::Plain && tag.is_none()) {
        return Ok(Value::Text(text.to_owned()));
    }
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Value::Number("inf".to_owned()),
        "-.inf" | "-.Inf" | "-.INF" => Value::Number("-inf".to_owned()),
        ".nan" | ".NaN" | ".NAN" => Value::Number("nan".to_owned()),
        _ => match based(text) {
            Some(number) => Value::Number(number),
            None if crate::value::is_json_number(text) => Value::Number(text.to_owned()),
            None => Value::Text(text.to_owned()),
        },
    })
}

/// `0o17` and `0xff` in base ten.
fn based(text: &str) -> Option<String> {
    let (digits, radix) = match (text.strip_prefix("0o"), text.strip_prefix("0x")) {
        (Some(digits), _) => (digits, 8),
        (_, Some(digits)) => (digits, 16),
        _ => return None,
    };
    // `from_str_radix` would take a sign.
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u128::from_str_radix(digits, radix).ok().filter(|_| plain).map(|value| value.to_string())
}
