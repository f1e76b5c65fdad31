//! What differs between two definitions of a flag, part by part: what somebody has to see before a change of it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::definition::{DefaultVariant, FlagDefinition};
use super::parse::parse_json;
use super::targeting::trail::Trail;
use crate::value::tame;

/// One part of a flag that differs. `Display` writes it on a line, long rules shortened; the parts themselves are exact.
///
/// From [`FlagDefinition::differences`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FlagDifference {
    /// Which part: `state`, `defaultVariant`, `variants.on`, `metadata.owner`, or a part of the rule as evaluations name it,
    /// such as `targeting.if[1].fractional`.
    pub path: String,
    /// What stood there; `None` when nothing did. All shares of a `fractional` where they differ.
    pub before: Option<Json>,
    /// What stands there; `None` when nothing does.
    pub after: Option<Json>,
    #[serde(skip)]
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Value,
    /// The shares of a `fractional`, whatever stands before them left out.
    Shares,
    /// A list of scalars in which order means nothing to an author.
    Members,
}

impl FlagDefinition {
    /// What differs in another definition: its state, its default, its variants, the parts of its rule, and what it says about
    /// itself, in this order. A plain value is compared as the flag that it stands for.
    ///
    /// Rules are compared operator by operator, so that one that changed deep inside is told by that part alone. What only
    /// means the same in other words differs.
    ///
    /// ```
    /// use kvconf::flag::FlagDefinition;
    ///
    /// let flag = |state: &str, on: u32| {
    ///     let rule = format!(r#"{{"fractional": [["on", {on}], ["off", {}]]}}"#, 100 - on);
    ///     let variants = r#"{"on": true, "off": false}"#;
    ///     FlagDefinition::parse(&format!(r#"{{"state": "{state}", "variants": {variants}, "targeting": {rule}}}"#))
    /// };
    /// let differences = flag("DISABLED", 10)?.differences(&flag("ENABLED", 20)?);
    /// let told: Vec<String> = differences.iter().map(ToString::to_string).collect();
    /// assert_eq!(told, ["state: DISABLED → ENABLED", "targeting.fractional: on 10 % → 20 %, off 90 % → 80 %"]);
    /// # Ok::<(), kvconf::flag::FlagError>(())
    /// ```
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<FlagDifference> {
        between(Some(self), Some(other))
    }
}

impl FlagDifference {
    /// What differs between two stored values, where they are flags: one of them a flag object, and the other one, a plain
    /// value or nothing. Nothing for any other values, and where a flag is removed.
    ///
    /// For tools, which do not know what the values of keys are.
    ///
    /// ```
    /// use kvconf::flag::FlagDifference;
    ///
    /// let flag = r#"{"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on"}"#;
    /// let told: Vec<String> =
    ///     FlagDifference::of_stored(None, Some(flag.as_bytes())).iter().map(ToString::to_string).collect();
    /// assert_eq!(told, ["state: (none) → ENABLED", "defaultVariant: (none) → on", "variants.on: (none) → true"]);
    /// assert_eq!(FlagDifference::of_stored(Some(b"80"), Some(b"90")), []);
    /// ```
    #[must_use]
    pub fn of_stored(before: Option<&[u8]>, after: Option<&[u8]>) -> Vec<Self> {
        let Some(after) = after else { return Vec::new() };
        if !before.is_some_and(may_be_object) && !may_be_object(after) {
            return Vec::new();
        }
        let read = |bytes: &[u8]| FlagDefinition::parse(str::from_utf8(bytes).ok()?).ok();
        match (before.map(read), read(after)) {
            (None, Some(after)) if !after.is_plain() => between(None, Some(&after)),
            (Some(Some(before)), Some(after)) if !before.is_plain() || !after.is_plain() => {
                between(Some(&before), Some(&after))
            }
            _ => Vec::new(),
        }
    }

    /// What differs between two stored rules, by paths that begin with `rule`. Nothing where one of them is none.
    pub(crate) fn of_rules(before: Option<&[u8]>, after: Option<&[u8]>) -> Vec<Self> {
        let read = |bytes: Option<&[u8]>| parse_json(str::from_utf8(bytes?).ok()?).ok();
        let mut found = Differences(Vec::new());
        if let (Some(before), Some(after)) = (read(before), read(after)) {
            found.rule(Some(&before), Some(&after), &Trail::top("rule"));
        }
        found.0
    }
}

