//! Schemas in a bucket: publishing one, reading them all.

use std::fmt;
use std::future::IntoFuture;

use derive_more::{Display, Error, From};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::Schema;
use super::judge::below;
use super::published::{PublishedSchema, ROOT, SchemaError, is_older, is_version, key_of};
use crate::attribution::new_change_id;
use crate::attribution::program_name;
use crate::store::{Action, Expect, Write};
use crate::{
    Attribution, Bucket, Entry, Filter, Headers, Key, KeyError, Point, Prefix, ReadError, Revision,
    WriteError,
};

/// How often a publication looks again when others publish under the same name at the same moment: as all instances of a
/// service do when they start together.
const ATTEMPTS: usize = 8;

impl Bucket {
    /// Publishes a schema: for the command, which checks every change against it, and for whoever has not the type.
    ///
    /// To be called at every start: where the same schema of the same version stands already, nothing is written. An older
    /// version never takes the place of a newer one, unless it is asked to. The name is the schema's prefix, else the
    /// struct's name; the version has to be given.
    ///
    /// The schema stands under `_kvconf.schema.<name>`; writing that key has to be permitted. It is written on condition of
    /// what stood there, and says who wrote it.
    ///
    /// ```
    /// # use kvconf::settings::Publication;
    /// # use kvconf::{Bucket, KvConfig, Schema};
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "checkout")]
    /// # struct Checkout { #[kv(default = 50)] max_items: u32 }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = Bucket::memory();
    /// let schema = Schema::of::<Checkout>();
    /// let first = bucket.publish_schema(&schema, env!("CARGO_PKG_VERSION")).author("checkout").await?;
    /// assert!(matches!(first, Publication::Published { .. }));
    /// let again = bucket.publish_schema(&schema, env!("CARGO_PKG_VERSION")).await?;
    /// assert!(matches!(again, Publication::Unchanged { .. }));
    ///
    /// let schemas = bucket.schemas().await?;
    /// assert_eq!(schemas.published[0].name, "checkout");
    /// assert_eq!(schemas.published[0].schema, schema);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`PublishError`]; nothing was written then, but for [`WriteError::Unconfirmed`].
    ///
    /// # Cancel safety
    /// Dropping the future before it is done leaves open whether the schema is published; publishing it again settles it.
    pub fn publish_schema(&self, schema: &Schema, version: impl Into<String>) -> PublishSchema<'_> {
        let name = if schema.prefix.is_empty() { &schema.name } else { &schema.prefix };
        PublishSchema {
            bucket: self,
            name: name.clone(),
            version: version.into(),
            schema: schema.clone(),
            author: None,
            reason: None,
            replaces_newer: false,
        }
    }

    /// Every schema that is published in the bucket, by name.
    ///
    /// # Errors
    /// [`ReadError`] when the keys below `_kvconf.schema` cannot be read.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    pub async fn schemas(&self) -> Result<Schemas, ReadError> {
        let filter = Filter::from(&Prefix::new(ROOT)?);
        let reading = self.store.read(&[filter], Point::Latest).await?;
        let mut schemas = Schemas::default();
        for entry in &reading.entries {
            match PublishedSchema::of(entry) {
                Some(Ok(published)) => schemas.published.push(published),
                Some(Err(error)) => schemas.unreadable.push((entry.key().clone(), error)),
                None => {}
            }
        }
        schemas.published.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(schemas)
    }
}

/// The schemas of a bucket. From [`Bucket::schemas`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schemas {
    /// Those that can be read, by name.
    pub published: Vec<PublishedSchema>,
    /// What else stands where schemas stand.
    pub unreadable: Vec<(Key, SchemaError)>,
}

