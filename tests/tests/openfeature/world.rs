//! What a scenario works with.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kvconf::flag::FlagDocument;
use kvconf::{Bucket, BucketConfig, Fault, Flags, ImportMode, MemoryFaults, ReadError};
use kvconf_openfeature::FlagsProvider;
use open_feature::{
    Client, EvaluationContext, EvaluationDetails, EvaluationError, EvaluationOptions, EvaluationResult,
    FlagMetadataValue, Hook, HookContext, HookHints, OpenFeature, StructValue, Value, async_trait,
};
use serde_json::{Map, Value as Json};

/// What came out of an evaluation.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) key: String,
    pub(crate) value: Json,
    pub(crate) variant: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) metadata: Map<String, Json>,
}

/// One call of a hook.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) hook: &'static str,
    pub(crate) stage: &'static str,
    pub(crate) details: Option<Told>,
}

pub(crate) type Calls = Arc<Mutex<Vec<Call>>>;

/// A hook that records its calls, and adds to the context.
pub(crate) struct Recorder {
    pub(crate) name: &'static str,
    pub(crate) calls: Calls,
    pub(crate) adds: Option<EvaluationContext>,
    /// The code of the error that the evaluation met.
    error: Mutex<Option<String>>,
}

impl Recorder {
    fn note(&self, stage: &'static str, details: Option<Told>) {
        self.calls.lock().unwrap().push(Call { hook: self.name, stage, details });
    }
}

#[async_trait]
impl Hook for Recorder {
    async fn before<'a>(
        &self,
        _: &HookContext<'a>,
        _: Option<&'a HookHints>,
    ) -> Result<Option<EvaluationContext>, EvaluationError> {
        self.note("before", None);
        Ok(self.adds.clone())
    }

    async fn after<'a>(
        &self,
        _: &HookContext<'a>,
        details: &EvaluationDetails<Value>,
        _: Option<&'a HookHints>,
    ) -> Result<(), EvaluationError> {
        self.note("after", Some(told_by_details(details.clone(), json_of)));
        Ok(())
    }

    async fn error<'a>(&self, _: &HookContext<'a>, error: &EvaluationError, _: Option<&'a HookHints>) {
        self.note("error", None);
        *self.error.lock().unwrap() = Some(error.code.to_string());
    }

    async fn finally<'a>(
        &self,
        _: &HookContext<'a>,
        details: &EvaluationDetails<Value>,
        _: Option<&'a HookHints>,
    ) {
        // The details have no error code; it was told before, to `error`.
        let error = self.error.lock().unwrap().take();
        self.note("finally", Some(Told { error, ..told_by_details(details.clone(), json_of) }));
    }
}

pub(crate) struct World {
    faults: MemoryFaults,
    pub(crate) provider: FlagsProvider,
    api: OpenFeature,
    client: Client,
    pub(crate) global: EvaluationContext,
    pub(crate) of_client: EvaluationContext,
    pub(crate) invocation: EvaluationContext,
    pub(crate) before_hooks: Option<EvaluationContext>,
    pub(crate) options: EvaluationOptions,
    pub(crate) calls: Calls,
    /// What the provider was given.
    pub(crate) merged: Arc<Mutex<Map<String, Json>>>,
    /// The type, the key and the default.
    pub(crate) flag: Option<(String, String, Json)>,
    pub(crate) told: Option<Told>,
    /// From which on levels have precedence.
    pub(crate) levels: Vec<String>,
}

const PREFIX: &str = "spec.flags";

/// However busy the machine is, a bucket in memory answers within it.
const IN_TIME: Duration = Duration::from_secs(10);

impl World {
    /// A bucket with the specification's flags, and a provider of them.
    pub(crate) async fn new(flags: &FlagDocument) -> Self {
        let (bucket, faults) = Bucket::memory_with_faults(BucketConfig::new("spec")).unwrap();
        let handle: Flags = bucket.flags(PREFIX).start().await.unwrap();
        let plan = handle.edit().import(flags.clone(), ImportMode::Replace).plan().await.unwrap();
        plan.commit().await.unwrap();
        let (api, provider) = (OpenFeature::default(), FlagsProvider::starting(bucket.flags(PREFIX)));
        let client = api.create_client();
        let mut world = Self {
            faults,
            provider,
            api,
            client,
            global: EvaluationContext::default(),
            of_client: EvaluationContext::default(),
            invocation: EvaluationContext::default(),
            before_hooks: None,
            options: EvaluationOptions::default(),
            calls: Calls::default(),
            merged: Arc::default(),
            flag: None,
            told: None,
            levels: Vec::new(),
        };
        world.register(&bucket, IN_TIME).await;
        world
    }

