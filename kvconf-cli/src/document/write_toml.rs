//! Keys as a TOML document: the leaves of a table first, then the tables below it, each with its full name.

use toml_edit::{Array, InlineTable, Value};

use super::json::Json;
use super::leaf::Shape;
use super::tree::Tree;
use super::{BASE64, Leaf, MASKED, VALUE};

pub(super) fn write(tree: &Tree) -> String {
    let mut text = String::new();
    table(tree, &mut Vec::new(), &mut text);
    text
}

fn table(tree: &Tree, path: &mut Vec<String>, text: &mut String) {
    let leaves = || tree.below.iter().filter(|(_, node)| node.below.is_empty());
    // The root has no name, and a key's own value next to keys below it stands in its table.
    let own = tree.value.as_ref().filter(|_| !path.is_empty());
    if !path.is_empty() && (own.is_some() || leaves().next().is_some()) {
        if !text.is_empty() {
            text.push('\n');
        }
        let names: Vec<String> = path.iter().map(|name| name_of(name)).collect();
        text.push_str(&format!("[{}]\n", names.join(".")));
    }
    if let Some(leaf) = own {
        text.push_str(&format!("{} = {}\n", name_of(VALUE), value(leaf)));
    }
    for (name, node) in leaves() {
        if let Some(leaf) = &node.value {
            text.push_str(&format!("{} = {}\n", name_of(name), value(leaf)));
        }
    }
    for (name, node) in tree.below.iter().filter(|(_, node)| !node.below.is_empty()) {
        path.push(name.clone());
        table(node, path, text);
        path.pop();
    }
}

fn name_of(name: &str) -> String {
    toml_edit::Key::new(name).display_repr().into_owned()
}

fn value(leaf: &Leaf) -> String {
    let special = |name: &str, value: Value| {
        let mut table = InlineTable::new();
        table.insert(name, value);
        Value::InlineTable(table)
    };
    let value = match leaf.shape() {
        Shape::Bool(value) => value.into(),
        Shape::Int(value) => value.into(),
        Shape::Float(value) => value.into(),
        Shape::Text(text) => text.into(),
        Shape::Json(json) => of_json(&json),
        Shape::Base64(text) => special(BASE64, text.into()),
        Shape::Masked => special(MASKED, true.into()),
    };
    // The blanks around a value are the caller's.
    value.to_string().trim().to_owned()
}

fn of_json(json: &Json) -> Value {
    match json {
        Json::Bool(value) => (*value).into(),
        Json::Int(value) => (*value).into(),
        Json::Float(value) => (*value).into(),
        Json::Text(text) => text.as_str().into(),
        Json::List(values) => Value::Array(values.iter().map(of_json).collect::<Array>()),
        Json::Object(members) => {
            Value::InlineTable(members.iter().map(|(name, value)| (name.as_str(), of_json(value))).collect())
        }
        // Not among the shapes.
        Json::Null | Json::Large(_) => json.compact().into(),
    }
}
