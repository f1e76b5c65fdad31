//! Telling of evaluations: who was served what.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value as Json;

use crate::Prefix;
use crate::flag::{AttributeName, Evaluation, EvaluationContext, TARGETING_KEY, Value};

/// One evaluation of a flag, for telemetry and for experiments that record who was exposed to what. From
/// [`LiveBuilder::on_evaluation`](crate::LiveBuilder::on_evaluation) and
/// [`FlagsBuilder::on_evaluation`](crate::FlagsBuilder::on_evaluation).
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Exposure<'a> {
    /// The prefix of the handle.
    pub prefix: &'a Prefix,
    /// The flag's key below it.
    pub key: &'a str,
    /// For whom it was evaluated: the attribute `targetingKey`, where it is a text.
    pub targeting_key: Option<&'a str>,
    /// Everything that was known about whom it was evaluated for.
    pub context: &'a dyn EvaluationContext,
    /// What was served and why. The value is that of the variant; `None` where the caller's default was served.
    pub evaluation: &'a Evaluation<'a, Option<&'a Json>>,
}

impl fmt::Debug for Exposure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Exposure");
        shown.field("key", &self.key).field("targeting_key", &self.targeting_key);
        shown.field("evaluation", self.evaluation).finish_non_exhaustive()
    }
}

type Function = Box<dyn Fn(&Exposure<'_>) + Send + Sync>;

/// Functions that are to be told, before there is a handle.
#[derive(Default)]
pub(crate) struct Functions(Vec<Function>);

impl Functions {
    pub(crate) fn push(&mut self, function: impl Fn(&Exposure<'_>) + Send + Sync + 'static) {
        self.0.push(Box::new(function));
    }

    /// For the flags of a handle with this prefix; `None` when there is nobody to be told.
    pub(crate) fn of(self, prefix: &Prefix) -> Option<Observers> {
        let functions = self.0.into_iter().map(|function| (function, AtomicBool::new(false))).collect();
        let told = Told { prefix: prefix.clone(), functions };
        (!told.functions.is_empty()).then(|| Observers(Arc::new(told)))
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functions").field("count", &self.0.len()).finish()
    }
}

/// Who is told of evaluations.
#[doc(hidden)]
#[derive(Clone)]
pub struct Observers(Arc<Told>);

struct Told {
    prefix: Prefix,
    /// With whether it has panicked.
    functions: Box<[(Function, AtomicBool)]>,
}

impl Observers {
    #[cold]
    #[inline(never)]
    pub(crate) fn tell(
        &self,
        key: &str,
        context: &dyn EvaluationContext,
        evaluation: &Evaluation<'_, Option<&Json>>,
    ) {
        const NAME: AttributeName<'static> = AttributeName::new(TARGETING_KEY);
        let targeting_key = match context.lookup(&NAME) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        };
        let exposure = Exposure { prefix: &self.0.prefix, key, targeting_key, context, evaluation };
        for (function, has_panicked) in &self.0.functions {
            let outcome = catch_unwind(AssertUnwindSafe(|| function(&exposure)));
            // Once: a flag may be evaluated a million times a second.
            if outcome.is_err() && !has_panicked.swap(true, Ordering::Relaxed) {
                tracing::error!(key, "a function that is told of evaluations panicked");
            }
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers").field("count", &self.0.functions.len()).finish()
    }
}