/// Looked at before everything is read: most values are no flags.
fn may_be_object(bytes: &[u8]) -> bool {
    let has_variants = || str::from_utf8(bytes).is_ok_and(|text| text.contains("\"variants\""));
    bytes.trim_ascii_start().starts_with(b"{") && has_variants()
}

/// As [`FlagDefinition::differences`], also where there was no flag before, or is none any more.
fn between(before: Option<&FlagDefinition>, after: Option<&FlagDefinition>) -> Vec<FlagDifference> {
    let mut found = Differences(Vec::new());
    let state = |flag: &FlagDefinition| Json::from(flag.state().name());
    found.value("state", before.map(state).as_ref(), after.map(state).as_ref());
    let (old, new) = (before.and_then(default), after.and_then(default));
    found.value("defaultVariant", old.as_ref(), new.as_ref());
    found.entries("variants", before.map(FlagDefinition::variants), after.map(FlagDefinition::variants));
    let rule = |flag: Option<&FlagDefinition>| flag.and_then(FlagDefinition::targeting).cloned();
    found.rule(rule(before).as_ref(), rule(after).as_ref(), &Trail::top("targeting"));
    let metadata = |flag: Option<&FlagDefinition>| flag.and_then(FlagDefinition::metadata).cloned();
    found.entries("metadata", metadata(before).as_ref(), metadata(after).as_ref());
    found.entries("", before.map(FlagDefinition::other), after.map(FlagDefinition::other));
    found.0
}

fn default(flag: &FlagDefinition) -> Option<Json> {
    match flag.default_variant() {
        DefaultVariant::Absent => None,
        DefaultVariant::Null => Some(Json::Null),
        DefaultVariant::Named(name) => Some(name.as_str().into()),
    }
}

struct Differences(Vec<FlagDifference>);

impl Differences {
    fn add(&mut self, path: String, before: Option<Json>, after: Option<Json>, kind: Kind) {
        self.0.push(FlagDifference { path, before, after, kind });
    }

    fn value(&mut self, path: &str, before: Option<&Json>, after: Option<&Json>) {
        if before != after {
            self.add(path.to_owned(), before.cloned(), after.cloned(), Kind::Value);
        }
    }

    /// Named values, in the order of their names.
    fn entries(&mut self, path: &str, before: Option<&Map<String, Json>>, after: Option<&Map<String, Json>>) {
        let names = before.into_iter().chain(after).flat_map(Map::keys);
        for name in names.collect::<BTreeSet<_>>() {
            let of =
                |entries: Option<&Map<String, Json>>| entries.and_then(|entries| entries.get(name)).cloned();
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            self.value(&path, of(before).as_ref(), of(after).as_ref());
        }
    }

    fn rule(&mut self, before: Option<&Json>, after: Option<&Json>, trail: &Trail<'_>) {
        match (before, after) {
            (before, after) if before == after => {}
            (Some(Json::Object(old)), Some(Json::Object(new))) => match (only(old), only(new)) {
                (Some((name, old)), Some((same, new))) if name == same => {
                    self.operands(name, old, new, &trail.name(name));
                }
                _ => self.value(&trail.to_string(), before, after),
            },
            (Some(Json::Array(old)), Some(Json::Array(new))) => self.lists(old, new, trail),
            _ => self.value(&trail.to_string(), before, after),
        }
    }

    fn operands(&mut self, operator: &str, before: &Json, after: &Json, trail: &Trail<'_>) {
        if let (Json::Array(old), Json::Array(new)) = (before, after) {
            let (subject, other) = (subject(old), subject(new));
            if operator == "fractional" && subject == other {
                let skipped = usize::from(subject.is_some());
                let shares = |all: &[Json]| all.iter().skip(skipped).cloned().collect::<Json>();
                if weights(&shares(old)).is_some() && weights(&shares(new)).is_some() {
                    let (old, new) = (Some(shares(old)), Some(shares(new)));
                    return self.add(trail.to_string(), old, new, Kind::Shares);
                }
            }
        }
        self.rule(Some(before), Some(after), trail);
    }