impl Schemas {
    /// The schema with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&PublishedSchema> {
        self.published.iter().find(|published| published.name == name)
    }

    /// The schema whose prefix a key stands under, in one of its [layers](Schema::with_layers) or without; the longest prefix,
    /// where one stands under another. A schema with that layer goes before one that would take the layer for its own key.
    #[must_use]
    pub fn for_key(&self, key: &str) -> Option<&PublishedSchema> {
        let in_layer = self.published.iter().filter(|published| {
            let layers = &published.schema.layers;
            !layers.is_empty() && published.schema.layer_of(key).is_some()
        });
        let longest = |published: &&PublishedSchema| published.schema.prefix.len();
        let under = self.published.iter().filter(|published| below(key, &published.schema.prefix).is_some());
        in_layer.max_by_key(longest).or_else(|| under.max_by_key(longest))
    }

    /// The settings that a key could be of, if what it begins with were the name of a layer: each with that name. It is a guess
    /// of schemas that do not say in which layers their values stand ([`Schema::with_layers`]), and may be one of a name that
    /// they do not have; the shortest layer comes first.
    ///
    /// ```
    /// # use kvconf::{Bucket, KvConfig, Schema};
    /// # #[derive(KvConfig, Debug, Clone)]
    /// # #[kv(prefix = "checkout")]
    /// # struct Checkout { #[kv(default = 50)] max_items: u32 }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bucket = Bucket::memory();
    /// bucket.publish_schema(&Schema::of::<Checkout>(), "1.4.0").await?;
    /// let schemas = bucket.schemas().await?;
    ///
    /// let guesses: Vec<_> = schemas.in_layers("env.prod.checkout.max_items").collect();
    /// assert_eq!((guesses[0].0, &*guesses[0].1.name), ("env.prod", "checkout"));
    /// assert_eq!(schemas.in_layers("checkout.max_items").count(), 0);
    /// assert_eq!(schemas.in_layers("base.checkout.colour").count(), 0);
    /// # Ok(()) }
    /// ```
    pub fn in_layers<'a, 'k>(&'a self, key: &'k str) -> impl Iterator<Item = (&'k str, &'a PublishedSchema)> {
        let parts = key.match_indices('.').filter_map(move |(at, _)| key.split_at_checked(at));
        parts.flat_map(move |(layer, rest)| {
            let below = rest.strip_prefix('.').unwrap_or(rest);
            let knows =
                move |published: &&PublishedSchema| published.schema.setting_without_layer(below).is_some();
            self.published.iter().filter(knows).map(move |published| (layer, published))
        })
    }

    /// Whether a key holds a secret, by its schema; `None` where no schema knows the key.
    ///
    /// A key of a layer does so where the same key without the layer does. What may be one ([`Schemas::in_layers`]) is taken
    /// for one: a schema that would call it a secret is believed, one that would not is not.
    #[must_use]
    pub fn is_secret(&self, key: &str) -> Option<bool> {
        let in_layer = |(layer, published): (&str, &PublishedSchema)| {
            let below = key.get(layer.len() + 1..).unwrap_or_default();
            published.schema.setting_without_layer(below).is_some_and(|setting| setting.secret)
        };
        if self.in_layers(key).any(in_layer) {
            return Some(true);
        }
        let schema = &self.for_key(key)?.schema;
        schema.setting_of(key).map(|setting| setting.secret)
    }
}

/// What became of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Publication {
    /// It was written.
    Published {
        /// The revision that it got.
        revision: Revision,
    },
    /// It stood there already.
    Unchanged {
        /// The revision at which it was published.
        revision: Revision,
    },
}

