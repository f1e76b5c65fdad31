//! What is probably a mistake in a rule, though the rule can be used.
//!
//! Looks at the places that can decide about the variant, in the order in which the rule runs: the branches of `if`, the
//! shares of `fractional`, and conditions that are themselves the rule. What is computed is taken for anything.

use std::collections::{HashMap, HashSet};

use derive_more::Display;
use serde_json::Value as Json;

use super::definition::{DefaultVariant, FlagDefinition, FlagState};
use super::problem::{FlagError, nearest};
use super::set::SetProperties;
use super::targeting::coercion::to_text;
use super::targeting::node::{Node, Operands, Operator};
use super::targeting::parse::parse;
use super::targeting::trail::Trail;
use super::value::Value;

/// More findings than these help nobody.
const MAX_FINDINGS: usize = 100;

/// Sums that authors mean when they write shares of a whole.
const WHOLES: [u64; 3] = [100, 1_000, 10_000];

/// One thing in a rule that is probably not meant so. The flag works all the same.
#[derive(Debug, Clone, PartialEq, Eq, Display)]
#[display("{path}: {kind}")]
#[non_exhaustive]
pub struct RuleFinding {
    /// Where: `targeting.if[3]`.
    pub path: String,
    /// What.
    pub kind: RuleFindingKind,
}

/// What can be odd about a rule.
#[derive(Debug, Clone, PartialEq, Eq, Display)]
#[non_exhaustive]
pub enum RuleFindingKind {
    /// The rule names what is none of the variants: whoever gets here gets an error.
    #[display("no variant `{name}`{}", close.as_ref().map(|close| format!(", did you mean `{close}`?")).unwrap_or_default())]
    UnknownVariant {
        /// What stands there.
        name: String,
        /// A variant that may be meant.
        close: Option<String>,
    },
    /// A list or an object stands where a variant is named.
    #[display("a list or an object names no variant")]
    NoName,
    /// The branch is never taken: its condition never holds.
    #[display("never reached: the condition never holds")]
    NeverHolds,
    /// The branch is never taken: an earlier condition always holds.
    #[display("never reached: {earlier} always holds")]
    BehindAlways {
        /// Where the earlier condition stands.
        earlier: String,
    },
    /// The branch is never taken: the same condition stands further up.
    #[display("never reached: the same condition stands at {earlier}")]
    Repeated {
        /// Where the earlier condition stands.
        earlier: String,
    },
    /// Whoever asks gets what the default is: the rule never names a variant.
    #[display("always null: the rule never names a variant")]
    AlwaysNull,
    /// Whoever asks gets this variant.
    #[display("always `{variant}`, whoever asks")]
    AlwaysTheSame {
        /// The variant.
        variant: String,
    },
    /// All weights together are zero, so nobody gets a share.
    #[display("all weights are zero: always null")]
    NoWeight,
    /// The weights are nearly a round whole. Shares are of their sum, whatever it is.
    #[display("the weights sum up to {sum}, not to {whole}: shares are of the sum")]
    OddSum {
        /// What they sum up to.
        sum: u64,
        /// What may be meant.
        whole: u64,
    },
    /// Two shares name one variant.
    #[display("a second share of `{variant}`")]
    RepeatedShare {
        /// The variant.
        variant: String,
    },
    /// The variant is served to nobody: neither the rule nor the default names it.
    #[display("the variant is never served")]
    UnusedVariant,
}

impl FlagDefinition {
    /// Looks for what is probably a mistake: branches that are never reached, variants that do not exist or are never
    /// served, rules that are always null or always the same, weights that do not add up.
    ///
    /// Attributes that a context does not have are found by
    /// [`CompiledFlag::unknown_attributes`](super::CompiledFlag::unknown_attributes).
    ///
    /// The time is about that of compiling the rule. Of more than a hundred findings the first hundred are told.
    ///
    /// # Errors
    /// [`FlagError`] when the rule cannot be used at all.
    ///
    /// ```
    /// use kvconf::flag::{FlagDefinition, SetProperties};
    ///
    /// let flag = FlagDefinition::parse(
    ///     r#"{
    ///         "state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
    ///         "targeting": {"if": [true, {"fractional": [["on", 45], ["of", 50]]}, "off"]}
    ///     }"#,
    /// )?;
    /// let findings = flag.analyse(&SetProperties::default())?;
    /// let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
    /// assert_eq!(told, [
    ///     "targeting.if[1].fractional: the weights sum up to 95, not to 100: shares are of the sum",
    ///     "targeting.if[1].fractional[1]: no variant `of`, did you mean `off`?",
    ///     "targeting.if[2]: never reached: targeting.if[0] always holds",
    /// ]);
    /// # Ok::<(), kvconf::flag::FlagError>(())
    /// ```
    pub fn analyse(&self, set: &SetProperties) -> Result<Vec<RuleFinding>, FlagError> {
        let Some(rule) = self.targeting().filter(|_| self.state() == FlagState::Enabled) else {
            return Ok(Vec::new());
        };
        let rule = parse(rule, set.evaluators()).map_err(FlagError::new)?;
        let mut analysis = Analysis { flag: self, findings: Vec::new(), outcomes: HashSet::new() };
        let top = Trail::top("targeting");
        analysis.outcome(&rule.root, &top);
        analysis.conclude(&rule.root, &top);
        Ok(analysis.findings)
    }
}

