//! Who would get something else if a flag were changed.

use std::fmt;

use serde_json::{Map, Value as Json};

use super::compiled::CompiledFlag;
use super::context::{DynamicContext, EvaluationContext};
use super::evaluation::ErrorCode;
use super::value::Value;

/// How many contexts of a sample move from which variant to which when a flag is replaced by another.
///
/// ```
/// use kvconf::flag::{BlastRadius, CompiledFlag, DynamicContext, FlagDefinition, SetProperties};
///
/// let compile = |share: u32| {
///     let text = format!(
///         r#"{{"state": "ENABLED", "variants": {{"on": true, "off": false}}, "defaultVariant": "off",
///              "targeting": {{"fractional": [["on", {share}], ["off", {}]]}}}}"#,
///         100 - share
///     );
///     CompiledFlag::compile("new-cart", &FlagDefinition::parse(&text)?, &SetProperties::default())
/// };
/// let visitors: Vec<_> = (0..1_000).map(|id| DynamicContext::new().targeting_key(format!("user-{id}"))).collect();
/// let radius = BlastRadius::between(&compile(10)?, &compile(20)?, &visitors, 0);
/// assert_eq!(radius.moves().len(), 1, "nobody moves from on to off");
/// assert_eq!((radius.moves()[0].from.variant(), radius.moves()[0].to.variant()), (Some("off"), Some("on")));
/// assert!((70..=130).contains(&radius.moved()));
/// # Ok::<(), kvconf::flag::FlagError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BlastRadius {
    contexts: usize,
    groups: Vec<Move>,
    /// How many of the groups, at the front, are moves.
    moves: usize,
}

/// Contexts that get the same before, and the same after.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Move {
    /// What they get before.
    pub from: Served,
    /// What they get after.
    pub to: Served,
    /// How many they are.
    pub contexts: usize,
    /// The place of the first of them in the sample.
    pub first: usize,
}

/// What a context gets.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Served {
    /// A variant. Two of one name with different values are two.
    Variant {
        /// Its name.
        name: String,
        /// Its value.
        value: Json,
    },
    /// What the caller has as its default.
    CallersDefault,
    /// An error, and so the caller's default.
    Error(ErrorCode),
}

impl Served {
    fn by(flag: &CompiledFlag, context: &dyn EvaluationContext, now: i64) -> Self {
        let resolution = flag.resolve(context, now);
        if let Some(error) = resolution.error() {
            return Self::Error(error.code());
        }
        let variant = resolution.variant().and_then(|variant| flag.variants().get(variant));
        variant.map_or(Self::CallersDefault, |variant| Self::Variant {
            name: variant.name.to_string(),
            value: variant.value.clone(),
        })
    }

    /// The name of the variant, if it is one.
    #[must_use]
    pub fn variant(&self) -> Option<&str> {
        match self {
            Self::Variant { name, .. } => Some(name),
            Self::CallersDefault | Self::Error(_) => None,
        }
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variant { name, .. } => f.write_str(name),
            Self::CallersDefault => f.write_str("(the caller's default)"),
            Self::Error(code) => write!(f, "({code})"),
        }
    }
}

impl BlastRadius {
    /// Evaluates both flags for each context of a sample. `now` is in whole seconds since the Unix epoch.
    ///
    /// The cost is two evaluations for each context, and memory for each pair of outcomes that occurs.
    pub fn between<'c, C: EvaluationContext + 'c>(
        before: &CompiledFlag,
        after: &CompiledFlag,
        sample: impl IntoIterator<Item = &'c C>,
        now: i64,
    ) -> Self {
        let mut groups: Vec<Move> = Vec::new();
        let mut contexts = 0;
        for (place, context) in sample.into_iter().enumerate() {
            contexts += 1;
            let (from, to) = (Served::by(before, context, now), Served::by(after, context, now));
            match groups.iter_mut().find(|group| group.from == from && group.to == to) {
                Some(group) => group.contexts += 1,
                None => groups.push(Move { from, to, contexts: 1, first: place }),
            }
        }
        groups.sort_by_key(|group| (group.from == group.to, std::cmp::Reverse(group.contexts), group.first));
        let moves = groups.iter().take_while(|group| group.from != group.to).count();
        Self { contexts, groups, moves }
    }

