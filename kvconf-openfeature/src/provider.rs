//! The provider.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use derive_more::Debug;
use kvconf::flag::FlagValue;
use kvconf::{Flags, FlagsBuilder, Readiness, StartError};
use open_feature::provider::{FeatureProvider, ProviderMetadata, ProviderStatus, ResolutionDetails};
use open_feature::{
    EvaluationContext, EvaluationErrorCode, EvaluationResult, Hook, HookWrapper, StructValue, async_trait,
};

use crate::context::Context;
use crate::result::{Convert, details, error, structure};

/// OpenFeature's provider over the flags of a set.
///
/// A resolution waits for nothing and asks nobody. Cloning is cheap, and all clones are one provider: keep one to ask for
/// the [`status`](FeatureProvider::status), which the SDK's client does not tell.
///
/// | status | when |
/// |---|---|
/// | `NotReady` | it has not started, the bucket did not answer in time, or the handle was stopped |
/// | `Ready` | it serves the bucket's flags |
/// | `STALE` | it serves flags, and cannot tell whether they are the newest |
/// | `Error` | it could not start: flags that cannot be used, no permission |
///
/// The specification's status `FATAL` is `Error` here, for the SDK has no such status; its error code is told by every
/// resolution: `General("PROVIDER_FATAL")` where the flags may not be read or the prefix is none.
#[derive(Clone, Debug)]
pub struct FlagsProvider {
    metadata: ProviderMetadata,
    #[debug("{}", hooks.len())]
    hooks: Vec<HookWrapper>,
    splits: Splits,
    inner: Arc<Inner>,
}

/// Whether a share is told as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Splits {
    AsTargeting,
    AsSplit,
}

#[derive(Debug)]
struct Inner {
    /// Taken by the first start.
    builder: Mutex<Option<FlagsBuilder>>,
    outcome: OnceLock<Result<Flags, StartError>>,
}

impl FlagsProvider {
    /// A provider of flags that are live already.
    #[must_use]
    pub fn new(flags: Flags) -> Self {
        Self::with(Inner { builder: Mutex::new(None), outcome: Ok(flags).into() })
    }

    /// A provider whose flags start when it is set: the SDK then waits for
    /// [`FlagsBuilder::start`](kvconf::FlagsBuilder::start). Where that fails, every resolution says why.
    ///
    /// ```
    /// # use kvconf::Bucket;
    /// # use kvconf_openfeature::FlagsProvider;
    /// # use open_feature::OpenFeature;
    /// use open_feature::provider::{FeatureProvider, ProviderStatus};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let bucket = Bucket::memory();
    /// let provider = FlagsProvider::starting(bucket.flags("shop.flags"));
    /// assert_eq!(provider.status(), ProviderStatus::NotReady);
    /// OpenFeature::singleton_mut().await.set_provider(provider.clone()).await;
    /// assert_eq!(provider.status(), ProviderStatus::Ready);
    /// # }
    /// ```
    #[must_use]
    pub fn starting(builder: FlagsBuilder) -> Self {
        Self::with(Inner { builder: Mutex::new(Some(builder)), outcome: OnceLock::new() })
    }

    fn with(inner: Inner) -> Self {
        Self {
            metadata: ProviderMetadata::new("kvconf"),
            hooks: Vec::new(),
            splits: Splits::AsTargeting,
            inner: Arc::new(inner),
        }
    }

    /// Says `SPLIT` where a share of a `fractional` decided. flagd says `TARGETING_MATCH` there, and so does this provider
    /// unless asked.
    #[must_use]
    pub fn split_reason(self) -> Self {
        Self { splits: Splits::AsSplit, ..self }
    }

    /// Adds a hook of the provider's own.
    #[must_use]
    pub fn with_hook(mut self, hook: impl Hook) -> Self {
        self.hooks.push(HookWrapper::new(hook));
        self
    }

    /// The flags, once they have started.
    #[must_use]
    pub fn flags(&self) -> Option<&Flags> {
        self.inner.outcome.get()?.as_ref().ok()
    }

    fn resolve<V: FlagValue, T>(
        &self,
        key: &str,
        context: &EvaluationContext,
        convert: Convert<V, T>,
    ) -> EvaluationResult<ResolutionDetails<T>> {
        let flags = match self.inner.outcome.get() {
            Some(Ok(flags)) => flags,
            Some(Err(failed @ StartError::Timeout { .. })) => {
                return Err(error(EvaluationErrorCode::ProviderNotReady, told(failed)));
            }
            Some(Err(failed)) => {
                let code = if is_fatal(failed) { "PROVIDER_FATAL" } else { "GENERAL" };
                return Err(error(EvaluationErrorCode::General(code.to_owned()), told(failed)));
            }
            None => {
                return Err(error(EvaluationErrorCode::ProviderNotReady, "the provider has not been set"));
            }
        };
        let set = flags.load();
        let evaluation = set.evaluate(key, &Context::new(context), None::<V>);
        let evaluation = if self.splits == Splits::AsSplit { evaluation.with_split() } else { evaluation };
        details(evaluation, convert)
    }
}

/// Whether no later start can do better unless somebody changes this program or what it is allowed. A flag that cannot be
/// used can be mended in the bucket.
const fn is_fatal(failed: &StartError) -> bool {
    matches!(failed, StartError::NotPermitted { .. } | StartError::Prefix(_) | StartError::Layers(_))
}

/// An error with all that caused it.
fn told(failed: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(failed.source(), |cause| cause.source());
    causes.fold(failed.to_string(), |told, cause| format!("{told}: {cause}"))
}

#[async_trait]
impl FeatureProvider for FlagsProvider {
    async fn initialize(&mut self, _: &EvaluationContext) {
        let builder = self.inner.builder.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(builder) = builder {
            let outcome = builder.start().await;
            if let Err(failed) = &outcome {
                tracing::error!(error = told(failed), "the flags did not start");
            }
            // Nobody else has taken the builder.
            let _ = self.inner.outcome.set(outcome);
        }
    }

    fn status(&self) -> ProviderStatus {
        match self.inner.outcome.get() {
            None | Some(Err(StartError::Timeout { .. })) => ProviderStatus::NotReady,
            Some(Err(_)) => ProviderStatus::Error,
            Some(Ok(flags)) => {
                let health = flags.health();
                let is_newest = !health.state.is_stale() && health.basis == kvconf::Basis::Bucket;
                match health.readiness() {
                    Readiness::NotReady { .. } => ProviderStatus::NotReady,
                    // A change set that was rejected leaves everything else as new as it is.
                    _ if is_newest => ProviderStatus::Ready,
                    _ => ProviderStatus::STALE,
                }
            }
        }
    }

    fn metadata(&self) -> &ProviderMetadata {
        &self.metadata
    }

    fn hooks(&self) -> &[HookWrapper] {
        &self.hooks
    }

    async fn resolve_bool_value(
        &self,
        flag_key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<bool>> {
        self.resolve(flag_key, context, Ok)
    }

    async fn resolve_int_value(
        &self,
        flag_key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<i64>> {
        self.resolve(flag_key, context, Ok)
    }

    async fn resolve_float_value(
        &self,
        flag_key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<f64>> {
        self.resolve(flag_key, context, Ok)
    }

    async fn resolve_string_value(
        &self,
        flag_key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<String>> {
        self.resolve(flag_key, context, Ok)
    }

    async fn resolve_struct_value(
        &self,
        flag_key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<StructValue>> {
        self.resolve(flag_key, context, structure)
    }
}