/// What a place that decides can lead to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Outcome {
    Default,
    Named(String),
    /// It is computed, or fails.
    Anything,
}

struct Analysis<'a> {
    flag: &'a FlagDefinition,
    findings: Vec<RuleFinding>,
    outcomes: HashSet<Outcome>,
}

impl Analysis<'_> {
    fn find(&mut self, trail: &Trail<'_>, kind: RuleFindingKind) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(RuleFinding { path: trail.to_string(), kind });
        }
    }

    fn leads_to(&mut self, outcome: Outcome) {
        self.outcomes.insert(outcome);
    }

    /// Collects what a node that decides can lead to.
    fn outcome(&mut self, node: &Node, trail: &Trail<'_>) {
        match node {
            Node::Constant(constant) => {
                let outcome = self.constant(constant, trail);
                self.leads_to(outcome);
            }
            Node::If(nodes) => self.conditional(nodes, &trail.name("if")),
            Node::Operation(Operator::Compare(_) | Operator::In | Operator::Not | Operator::Truth, _) => {
                for name in ["true", "false"] {
                    let outcome = self.named(name, trail);
                    self.leads_to(outcome);
                }
            }
            Node::Operation(Operator::Fractional, Operands::Listed(nodes)) => {
                self.shares(nodes, &trail.name("fractional"));
            }
            _ => self.leads_to(Outcome::Anything),
        }
    }

    fn constant(&mut self, constant: &Json, trail: &Trail<'_>) -> Outcome {
        match constant {
            Json::Null => Outcome::Default,
            Json::Array(_) | Json::Object(_) => {
                self.find(trail, RuleFindingKind::NoName);
                Outcome::Anything
            }
            scalar => self.named(&to_text(Value::from(scalar)), trail),
        }
    }

    fn named(&mut self, name: &str, trail: &Trail<'_>) -> Outcome {
        let variants = self.flag.variants();
        // To look for what may be meant takes a while where there are many.
        if !variants.contains_key(name) && self.findings.len() < MAX_FINDINGS {
            let close = nearest(name, variants.keys().map(String::as_str));
            self.find(trail, RuleFindingKind::UnknownVariant { name: name.to_owned(), close });
        }
        Outcome::Named(name.to_owned())
    }

    fn conditional(&mut self, nodes: &[Node], trail: &Trail<'_>) {
        let (pairs, otherwise) = nodes.as_chunks::<2>();
        let mut always: Option<String> = None;
        // By how conditions are shown, since each would be compared with all others else.
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (index, [condition, then]) in pairs.iter().enumerate() {
            let (here, branch) = (trail.place(2 * index), trail.place(2 * index + 1));
            let first = *seen.entry(format!("{condition:?}")).or_insert(index);
            let earlier = (first < index).then_some(first);
            let truth = truth_of(condition);
            if let Some(earlier) = &always {
                self.find(&branch, RuleFindingKind::BehindAlways { earlier: earlier.clone() });
            } else if truth == Some(false) {
                self.find(&branch, RuleFindingKind::NeverHolds);
            } else if let Some(earlier) = earlier {
                let earlier = trail.place(2 * earlier).to_string();
                self.find(&branch, RuleFindingKind::Repeated { earlier });
            } else {
                self.outcome(then, &branch);
            }
            if truth == Some(true) && always.is_none() {
                always = Some(here.to_string());
            }
        }
        match (always, otherwise) {
            (None, [node, ..]) => self.outcome(node, &trail.place(nodes.len() - 1)),
            (None, []) => self.leads_to(Outcome::Default),
            (Some(earlier), [_, ..]) => {
                self.find(&trail.place(nodes.len() - 1), RuleFindingKind::BehindAlways { earlier });
            }
            (Some(_), []) => {}
        }
    }

    fn shares(&mut self, nodes: &[Node], trail: &Trail<'_>) {
        // What decides about the bucket may stand in front of the shares.
        let skipped = usize::from(nodes.first().is_some_and(|first| !is_list(first)));
        let shares: Vec<&Node> = nodes.iter().skip(skipped).collect();
        self.weights(&shares, trail);
        let mut named: HashSet<String> = HashSet::new();
        for (index, share) in shares.iter().enumerate() {
            let here = trail.place(index + skipped);
            let Some(variant) = variant_of(share) else {
                self.leads_to(Outcome::Anything);
                continue;
            };
            if !named.insert(variant.to_string()) {
                let variant = to_text(Value::from(variant));
                self.find(&here, RuleFindingKind::RepeatedShare { variant });
            }
            // One without weight is kept for later, as in a rollout that has not begun: its name has to be right all the same.
            let outcome = self.constant(variant, &here);
            if weight_of(share) != Some(0) {
                self.leads_to(outcome);
            }
        }
        // Nobody to be hashed: null.
        self.leads_to(Outcome::Default);
    }

    fn weights(&mut self, shares: &[&Node], trail: &Trail<'_>) {
        let Some(weights) = shares.iter().map(|share| weight_of(share)).collect::<Option<Vec<u64>>>() else {
            return;
        };
        let sum: u64 = weights.iter().fold(0, |sum, weight| sum.saturating_add(*weight));
        if sum == 0 {
            self.find(trail, RuleFindingKind::NoWeight);
        } else if weights.len() > 1
            && let Some(whole) = WHOLES.into_iter().find(|whole| sum.abs_diff(*whole) * 10 <= *whole)
            && sum != whole
        {
            self.find(trail, RuleFindingKind::OddSum { sum, whole });
        }
    }

    /// What can be said of the rule as a whole.
    fn conclude(&mut self, root: &Node, trail: &Trail<'_>) {
        if self.outcomes.contains(&Outcome::Anything) {
            return;
        }
        let only = self.outcomes.iter().next().filter(|_| self.outcomes.len() == 1).cloned();
        match only {
            Some(Outcome::Default) => self.find(trail, RuleFindingKind::AlwaysNull),
            Some(Outcome::Named(variant)) if !matches!(root, Node::Constant(_)) => {
                self.find(trail, RuleFindingKind::AlwaysTheSame { variant });
            }
            _ => {}
        }
        let mut mentioned = HashSet::new();
        mentions(root, &mut mentioned);
        for name in self.flag.variants().keys() {
            let is_default =
                matches!(self.flag.default_variant(), DefaultVariant::Named(default) if default == name);
            let is_served = self.outcomes.contains(&Outcome::Named(name.clone()));
            if !is_default && !is_served && !mentioned.contains(name.as_str()) {
                self.find(&Trail::top("variants").name(name), RuleFindingKind::UnusedVariant);
            }
        }
    }
}

