//! Changing a set: what is wanted becomes a plan that says what is odd about it and who would move.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use derive_more::{Display, Error, From};
use serde_json::Value as Json;

use super::document::ImportMode;
use super::set::FlagSet;
use super::work::{Work, work_out};
use super::{Flags, SetFlag};
use crate::change::Wishes;
use crate::flag::{
    BUCKETING_METADATA, BlastRadius, Bucketing, EvaluationContext, FlagDefinition, FlagDocument, FlagError,
    FlagState, RuleFinding,
};
use crate::{Commit, FieldChange, Key, Live, OverRejected, Plan, PlanError, Report, Snapshot};

/// Why there is no plan for a change of flags.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error, From)]
#[non_exhaustive]
pub enum FlagEditError {
    /// There is no such flag to be changed.
    #[display("there is no flag `{key}`{}", close.as_ref().map(|close| format!(", did you mean `{close}`?")).unwrap_or_default())]
    #[from(ignore)]
    NoFlag {
        /// What was asked for.
        key: String,
        /// A flag that may be meant.
        close: Option<String>,
    },
    /// The flag has no such variant.
    #[display("flag `{key}` has no variant `{variant}`{}", close.as_ref().map(|close| format!(", did you mean `{close}`?")).unwrap_or_default())]
    #[from(ignore)]
    NoVariant {
        /// The flag.
        key: String,
        /// What was asked for.
        variant: String,
        /// A variant that may be meant.
        close: Option<String>,
    },
    /// The flag has a rule in which the shares of a rollout have no one place: define it anew.
    #[display("flag `{key}` has a rule with {found} places for shares (`fractional`), not one")]
    #[from(ignore)]
    NoPlaceForShares {
        /// The flag.
        key: String,
        /// How many `fractional` its rule has.
        found: usize,
    },
    /// The shares of a rollout cannot be served.
    #[display("the shares for flag `{key}`: {problem}")]
    #[from(ignore)]
    Shares {
        /// The flag.
        key: String,
        /// What is wrong with them.
        problem: &'static str,
    },
    /// What comes out is no flag, or no metadata.
    #[display("{what} cannot be used")]
    #[from(ignore)]
    Invalid {
        /// Which flag, or the metadata.
        what: String,
        /// Why.
        #[error(source)]
        error: FlagError,
    },
    /// A change that was derived from the last good flag would overwrite what somebody wrote and readers rejected. Define the
    /// flag anew ([`FlagEdit::set`]), which replaces it.
    #[display("{_0}")]
    OverRejected(#[error(not(source))] Box<OverRejected>),
    /// A key would not be valid: a flag's key can make it too long.
    #[display("there is no plan")]
    Plan(PlanError),
}

/// One thing that is wanted.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Set(String, Box<FlagDefinition>),
    Remove(String),
    Part(String, &'static str, Json),
    DefaultVariant(String, String),
    Rollout(String, Vec<(String, u64)>),
    Rule(String, Option<Json>),
    Metadata(String, Option<Json>),
    Import(Box<FlagDocument>, ImportMode),
}

/// A change of flags to be planned. From [`Flags::edit`].
#[derive(Debug)]
#[must_use = "nothing is planned before `plan`"]
pub struct FlagEdit {
    live: Live<FlagSet>,
    steps: Vec<Step>,
}

impl Flags {
    /// Begins a change of flags and of what they share.
    ///
    /// ```
    /// # use kvconf::Bucket;
    /// # use kvconf::flag::{DynamicContext, FlagDefinition};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = Bucket::memory();
    /// # let flags = bucket.flags("shop.flags").start().await?;
    /// let cart = FlagDefinition::parse(
    ///     r#"{"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off"}"#,
    /// )?;
    /// let applied = flags.edit().set("new-cart", cart).plan().await?.commit().author("ops").await?;
    /// flags.wait_for(applied.revision()).await?;
    ///
    /// let plan = flags.edit().rollout("new-cart", [("on", 20), ("off", 80)]).plan().await?;
    /// let sample: Vec<_> = (0..1_000).map(|id| DynamicContext::new().targeting_key(format!("user-{id}"))).collect();
    /// let (key, radius) = &plan.blast_radius(&sample, 0)[0];
    /// assert_eq!((key.as_str(), (150..250).contains(&radius.moved())), ("new-cart", true));
    /// plan.commit().author("ops").reason("rollout, step 1").await?;
    /// # Ok(()) }
    /// ```
    pub fn edit(&self) -> FlagEdit {
        FlagEdit { live: self.live().clone(), steps: Vec::new() }
    }
}

impl FlagEdit {
    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Defines a flag, whatever stood there.
    pub fn set(self, key: impl Into<String>, definition: FlagDefinition) -> Self {
        self.step(Step::Set(key.into(), Box::new(definition)))
    }

    /// Removes a flag. Callers get their defaults then, with `FLAG_NOT_FOUND`.
    pub fn remove(self, key: impl Into<String>) -> Self {
        self.step(Step::Remove(key.into()))
    }

