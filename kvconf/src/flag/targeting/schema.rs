//! flagd's JSON Schema for rules (`targeting.json`), as far as it is stricter than what evaluates.

use serde_json::Value as Json;

use super::node::{Comparison, Iteration, Operator, Word};
use super::parse::{MAX_PROBLEMS, reference};
use super::semver::Version;
use super::trail::Trail;
use crate::flag::problem::{FlagProblem, FlagProblemKind, SchemaViolation, nearest};

/// Everything in this rule that flagd's schema does not allow, its unknown operators among them.
pub(crate) fn violations(rule: &Json, top: &str) -> Vec<FlagProblem> {
    let mut checker = Checker { problems: Vec::new() };
    let trail = Trail::top(top);
    match rule {
        Json::Object(entries) if entries.is_empty() => {}
        Json::Object(_) => checker.rule(rule, &trail, 0),
        _ => checker.violation(&trail, SchemaViolation::Rule),
    }
    checker.problems
}

/// Deeper than this, compiling has refused the rule, and this would recurse too far.
const MAX_DEPTH: usize = 128;

struct Checker {
    problems: Vec<FlagProblem>,
}

impl Checker {
    fn violation(&mut self, trail: &Trail<'_>, violation: SchemaViolation) {
        self.problem(trail, FlagProblemKind::Schema(violation));
    }

    fn problem(&mut self, trail: &Trail<'_>, kind: FlagProblemKind) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(FlagProblem::new(trail.to_string(), kind));
        }
    }

    /// An operand: what is a list may hold anything.
    fn rule(&mut self, json: &Json, trail: &Trail<'_>, depth: usize) {
        let Json::Object(entries) = json else { return };
        if depth > MAX_DEPTH || entries.is_empty() || reference(json).is_some() {
            return;
        }
        let mut entries = entries.iter();
        let (Some((name, argument)), None) = (entries.next(), entries.next()) else {
            return self.violation(trail, SchemaViolation::Rule);
        };
        let trail = trail.name(name);
        let Some(word) = Word::named(name) else {
            let close = nearest(name, super::node::WORDS.iter().map(|(known, _)| *known));
            return self.problem(&trail, FlagProblemKind::UnknownOperator { name: name.clone(), close });
        };
        match (word, argument) {
            (Word::Var, Json::String(path)) => self.property(path, &trail),
            (Word::Var, _) => {}
            (Word::Operation(operator), Json::Array(operands)) => {
                self.operation(operator, operands, &trail, depth);
                self.operands(operands, &trail, depth);
            }
            (Word::Operation(Operator::Not | Operator::Truth | Operator::Log), operand) => {
                self.rule(operand, &trail, depth + 1);
            }
            (word, Json::Array(operands)) => {
                self.count(operands.len(), counts(word), &trail);
                self.operands(operands, &trail, depth);
            }
            (_, argument) if reference(argument).is_some() => {}
            _ => self.violation(&trail, SchemaViolation::Operands),
        }
    }

    fn operands(&mut self, operands: &[Json], trail: &Trail<'_>, depth: usize) {
        for (place, operand) in operands.iter().enumerate() {
            self.rule(operand, &trail.place(place), depth + 1);
        }
    }

    fn property(&mut self, path: &str, trail: &Trail<'_>) {
        let is_known = matches!(path, "$flagd.flagKey" | "$flagd.timestamp");
        if path.starts_with("$flagd.") && !is_known {
            self.violation(trail, SchemaViolation::Property);
        }
    }

    fn count(&mut self, count: usize, (least, most): (usize, usize), trail: &Trail<'_>) {
        if !(least..=most).contains(&count) {
            self.violation(trail, SchemaViolation::Operands);
        }
    }

    fn operation(&mut self, operator: Operator, operands: &[Json], trail: &Trail<'_>, depth: usize) {
        self.count(operands.len(), counts(Word::Operation(operator)), trail);
        match operator {
            Operator::StartsWith | Operator::EndsWith => {
                for (place, operand) in operands.iter().enumerate() {
                    if !matches!(operand, Json::String(_) | Json::Object(_)) {
                        self.violation(&trail.place(place), SchemaViolation::Text);
                    }
                }
            }
            Operator::SemVer => self.versions(operands, trail),
            Operator::Fractional => self.shares(operands, trail, depth),
            _ => {}
        }
    }

    fn versions(&mut self, operands: &[Json], trail: &Trail<'_>) {
        for (place, operand) in operands.iter().enumerate() {
            let is_right = match (place, operand) {
                (1, Json::String(operator)) => super::semver::VersionOperator::named(operator).is_some(),
                (1, _) => false,
                // The schema wants three numbers and no `v`; flagd takes less, and so do its own examples.
                (_, Json::String(version)) => Version::parse(version).is_some(),
                (_, Json::Object(_)) => true,
                _ => false,
            };
            if !is_right {
                let violation =
                    if place == 1 { SchemaViolation::VersionOperator } else { SchemaViolation::Version };
                self.violation(&trail.place(place), violation);
            }
        }
    }

    fn shares(&mut self, operands: &[Json], trail: &Trail<'_>, depth: usize) {
        for (place, operand) in operands.iter().enumerate() {
            let trail = trail.place(place);
            match operand {
                Json::Array(parts) => self.share(parts, &trail, depth),
                Json::Object(_) if place == 0 => {}
                _ if place == 0 => self.violation(&trail, SchemaViolation::BucketBy),
                _ => self.violation(&trail, SchemaViolation::Share),
            }
        }
    }

    fn share(&mut self, parts: &[Json], trail: &Trail<'_>, depth: usize) {
        if !(1..=2).contains(&parts.len()) {
            self.violation(trail, SchemaViolation::Share);
        }
        if let Some(weight) = parts.get(1) {
            let is_whole =
                weight.as_u64().is_some() || weight.as_f64().is_some_and(|n| n >= 0.0 && n.fract() == 0.0);
            if !is_whole && !weight.is_object() {
                self.violation(&trail.place(1), SchemaViolation::Weight);
            }
        }
        for (place, part) in parts.iter().enumerate() {
            self.rule(part, &trail.place(place), depth + 1);
        }
    }
}

/// The least and the most operands.
fn counts(word: Word) -> (usize, usize) {
    const MANY: usize = usize::MAX;
    match word {
        Word::Var => (0, MANY),
        Word::If | Word::And | Word::Or => (1, MANY),
        Word::Iterate(
            Iteration::Map | Iteration::Filter | Iteration::All | Iteration::None | Iteration::Some,
        ) => (2, 2),
        Word::Reduce => (3, 3),
        Word::Operation(operator) => match operator {
            Operator::Compare(Comparison::Less | Comparison::LessOrEqual) | Operator::Substr => (2, 3),
            Operator::Compare(_) | Operator::In | Operator::Remainder | Operator::Divide => (2, 2),
            Operator::StartsWith | Operator::EndsWith | Operator::MissingSome => (2, 2),
            Operator::SemVer => (3, 3),
            Operator::Not | Operator::Truth => (1, 1),
            Operator::Multiply => (2, MANY),
            Operator::Missing | Operator::Log => (0, MANY),
            Operator::Add
            | Operator::Subtract
            | Operator::Max
            | Operator::Min
            | Operator::Merge
            | Operator::Cat => (1, MANY),
            Operator::Fractional => (1, MANY),
        },
    }
}
