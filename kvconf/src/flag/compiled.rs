//! A flag that is ready to be evaluated.

use std::hint::black_box;

use serde_json::{Map, Value as Json};

use super::bucketing::Bucketing;
use super::context::{ContextSchema, EvaluationContext, TARGETING_KEY, Way};
use super::definition::{DefaultVariant, FlagDefinition, FlagState, VariantKind};
use super::evaluation::{Evaluation, FlagValue, Resolution, Why};
use super::problem::{FlagError, nearest};
use super::set::SetProperties;
use super::targeting::binding::Bindings;
use super::targeting::decide::{Maker, Targets};
use super::targeting::node::Slot;
use super::targeting::parse::{Rule, parse};
use super::targeting::program::{Program, Quick};
use super::targeting::trail::Trail;
use super::targeting::world::{Frame, Scene};

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
    /// What is served whoever asks.
    fixed: Option<Resolution>,
    /// The rule; without a meaning where the answer is fixed.
    program: Program,
    scene: Scene,
    bindings: Bindings,
    targets: Targets,
    /// The paths of the rule's branches.
    branches: Box<[Box<str>]>,
    needs_time: bool,
    variants: Box<[Variant]>,
    kind: VariantKind,
    metadata: Map<String, Json>,
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
        let mut variants: Box<[Variant]> = definition
            .variants()
            .iter()
            .map(|(name, value)| Variant { name: name.as_str().into(), value: value.clone() })
            .collect();
        // They are in this order already, unless a feature of serde_json keeps the order in which they were written.
        variants.sort_by(|left, right| left.name.cmp(&right.name));
        let metadata = set.merged_metadata(definition.metadata());
        let bucketing = set.bucketing_of(definition.metadata())?;
        let names = variants.iter().map(|variant| variant.name.clone()).collect();
        let mut targets = Targets { names, default: None };
        if let DefaultVariant::Named(name) = definition.default_variant() {
            targets.default = targets.find(name);
        }
        let mut flag = Self {
            fixed: Some(fixed(definition.state(), targets.default)),
            program: Program::default(),
            scene: Scene { flag_key: key.into(), bucketing, slots: Box::default() },
            bindings: Bindings::default(),
            targets,
            branches: Box::default(),
            needs_time: false,
            variants,
            kind: definition.kind(),
            metadata,
        };
        if let (FlagState::Enabled, Some(rule)) = (definition.state(), definition.targeting()) {
            flag.target(parse(rule, set.evaluators()).map_err(FlagError::new)?);
        }
        Ok(flag)
    }

    /// Lets a rule decide.
    fn target(&mut self, rule: Rule) {
        let is_subject = |slot: &Slot| slot.texts().eq([TARGETING_KEY]);
        let mut maker = Maker {
            flag_key: &self.scene.flag_key,
            targets: &self.targets,
            bucketing: self.scene.bucketing,
            subject: rule.slots.iter().position(is_subject).map(|slot| slot as u32),
            branches: Vec::new(),
        };
        self.program = Program::new(maker.make(&rule.root, &Trail::top("targeting")));
        self.fixed = None;
        self.branches = maker.branches.into();
        self.scene.slots = rule.slots.into();
        self.needs_time = rule.needs_time;
    }

    /// The key that it was compiled with, which takes part in bucketing.
    pub fn key(&self) -> &str {
        &self.scene.flag_key
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
        self.scene.bucketing
    }

    /// Whether the rule asks for the time. If not, any number may be given for it.
    #[inline]
    pub fn needs_time(&self) -> bool {
        self.needs_time
    }

    /// The paths of all attributes that the rule asks for, in the order in which they stand there. `targetingKey` is among
    /// them where the rule has a `fractional`.
    pub fn attributes(&self) -> impl Iterator<Item = String> {
        self.scene.slots.iter().map(Slot::path)
    }

    /// The attributes that the rule asks for and that contexts of this schema do not have.
    pub fn unknown_attributes(&self, schema: &ContextSchema) -> Vec<UnknownAttribute> {
        let is_unknown = |slot: &&Slot| schema.resolve(slot.texts()) == Way::Nowhere;
        let known = schema.paths();
        let unknown = self.scene.slots.iter().filter(is_unknown).map(Slot::path);
        unknown
            .map(|path| UnknownAttribute { close: nearest(&path, known.iter().map(String::as_str)), path })
            .collect()
    }

    /// Prepares for contexts of this type. The first evaluation with one would do it, too.
    pub fn bind(&self, schema: &'static ContextSchema) {
        self.bindings.of(schema, &self.scene.slots);
    }

    /// Evaluates: which variant this context gets. `now` is in whole seconds since the Unix epoch.
    ///
    /// Where the type of the context is known, as with a struct that derives it, finding an attribute is compiled into the
    /// evaluation; a `&dyn EvaluationContext` is asked by a call for each.
    #[inline]
    pub fn resolve(&self, context: &(impl EvaluationContext + ?Sized), now: i64) -> Resolution {
        self.resolve_at(context, || now)
    }

    /// The same, where the time is asked for only by a rule that may want it.
    #[inline]
    pub(crate) fn resolve_at(
        &self,
        context: &(impl EvaluationContext + ?Sized),
        now: impl FnOnce() -> i64,
    ) -> Resolution {
        if let Some(resolution) = self.fixed {
            return resolution;
        }
        let quick = self.decide(context);
        match quick.resolution() {
            Some(resolution) => resolution,
            None => self.decide_from(quick, context, now()),
        }
    }

    /// The usual rule for the usual context.
    ///
    /// It calls nothing that has to come back, so no view of the context is made and kept in memory; that takes a sixth off a
    /// rule of one to three conditions, and half off a flag without a rule.
    #[inline(never)]
    fn decide<C: EvaluationContext + ?Sized>(&self, context: &C) -> Quick {
        let program = &self.program;
        let Some(schema) = context.schema() else {
            return program.run(|slot| self.scene.lookup(context, slot));
        };
        match self.bindings.first(schema) {
            // Opaque, or all attributes of the context would be loaded before the first test.
            Some(binding) => program.run(|slot| black_box(context).attribute(binding.place(slot)?)),
            None => program.begin(),
        }
    }

    /// Where [`Self::decide`] has ended, for whatever it does not know.
    #[inline(never)]
    fn decide_from<C: EvaluationContext + ?Sized>(&self, quick: Quick, context: &C, now: i64) -> Resolution {
        let frame = Frame::new(&self.scene, context, now);
        match context.schema().and_then(|schema| self.bindings.of(schema, &self.scene.slots)) {
            Some(binding) => self.program.run_from(quick, &frame.by_place(binding), &self.targets),
            None => self.program.run_from(quick, &frame.by_name(), &self.targets),
        }
    }

    /// Evaluates, and tells all about it. `default` is what is served where the flag has nothing to serve.
    pub fn evaluate<T: FlagValue>(
        &self,
        context: &(impl EvaluationContext + ?Sized),
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
        self.branches.get(resolution.branch()? as usize).map(|path| &**path)
    }
}

/// What a flag without a rule serves.
fn fixed(state: FlagState, default: Option<u32>) -> Resolution {
    match (state, default) {
        (FlagState::Disabled, _) => Resolution::new(Why::Disabled, None),
        (FlagState::Enabled, Some(_)) => Resolution::new(Why::Static, default),
        (FlagState::Enabled, None) => Resolution::new(Why::Default, None),
    }
}