/// Why a schema was not published.
#[derive(Debug, Display, Error, From)]
#[non_exhaustive]
pub enum PublishError {
    /// The name can stand in no key.
    #[display("the name of the schema is not valid")]
    Name(#[error(source)] KeyError),
    /// What was given as the version is none.
    #[display("{version:?} is no version such as 1.4.0")]
    #[from(ignore)]
    Version {
        /// What was given.
        version: String,
    },
    /// A newer version is published under this name.
    #[display("schema {name} {found} is published, which is newer than {offered}")]
    #[from(ignore)]
    Older {
        /// The name.
        name: String,
        /// The version that is published.
        found: String,
        /// The version that was to be published.
        offered: String,
        /// The revision of the published one.
        revision: Revision,
    },
    /// The schema has no stored form, or what stands under its key was written by a later kvconf.
    #[display("schema {name} cannot be published")]
    #[from(ignore)]
    Schema {
        /// The name.
        name: String,
        /// Why.
        #[error(source)]
        error: SchemaError,
    },
    /// Others published under this name at each attempt.
    #[display("schema {name} was written by others during each of {attempts} attempts")]
    #[from(ignore)]
    Contended {
        /// The name.
        name: String,
        /// How often it was tried.
        attempts: usize,
    },
    /// What stands there could not be read.
    #[display("the published schema cannot be read")]
    Read(#[error(source)] ReadError),
    /// The store refused it.
    #[display("the schema was not written")]
    Write(#[error(source)] WriteError),
}

/// A publication that takes place when it is awaited. From [`Bucket::publish_schema`].
#[must_use = "nothing is published before it is awaited"]
pub struct PublishSchema<'a> {
    bucket: &'a Bucket,
    name: String,
    version: String,
    schema: Schema,
    author: Option<String>,
    reason: Option<String>,
    replaces_newer: bool,
}

impl PublishSchema<'_> {
    /// Publishes it under this name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Who publishes it; else the program's name.
    pub fn author(mut self, author: impl Into<String>) -> Self {
        self.author = Some(author.into());
        self
    }

    /// Why.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Takes the place of a newer version too, and of what cannot be read: after a deployment was taken back.
    pub const fn replace_newer(mut self) -> Self {
        self.replaces_newer = true;
        self
    }

    async fn publish(self) -> Result<Publication, PublishError> {
        let key = key_of(&self.name)?;
        if !is_version(&self.version) {
            return Err(PublishError::Version { version: self.version });
        }
        let refuse = |error| PublishError::Schema { name: self.name.clone(), error };
        let bytes = self.schema.to_stored(&self.version).map_err(refuse)?;
        for _ in 0..ATTEMPTS {
            let found = self.bucket.store.entry(&key, None).await?;
            if let Some(revision) = self.stands_already(found.as_ref())? {
                return Ok(Publication::Unchanged { revision });
            }
            let expected = found.map(|entry| entry.revision()).unwrap_or_default();
            let write = Write {
                key: key.clone(),
                action: Action::Put(bytes.clone().into()),
                expect: Expect::Revision(expected),
                ttl: None,
                headers: self.headers(),
            };
            match self.bucket.store.write(write).await {
                Ok(revision) => return Ok(Publication::Published { revision }),
                Err(WriteError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(PublishError::Contended { name: self.name, attempts: ATTEMPTS })
    }

    /// The revision of the same schema, when it is published; an error where something stands there that is not to be
    /// written over.
    fn stands_already(&self, found: Option<&Entry>) -> Result<Option<Revision>, PublishError> {
        let Some(found) = found.and_then(|entry| Some((entry.revision(), PublishedSchema::of(entry)?)))
        else {
            return Ok(None);
        };
        match found {
            (revision, Ok(published))
                if published.version == self.version && published.schema == self.schema =>
            {
                Ok(Some(revision))
            }
            (revision, Ok(published))
                if is_older(&self.version, &published.version) && !self.replaces_newer =>
            {
                let (name, offered) = (self.name.clone(), self.version.clone());
                Err(PublishError::Older { name, found: published.version, offered, revision })
            }
            (_, Err(error @ SchemaError::Later { .. })) if !self.replaces_newer => {
                Err(PublishError::Schema { name: self.name.clone(), error })
            }
            _ => Ok(None),
        }
    }

    fn headers(&self) -> Headers {
        let mut headers = Headers::new();
        let attribution = Attribution {
            author: Some(self.author.clone().unwrap_or_else(program_name).into()),
            reason: self.reason.as_deref().map(Into::into),
            change: Some(new_change_id()),
        };
        attribution.stamp(&mut headers);
        headers
    }
}

impl<'a> IntoFuture for PublishSchema<'a> {
    type Output = Result<Publication, PublishError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.publish().boxed()
    }
}

impl fmt::Debug for PublishSchema<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishSchema")
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
