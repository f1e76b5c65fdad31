//! Keys as a JSON document.

use super::json::Json;
use super::leaf::Shape;
use super::tree::Tree;
use super::{BASE64, JSON, Leaf, MASKED, VALUE};

pub(super) fn write(tree: &Tree) -> String {
    // Nothing in it can fail to be written.
    serde_json::to_string_pretty(&node(tree)).unwrap_or_default() + "\n"
}

fn node(tree: &Tree) -> Json {
    let below = tree.below.iter().map(|(name, node_below)| (name.clone(), node(node_below)));
    match &tree.value {
        Some(leaf) if tree.below.is_empty() => value(leaf),
        Some(leaf) => Json::Object(std::iter::once((VALUE.to_owned(), value(leaf))).chain(below).collect()),
        None => Json::Object(below.collect()),
    }
}

fn value(leaf: &Leaf) -> Json {
    let special = |name: &str, value: Json| Json::Object(vec![(name.to_owned(), value)]);
    match leaf.shape() {
        Shape::Bool(value) => Json::Bool(value),
        Shape::Int(value) => Json::Int(value),
        Shape::Float(value) => Json::Float(value),
        Shape::Text(text) => Json::Text(text),
        Shape::Json(json @ Json::Object(_)) => special(JSON, json),
        Shape::Json(json) => json,
        Shape::Base64(text) => special(BASE64, Json::Text(text)),
        Shape::Masked => special(MASKED, Json::Bool(true)),
    }
}
