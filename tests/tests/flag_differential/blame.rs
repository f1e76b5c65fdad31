//! From two answers that differ to the one operator that they differ in.

use serde_json::{Value, json};

use crate::engines::{Answer, differ, ours};

/// An operator on operands about which both engines agree, but not about what it gives.
#[derive(Debug)]
pub(crate) struct Culprit {
    pub(crate) operator: String,
    /// The values of the operands, `None` where one fails; for `var` the operands as they stand.
    pub(crate) operands: Vec<Answer>,
    /// It on its own.
    pub(crate) rule: Value,
    pub(crate) data: Value,
}

/// The innermost part of this rule about which the engines differ.
pub(crate) fn blame(rule: &Value, data: &Value) -> Culprit {
    match rule {
        Value::Array(items) => match items.iter().find(|item| differ(item, data)) {
            Some(item) => blame(item, data),
            None => culprit("a list", items, rule, data),
        },
        Value::Object(entries) => match entries.iter().next() {
            Some((operator, argument)) if entries.len() == 1 => inside(operator, argument, rule, data),
            _ => culprit("an object", &[], rule, data),
        },
        _ => culprit("a scalar", &[], rule, data),
    }
}

fn inside(operator: &str, argument: &Value, rule: &Value, data: &Value) -> Culprit {
    let single = [argument.clone()];
    let operands = argument.as_array().map_or(single.as_slice(), Vec::as_slice);
    if operator == "var" {
        return match operands.iter().find(|operand| differ(operand, data)) {
            Some(operand) => blame(operand, data),
            None => culprit(operator, operands, rule, data),
        };
    }
    if let ("map" | "filter" | "all" | "none" | "some" | "reduce", [list, body, rest @ ..]) =
        (operator, operands)
    {
        if let Some(operand) = [list].into_iter().chain(rest).find(|operand| differ(operand, data)) {
            return blame(operand, data);
        }
        let initial = rest.first().and_then(|initial| ours(initial, data).ok());
        if let Some(item) =
            items(operator, list, body, initial, data).into_iter().find(|item| differ(body, item))
        {
            return blame(body, &item);
        }
        return culprit(operator, &operands[..1], rule, data);
    }
    // The names that `missing` asks for are no rules, but read as texts.
    match operands.iter().find(|operand| differ(operand, data)) {
        Some(operand) => blame(operand, data),
        None => culprit(operator, operands, rule, data),
    }
}

/// What the body of an iteration sees, one after the other.
fn items(operator: &str, list: &Value, body: &Value, initial: Option<Value>, data: &Value) -> Vec<Value> {
    let Ok(Value::Array(list)) = ours(list, data) else { return Vec::new() };
    if operator != "reduce" {
        return list;
    }
    let mut accumulator = initial.unwrap_or_default();
    let mut seen = Vec::new();
    for current in list {
        let step = json!({"current": current, "accumulator": accumulator});
        let next = ours(body, &step);
        seen.push(step);
        match next {
            Ok(next) => accumulator = next,
            Err(_) => break,
        }
    }
    seen
}

fn culprit(operator: &str, operands: &[Value], rule: &Value, data: &Value) -> Culprit {
    let operands = operands.iter().map(|operand| ours(operand, data)).collect();
    Culprit { operator: operator.to_owned(), operands, rule: rule.clone(), data: data.clone() }
}