    /// How many contexts were looked at.
    #[must_use]
    pub fn contexts(&self) -> usize {
        self.contexts
    }

    /// How many get something else.
    #[must_use]
    pub fn moved(&self) -> usize {
        self.moves().iter().map(|group| group.contexts).sum()
    }

    /// Who moves from where to where, the largest group first.
    #[must_use]
    pub fn moves(&self) -> &[Move] {
        self.groups.get(..self.moves).unwrap_or_default()
    }

    /// Who gets the same as before, the largest group first.
    #[must_use]
    pub fn stays(&self) -> &[Move] {
        self.groups.get(self.moves..).unwrap_or_default()
    }
}

/// A line for the whole, and one for each group.
impl fmt::Display for BlastRadius {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent =
            |part: usize| if self.contexts == 0 { 0.0 } else { part as f64 * 100.0 / self.contexts as f64 };
        write!(f, "{} of {} contexts move ({:.1} %)", self.moved(), self.contexts, percent(self.moved()))?;
        for group in self.moves() {
            write!(f, "\n  {} → {}", group.from, group.to)?;
            if let (Served::Variant { name, value }, Served::Variant { name: same, value: other }) =
                (&group.from, &group.to)
                && name == same
            {
                write!(f, " ({value} → {other})")?;
            }
            write!(f, ": {} ({:.1} %)", group.contexts, percent(group.contexts))?;
        }
        for group in self.stays() {
            write!(f, "\n  {} stays: {} ({:.1} %)", group.from, group.contexts, percent(group.contexts))?;
        }
        Ok(())
    }
}

/// A bounded sample of the contexts that a service evaluates flags for, each with the same chance to be in it, however many
/// there are: a reservoir (Vitter 1985, algorithm R).
///
/// Nothing is kept unless a service offers it. A context in it has all its attributes, personal data included: how long a
/// sample is kept, and who sees it, is up to the service.
///
/// ```
/// use kvconf::flag::{ContextSample, DynamicContext};
///
/// let mut sample = ContextSample::new(100);
/// for id in 0..10_000_u64 {
///     let visitor = DynamicContext::new().targeting_key(format!("user-{id}"));
///     let random = id.wrapping_mul(0x9e37_79b9_7f4a_7c15); // from a generator
///     sample.offer(&visitor, random);
/// }
/// assert_eq!((sample.contexts().len(), sample.seen()), (100, 10_000));
/// ```
#[derive(Debug, Clone)]
pub struct ContextSample {
    capacity: usize,
    seen: u64,
    contexts: Vec<DynamicContext>,
}

/// How deep lists and objects of a context are copied.
const COPIED_DEPTH: u8 = 16;

impl ContextSample {
    /// A sample of at most so many contexts.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, seen: 0, contexts: Vec::new() }
    }

    /// Takes a context into account, and says whether it was taken in. `random` is 64 bits of any generator that is evenly
    /// distributed: this part of the library has none.
    ///
    /// The context is copied only when it is taken in, with lists and objects in one another to a depth of 16.
    pub fn offer(&mut self, context: &dyn EvaluationContext, random: u64) -> bool {
        self.seen = self.seen.saturating_add(1);
        if self.contexts.len() < self.capacity {
            self.contexts.push(copied(context));
            return true;
        }
        // Evenly among all places up to `seen`, by the upper half of a product (Lemire 2019).
        let place = (u128::from(random) * u128::from(self.seen)) >> 64;
        let place = usize::try_from(place).ok().and_then(|place| self.contexts.get_mut(place));
        place.map(|place| *place = copied(context)).is_some()
    }

    /// What is in it, in no order that means anything.
    #[must_use]
    pub fn contexts(&self) -> &[DynamicContext] {
        &self.contexts
    }

    /// How many were offered.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }
}