    async fn register(&mut self, bucket: &Bucket, deadline: Duration) {
        let merged = Arc::clone(&self.merged);
        let builder = bucket.flags(PREFIX).deadline(deadline);
        let builder = builder.on_evaluation(move |exposure| {
            let mut seen = Map::new();
            exposure.context.visit(&mut |name, value| {
                seen.insert(name.to_owned(), serde_json::from_str(&format!("{value:?}")).unwrap());
            });
            *merged.lock().unwrap() = seen;
        });
        self.provider = FlagsProvider::starting(builder);
        self.api.set_provider(self.provider.clone()).await;
    }

    /// Brings the provider into a state, as far as there is such a state.
    pub(crate) async fn provider_is(&mut self, state: &str) -> Result<(), String> {
        match state {
            "stable" => {}
            "not ready" => {
                let (bucket, faults) = Bucket::memory_with_faults(BucketConfig::new("away")).unwrap();
                faults.fail_reads(1_000, &ReadError::Disconnected);
                self.register(&bucket, Duration::from_millis(50)).await;
            }
            "error" => {
                let bucket = Bucket::memory();
                bucket.put(format!("{PREFIX}.bad"), "[]").await.unwrap();
                self.register(&bucket, IN_TIME).await;
            }
            "fatal" => {
                let (bucket, faults) = Bucket::memory_with_faults(BucketConfig::new("closed")).unwrap();
                let subject = "$JS.API.STREAM.INFO.KV_closed".to_owned();
                faults.fail_reads(1_000, &ReadError::NotPermitted { subject });
                self.register(&bucket, IN_TIME).await;
            }
            "stale" => {
                let flags = self.provider.flags().unwrap().clone();
                self.faults.cut(&Fault::Disconnected);
                flags.wait_for_health(|health| health.state.is_stale()).await;
            }
            other => return Err(format!("the SDK knows no provider that is {other}")),
        }
        Ok(())
    }

    pub(crate) fn hook(&self, name: &'static str, adds: Option<EvaluationContext>) -> Recorder {
        Recorder { name, calls: Arc::clone(&self.calls), adds, error: Mutex::default() }
    }

    pub(crate) fn add_client_hook(&mut self) {
        let hook = self.hook("client", None);
        let client = std::mem::replace(&mut self.client, self.api.create_client());
        self.client = client.with_hook(hook);
    }

    /// Evaluates the flag of the scenario.
    pub(crate) async fn evaluate(&mut self) {
        self.api.set_evaluation_context(self.global.clone()).await;
        self.client.set_evaluation_context(self.of_client.clone());
        if let Some(adds) = self.before_hooks.take() {
            let hook = self.hook("adding", Some(adds));
            self.options = std::mem::take(&mut self.options).with_hook(hook);
        }
        let (kind, key, default) = self.flag.clone().expect("a flag");
        let (context, options) = (Some(&self.invocation), Some(&self.options));
        let client = &self.client;
        self.told = Some(match kind.as_str() {
            "boolean" => {
                told(&key, default, client.get_bool_details(&key, context, options).await, Json::from)
            }
            "string" => {
                told(&key, default, client.get_string_details(&key, context, options).await, Json::from)
            }
            "integer" => {
                told(&key, default, client.get_int_details(&key, context, options).await, Json::from)
            }
            "float" => {
                told(&key, default, client.get_float_details(&key, context, options).await, Json::from)
            }
            "object" => {
                let details = client.get_struct_details::<StructValue>(&key, context, options).await;
                told(&key, default, details, |fields| json_of(Value::Struct(fields)))
            }
            other => panic!("no type of flags: {other}"),
        });
    }
}

/// The SDK says nothing but the error where there is one. Then the caller has its default.
fn told<T>(
    key: &str,
    default: Json,
    result: EvaluationResult<EvaluationDetails<T>>,
    json: impl Fn(T) -> Json,
) -> Told {
    match result {
        Ok(details) => told_by_details(details, json),
        Err(error) => Told {
            key: key.to_owned(),
            value: default,
            variant: None,
            reason: Some("ERROR".to_owned()),
            error: Some(error.code.to_string()),
            metadata: Map::new(),
        },
    }
}

fn told_by_details<T>(details: EvaluationDetails<T>, json: impl Fn(T) -> Json) -> Told {
    let metadata = details.flag_metadata.values.into_iter().map(|(name, value)| {
        let value = match value {
            FlagMetadataValue::Bool(value) => value.into(),
            FlagMetadataValue::Int(number) => number.into(),
            FlagMetadataValue::Float(number) => number.into(),
            FlagMetadataValue::String(text) => text.into(),
        };
        (name, value)
    });
    Told {
        key: details.flag_key,
        value: json(details.value),
        variant: details.variant,
        reason: details.reason.map(|reason| reason.to_string()),
        error: None,
        metadata: metadata.collect(),
    }
}

fn json_of(value: Value) -> Json {
    match value {
        Value::Bool(value) => value.into(),
        Value::Int(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::String(text) => text.into(),
        Value::Array(items) => items.into_iter().map(json_of).collect(),
        Value::Struct(fields) => {
            Json::Object(fields.fields.into_iter().map(|(name, value)| (name, json_of(value))).collect())
        }
    }
}
