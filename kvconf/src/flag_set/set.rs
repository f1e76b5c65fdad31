//! A set of flags, ready to be evaluated by name.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;

use super::rows::{FlagMap, Object, Rules};
use crate::Revision;
use crate::exposure::Observers;
use crate::flag::{
    CompiledFlag, Evaluation, EvaluationContext, EvaluationError, FlagDefinition, FlagError, FlagProblem,
    FlagProblemKind, FlagValue, Reason, Resolution, SetProperties,
};
use crate::flag_field::present;

/// Flags by name, with the rules and metadata that they share: one state of a set, compiled.
///
/// A live one comes from [`Flags::load`](super::Flags::load); [`Self::fixed`] and [`Self::from_document`] make one for a test.
/// As a field with `#[kv(nested)]` it is a set below a struct's prefix.
///
/// ```
/// use kvconf::FlagSet;
/// use kvconf::flag::{DynamicContext, EvaluationError};
///
/// let set = FlagSet::fixed([("new-cart", true.into()), ("page-size", 20.into())])?;
/// let visitor = DynamicContext::new().targeting_key("user-1");
/// assert_eq!(set.get("new-cart", &visitor, false), true);
/// assert_eq!(set.get("page-size", &visitor, 10_i64), 20);
/// assert_eq!(set.evaluate("pagesize", &visitor, 10_i64).error, Some(EvaluationError::FlagNotFound));
/// # Ok::<(), kvconf::flag::FlagError>(())
/// ```
#[derive(Clone, Default)]
pub struct FlagSet {
    pub(super) metadata: Object,
    /// What else stood in a document.
    pub(super) document: Object,
    pub(super) rules: Rules,
    pub(super) flags: FlagMap,
    /// Of the metadata and the rules with which the flags were compiled.
    pub(super) properties: Arc<SetProperties>,
    pub(super) observers: Option<Observers>,
}

/// A flag as it stands in the bucket.
#[derive(Debug, Clone)]
pub(super) struct StoredFlag(Arc<Stored>);

#[derive(Debug)]
struct Stored {
    definition: FlagDefinition,
    /// As it stood there, so that it is written back without a change.
    bytes: Bytes,
    /// `None` for what did not come from the bucket.
    revision: Option<Revision>,
    /// The shared rules that its own names, sorted.
    uses: Box<[Box<str>]>,
}

impl StoredFlag {
    pub(super) fn new(definition: FlagDefinition, bytes: Bytes, revision: Option<Revision>) -> Self {
        let uses = definition.shared_rules().into_iter().map(Box::from).collect();
        Self(Arc::new(Stored { definition, bytes, revision, uses }))
    }

    pub(super) fn of(definition: FlagDefinition) -> Self {
        let bytes = definition.to_json().to_string().into();
        Self::new(definition, bytes, None)
    }

    pub(super) fn definition(&self) -> &FlagDefinition {
        &self.0.definition
    }

    pub(super) fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    pub(super) fn uses(&self) -> impl Iterator<Item = &str> {
        self.0.uses.iter().map(|name| &**name)
    }
}

/// One flag of a [`FlagSet`].
#[derive(Debug)]
pub struct SetFlag {
    pub(super) stored: StoredFlag,
    compiled: CompiledFlag,
}

impl SetFlag {
    pub(super) fn compile(key: &str, stored: &StoredFlag, set: &SetProperties) -> Result<Self, FlagError> {
        let compiled = CompiledFlag::compile(key, stored.definition(), set)?;
        Ok(Self { stored: stored.clone(), compiled })
    }

    /// The flag's key in the set, which takes part in bucketing.
    #[must_use]
    pub fn key(&self) -> &str {
        self.compiled.key()
    }

    /// The flag as somebody wrote it.
    #[must_use]
    pub fn definition(&self) -> &FlagDefinition {
        self.stored.definition()
    }

    /// The flag with everything that can be asked of it.
    #[must_use]
    pub const fn compiled(&self) -> &CompiledFlag {
        &self.compiled
    }

