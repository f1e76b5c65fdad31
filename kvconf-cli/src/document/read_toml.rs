//! TOML documents.

use toml_edit::{Document, Item, TableLike, Value};

use super::json::Json;
use super::leaf::{float_text, special};
use super::places::Places;
use super::{DocumentError, Found, Kind, Knows, Position, VALUE, Wish, part};

pub(super) fn read(text: &str, knows: Knows<'_>) -> Result<Vec<Found>, DocumentError> {
    let places = Places::of(text);
    let document = Document::parse(text).map_err(|error| {
        let Position { line, column } = places.at(error.span().map_or(0, |span| span.start));
        // The parser explains on several lines; the first says what is wrong.
        let message = error.message().trim().replace('\n', ", ");
        DocumentError::Syntax { line, column, message }
    })?;
    let mut reader = Reader { places, knows, path: Vec::new(), found: Vec::new() };
    reader.table(document.as_table(), Kind::Tree)?;
    Ok(reader.found)
}

struct Reader<'a> {
    places: Places<'a>,
    knows: Knows<'a>,
    path: Vec<String>,
    found: Vec<Found>,
}

impl Reader<'_> {
    fn table(&mut self, table: &dyn TableLike, kind: Kind) -> Result<(), DocumentError> {
        for (name, item) in table.iter() {
            let is_own = name == VALUE;
            if !is_own {
                self.path.push(part(name, kind));
            }
            let span = table.get_key_value(name).and_then(|(key, _)| key.span()).or_else(|| item.span());
            let at = span.map_or(Position::default(), |span| self.places.at(span.start));
            self.item(item, at)?;
            if !is_own {
                self.path.pop();
            }
        }
        Ok(())
    }

    fn item(&mut self, item: &Item, at: Position) -> Result<(), DocumentError> {
        let kind = if self.path.is_empty() { Kind::Tree } else { (self.knows)(&self.path.join(".")) };
        let wish = match item {
            Item::None => return Ok(()),
            Item::Table(table) => {
                if kind != Kind::Leaf {
                    return self.table(table, kind);
                }
                Wish::Set(object(table).compact().into())
            }
            Item::ArrayOfTables(tables) => {
                Wish::Set(Json::List(tables.iter().map(|table| object(table)).collect()).compact().into())
            }
            Item::Value(Value::InlineTable(table)) => {
                // Dotted names inside of a table: `retry.max = 3`.
                let is_tree = match kind {
                    Kind::Unknown => table.is_dotted(),
                    Kind::Leaf => false,
                    Kind::Tree | Kind::Entries => special(&object(table)).is_none(),
                };
                if is_tree {
                    return self.table(table, kind);
                }
                self.value(&Value::InlineTable(table.clone()), at)?
            }
            Item::Value(value) => self.value(value, at)?,
        };
        self.found.push(Found { path: self.path.clone(), wish, at });
        Ok(())
    }

    fn value(&self, value: &Value, place: Position) -> Result<Wish, DocumentError> {
        let text = match value {
            Value::String(text) => text.value().clone(),
            Value::Integer(value) => value.value().to_string(),
            Value::Float(value) => float_text(*value.value()),
            Value::Boolean(value) => value.value().to_string(),
            Value::Datetime(value) => value.value().to_string(),
            Value::Array(_) => json(value).compact(),
            Value::InlineTable(table) => {
                let object = object(table);
                match special(&object) {
                    Some(outcome) => {
                        return outcome.map_err(|message| DocumentError::Leaf {
                            place,
                            path: self.path.join("."),
                            message,
                        });
                    }
                    None => object.compact(),
                }
            }
        };
        Ok(Wish::Set(text.into()))
    }
}

fn object(table: &dyn TableLike) -> Json {
    let member = |(name, item): (&str, &Item)| {
        let value = match item {
            Item::None => return None,
            Item::Value(value) => json(value),
            Item::Table(table) => object(table),
            Item::ArrayOfTables(tables) => Json::List(tables.iter().map(|table| object(table)).collect()),
        };
        Some((name.to_owned(), value))
    };
    Json::Object(table.iter().filter_map(member).collect())
}

fn json(value: &Value) -> Json {
    match value {
        Value::String(text) => Json::Text(text.value().clone()),
        Value::Integer(value) => Json::Int(*value.value()),
        // JSON has no infinities; a text says at least what was meant.
        Value::Float(value) if value.value().is_finite() => Json::Float(*value.value()),
        Value::Float(value) => Json::Text(float_text(*value.value())),
        Value::Boolean(value) => Json::Bool(*value.value()),
        Value::Datetime(value) => Json::Text(value.value().to_string()),
        Value::Array(values) => Json::List(values.iter().map(json).collect()),
        Value::InlineTable(table) => object(table),
    }
}
