//! Mistakes in evaluation contexts.

use kvconf::flag::EvaluationContext;

#[derive(EvaluationContext)]
#[context(rename_all = "kebap-case", rename = "x")]
struct Visitor<'a> {
    #[context(targeting_key)]
    id: &'a str,
    #[context(targeting_kye)]
    other: &'a str,
    #[context(rename = "a.b")]
    dotted: u8,
    #[context(rename = "")]
    nameless: u8,
    #[context(rename = "same")]
    one: u8,
    #[context(rename = "same")]
    two: u8,
    #[context(ignore)]
    ignored: u8,
    #[context(skip = true)]
    skipped: u8,
}

#[derive(EvaluationContext)]
struct TwoKeys {
    #[context(targeting_key)]
    one: String,
    #[context(targeting_key, rename = "id")]
    two: String,
}

#[derive(EvaluationContext)]
struct Tuple(u8);

#[derive(EvaluationContext)]
struct Generic<T> {
    value: T,
}

#[derive(EvaluationContext)]
enum Shape {
    Round,
    Square(u8),
}

#[derive(EvaluationContext)]
enum Nothing {}

struct Foreign;

#[derive(EvaluationContext)]
struct Kinds {
    #[context(targeting_key)]
    id: u64,
    foreign: Foreign,
}

fn main() {}