    /// The revision of the entry that it stands in; `None` for one that does not come from a bucket. A shared rule that the
    /// flag uses may have changed later.
    #[must_use]
    pub fn revision(&self) -> Option<Revision> {
        self.stored.0.revision
    }

    /// The shared rules that its own rule names, sorted.
    pub fn shared_rules(&self) -> impl Iterator<Item = &str> {
        self.stored.uses()
    }

    #[inline]
    fn resolve(&self, context: &dyn EvaluationContext, now: Option<i64>) -> Resolution {
        let now = now.unwrap_or_else(|| if self.compiled.needs_time() { present() } else { 0 });
        self.compiled.resolve(context, now)
    }

    /// What a context gets; `None` where the caller's default is to be served.
    #[inline]
    fn served(&self, resolution: Resolution) -> Option<&Json> {
        self.compiled.variants().get(resolution.variant()?).map(|variant| &variant.value)
    }
}

impl FlagSet {
    pub(super) fn unlinked(metadata: Object, document: Object, rules: Rules, flags: FlagMap) -> Self {
        Self { metadata, document, rules, flags, ..Self::default() }
    }

    /// A set of flags that always have these values, for tests.
    ///
    /// # Errors
    /// [`FlagError`] with the key of every value that no flag can have: `null` and lists.
    pub fn fixed<K: Into<String>>(values: impl IntoIterator<Item = (K, Json)>) -> Result<Self, FlagError> {
        Self::default().with_fixed(values)
    }

    /// This set with other flags fixed to these values; what they were before is gone.
    ///
    /// # Errors
    /// As [`Self::fixed`].
    pub fn with_fixed<K: Into<String>>(
        mut self,
        values: impl IntoIterator<Item = (K, Json)>,
    ) -> Result<Self, FlagError> {
        let mut problems = Vec::new();
        for (key, value) in values {
            let key = key.into();
            // An object is the value here, not a definition.
            let definition = match value {
                Json::Object(_) => FlagDefinition::of_object(&value),
                value => FlagDefinition::from_json(value),
            };
            match definition {
                Ok(definition) => self.put(&key, definition, &mut problems),
                Err(error) => problems.extend(error.into_problems().into_iter().map(|it| it.below(&key))),
            }
        }
        self.checked(problems)
    }

    /// This set with one flag defined so.
    ///
    /// # Errors
    /// [`FlagError`] with everything that keeps it from being compiled.
    pub fn with_flag(mut self, key: &str, definition: FlagDefinition) -> Result<Self, FlagError> {
        let mut problems = Vec::new();
        self.put(key, definition, &mut problems);
        self.checked(problems)
    }

    pub(super) fn put(&mut self, key: &str, definition: FlagDefinition, problems: &mut Vec<FlagProblem>) {
        if key.is_empty() {
            return problems.push(FlagProblem::new("", FlagProblemKind::EmptyName));
        }
        let stored = StoredFlag::of(definition);
        match SetFlag::compile(key, &stored, &self.properties) {
            Ok(flag) => _ = self.flags.compiled.insert(key.into(), Arc::new(flag)),
            Err(error) => problems.extend(error.into_problems().into_iter().map(|it| it.below(key))),
        }
    }

    pub(super) fn checked(self, problems: Vec<FlagProblem>) -> Result<Self, FlagError> {
        if problems.is_empty() { Ok(self) } else { Err(FlagError::new(problems)) }
    }

    /// What a context gets of the flag with this key: the value of a variant, or `default`.
    ///
    /// Waits for nothing, and allocates nothing for `bool`, `i64` and `f64`. Numbers convert only without loss, and never beyond
    /// 2^53 − 1. The clock is read only for a rule that asks for the time.
    #[inline]
    pub fn get<T: FlagValue>(&self, key: &str, context: &dyn EvaluationContext, default: T) -> T {
        if self.observers.is_some() {
            return self.evaluate(key, context, default).value;
        }
        let Some(flag) = self.flags.compiled.get(key) else { return default };
        flag.served(flag.resolve(context, None)).and_then(T::from_variant).unwrap_or(default)
    }

