//! What an evaluation tells: the value, and how it came about.

use derive_more::{Display, Error};
use serde_json::{Map, Value as Json};

use super::definition::VariantKind;
use super::targeting::failure::Failure;
use crate::revision::Revision;

/// Why a value was served: OpenFeature's reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display)]
#[non_exhaustive]
pub enum Reason {
    /// The flag has no rule.
    #[display("STATIC")]
    Static,
    /// The rule left it to the default.
    #[display("DEFAULT")]
    Default,
    /// The rule named this variant.
    #[display("TARGETING_MATCH")]
    TargetingMatch,
    /// The rule named this variant by a share of a `fractional`. Only where it is asked for: [`Evaluation::with_split`].
    #[display("SPLIT")]
    Split,
    /// The flag is disabled.
    #[display("DISABLED")]
    Disabled,
    /// There was an error.
    #[display("ERROR")]
    Error,
}

/// OpenFeature's error codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display)]
#[non_exhaustive]
pub enum ErrorCode {
    /// There is no such flag.
    #[display("FLAG_NOT_FOUND")]
    FlagNotFound,
    /// The flag or its rule cannot be used.
    #[display("PARSE_ERROR")]
    ParseError,
    /// The flag has values of another type than the one asked for.
    #[display("TYPE_MISMATCH")]
    TypeMismatch,
    /// Anything else.
    #[display("GENERAL")]
    General,
}

/// What kept a flag from being evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// There is no such flag.
    #[display("there is no such flag")]
    FlagNotFound,
    /// The flag's definition cannot be used.
    #[display("the flag's definition cannot be used")]
    Rejected,
    /// The rule gave no answer.
    #[display("the rule failed: {_0}")]
    Rule(#[error(not(source))] Failure),
    /// The rule named what is none of the variants.
    #[display("the rule named something that is not one of the variants")]
    UnknownVariant,
    /// The value has another type.
    #[display("the flag's value is not of the type asked for")]
    TypeMismatch,
}

impl EvaluationError {
    /// OpenFeature's code.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::FlagNotFound => ErrorCode::FlagNotFound,
            Self::Rejected | Self::Rule(_) => ErrorCode::ParseError,
            Self::UnknownVariant => ErrorCode::General,
            Self::TypeMismatch => ErrorCode::TypeMismatch,
        }
    }
}

/// An evaluation in full.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Evaluation<'f, T> {
    /// What was served.
    pub value: T,
    /// The name of the variant; `None` when the caller's default was served.
    pub variant: Option<&'f str>,
    /// Why.
    pub reason: Reason,
    /// What went wrong, if something did.
    pub error: Option<EvaluationError>,
    /// The part of the rule that decided: `targeting.if[1]`.
    pub rule: Option<&'f str>,
    /// What the flag and its set say about themselves.
    pub metadata: &'f Map<String, Json>,
    /// The revision at which the flag stood so, where that is known.
    pub revision: Option<Revision>,
}

impl<'f, T> Evaluation<'f, T> {
    /// This evaluation at that revision.
    #[must_use]
    pub fn at(mut self, revision: Revision) -> Self {
        self.revision = Some(revision);
        self
    }

    /// The same without what was served.
    pub(crate) fn without_value(&self) -> Evaluation<'f, ()> {
        Evaluation {
            value: (),
            variant: self.variant,
            reason: self.reason,
            error: self.error,
            rule: self.rule,
            metadata: self.metadata,
            revision: self.revision,
        }
    }

    /// The same with the reason [`Split`](Reason::Split) where a share of a `fractional` decided.
    ///
    /// flagd says `TARGETING_MATCH` there, and so does kvconf unless asked for this.
    ///
    /// ```
    /// use kvconf::flag::{CompiledFlag, DynamicContext, FlagDefinition, Reason, SetProperties};
    ///
    /// let definition = FlagDefinition::parse(
    ///     r#"{"state": "ENABLED", "variants": {"a": 1, "b": 2}, "targeting": {"fractional": [["a"], ["b"]]}}"#,
    /// )?;
    /// let flag = CompiledFlag::compile("page", &definition, &SetProperties::default())?;
    /// let detail = flag.evaluate(&DynamicContext::new().targeting_key("user-1"), 0, 0_i64);
    /// assert_eq!(detail.reason, Reason::TargetingMatch);
    /// assert_eq!(detail.with_split().reason, Reason::Split);
    /// # Ok::<(), kvconf::flag::FlagError>(())
    /// ```
    #[must_use]
    pub fn with_split(mut self) -> Self {
        let is_share =
            |rule: &str| rule.rsplit('.').next().is_some_and(|part| part.starts_with("fractional["));
        if self.reason == Reason::TargetingMatch && self.rule.is_some_and(is_share) {
            self.reason = Reason::Split;
        }
        self
    }

    /// The same with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Evaluation<'f, U> {
        Evaluation {
            value: change(self.value),
            variant: self.variant,
            reason: self.reason,
            error: self.error,
            rule: self.rule,
            metadata: self.metadata,
            revision: self.revision,
        }
    }
}

/// An evaluation in small: which variant, and why. See [`CompiledFlag::resolve`](super::CompiledFlag::resolve).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Resolution {
    /// The variant, and the branch of the rule in the upper half; [`NONE`] for none. One number and one byte, and not four
    /// fields, because that is what is returned in registers.
    place: u64,
    why: Why,
}