    /// What stands between the items at both ends that are the same.
    fn lists(&mut self, before: &[Json], after: &[Json], trail: &Trail<'_>) {
        let is_scalar = |json: &Json| !matches!(json, Json::Array(_) | Json::Object(_));
        // A pair of operands is told operand by operand, a longer list by its members.
        if before.len().max(after.len()) > 2 && before.iter().chain(after).all(is_scalar) {
            let (before, after) = (before.to_vec().into(), after.to_vec().into());
            return self.add(trail.to_string(), Some(before), Some(after), Kind::Members);
        }
        let front = before.iter().zip(after).take_while(|(old, new)| old == new).count();
        let most = before.len().min(after.len()) - front;
        let ends = before.iter().rev().zip(after.iter().rev());
        let back = if before.len() == after.len() {
            0
        } else {
            ends.take(most).take_while(|(old, new)| old == new).count()
        };
        let middle = |all: usize| front..all - back;
        let (old, new) = (middle(before.len()), middle(after.len()));
        for place in front..old.end.max(new.end) {
            let of = |all: &'_ [Json], range: &std::ops::Range<usize>| {
                all.get(place).filter(|_| range.contains(&place)).cloned()
            };
            self.rule(of(before, &old).as_ref(), of(after, &new).as_ref(), &trail.place(place));
        }
    }
}

/// The operator of an operation, with its argument.
fn only(object: &Map<String, Json>) -> Option<(&String, &Json)> {
    object.iter().next().filter(|_| object.len() == 1)
}

/// What decides about the bucket, where it stands before the shares.
fn subject(operands: &[Json]) -> Option<&Json> {
    operands.first().filter(|first| !first.is_array())
}

/// Shares by name, where they are all constant and no name stands twice.
fn weights(shares: &Json) -> Option<BTreeMap<String, u64>> {
    let mut weights = BTreeMap::new();
    for (name, weight) in named(shares)? {
        if weights.insert(name, weight).is_some() {
            return None;
        }
    }
    Some(weights)
}

/// Shares in their order.
fn named(shares: &Json) -> Option<Vec<(String, u64)>> {
    let share = |share: &Json| {
        let (name, weight) = match share.as_array()?.as_slice() {
            [name] => (name, 1),
            [name, weight] => (name, weight.as_u64()?),
            _ => return None,
        };
        let name = match name {
            Json::String(name) => name.clone(),
            Json::Null | Json::Bool(_) | Json::Number(_) => name.to_string(),
            Json::Array(_) | Json::Object(_) => return None,
        };
        Some((name, weight))
    };
    shares.as_array()?.iter().map(share).collect()
}

impl fmt::Display for FlagDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", tame(&self.path))?;
        match (self.kind, &self.before, &self.after) {
            (Kind::Shares, Some(before), Some(after)) => show_shares(before, after, f),
            (Kind::Members, Some(before), Some(after)) => show_members(before, after, f),
            (_, before, after) => {
                write!(f, "{} → {}", shown(before.as_ref(), &self.path), shown(after.as_ref(), &self.path))
            }
        }
    }
}

/// Names of variants and states stand as they are, everything else as JSON.
fn shown(value: Option<&Json>, path: &str) -> String {
    match value {
        None => "(none)".to_owned(),
        Some(Json::String(name)) if matches!(path, "state" | "defaultVariant") => tame(name),
        Some(value) => tame(&value.to_string()),
    }
}