/// Whether a condition is the same for everybody.
fn truth_of(condition: &Node) -> Option<bool> {
    match condition {
        Node::Constant(constant) => Some(Value::from(constant).is_truthy()),
        _ => None,
    }
}

fn is_list(node: &Node) -> bool {
    matches!(node, Node::Constant(Json::Array(_)) | Node::List(_))
}

/// The variant that a share names, if it is not computed.
fn variant_of(share: &Node) -> Option<&Json> {
    match share {
        Node::Constant(Json::Array(parts)) => parts.first(),
        Node::List(parts) => match parts.first() {
            Some(Node::Constant(variant)) => Some(variant),
            _ => None,
        },
        _ => None,
    }
}

/// The weight of a share, if it is not computed.
fn weight_of(share: &Node) -> Option<u64> {
    let weight = match share {
        Node::Constant(Json::Array(parts)) => match parts.get(1) {
            Some(weight) => weight,
            None => return Some(1),
        },
        Node::List(parts) => match parts.get(1) {
            Some(Node::Constant(weight)) => weight,
            Some(_) => return None,
            None => return Some(1),
        },
        _ => return None,
    };
    weight.as_i64().map(|weight| u64::try_from(weight).unwrap_or(0))
}

/// The texts in a rule: also a share of weight zero names a variant, which waits for its turn.
fn mentions<'n>(node: &'n Node, names: &mut HashSet<&'n str>) {
    match node {
        Node::Constant(Json::Array(items)) => names.extend(items.iter().filter_map(Json::as_str)),
        Node::Constant(constant) => names.extend(constant.as_str()),
        Node::If(nodes) | Node::List(nodes) | Node::Operation(_, Operands::Listed(nodes)) => {
            nodes.iter().for_each(|node| mentions(node, names));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(variants: &str, targeting: &str) -> Vec<String> {
        let text = format!(
            r#"{{"state":"ENABLED","variants":{variants},"defaultVariant":"off","targeting":{targeting}}}"#
        );
        let flag = FlagDefinition::parse(&text).unwrap();
        let findings = flag.analyse(&SetProperties::default()).unwrap();
        findings.iter().map(ToString::to_string).collect()
    }

    const SWITCH: &str = r#"{"on":true,"off":false}"#;

    #[test]
    fn a_sound_rule_has_no_findings() {
        for rule in [
            r#"{"if":[{"==":[{"var":"a"},1]},"on","off"]}"#,
            r#"{"if":[{"==":[{"var":"a"},1]},"on"]}"#,
            r#"{"fractional":[["on",0],["off",100]]}"#,
            r#"{"fractional":[["on",1],["off",2]]}"#,
            r#"{"fractional":[{"var":"email"},["on",50],["off",50]]}"#,
            r#"{"fractional":[["on",{"var":"share"}],["off",50]]}"#,
            r#"{"if":[{"in":["x",{"var":"b"}]},{"var":"which"},"off"]}"#,
            "{}",
        ] {
            assert_eq!(findings(SWITCH, rule), [""; 0], "{rule}");
        }
    }

    #[test]
    fn branches_that_nobody_reaches_are_told() {
        let same = r#"{"if":[{"==":[{"var":"a"},1]},"on",{"==":[{"var":"a"},1]},"off",false,"on","off"]}"#;
        let expected = [
            "targeting.if[3]: never reached: the same condition stands at targeting.if[0]",
            "targeting.if[5]: never reached: the condition never holds",
        ];
        assert_eq!(findings(SWITCH, same), expected);
        let always = r#"{"if":[{"var":"a"},"off","yes","on",{"var":"b"},"off","off"]}"#;
        let expected = [
            "targeting.if[5]: never reached: targeting.if[2] always holds",
            "targeting.if[6]: never reached: targeting.if[2] always holds",
        ];
        assert_eq!(findings(SWITCH, always), expected);
    }

    #[test]
    fn variants_that_do_not_exist_or_are_never_served_are_told() {
        let rule = r#"{"if":[{"var":"a"},"onn",{"var":"b"},[1],{"var":"c"},3,"off"]}"#;
        let expected = [
            "targeting.if[1]: no variant `onn`, did you mean `on`?",
            "targeting.if[3]: a list or an object names no variant",
            "targeting.if[5]: no variant `3`",
        ];
        assert_eq!(findings(SWITCH, rule), expected);
        let condition = r#"{"==":[{"var":"a"},1]}"#;
        assert_eq!(findings(r#"{"true":true,"off":false}"#, condition), ["targeting: no variant `false`"]);
        let colours = r#"{"red":1,"blue":2,"off":0}"#;
        let rule = r#"{"if":[{"var":"a"},"red","off"]}"#;
        assert_eq!(findings(colours, rule), ["variants.blue: the variant is never served"]);
    }

    #[test]
    fn rules_without_a_choice_are_told() {
        assert_eq!(
            findings(SWITCH, r#"{"if":[{"var":"a"},null]}"#),
            [
                "targeting: always null: the rule never names a variant",
                "variants.on: the variant is never served"
            ]
        );
        let same = r#"{"if":[{"var":"a"},"on",{"var":"b"},"on","on"]}"#;
        assert_eq!(findings(SWITCH, same), ["targeting: always `on`, whoever asks"]);
    }

    #[test]
    fn weights_that_do_not_add_up_are_told() {
        let odd = r#"{"fractional":[["on",45],["off",50]]}"#;
        let expected = "targeting.fractional: the weights sum up to 95, not to 100: shares are of the sum";
        assert_eq!(findings(SWITCH, odd), [expected]);
        let none = r#"{"fractional":[["on",0],["off",0]]}"#;
        assert_eq!(findings(SWITCH, none)[0], "targeting.fractional: all weights are zero: always null");
        let twice = r#"{"fractional":[["on",50],["off",25],["on",25]]}"#;
        assert_eq!(findings(SWITCH, twice), ["targeting.fractional[2]: a second share of `on`"]);
        assert_eq!(findings(SWITCH, r#"{"fractional":[["on",1],["off",9]]}"#), [""; 0]);
    }
}
