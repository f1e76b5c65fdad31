//! Flags as fields of a struct: typed, with the code's own default.
//!
//! `src/flag/` knows no clock, no codec and no bucket. What ties a flag to them is here.

mod codec;
pub(crate) mod read;
#[cfg(test)]
mod tests;
mod variant;

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::Map;

use crate::Revision;
use crate::exposure::Observers;
use crate::flag::{
    CompiledFlag, ContextSchema, Evaluation, EvaluationContext, EvaluationError, FlagDefinition, Resolution,
    Why,
};
use crate::value::{DecodeError, EncodeError, ValuePlace};
pub use codec::{FlagCodec, FlagField};
pub(crate) use read::check_flag;
use read::{Read, read_flag, write_fixed};
pub use variant::FlagVariant;

/// A feature flag in a field of a struct of settings: `#[kv(flag, default = false)] new_cart: Flag<bool>`.
///
/// It has been read, checked against its type and compiled when it arrived, so evaluating it cannot meet a value of another
/// type. What does not fit is refused then, as a bad value of any other field. A clone costs a reference count. See
/// [`guide::flags`](crate::guide::flags).
///
/// ```
/// use kvconf::flag::EvaluationContext;
/// use kvconf::{Bucket, Flag, KvConfig};
///
/// #[derive(EvaluationContext)]
/// struct Visitor<'a> {
///     #[context(targeting_key)]
///     id: &'a str,
///     country: &'a str,
/// }
///
/// #[derive(KvConfig, Debug, Clone)]
/// #[kv(prefix = "shop")]
/// struct Shop {
///     #[kv(flag, default = false)]
///     new_cart: Flag<bool>,
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bucket = Bucket::memory();
/// let live = bucket.live::<Shop>().start().await?;
/// let visitor = Visitor { id: "user-1", country: "NL" };
/// assert!(!live.load().new_cart.get(&visitor));
///
/// let revision = bucket
///     .put(
///         "shop.new_cart",
///         r#"{
///             "state": "ENABLED",
///             "variants": {"on": true, "off": false},
///             "defaultVariant": "off",
///             "targeting": {"if": [{"==": [{"var": "country"}, "NL"]}, "on"]}
///         }"#,
///     )
///     .await?;
/// live.wait_for(revision).await?;
/// assert!(live.load().new_cart.get(&visitor));
/// # Ok(()) }
/// ```
pub struct Flag<T>(Arc<Inner<T>>);

struct Inner<T> {
    /// Below the struct's prefix.
    key: Box<str>,
    source: Source<T>,
    /// What is served where no variant is.
    fallback: T,
    /// Whether `fallback` is what the code says, and not the flag's own default variant.
    has_default: bool,
}

enum Source<T> {
    /// There is no such key.
    Missing,
    /// Nobody stored it: the code says so.
    Fixed,
    Stored(Box<Stored<T>>),
    /// One of the others, and who is told of its evaluations. A case of its own, so that a flag of which nobody is told
    /// has no more to look at than before.
    Observed(Box<(Self, Observers)>),
}

struct Stored<T> {
    /// As it stood there, so that it is written back without a change.
    bytes: Bytes,
    /// `None` for what did not come from the bucket.
    revision: Option<Revision>,
    definition: FlagDefinition,
    compiled: CompiledFlag,
    /// In the order of the compiled flag's variants.
    values: Box<[T]>,
}

impl<T: FlagVariant> Flag<T> {
    /// A flag that always has this value, for tests and for writing.
    ///
    /// ```
    /// use kvconf::Flag;
    /// use kvconf::flag::{DynamicContext, Reason};
    ///
    /// let flag = Flag::fixed("blue".to_owned());
    /// let visitor = DynamicContext::new();
    /// assert_eq!((flag.get(&visitor), flag.evaluate(&visitor).reason), ("blue", Reason::Static));
    /// ```
    pub fn fixed(value: T) -> Self {
        Self::new("", Source::Fixed, value, true)
    }

    /// A flag with this key, which takes part in bucketing, from its stored form: a flag object, or a plain value such as
    /// `true`, `blue` or `3`.
    ///
    /// Without a default the flag's own default variant is served where no variant is (disabled flags, rules that fail).
    ///
    /// # Errors
    /// [`DecodeError`] with everything that is wrong with the flag or does not fit the type.
    pub fn parse(key: &str, stored: &str, default: Option<T>) -> Result<Self, DecodeError> {
        Self::read(ValuePlace { key, revision: None }, stored.as_bytes(), default, None)
    }