/// `on 10 % → 20 %, off 90 % → 80 %`: of the sum of the weights on each side.
fn show_shares(before: &Json, after: &Json, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let order = |shares: &Json| named(shares).unwrap_or_default();
    let (old, new) = (order(before), order(after));
    let of = |shares: &[(String, u64)], name: &str| {
        shares.iter().find(|(known, _)| known == name).map_or(0, |(_, weight)| *weight)
    };
    let sum =
        |shares: &[(String, u64)]| shares.iter().fold(0, |sum: u64, (_, weight)| sum.saturating_add(*weight));
    let (all_old, all_new) = (sum(&old), sum(&new));
    let gone = old.iter().filter(|(name, _)| !new.iter().any(|(known, _)| known == name));
    let mut is_first = true;
    for (name, _) in new.iter().chain(gone) {
        let (was, is) = (percent(of(&old, name), all_old), percent(of(&new, name), all_new));
        f.write_str(if std::mem::take(&mut is_first) { "" } else { ", " })?;
        let name = tame(name);
        if was == is { write!(f, "{name} {is}")? } else { write!(f, "{name} {was} → {is}")? }
    }
    // Who is in which share depends on the order, too.
    let names = |shares: &[(String, u64)], others: &[(String, u64)]| {
        let both = shares.iter().filter(|(name, _)| others.iter().any(|(known, _)| known == name));
        both.map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    let is_moved = names(&old, &new) != names(&new, &old);
    f.write_str(if is_moved { ", in another order" } else { "" })
}

/// As exact as an author counts: up to three places.
fn percent(weight: u64, sum: u64) -> String {
    if sum == 0 {
        return "0 %".to_owned();
    }
    let share = format!("{:.3}", weight as f64 * 100.0 / sum as f64);
    format!("{} %", share.trim_end_matches('0').trim_end_matches('.'))
}

/// `with "DE", without "FR"`.
fn show_members(before: &Json, after: &Json, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let counts = |list: &Json| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for item in list.as_array().into_iter().flatten() {
            *counts.entry(item.to_string()).or_default() += 1;
        }
        counts
    };
    let (old, new) = (counts(before), counts(after));
    let beyond = |one: &BTreeMap<String, usize>, other: &BTreeMap<String, usize>| {
        let more = one.iter().filter(|(item, count)| **count > other.get(*item).copied().unwrap_or(0));
        more.map(|(item, _)| item.as_str()).collect::<Vec<_>>().join(", ")
    };
    let (with, without) = (beyond(&new, &old), beyond(&old, &new));
    match (with.is_empty(), without.is_empty()) {
        (true, true) => write!(f, "in another order, {}", tame(&after.to_string())),
        (false, true) => write!(f, "with {}", tame(&with)),
        (true, false) => write!(f, "without {}", tame(&without)),
        (false, false) => write!(f, "with {}, without {}", tame(&with), tame(&without)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn flag(json: Json) -> FlagDefinition {
        FlagDefinition::from_json(json).unwrap()
    }

    fn switch(targeting: impl Into<Json>) -> FlagDefinition {
        let targeting: Json = targeting.into();
        let variants = json!({"on": true, "off": false});
        flag(
            json!({"state": "ENABLED", "variants": variants, "defaultVariant": "off", "targeting": targeting}),
        )
    }

    fn told(before: &FlagDefinition, after: &FlagDefinition) -> Vec<String> {
        before.differences(after).iter().map(ToString::to_string).collect()
    }

    fn rules(before: Json, after: Json) -> Vec<String> {
        told(&switch(before), &switch(after))
    }

    #[test]
    fn equal_definitions_do_not_differ() {
        let rule = json!({"if": [{"==": [{"var": "a"}, 1]}, {"fractional": [["on", 1], ["off", 2]]}]});
        assert_eq!(rules(rule.clone(), rule), [""; 0]);
        // No rule is as good as an empty one.
        assert_eq!(rules(json!({}), Json::Null), [""; 0]);
        // A plain value is the flag that it stands for.
        let object = json!({"state": "ENABLED", "variants": {"3": 3}, "defaultVariant": "3"});
        assert_eq!(told(&flag(json!(3)), &flag(object)), [""; 0]);
    }

    #[test]
    fn the_parts_of_a_flag_are_told_in_their_order() {
        let before = flag(json!({
            "state": "ENABLED", "variants": {"a": "x", "b": "y"}, "defaultVariant": "a", "metadata": {"owner": "web"}
        }));
        let after = flag(json!({
            "state": "DISABLED", "variants": {"a": "z", "c": "w"}, "defaultVariant": null, "targeting": {"var": "tier"},
            "metadata": {"ticket": 42}, "note": [1]
        }));
        let expected = [
            "state: ENABLED → DISABLED",
            "defaultVariant: a → null",
            r#"variants.a: "x" → "z""#,
            r#"variants.b: "y" → (none)"#,
            r#"variants.c: (none) → "w""#,
            r#"targeting: (none) → {"var":"tier"}"#,
            r#"metadata.owner: "web" → (none)"#,
            "metadata.ticket: (none) → 42",
            "note: (none) → [1]",
        ];
        assert_eq!(told(&before, &after), expected);
    }

    #[test]
    fn a_rule_is_told_by_the_part_that_changed() {
        let rule = |country: &str, age: u32| {
            json!({"if": [
                {"and": [{"==": [{"var": "country"}, country]}, {">": [{"var": "age"}, age]}]}, "on", "off"
            ]})
        };
        assert_eq!(
            rules(rule("NL", 18), rule("BE", 21)),
            [r#"targeting.if[0].and[0].==[1]: "NL" → "BE""#, "targeting.if[0].and[1].>[1]: 18 → 21"]
        );
        let other = json!({"if": [{"or": [{"var": "staff"}]}, "on", "off"]});
        assert_eq!(
            rules(json!({"if": [{"var": "staff"}, "on", "off"]}), other),
            [r#"targeting.if[0]: {"var":"staff"} → {"or":[{"var":"staff"}]}"#]
        );
    }

    #[test]
    fn branches_that_are_added_leave_those_around_them_alone() {
        let branch = |name: &str| json!({"var": name});
        let before = json!({"if": [branch("a"), "on", branch("c"), "off", "on"]});
        let after = json!({"if": [branch("a"), "on", branch("b"), "on", branch("c"), "off", "on"]});
        let expected = [r#"targeting.if[2]: (none) → {"var":"b"}"#, r#"targeting.if[3]: (none) → "on""#];
        assert_eq!(rules(before.clone(), after.clone()), expected);
        let expected = [r#"targeting.if[2]: {"var":"b"} → (none)"#, r#"targeting.if[3]: "on" → (none)"#];
        assert_eq!(rules(after, before), expected);
    }

    #[test]
    fn lists_are_told_by_their_members() {
        let among = |countries: Json| json!({"if": [{"in": [{"var": "country"}, countries]}, "on"]});
        let from = || among(json!(["NL", "BE", "FR"]));
        let path = "targeting.if[0].in[1]";
        assert_eq!(
            rules(from(), among(json!(["DE", "NL", "BE"]))),
            [format!(r#"{path}: with "DE", without "FR""#)]
        );
        assert_eq!(rules(from(), among(json!(["NL", "BE", "FR", "LU"]))), [format!(r#"{path}: with "LU""#)]);
        assert_eq!(rules(from(), among(json!(["NL", "BE"]))), [format!(r#"{path}: without "FR""#)]);
        assert_eq!(
            rules(from(), among(json!(["BE", "NL", "FR"]))),
            [format!(r#"{path}: in another order, ["BE","NL","FR"]"#)]
        );
    }

    #[test]
    fn shares_are_told_in_percent() {
        let path = "targeting.fractional";
        let shares = |shares: Json| json!({"fractional": shares});
        let one = |before: Json, after: Json| rules(shares(before), shares(after)).join("\n");
        assert_eq!(
            one(json!([["on", 10], ["off", 90]]), json!([["on", 25], ["off", 75]])),
            format!("{path}: on 10 % → 25 %, off 90 % → 75 %")
        );
        // Of their sums, whatever they are, and with a share of the weight 1.
        assert_eq!(
            one(json!([["on"], ["off", 2]]), json!([["on", 1], ["off", 1]])),
            format!("{path}: on 33.333 % → 50 %, off 66.667 % → 50 %")
        );
        assert_eq!(
            one(json!([["on", 50], ["old", 50]]), json!([["on", 50], ["off", 50]])),
            format!("{path}: on 50 %, off 0 % → 50 %, old 50 % → 0 %")
        );
        // It moves people.
        assert_eq!(
            one(json!([["on", 50], ["off", 50]]), json!([["off", 50], ["on", 50]])),
            format!("{path}: off 50 %, on 50 %, in another order")
        );
        let with = |subject: &str, on: u32| json!([{"var": subject}, ["on", on], ["off", 100 - on]]);
        assert_eq!(
            one(with("email", 10), with("email", 20)),
            format!("{path}: on 10 % → 20 %, off 90 % → 80 %")
        );
        assert_eq!(
            one(with("email", 10), with("account", 20)),
            format!("{path}[0].var: \"email\" → \"account\"\n{path}[1][1]: 10 → 20\n{path}[2][1]: 90 → 80")
        );
        // Computed weights have no percentage.
        let computed = |name: &str| json!([["on", {"var": name}], ["off", 50]]);
        assert_eq!(one(computed("a"), computed("b")), format!("{path}[0][1].var: \"a\" → \"b\""));
    }

    #[test]
    fn what_is_told_fits_on_a_line_and_what_it_holds_is_exact() {
        let long = "x".repeat(1_000);
        let before = flag(json!({"state": "ENABLED", "variants": {"a\nb": "x"}}));
        let after = flag(json!({"state": "ENABLED", "variants": {"a\nb": long}}));
        let differences = before.differences(&after);
        let line = differences[0].to_string();
        assert!(line.starts_with(r#"variants.a\nb: "x" → "xxx"#) && line.chars().count() < 500, "{line}");
        let json = serde_json::to_value(&differences).unwrap();
        assert_eq!(json, json!([{"path": "variants.a\nb", "before": "x", "after": long}]));
    }
}