fn copied(context: &dyn EvaluationContext) -> DynamicContext {
    let mut copy = DynamicContext::new();
    context.visit(&mut |name, value| copy.insert(name, json(value, 0)));
    copy
}

fn json(value: Value<'_>, depth: u8) -> Json {
    match value {
        Value::Bool(value) => value.into(),
        Value::Int(number) => number.into(),
        Value::Uint(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Text(text) => text.into(),
        Value::Null => Json::Null,
        Value::List(_) | Value::Object(_) if depth >= COPIED_DEPTH => Json::Null,
        Value::List(items) => {
            let item = |place| json(items.item(place).unwrap_or(Value::Null), depth + 1);
            (0..items.len()).map(item).collect()
        }
        Value::Object(entries) => {
            let mut object = Map::new();
            entries.visit(&mut |name, value| _ = object.insert(name.to_owned(), json(value, depth + 1)));
            object.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flag::{FlagDefinition, SetProperties};

    fn compiled(text: &str) -> CompiledFlag {
        CompiledFlag::compile("f", &FlagDefinition::parse(text).unwrap(), &SetProperties::default()).unwrap()
    }

    #[test]
    fn groups_are_told_with_the_largest_move_first() {
        let flag = |targeting: &str, value: u8| {
            compiled(&format!(
                r#"{{"state":"ENABLED","variants":{{"a":{value},"b":2}},"defaultVariant":"b","targeting":{targeting}}}"#
            ))
        };
        let before = flag(r#"{"if":[{"<":[{"var":"n"},3]},"a","b"]}"#, 1);
        let after = flag(r#"{"if":[{"<":[{"var":"n"},2]},"a",{"<":[{"var":"n"},6]},"c"]}"#, 9);
        let sample: Vec<_> = (0..10).map(|n| DynamicContext::new().with("n", n)).collect();
        let radius = BlastRadius::between(&before, &after, &sample, 0);
        assert_eq!(
            radius.to_string(),
            "6 of 10 contexts move (60.0 %)\n  b → (GENERAL): 3 (30.0 %)\n  a → a (1 → 9): 2 (20.0 %)\n  \
             a → (GENERAL): 1 (10.0 %)\n  b stays: 4 (40.0 %)"
        );
        assert_eq!((radius.contexts(), radius.moved(), radius.moves()[0].first), (10, 6, 3));
        let nobody = BlastRadius::between(&before, &after, &Vec::<DynamicContext>::new(), 0);
        assert_eq!(nobody.to_string(), "0 of 0 contexts move (0.0 %)");
    }

    #[test]
    fn every_offered_context_has_the_same_chance() {
        let mut counts = [0_u32; 20];
        let mut random = 1_u64;
        for _ in 0..4_000 {
            let mut sample = ContextSample::new(5);
            for n in 0..20 {
                // SplitMix64.
                random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                sample.offer(&DynamicContext::new().with("n", n), mixed ^ (mixed >> 31));
            }
            for context in sample.contexts() {
                counts[usize::try_from(context.get("n").unwrap().as_u64().unwrap()).unwrap()] += 1;
            }
        }
        // 4 000 × 5 / 20 with a standard deviation of 27.
        assert!(counts.iter().all(|count| (860..=1140).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_copy_of_a_context_is_equal() {
        let context =
            DynamicContext::parse(r#"{"targetingKey":"u","n":[1,{"a":null}],"o":{"x":1.5}}"#).unwrap();
        let mut sample = ContextSample::new(1);
        assert!(sample.offer(&context, 0));
        assert_eq!(sample.contexts(), [context]);
        assert!(!ContextSample::new(0).offer(&DynamicContext::new(), 0));
    }
}
