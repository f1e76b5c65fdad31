//! How a handle is to start.

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::Live;
use super::observer::{Beginning, Environment};
use super::start::{Policy, StartError};
use crate::cache::Cache;
use crate::exposure::{Exposure, Functions};
use crate::judging::Judging;
use crate::layer::Layers;
use crate::schema::KvConfig;
use crate::seal::Seals;
use crate::{Bucket, Prefix};

/// How long a start waits for the bucket's state unless told otherwise.
const DEADLINE: Duration = Duration::from_secs(10);

/// How a handle is to start. From [`Bucket::live`].
#[derive(Debug)]
#[must_use = "nothing happens before `start`"]
pub struct LiveBuilder<T> {
    #[cfg(feature = "files")]
    pub(super) files: Vec<crate::FileSource>,
    #[cfg(feature = "files")]
    pub(super) watched_by: crate::source::watch::Make,
    bucket: Bucket,
    prefix: Option<String>,
    layers: Option<Vec<String>>,
    policy: Policy,
    environment: bool,
    seals: Seals,
    observers: Functions,
    #[cfg(feature = "fleet")]
    instance: Option<crate::instance::Instance>,
    marker: PhantomData<fn() -> T>,
}

impl Bucket {
    /// Begins a live handle of a struct: `bucket.live::<Checkout>().start().await?`.
    pub fn live<T: KvConfig>(&self) -> LiveBuilder<T> {
        LiveBuilder {
            #[cfg(feature = "files")]
            files: Vec::new(),
            #[cfg(feature = "files")]
            watched_by: super::files::BY_SYSTEM,
            bucket: self.clone(),
            prefix: None,
            layers: None,
            policy: Policy { deadline: DEADLINE, cache: None, defaults: false },
            environment: true,
            seals: Seals::default(),
            observers: Functions::default(),
            #[cfg(feature = "fleet")]
            instance: None,
            marker: PhantomData,
        }
    }
}

impl<T: KvConfig> LiveBuilder<T> {
    /// Reads the keys under this prefix instead of the one that the struct names. One struct can be live under several.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Reads the keys in several layers of the bucket, named from general to specific: under `base.checkout.…`, then under
    /// `env.prod.checkout.…`, then under `host.web-1.checkout.…`.
    ///
    /// They are merged key by key: the most specific layer that has a value wins. They are followed together, by one watch,
    /// and a change set across them is one change set. An empty name stands for the keys without a layer, `checkout.…`.
    /// Writes say to which layer they go. [`guide::layers`](crate::guide::layers) has it all.
    ///
    /// ```
    /// use kvconf::{Bucket, KvConfig};
    ///
    /// #[derive(KvConfig, Debug, Clone)]
    /// #[kv(prefix = "checkout")]
    /// struct Checkout {
    ///     #[kv(default = 50)]
    ///     max_items: u32,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bucket = Bucket::memory();
    /// bucket.put("base.checkout.max_items", "60").await?;
    /// bucket.put("env.prod.checkout.max_items", "80").await?;
    ///
    /// let live = bucket.live::<Checkout>().layers(["base", "env.prod"]).start().await?;
    /// assert_eq!(live.load().max_items, 80);
    ///
    /// let revision = bucket.delete("env.prod.checkout.max_items").await?;
    /// live.wait_for(revision).await?;
    /// assert_eq!(live.load().max_items, 60);
    /// # Ok(()) }
    /// ```
    pub fn layers<L: Into<String>>(mut self, layers: impl IntoIterator<Item = L>) -> Self {
        self.layers = Some(layers.into_iter().map(Into::into).collect());
        self
    }