    /// This flag from another stored form: with the same key and the same default.
    ///
    /// ```
    /// # use kvconf::{Bucket, Flag, KvConfig};
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "shop")]
    /// # struct Shop { #[kv(flag, default = false)] new_cart: Flag<bool> }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let live = Bucket::memory().live::<Shop>().start().await?;
    /// let cart = live.load().new_cart.redefine(r#"{"state": "DISABLED", "variants": {"on": true, "off": false}}"#)?;
    /// live.edit().set(Shop::fields().new_cart, cart).plan().await?.commit().author("ops").await?;
    ///
    /// let error = live.load().new_cart.redefine("blue").unwrap_err();
    /// assert_eq!(error.to_string(), "expected true or false, found the text `blue`");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn redefine(&self, stored: &str) -> Result<Self, DecodeError> {
        Self::parse(&self.0.key, stored, self.0.has_default.then(|| self.0.fallback.clone()))
    }

    fn new(key: &str, source: Source<T>, fallback: T, has_default: bool) -> Self {
        Self(Arc::new(Inner { key: key.into(), source, fallback, has_default }))
    }

    fn missing(key: &str, default: T) -> Self {
        Self::new(key, Source::Missing, default, true)
    }

    fn read(
        place: ValuePlace<'_>,
        bytes: &[u8],
        default: Option<T>,
        context: Option<&'static ContextSchema>,
    ) -> Result<Self, DecodeError> {
        let has_default = default.is_some();
        let Read { definition, compiled, values, fallback } = read_flag(place.key, bytes, default, context)?;
        if let Some(context) = context {
            compiled.bind(context);
        }
        let bytes = Bytes::copy_from_slice(bytes);
        let stored = Box::new(Stored { bytes, revision: place.revision, definition, compiled, values });
        Ok(Self::new(place.key, Source::Stored(stored), fallback, has_default))
    }

    /// What this context gets.
    ///
    /// Waits for nothing. The present time is filled in for a rule that asks for it, and only then is the clock read.
    #[inline]
    pub fn get(&self, context: &(impl EvaluationContext + ?Sized)) -> T::Served<'_> {
        match &self.0.source {
            Source::Stored(stored) => {
                stored.value(stored.resolve(context, None)).unwrap_or(&self.0.fallback).served()
            }
            _ => self.get_otherwise(context),
        }
    }

    /// Where there is no stored flag, or somebody is told of what it gives.
    #[inline(never)]
    fn get_otherwise(&self, context: &(impl EvaluationContext + ?Sized)) -> T::Served<'_> {
        self.value(self.resolve(context, None)).served()
    }

    /// What this context gets, and how it came about.
    ///
    /// A key that is not there: the default, with [`FlagNotFound`](EvaluationError::FlagNotFound).
    pub fn evaluate(&self, context: &(impl EvaluationContext + ?Sized)) -> Evaluation<'_, T::Served<'_>> {
        self.detail(self.resolve(context, None))
    }

    /// The same at another time, in whole seconds since the Unix epoch.
    pub fn evaluate_at(
        &self,
        context: &(impl EvaluationContext + ?Sized),
        now: i64,
    ) -> Evaluation<'_, T::Served<'_>> {
        self.detail(self.resolve(context, Some(now)))
    }

    /// The key below the struct's prefix, which takes part in bucketing; empty for a fixed flag.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// What is served where no variant is: the default in the code, else the flag's default variant.
    pub fn default_value(&self) -> T::Served<'_> {
        self.0.fallback.served()
    }

    /// The flag as somebody wrote it; `None` where its key is not there, and for a fixed one.
    pub fn definition(&self) -> Option<&FlagDefinition> {
        self.as_stored().map(|stored| &stored.definition)
    }

    /// The flag without its type, with everything that can be asked of it.
    pub fn compiled(&self) -> Option<&CompiledFlag> {
        self.as_stored().map(|stored| &stored.compiled)
    }

    /// The revision of the entry in the bucket that the flag stands in; `None` for a flag from anywhere else.
    pub fn revision(&self) -> Option<Revision> {
        self.as_stored()?.revision
    }

    fn as_stored(&self) -> Option<&Stored<T>> {
        self.0.source.as_stored()
    }

    fn resolve(&self, context: &(impl EvaluationContext + ?Sized), now: Option<i64>) -> Resolution {
        match &self.0.source {
            Source::Observed(observed) => self.resolve_and_tell(observed, &context, now),
            source => source.resolve(context, now),
        }
    }

    #[cold]
    #[inline(never)]
    fn resolve_and_tell(
        &self,
        (source, observers): &(Source<T>, Observers),
        context: &dyn EvaluationContext,
        now: Option<i64>,
    ) -> Resolution {
        let resolution = source.resolve(context, now);
        let variant = || self.compiled()?.variants().get(resolution.variant()?);
        let value = variant().map(|variant| &variant.value);
        observers.tell(&self.0.key, context, &self.detail(resolution).map(|_| value));
        resolution
    }

    fn equip(&mut self, observers: &Observers) {
        // One that others hold too is of an earlier state, and was equipped then.
        if let Some(inner) = Arc::get_mut(&mut self.0)
            && !matches!(inner.source, Source::Observed(_))
        {
            let source = std::mem::replace(&mut inner.source, Source::Missing);
            inner.source = Source::Observed(Box::new((source, observers.clone())));
        }
    }

    fn value(&self, resolution: Resolution) -> &T {
        let inner = &*self.0;
        match &inner.source {
            Source::Stored(stored) => stored.value(resolution).unwrap_or(&inner.fallback),
            Source::Missing | Source::Fixed => &inner.fallback,
            Source::Observed(observed) => {
                let stored = observed.0.as_stored();
                stored.and_then(|stored| stored.value(resolution)).unwrap_or(&inner.fallback)
            }
        }
    }

    fn detail(&self, resolution: Resolution) -> Evaluation<'_, T::Served<'_>> {
        let flag = self.compiled();
        let variant = || flag?.variants().get(resolution.variant()?);
        Evaluation {
            value: self.value(resolution).served(),
            variant: variant().map(|variant| &*variant.name),
            reason: resolution.reason(),
            error: resolution.error(),
            rule: flag.and_then(|flag| flag.rule(resolution)),
            metadata: flag.map_or(no_metadata(), CompiledFlag::metadata),
            revision: self.revision(),
        }
    }

    /// As it stood in the bucket; a plain value where it did not.
    fn stored(&self) -> Result<Bytes, EncodeError> {
        match self.as_stored() {
            Some(stored) => Ok(stored.bytes.clone()),
            None => write_fixed(&self.0.fallback).map(Bytes::from),
        }
    }
}