    /// The same with everything about it: the variant, why, what went wrong, which part of the rule decided, the metadata
    /// of the flag and of the set, and the revision at which the flag was written.
    ///
    /// A flag that is not there gives the default, with [`FlagNotFound`](EvaluationError::FlagNotFound) and the set's
    /// metadata; one of another type the default, with [`TypeMismatch`](EvaluationError::TypeMismatch).
    pub fn evaluate<T: FlagValue>(
        &self,
        key: &str,
        context: &dyn EvaluationContext,
        default: T,
    ) -> Evaluation<'_, T> {
        self.evaluate_by(key, context, None, default)
    }

    /// The same at another time, in whole seconds since the Unix epoch.
    pub fn evaluate_at<T: FlagValue>(
        &self,
        key: &str,
        context: &dyn EvaluationContext,
        now: i64,
        default: T,
    ) -> Evaluation<'_, T> {
        self.evaluate_by(key, context, Some(now), default)
    }

    fn evaluate_by<T: FlagValue>(
        &self,
        key: &str,
        context: &dyn EvaluationContext,
        now: Option<i64>,
        default: T,
    ) -> Evaluation<'_, T> {
        let Some(flag) = self.flags.compiled.get(key) else {
            let missing = self.missing();
            self.tell(key, context, || missing.clone().map(|()| None));
            return missing.map(|()| default);
        };
        let resolution = flag.resolve(context, now);
        let mut evaluation = flag.compiled.detail(resolution, default);
        evaluation.revision = flag.revision();
        self.tell(key, context, || {
            let value = evaluation.variant.and(flag.served(resolution));
            Evaluation { value, ..evaluation.without_value().map(|()| None) }
        });
        evaluation
    }

    fn missing(&self) -> Evaluation<'_, ()> {
        Evaluation {
            value: (),
            variant: None,
            reason: Reason::Error,
            error: Some(EvaluationError::FlagNotFound),
            rule: None,
            metadata: self.properties.metadata(),
            revision: None,
        }
    }

    #[inline]
    fn tell<'e>(
        &self,
        key: &str,
        context: &dyn EvaluationContext,
        evaluation: impl FnOnce() -> Evaluation<'e, Option<&'e Json>>,
    ) {
        if let Some(observers) = &self.observers {
            observers.tell(key, context, &evaluation());
        }
    }

    /// The flag with this key.
    #[must_use]
    pub fn flag(&self, key: &str) -> Option<&SetFlag> {
        self.flags.compiled.get(key).map(|flag| &**flag)
    }

    /// All flags, sorted by key.
    pub fn flags(&self) -> impl Iterator<Item = &SetFlag> {
        let mut all: Vec<&SetFlag> = self.flags.compiled.values().map(|flag| &**flag).collect();
        all.sort_unstable_by(|left, right| left.key().cmp(right.key()));
        all.into_iter()
    }

    /// How many flags there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flags.compiled.len()
    }

    /// Whether there is no flag.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flags.compiled.is_empty()
    }

    /// What the flags share: rules, metadata, and the version that decides about shares.
    #[must_use]
    pub fn properties(&self) -> &SetProperties {
        &self.properties
    }
}

/// The flags, sorted, as they are defined.
impl fmt::Debug for FlagSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = self.flags().map(|flag| (flag.key(), flag.definition().to_json().to_string()));
        f.debug_map().entries(flags).finish()
    }
}

/// Flags that are defined alike, with equal rules and metadata.
impl PartialEq for FlagSet {
    fn eq(&self, other: &Self) -> bool {
        let has_equal = |flag: &SetFlag| {
            other.flag(flag.key()).is_some_and(|other| other.definition() == flag.definition())
        };
        self.len() == other.len() && self.properties == other.properties && self.flags().all(has_equal)
    }
}