    /// Enables a flag.
    pub fn enable(self, key: impl Into<String>) -> Self {
        self.step(Step::Part(key.into(), "state", "ENABLED".into()))
    }

    /// Disables a flag: callers get their defaults, with the reason `DISABLED`.
    pub fn disable(self, key: impl Into<String>) -> Self {
        self.step(Step::Part(key.into(), "state", "DISABLED".into()))
    }

    /// Gives a flag another rule; `{}` is none.
    pub fn targeting(self, key: impl Into<String>, rule: Json) -> Self {
        self.step(Step::Part(key.into(), "targeting", rule))
    }

    /// Makes another variant of a flag the one that is served where the rule names none.
    pub fn default_variant(self, key: impl Into<String>, variant: impl Into<String>) -> Self {
        self.step(Step::DefaultVariant(key.into(), variant.into()))
    }

    /// Gives everybody a variant by shares: weights, of their sum.
    ///
    /// A flag without a rule gets one that does just this. In a flag with a rule the shares of its `fractional` are replaced,
    /// and what decides about the bucket there stays; it must have exactly one. Growing one share at the cost of the last one
    /// moves nobody who does not have to: keep the order of the shares.
    pub fn rollout<V: Into<String>>(
        self,
        key: impl Into<String>,
        shares: impl IntoIterator<Item = (V, u32)>,
    ) -> Self {
        let shares = shares.into_iter().map(|(variant, weight)| (variant.into(), u64::from(weight)));
        self.step(Step::Rollout(key.into(), shares.collect()))
    }

    /// Sets a rule that the flags share, by the name that their `$ref` has.
    pub fn set_shared_rule(self, name: impl Into<String>, rule: Json) -> Self {
        self.step(Step::Rule(name.into(), Some(rule)))
    }

    /// Removes a rule that the flags share.
    pub fn remove_shared_rule(self, name: impl Into<String>) -> Self {
        self.step(Step::Rule(name.into(), None))
    }

    /// Sets what the set says about itself under one name: a text, a number or a boolean.
    pub fn set_metadata(self, name: impl Into<String>, value: impl Into<Json>) -> Self {
        self.step(Step::Metadata(name.into(), Some(value.into())))
    }

    /// Removes what the set says about itself under one name.
    pub fn remove_metadata(self, name: impl Into<String>) -> Self {
        self.step(Step::Metadata(name.into(), None))
    }

    /// Pins the version of bucketing, for all flags of the set that pin none themselves. It moves visitors: look at the
    /// plan's [`FlagPlan::blast_radius`].
    pub fn pin_bucketing(self, version: Bucketing) -> Self {
        self.set_metadata(BUCKETING_METADATA, version.name())
    }

    /// Takes over a document in flagd's format: flags, shared rules, metadata, and the parts that the format does not know.
    ///
    /// What stands in the bucket already, in whatever spelling, is not written again; so importing what was exported writes
    /// nothing. It is one change set, which a server takes up to 1 000 keys of: beyond, the commit is refused, unless it is made
    /// [one by one](Commit::one_by_one).
    pub fn import(self, document: FlagDocument, mode: ImportMode) -> Self {
        self.step(Step::Import(Box::new(document), mode))
    }

    /// Works out what is to be written from the newest state, whether readers would take it, and what is odd about it. Writes
    /// nothing. A plan with problems is a plan too: look at [`FlagPlan::report`].
    ///
    /// # Errors
    /// [`FlagEditError`] when there is nothing to change, or what is wanted makes no flag.
    ///
    /// # Cancel safety
    /// Dropping the future does nothing.
    pub async fn plan(self) -> Result<FlagPlan, FlagEditError> {
        let Self { live, steps } = self;
        let mut before = None;
        let mut work = Work::default();
        let plan = live.plan_by(|snapshot| {
            work = work_out(snapshot, steps)?;
            before = Some(Arc::clone(snapshot));
            let is_clean = snapshot.rejected().is_empty();
            Ok::<Wishes, FlagEditError>(work.wishes(snapshot, is_clean))
        });
        let plan = plan.await?;
        let before = before.unwrap_or_else(|| live.snapshot());
        let after = work.applied_to(&before);
        Ok(FlagPlan { findings: findings(&before, &after), plan, before, after })
    }
}

/// One thing in a flag that is probably not meant so. Readers take it all the same.
#[derive(Debug, Clone, PartialEq, Eq, Display)]
#[display("flag `{key}`: {finding}")]
#[non_exhaustive]
pub struct FlagFinding {
    /// The flag.
    pub key: String,
    /// What.
    pub finding: RuleFinding,
}

/// What a change of flags would write, what is odd about it, and who would move. `Display` writes one line for each key, and
/// one more for each part of a flag that differs, and says which flags are disabled all the while.
#[must_use = "a plan writes nothing before `commit`"]
pub struct FlagPlan {
    plan: Plan<FlagSet>,
    findings: Vec<FlagFinding>,
    before: Arc<Snapshot<FlagSet>>,
    after: FlagSet,
}

impl FlagPlan {
    /// What would change, by key. In a flag, part by part: [`FieldChange::flag`].
    pub fn changes(&self) -> impl Iterator<Item = &FieldChange> {
        self.plan.changes()
    }

