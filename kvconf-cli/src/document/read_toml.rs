//! TOML documents.

use toml_edit::{Document, Item, TableLike, Value};

use super::json::Json;
use super::leaf::{float_text, special};
use super::{DocumentError, Found, IsLeaf, VALUE, Wish, place};

pub(super) fn read(text: &str, is_leaf: IsLeaf<'_>) -> Result<Vec<Found>, DocumentError> {
    let document = Document::parse(text).map_err(|error| {
        let (line, column) = place(text, error.span().map_or(0, |span| span.start));
        // The parser explains on several lines; the first says what is wrong.
        let message = error.message().trim().replace('\n', ", ");
        DocumentError::Syntax { line, column, message }
    })?;
    let mut reader = Reader { text, is_leaf, path: Vec::new(), found: Vec::new() };
    reader.table(document.as_table())?;
    Ok(reader.found)
}

struct Reader<'a> {
    text: &'a str,
    is_leaf: IsLeaf<'a>,
    path: Vec<String>,
    found: Vec<Found>,
}

impl Reader<'_> {
    fn table(&mut self, table: &dyn TableLike) -> Result<(), DocumentError> {
        for (name, item) in table.iter() {
            let is_own = name == VALUE;
            if !is_own {
                self.path.push(name.to_owned());
            }
            let at = table.get_key_value(name).and_then(|(key, _)| key.span());
            let line = at.or_else(|| item.span()).map_or(0, |span| place(self.text, span.start).0);
            self.item(item, line)?;
            if !is_own {
                self.path.pop();
            }
        }
        Ok(())
    }

    fn item(&mut self, item: &Item, line: usize) -> Result<(), DocumentError> {
        let wish = match item {
            Item::None => return Ok(()),
            Item::Table(table) => {
                if self.path.is_empty() || !(self.is_leaf)(&self.path.join(".")) {
                    return self.table(table);
                }
                Wish::Set(object(table).compact().into())
            }
            Item::ArrayOfTables(tables) => {
                Wish::Set(Json::List(tables.iter().map(|table| object(table)).collect()).compact().into())
            }
            // Dotted names inside of a table: `retry.max = 3`.
            Item::Value(Value::InlineTable(table)) if table.is_dotted() => return self.table(table),
            Item::Value(value) => self.value(value, line)?,
        };
        self.found.push(Found { path: self.path.clone(), wish, line });
        Ok(())
    }

    fn value(&self, value: &Value, line: usize) -> Result<Wish, DocumentError> {
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
                            line,
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
