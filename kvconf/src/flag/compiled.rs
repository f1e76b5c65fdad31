//! A flag that is ready to be evaluated.

use std::sync::OnceLock;

use serde_json::{Map, Value as Json};

use super::bucketing::Bucketing;
use super::context::{ContextSchema, EvaluationContext, TARGETING_KEY, Way};
use super::definition::{DefaultVariant, FlagDefinition, FlagState, VariantKind};
use super::evaluation::{Evaluation, EvaluationError, FlagValue, Reason, Resolution};
use super::problem::{FlagError, nearest};
use super::set::SetProperties;
use super::targeting::decide::{Decision, Maker, Targets};
use super::targeting::node::Slot;
use super::targeting::parse::parse;
use super::targeting::trail::Trail;
use super::targeting::world::{Scene, Sight};

/// A flag that is ready to be evaluated.
///
/// Compiling costs microseconds and is done once for each change of a flag; evaluating then is synchronous, waits for nothing
/// and allocates nothing, unless the rule builds a text or a list (`cat` other than in `fractional`, `substr`, `merge`, `map`,
/// `filter`, `reduce`, `missing`).
///
/// ```
/// use kvconf::flag::{CompiledFlag, DynamicContext, FlagDefinition, Reason, SetProperties};
///
/// let definition = FlagDefinition::parse(
///     r#"{
///         "state": "ENABLED",
///         "variants": {"on": true, "off": false},
///         "defaultVariant": "off",
///         "targeting": {"if": [{"==": [{"var": "country"}, "NL"]}, "on"]}
///     }"#,
/// )?;
/// let flag = CompiledFlag::compile("new-cart", &definition, &SetProperties::default())?;
///
/// let visitor = DynamicContext::new().with("country", "NL");
/// let detail = flag.evaluate(&visitor, 0, false);
/// assert_eq!((detail.value, detail.variant, detail.reason), (true, Some("on"), Reason::TargetingMatch));
/// assert_eq!(detail.rule, Some("targeting.if[1]"));
/// # Ok::<(), kvconf::flag::FlagError>(())
/// ```
#[derive(Debug)]
pub struct CompiledFlag {
    key: Box<str>,
    plan: Plan,
    variants: Box<[Variant]>,
    kind: VariantKind,
    metadata: Map<String, Json>,
    bucketing: Bucketing,
}

/// One of the values that a flag can have.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Variant {
    /// Its name.
    pub name: Box<str>,
    /// Its value.
    pub value: Json,
}

#[derive(Debug)]
enum Plan {
    /// Always the same.
    Fixed(Resolution),
    Targeted(Box<Targeted>),
}

#[derive(Debug)]
struct Targeted {
    decision: Decision,
    scene: Scene,
    targets: Targets,
    branches: Box<[Box<str>]>,
    needs_time: bool,
    bindings: OnceLock<Box<Binding>>,
}

/// How the attributes of a rule lead into contexts of one type.
#[derive(Debug)]
struct Binding {
    schema: &'static ContextSchema,
    ways: Box<[Way]>,
    next: OnceLock<Box<Binding>>,
}

/// How many types of contexts one flag remembers. The attributes of others are found by name.
const MAX_BINDINGS: usize = 8;

/// An attribute that a rule asks for and a context does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownAttribute {
    /// What the rule asks for.
    pub path: String,
    /// An attribute that may be meant.
    pub close: Option<String>,
}

impl CompiledFlag {
    /// Prepares a flag with this key.
    ///
    /// # Errors
    /// [`FlagError`] with every problem of the rule: unknown operators, shared rules that are not there, and more nesting,
    /// size or work than a rule may ask for.
    pub fn compile(key: &str, definition: &FlagDefinition, set: &SetProperties) -> Result<Self, FlagError> {
        let variants: Box<[Variant]> = definition
            .variants()
            .iter()
            .map(|(name, value)| Variant { name: name.as_str().into(), value: value.clone() })
            .collect();
        let metadata = set.merged_metadata(definition.metadata());
        let bucketing = set.bucketing_of(definition.metadata())?;
        let names = variants.iter().map(|variant| variant.name.clone()).collect();
        let mut targets = Targets { names, default: None };
        if let DefaultVariant::Named(name) = definition.default_variant() {
            targets.default = targets.find(name);
        }
        let plan = match (definition.state(), definition.targeting()) {
            (FlagState::Disabled, _) => Plan::Fixed(Resolution::new(Reason::Disabled, None)),
            (FlagState::Enabled, None) => {
                let reason = if targets.default.is_some() { Reason::Static } else { Reason::Default };
                Plan::Fixed(Resolution::new(reason, targets.default))
            }
            (FlagState::Enabled, Some(rule)) => {
                let rule = parse(rule, set.evaluators()).map_err(FlagError::new)?;
                let is_subject = |slot: &Slot| slot.texts().eq([TARGETING_KEY]);
                let mut maker = Maker {
                    flag_key: key,
                    targets: &targets,
                    bucketing,
                    subject: rule.slots.iter().position(is_subject),
                    branches: Vec::new(),
                };
                let decision = maker.make(&rule.root, &Trail::top("targeting"));
                Plan::Targeted(Box::new(Targeted {
                    decision,
                    branches: maker.branches.into(),
                    scene: Scene { flag_key: key.into(), bucketing, slots: rule.slots.into() },
                    targets,
                    needs_time: rule.needs_time,
                    bindings: OnceLock::new(),
                }))
            }
        };
        Ok(Self { key: key.into(), plan, variants, kind: definition.kind(), metadata, bucketing })
    }

