//! TOML with the place of every name.

use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use crate::source::document::{Fault, Item, Lines, Member, Position, Value};

/// Reads one TOML document, or gives every fault that its parser finds.
pub(super) fn parse(text: &str) -> Result<Item, Vec<Fault>> {
    let lines = Lines::new(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(Item { value: Value::Table(members(root.get_ref(), &lines)), at: Position::START });
    }
    let fault = |error: &toml::de::Error| {
        let at = error.span().map_or(Position::START, |span| lines.position(span.start));
        Fault::new(at, error.message())
    };
    let mut faults: Vec<Fault> = errors.iter().map(fault).collect();
    faults.sort_by_key(|fault| fault.at);
    Err(faults)
}

/// In the order of the text. The parser caps how deep tables and lists are nested, so the recursion is bounded.
fn members(table: &DeTable<'_>, lines: &Lines<'_>) -> Vec<Member> {
    let member = |(name, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let name: (&std::borrow::Cow<'_, str>, usize) = (name.get_ref(), name.span().start);
        Member { name: name.0.to_string(), at: lines.position(name.1), item: item(value, lines) }
    };
    let mut members: Vec<Member> = table.iter().map(member).collect();
    members.sort_by_key(|member| member.at);
    members
}

fn item(value: &toml::Spanned<DeValue<'_>>, lines: &Lines<'_>) -> Item {
    let at = lines.position(value.span().start);
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Number(decimal(number)),
        DeValue::Float(number) => Value::Number(plain(number)),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(at) => Value::Text(at.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(|value| item(value, lines)).collect()),
        DeValue::Table(table) => Value::Table(members(table, lines)),
    };
    Item { value, at }
}

/// Without a sign that says nothing, and in base ten.
fn decimal(number: &DeInteger<'_>) -> String {
    let digits = number.as_str();
    match i128::from_str_radix(digits, number.radix()) {
        Ok(value) => value.to_string(),
        // Beyond 128 bits no field takes it; the reader of the field says so.
        Err(_) => digits.trim_start_matches('+').to_owned(),
    }
}

fn plain(number: &DeFloat<'_>) -> String {
    number.as_str().trim_start_matches('+').to_owned()
}