    /// What would be written, exactly: each key with the value that stands there and the one that would.
    pub fn values(&self) -> impl Iterator<Item = (&Key, Option<&Bytes>, Option<&Bytes>)> {
        self.plan.values()
    }

    /// Asks every running instance what it would make of this plan. As [`Plan::preflight`].
    #[cfg(feature = "fleet")]
    pub fn preflight(&self) -> crate::fleet::PreflightRequest {
        self.plan.preflight()
    }

    /// Whether nothing would be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plan.is_empty()
    }

    /// What every reader would find wrong with the result; `None` when they would take it.
    #[must_use]
    pub const fn report(&self) -> Option<&Report> {
        self.plan.report()
    }

    /// Whether readers would take the result.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.plan.is_valid()
    }

    /// What is probably not meant so in the flags that change, and in those whose shared rules do: branches that nobody gets
    /// to, variants that do not exist, weights that do not add up. See [`FlagDefinition::analyse`].
    #[must_use]
    pub fn findings(&self) -> &[FlagFinding] {
        &self.findings
    }

    /// The flags whose definition changes and that are disabled before and after: nobody gets anything else until they are
    /// enabled.
    ///
    /// ```
    /// # use kvconf::Bucket;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = Bucket::memory();
    /// let flag = |state: &str| format!(r#"{{"state": "{state}", "variants": {{"on": true, "off": false}}, "defaultVariant": "off"}}"#);
    /// bucket.put("shop.flags.cart", flag("DISABLED")).await?;
    /// bucket.put("shop.flags.desk", flag("ENABLED")).await?;
    /// let flags = bucket.flags("shop.flags").start().await?;
    /// let plan = flags.edit().default_variant("cart", "on").default_variant("desk", "on").plan().await?;
    /// assert_eq!(plan.without_effect().collect::<Vec<_>>(), ["cart"]);
    /// # Ok(()) }
    /// ```
    pub fn without_effect(&self) -> impl Iterator<Item = &str> {
        let is_disabled = |flag: &SetFlag| flag.definition().state() == FlagState::Disabled;
        let differing = changed(&self.before, &self.after).filter(move |flag| is_disabled(flag));
        let silent = differing.filter(move |flag| {
            let before = self.before.flag(flag.key());
            before.is_some_and(|before| is_disabled(before) && before.definition() != flag.definition())
        });
        silent.map(SetFlag::key)
    }

    /// The set as it would be, as far as readers would take it.
    #[must_use]
    pub const fn after(&self) -> &FlagSet {
        &self.after
    }

    /// How many contexts of a sample would get something else, for each flag that evaluates differently or might: those that
    /// are there before and after, and are compiled anew. `now` is in whole seconds since the Unix epoch.
    pub fn blast_radius<C: EvaluationContext>(&self, sample: &[C], now: i64) -> Vec<(String, BlastRadius)> {
        let changed = changed(&self.before, &self.after);
        changed
            .filter_map(|flag| {
                let before = self.before.flag(flag.key())?.compiled();
                let radius = BlastRadius::between(before, flag.compiled(), sample, now);
                Some((flag.key().to_owned(), radius))
            })
            .collect()
    }

    /// Writes the plan, all of it or nothing: `plan.commit().author("ops").reason("sale").await?`.
    pub fn commit(self) -> Commit<FlagSet> {
        self.plan.commit()
    }
}

/// The flags that are compiled anew.
fn changed<'a>(before: &'a FlagSet, after: &'a FlagSet) -> impl Iterator<Item = &'a SetFlag> {
    let is_same = |flag: &SetFlag| before.flag(flag.key()).is_some_and(|before| std::ptr::eq(before, flag));
    after.flags().filter(move |flag| !is_same(flag))
}

fn findings(before: &FlagSet, after: &FlagSet) -> Vec<FlagFinding> {
    let of_flag = |flag: &SetFlag| {
        // One that cannot be used is told of by the report.
        let found = flag.definition().analyse(after.properties()).unwrap_or_default();
        let key = flag.key().to_owned();
        found.into_iter().map(move |finding| FlagFinding { key: key.clone(), finding })
    };
    changed(before, after).flat_map(of_flag).collect()
}

impl fmt::Display for FlagPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.plan)?;
        for key in self.without_effect() {
            write!(f, "\nflag `{key}` is disabled: nobody gets anything else until it is enabled")?;
        }
        self.findings.iter().try_for_each(|finding| write!(f, "\nodd: {finding}"))
    }
}

impl fmt::Debug for FlagPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("FlagPlan");
        shown.field("plan", &self.plan).field("findings", &self.findings).finish_non_exhaustive()
    }
}