/// A reason, with the error that there is one for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Static,
    Default,
    TargetingMatch,
    Disabled,
    Error(EvaluationError),
}

/// No variant, no branch: neither has so many.
const NONE: u32 = u32::MAX;

impl Resolution {
    pub(crate) const fn new(why: Why, variant: Option<u32>) -> Self {
        let variant = match variant {
            Some(variant) => variant,
            None => NONE,
        };
        Self { place: ((NONE as u64) << 32) | variant as u64, why }
    }

    pub(crate) const fn failed(error: EvaluationError) -> Self {
        Self::new(Why::Error(error), None)
    }

    /// What it is made of, for who returns it in another shape.
    pub(super) const fn parts(self) -> (u64, Why) {
        (self.place, self.why)
    }

    /// The opposite of [`Self::parts`].
    pub(super) const fn from_parts(place: u64, why: Why) -> Self {
        Self { place, why }
    }

    /// The same, by this branch of the rule.
    pub(crate) const fn by(self, branch: u32) -> Self {
        Self { place: ((branch as u64) << 32) | (self.place & NONE as u64), why: self.why }
    }

    pub(crate) const fn branch(&self) -> Option<u32> {
        let branch = (self.place >> 32) as u32;
        if branch == NONE { None } else { Some(branch) }
    }

    /// The place of the variant among [`CompiledFlag::variants`](super::CompiledFlag::variants), or `None` when the caller's
    /// default is to be served.
    #[inline]
    pub const fn variant(&self) -> Option<usize> {
        let variant = self.place as u32;
        if variant == NONE { None } else { Some(variant as usize) }
    }

    /// Why.
    pub const fn reason(&self) -> Reason {
        match self.why {
            Why::Static => Reason::Static,
            Why::Default => Reason::Default,
            Why::TargetingMatch => Reason::TargetingMatch,
            Why::Disabled => Reason::Disabled,
            Why::Error(_) => Reason::Error,
        }
    }

    /// What went wrong, if something did.
    pub const fn error(&self) -> Option<EvaluationError> {
        match self.why {
            Why::Error(error) => Some(error),
            _ => None,
        }
    }

    /// The same, where the variant's value turned out to be of another type than the one asked for.
    #[must_use]
    pub const fn mismatched(self) -> Self {
        let failed = Self::failed(EvaluationError::TypeMismatch);
        match self.branch() {
            Some(branch) => failed.by(branch),
            None => failed,
        }
    }
}

impl std::fmt::Debug for Resolution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Resolution");
        shown.field("variant", &self.variant()).field("reason", &self.reason());
        shown.field("error", &self.error()).field("branch", &self.branch()).finish()
    }
}

/// A type that flags are asked for, as OpenFeature has them.
pub trait FlagValue: Sized {
    /// The value of a variant, or `None` when it has another type or would lose something.
    fn from_variant(value: &Json) -> Option<Self>;

    /// Whether variants of this kind can be such values at all.
    fn fits(kind: VariantKind) -> bool;
}

/// The largest whole number that every JSON reader has exactly: 2^53 − 1.
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

impl FlagValue for bool {
    fn from_variant(value: &Json) -> Option<Self> {
        value.as_bool()
    }

    fn fits(kind: VariantKind) -> bool {
        kind == VariantKind::Boolean
    }
}

/// Whole numbers up to [`MAX_SAFE_INTEGER`], also where they are written `10.0`.
impl FlagValue for i64 {
    fn from_variant(value: &Json) -> Option<Self> {
        let is_safe = |number: &Self| number.unsigned_abs() <= MAX_SAFE_INTEGER.unsigned_abs();
        let whole = |number: f64| {
            let fits = number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER as f64;
            fits.then_some(number as Self)
        };
        match value.as_i64() {
            Some(number) => Some(number).filter(is_safe),
            None => whole(value.as_f64()?),
        }
    }

    fn fits(kind: VariantKind) -> bool {
        kind == VariantKind::Number
    }
}

/// Any number; whole ones up to [`MAX_SAFE_INTEGER`].
impl FlagValue for f64 {
    fn from_variant(value: &Json) -> Option<Self> {
        if value.is_f64() { value.as_f64() } else { i64::from_variant(value).map(|number| number as Self) }
    }

    fn fits(kind: VariantKind) -> bool {
        kind == VariantKind::Number
    }
}

impl FlagValue for String {
    fn from_variant(value: &Json) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }

    fn fits(kind: VariantKind) -> bool {
        kind == VariantKind::Text
    }
}

impl FlagValue for Map<String, Json> {
    fn from_variant(value: &Json) -> Option<Self> {
        value.as_object().cloned()
    }

    fn fits(kind: VariantKind) -> bool {
        kind == VariantKind::Object
    }
}

/// `None` as the default tells apart what was served and what was not.
impl<T: FlagValue> FlagValue for Option<T> {
    fn from_variant(value: &Json) -> Option<Self> {
        T::from_variant(value).map(Some)
    }

    fn fits(kind: VariantKind) -> bool {
        T::fits(kind)
    }
}

/// Any value.
impl FlagValue for Json {
    fn from_variant(value: &Json) -> Option<Self> {
        Some(value.clone())
    }

    fn fits(_: VariantKind) -> bool {
        true
    }
}