    /// The key that it was compiled with, which takes part in bucketing.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The values that it can have, sorted by name.
    pub fn variants(&self) -> &[Variant] {
        &self.variants
    }

    /// What all variants are.
    pub fn kind(&self) -> VariantKind {
        self.kind
    }

    /// What the flag and its set say about themselves; the flag's word goes before the set's.
    pub fn metadata(&self) -> &Map<String, Json> {
        &self.metadata
    }

    /// The version that decides about shares.
    pub fn bucketing(&self) -> Bucketing {
        self.bucketing
    }

    /// Whether the rule asks for the time. If not, any number may be given for it.
    pub fn needs_time(&self) -> bool {
        matches!(&self.plan, Plan::Targeted(targeted) if targeted.needs_time)
    }

    /// The paths of all attributes that the rule asks for, in the order in which they stand there. `targetingKey` is among
    /// them where the rule has a `fractional`.
    pub fn attributes(&self) -> impl Iterator<Item = String> {
        self.slots().iter().map(Slot::path)
    }

    /// The attributes that the rule asks for and that contexts of this schema do not have.
    pub fn unknown_attributes(&self, schema: &ContextSchema) -> Vec<UnknownAttribute> {
        let is_unknown = |slot: &&Slot| schema.resolve(slot.texts()) == Way::Nowhere;
        let known = schema.paths();
        let unknown = self.slots().iter().filter(is_unknown).map(Slot::path);
        unknown
            .map(|path| UnknownAttribute { close: nearest(&path, known.iter().map(String::as_str)), path })
            .collect()
    }

    /// Prepares for contexts of this type. The first evaluation with one would do it, too.
    pub fn bind(&self, schema: &'static ContextSchema) {
        if let Plan::Targeted(targeted) = &self.plan {
            targeted.ways(schema);
        }
    }

    fn slots(&self) -> &[Slot] {
        match &self.plan {
            Plan::Fixed(_) => &[],
            Plan::Targeted(targeted) => &targeted.scene.slots,
        }
    }

    /// Evaluates: which variant this context gets. `now` is in whole seconds since the Unix epoch.
    #[inline]
    pub fn resolve(&self, context: &dyn EvaluationContext, now: i64) -> Resolution {
        match &self.plan {
            Plan::Fixed(resolution) => *resolution,
            Plan::Targeted(targeted) => targeted.resolve(context, now),
        }
    }

    /// Evaluates, and tells all about it. `default` is what is served where the flag has nothing to serve.
    pub fn evaluate<T: FlagValue>(
        &self,
        context: &dyn EvaluationContext,
        now: i64,
        default: T,
    ) -> Evaluation<'_, T> {
        self.detail(self.resolve(context, now), default)
    }

    /// All about an evaluation by this flag.
    pub fn detail<T: FlagValue>(&self, resolution: Resolution, default: T) -> Evaluation<'_, T> {
        let variant = resolution.variant().and_then(|variant| self.variants.get(variant));
        let value = variant.map(|variant| T::from_variant(&variant.value));
        // A disabled flag fits every type: it is as if it did not exist.
        let resolution = if matches!(value, Some(None)) { resolution.mismatched() } else { resolution };
        let variant = resolution.variant().and(variant);
        Evaluation {
            value: value.flatten().unwrap_or(default),
            variant: variant.map(|variant| &*variant.name),
            reason: resolution.reason(),
            error: resolution.error(),
            rule: self.rule(resolution),
            metadata: &self.metadata,
            revision: None,
        }
    }

    /// The part of the rule that decided: `targeting.if[1]`.
    pub fn rule(&self, resolution: Resolution) -> Option<&str> {
        match &self.plan {
            Plan::Fixed(_) => None,
            Plan::Targeted(targeted) => {
                targeted.branches.get(resolution.branch()? as usize).map(|path| &**path)
            }
        }
    }
}

impl Targeted {
    #[inline]
    fn resolve(&self, context: &dyn EvaluationContext, now: i64) -> Resolution {
        let ways = context.schema().and_then(|schema| self.ways(schema)).unwrap_or_default();
        let sight = Sight::new(&self.scene, context, ways, now);
        match self.decision.decide(&sight, &self.targets) {
            Ok(resolution) => resolution,
            Err(failure) => Resolution::failed(EvaluationError::Rule(failure)),
        }
    }

    /// How the rule's attributes lead into contexts of this schema.
    #[inline]
    fn ways(&self, schema: &'static ContextSchema) -> Option<&[Way]> {
        match self.bindings.get() {
            Some(binding) if std::ptr::eq(binding.schema, schema) => Some(&binding.ways),
            _ => self.ways_of_another(schema),
        }
    }

    #[inline(never)]
    fn ways_of_another(&self, schema: &'static ContextSchema) -> Option<&[Way]> {
        let mut cell = &self.bindings;
        for _ in 0..MAX_BINDINGS {
            let binding = cell.get_or_init(|| self.new_binding(schema));
            if std::ptr::eq(binding.schema, schema) {
                return Some(&binding.ways);
            }
            cell = &binding.next;
        }
        None
    }

    fn new_binding(&self, schema: &'static ContextSchema) -> Box<Binding> {
        let ways = self.scene.slots.iter().map(|slot| schema.resolve(slot.texts())).collect();
        Box::new(Binding { schema, ways, next: OnceLock::new() })
    }
}
