//! The stored form of a published schema, and which of two goes before the other.

use derive_more::{Display, Error};
use serde::{Deserialize, Serialize};

use super::Schema;
use crate::flag::{Version, VersionOperator};
use crate::{Attribution, Entry, Key, KeyError, Revision};

/// Below it stand the schemas of a bucket.
pub(super) const ROOT: &str = "_kvconf.schema";

/// The version of the stored form that is written here.
const FORMAT: u32 = 1;

/// How many bytes a published schema may have: a message to a server is one mebibyte at most, unless it is told otherwise,
/// and there are headers too.
pub(super) const MAX_BYTES: usize = 1_000_000;

/// A schema that a program has published in a bucket. From [`Bucket::schemas`](crate::Bucket::schemas).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishedSchema {
    /// The name that it is published under.
    pub name: String,
    /// The version of the program.
    pub version: String,
    /// The schema.
    pub schema: Schema,
    /// The revision that published it.
    pub revision: Revision,
    /// Who published it, and why.
    pub attribution: Attribution,
}

/// Why stored bytes are no schema.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// It was written by a later version of kvconf.
    #[display("written in format {format} by a later version of kvconf, this one reads {FORMAT}")]
    Later {
        /// The format that it says.
        format: u32,
    },
    /// It is no JSON, or not that of a schema.
    #[display("no schema: {message}")]
    Malformed {
        /// What is wrong, and where.
        message: String,
    },
    /// It is larger than a schema can be.
    #[display("{bytes} bytes are too many for a schema, the most is {MAX_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
}

/// What stands in the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stored<S> {
    format: u32,
    version: String,
    schema: S,
}

#[derive(Deserialize)]
struct Head {
    format: u32,
}

impl Schema {
    /// The stored form of a schema, as [`Bucket::publish_schema`](crate::Bucket::publish_schema) writes it: JSON, in a format
    /// with a number that later versions of kvconf read too.
    ///
    /// # Errors
    /// [`SchemaError::TooLarge`].
    pub fn to_stored(&self, version: &str) -> Result<Vec<u8>, SchemaError> {
        let stored = Stored { format: FORMAT, version: version.to_owned(), schema: self };
        let bytes = serde_json::to_vec(&stored)
            .map_err(|error| SchemaError::Malformed { message: error.to_string() })?;
        check_size(bytes)
    }

    /// Reads a stored form: the version of the program, and the schema.
    ///
    /// # Errors
    /// [`SchemaError`] for whatever else the bytes are.
    pub fn from_stored(bytes: &[u8]) -> Result<(String, Self), SchemaError> {
        let bytes = check_size(bytes)?;
        let malformed = |error: serde_json::Error| SchemaError::Malformed { message: error.to_string() };
        let head: Head = serde_json::from_slice(bytes).map_err(malformed)?;
        if head.format != FORMAT {
            return Err(SchemaError::Later { format: head.format });
        }
        let stored: Stored<Self> = serde_json::from_slice(bytes).map_err(malformed)?;
        super::layers::check(&stored.schema.layers, &stored.schema.prefix)
            .map_err(|error| SchemaError::Malformed { message: error.to_string() })?;
        Ok((stored.version, stored.schema))
    }
}

fn check_size<B: AsRef<[u8]>>(bytes: B) -> Result<B, SchemaError> {
    let size = bytes.as_ref().len();
    if size > MAX_BYTES { Err(SchemaError::TooLarge { bytes: size }) } else { Ok(bytes) }
}

/// The key of a schema with this name.
pub(super) fn key_of(name: &str) -> Result<Key, KeyError> {
    Key::new(format!("{ROOT}.{name}"))
}

impl PublishedSchema {
    /// Reads an entry below the framework's keys for schemas.
    pub(super) fn of(entry: &Entry) -> Option<Result<Self, SchemaError>> {
        let name = entry.key().as_str().strip_prefix(ROOT)?.strip_prefix('.')?;
        let bytes = entry.put_value()?;
        Some(Schema::from_stored(bytes).map(|(version, schema)| Self {
            name: name.to_owned(),
            version,
            schema,
            revision: entry.revision(),
            attribution: Attribution::of(entry),
        }))
    }
}

/// Whether a text is a version such as `1.4.0`.
pub(super) fn is_version(text: &str) -> bool {
    Version::parse(text).is_some()
}

/// Whether a version goes before another. What is no version goes before everything.
pub(super) fn is_older(version: &str, than: &str) -> bool {
    match (Version::parse(version), Version::parse(than)) {
        (Some(version), Some(than)) => VersionOperator::Less.holds(&version, &than),
        (None, Some(_)) => true,
        (_, None) => false,
    }
}