    /// How long to wait for the bucket's state; 10 s by default. Then the start goes on with the cache, then with the
    /// defaults, where they are given, or fails.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.policy.deadline = deadline;
        self
    }

    /// Keeps the last good state on disk, and starts from it where the bucket has not answered in time, refuses, or holds
    /// values that are not valid. The snapshot then says [`is_cached`](crate::Snapshot::is_cached), and the bucket's state
    /// takes its place in one swap as soon as it can be had.
    ///
    /// To start while the server is away the bucket must be opened by `Bucket::open_lazily`. See
    /// [`guide::outages`](crate::guide::outages).
    pub fn cache(mut self, cache: Cache) -> Self {
        self.policy.cache = Some(cache);
        self
    }

    /// Starts from the struct's defaults and the environment where neither the bucket nor the cache has given a state in
    /// time. Not where the bucket holds values that are not valid: then there are values, and they should be mended.
    pub const fn or_defaults(mut self) -> Self {
        self.policy.defaults = true;
        self
    }

    /// Leaves environment variables alone.
    pub const fn without_environment(mut self) -> Self {
        self.environment = false;
        self
    }

    /// Calls a function at every evaluation of a flag in the struct that this handle serves, with who was served what and
    /// why: for telemetry, or to record who was exposed to which variant.
    ///
    /// It is called in the thread that evaluates, before the value is handed out, so it should be quick: count, or hand on
    /// to a channel. A panic in it is contained, and reported through `tracing` the first time. Several functions are called in
    /// the order in which they were given. Evaluations of a past state ([`Live::at`]) and of fixed handles call none. Without
    /// a function an evaluation does not even look for one.
    ///
    /// ```
    /// # use std::sync::mpsc::channel;
    /// # use kvconf::{Bucket, Flag, KvConfig, flag::DynamicContext};
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "shop")]
    /// # struct Shop { #[kv(flag, default = false)] new_cart: Flag<bool> }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = Bucket::memory();
    /// # bucket.put("shop.new_cart", "true").await?;
    /// let (exposures, recorded) = channel();
    /// let live = bucket
    ///     .live::<Shop>()
    ///     .on_evaluation(move |exposure| {
    ///         let variant = exposure.evaluation.variant.map(str::to_owned);
    ///         let _ = exposures.send((exposure.targeting_key.map(str::to_owned), exposure.key.to_owned(), variant));
    ///     })
    ///     .start()
    ///     .await?;
    /// live.load().new_cart.get(&DynamicContext::new().targeting_key("user-1"));
    /// assert_eq!(recorded.recv()?, (Some("user-1".to_owned()), "new_cart".to_owned(), Some("true".to_owned())));
    /// # Ok(()) }
    /// ```
    pub fn on_evaluation(mut self, function: impl Fn(&Exposure<'_>) + Send + Sync + 'static) -> Self {
        self.observers.push(function);
        self
    }

    /// Opens sealed secrets with these keys, and seals the secrets that this handle writes.
    ///
    /// See [`guide::secrets`](crate::guide::secrets).
    #[cfg(feature = "seal")]
    pub fn keyring(mut self, keyring: crate::seal::Keyring) -> Self {
        self.seals.ring = Some(keyring);
        self
    }

    /// Writes secrets in clear although there is a keyring: while some readers have no key yet.
    #[cfg(feature = "seal")]
    pub const fn without_sealing(mut self) -> Self {
        self.seals.writes_clear = true;
        self
    }

    /// Lets the handle answer those who ask the fleet: who is there and how it is, whether a change would be taken, and
    /// whether it was. Without this nobody is answered.
    ///
    /// Give clones of one instance to all handles of a process: they answer together. It costs a subscription for each
    /// prefix and no traffic until somebody asks. See [`guide::fleet`](crate::guide::fleet).
    ///
    /// ```
    /// # use kvconf::{Bucket, KvConfig};
    /// use kvconf::fleet::Instance;
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "checkout")]
    /// # struct Checkout { #[kv(default = 50)] max_items: u32 }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bucket = Bucket::memory();
    /// let instance = Instance::named("checkout").version(env!("CARGO_PKG_VERSION"));
    /// let live = bucket.live::<Checkout>().instance(instance).start().await?;
    /// assert_eq!(bucket.fleet().list().await?.members().len(), 1);
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "fleet")]
    pub fn instance(mut self, instance: crate::instance::Instance) -> Self {
        self.instance = Some(instance);
        self
    }

    /// Loads the struct and keeps it live. Must be called inside a tokio runtime.
    ///
    /// On a bucket that is a mirror and has not copied yet all that its origin has, it waits for that, five seconds at most: what such
    /// a mirror holds may be a state that never was.
    ///
    /// # Errors
    /// [`StartError::Invalid`] with every problem when the bucket's values are not valid: there is no good state to serve
    /// yet. [`StartError::Timeout`] and [`StartError::NotPermitted`] when the bucket cannot be read.
    /// [`StartError::Layers`] for layers that overlap or are named twice, [`StartError::Judging`] inside of a `validate` function.
    /// [`StartError::Exhausted`] when a cache or the defaults were to stand in and could not, either.
    ///
    /// # Cancel safety
    /// Dropping the future ends what was begun.
    pub async fn start(self) -> Result<Live<T>, StartError> {
        if Judging::is_on() {
            return Err(StartError::Judging);
        }
        let prefix = self.prefix.as_deref().or(T::__SCHEMA.prefix).unwrap_or_default();
        let prefix = Prefix::new(prefix).map_err(StartError::Prefix)?;
        let layers = match &self.layers {
            Some(names) => Layers::new(prefix, names).map_err(StartError::Layers)?,
            None => Layers::none(prefix),
        };
        #[cfg(feature = "files")]
        let mut files = super::files::known(self.files)?;
        let table = Arc::new(OnceLock::new());
        let environment = if self.environment { Environment::Read } else { Environment::Ignored };
        let observers = self.observers.of(layers.prefix());
        #[cfg(feature = "files")]
        let given = if files.is_empty() {
            Vec::new()
        } else {
            let make =
                || super::table_of::<T>(environment, self.seals.clone(), observers.clone(), layers.clone());
            let table = table.get_or_init(make);
            super::files::first_contents::<T>(&mut files, table).await
        };
        #[cfg(not(feature = "files"))]
        let given = Vec::new();
        let beginning = Beginning {
            table,
            environment,
            seals: self.seals,
            observers,
            layers,
            store: Arc::clone(self.bucket.hub.store()),
            has_fallback: self.policy.has_fallback(),
            given: given.into(),
        };
        let live = self.policy.start(&self.bucket.hub, beginning).await?;
        #[cfg(feature = "fleet")]
        if let Some(instance) = &self.instance {
            let Bucket { store, endpoints, .. } = &self.bucket;
            let seat = super::participant::Seat::of(&live.shared);
            live.shared.join(endpoints.join(store.name(), || store.exchange(), instance, seat).await);
        }
        #[cfg(feature = "files")]
        if !files.is_empty() {
            super::files::follow(&live.shared, files, self.watched_by);
        }
        Ok(live)
    }
}