impl<T> Source<T> {
    fn as_stored(&self) -> Option<&Stored<T>> {
        match self {
            Self::Stored(stored) => Some(stored),
            Self::Missing | Self::Fixed => None,
            Self::Observed(observed) => observed.0.as_stored(),
        }
    }

    #[inline]
    fn resolve(&self, context: &(impl EvaluationContext + ?Sized), now: Option<i64>) -> Resolution {
        match self {
            Self::Stored(stored) => stored.resolve(context, now),
            Self::Missing => Resolution::failed(EvaluationError::FlagNotFound),
            Self::Fixed => Resolution::new(Why::Static, None),
            Self::Observed(observed) => observed.0.resolve(context, now),
        }
    }
}

impl<T> Stored<T> {
    #[inline]
    fn resolve(&self, context: &(impl EvaluationContext + ?Sized), now: Option<i64>) -> Resolution {
        self.compiled.resolve_at(context, || now.unwrap_or_else(|| self.present()))
    }

    /// The present time, where the rule asks for it.
    #[inline(never)]
    fn present(&self) -> i64 {
        if self.compiled.needs_time() { present() } else { 0 }
    }

    #[inline]
    fn value(&self, resolution: Resolution) -> Option<&T> {
        self.values.get(resolution.variant()?)
    }
}

pub(crate) fn no_metadata() -> &'static Map<String, serde_json::Value> {
    static NONE: std::sync::LazyLock<Map<String, serde_json::Value>> = std::sync::LazyLock::new(Map::new);
    &NONE
}

/// In whole seconds since the Unix epoch, as flagd's `$flagd.timestamp`.
pub(crate) fn present() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl<T> Clone for Flag<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The key, and the definition or the value.
impl<T: fmt::Debug> fmt::Debug for Flag<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Flag");
        shown.field("key", &self.0.key);
        let source = match &self.0.source {
            Source::Observed(observed) => &observed.0,
            source => source,
        };
        match source {
            Source::Stored(stored) => shown.field("stored", &format_args!("{}", stored.definition.to_json())),
            Source::Missing => shown.field("missing", &self.0.fallback),
            Source::Fixed | Source::Observed(_) => shown.field("fixed", &self.0.fallback),
        };
        shown.finish()
    }
}

/// The definition, or the value where there is none.
impl<T: FlagVariant> Serialize for Flag<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.definition() {
            Some(definition) => definition.to_json().serialize(serializer),
            None => self.0.fallback.serialize(serializer),
        }
    }
}
