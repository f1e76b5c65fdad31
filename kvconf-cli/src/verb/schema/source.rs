//! Where a schema comes from: the bucket, by its name, or a file that a program has written.

use std::io::Read as _;

use kvconf::{Filter, Schema};
use kvconf::settings::{SchemaError, Schemas};

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::session::Session;
use crate::verb::set::FileError;

/// A schema and what is known of it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) schema: Schema,
    pub(crate) version: String,
    /// The name that it is published under, or would be.
    pub(crate) name: String,
}

impl Source {
    /// Lets it have layers too that were named.
    pub(crate) fn add_layers(&mut self, named: &[Filter]) -> Outcome {
        crate::schemas::add_layers(&mut self.schema, named)
            .map_err(|error| Failure::new(Exit::Usage, error).hint("--schema-layers is such as base,env.*"))
    }
}

/// What names a file and not a published schema: a path, an ending, or standard input.
fn is_file(text: &str) -> bool {
    text == "-" || text.contains(['/', '\\']) || text.ends_with(".json")
}

/// The schema with this name in the bucket, or in this file.
pub(crate) async fn load(session: &mut Session, text: &str) -> Outcome<Source> {
    if is_file(text) {
        return from_file(text);
    }
    let bucket = session.bucket().await?;
    let schemas = bucket.schemas().await?;
    match schemas.get(text) {
        Some(published) => Ok(Source {
            schema: published.schema.clone(),
            version: published.version.clone(),
            name: published.name.clone(),
        }),
        None => Err(no_schema(&schemas, text)),
    }
}

/// A file of the stored form.
pub(crate) fn from_file(path: &str) -> Outcome<Source> {
    let bytes = if path == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes)?;
        bytes
    } else {
        std::fs::read(path)
            .map_err(|cause| Failure::new(Exit::NotFound, FileError { path: path.to_owned(), cause }))?
    };
    let (version, schema) = Schema::from_stored(&bytes).map_err(|error| unusable(path, error))?;
    let name = if schema.prefix.is_empty() { schema.name.clone() } else { schema.prefix.clone() };
    Ok(Source { schema, version, name })
}

fn unusable(path: &str, error: SchemaError) -> Failure {
    Failure::new(Exit::Invalid, Unusable { path: path.to_owned(), error })
        .hint("a program writes such a file with Schema::of::<T>().to_stored(version)")
}

/// There is no schema with this name, but perhaps one that is like it.
pub(crate) fn no_schema(schemas: &Schemas, name: &str) -> Failure {
    if let Some((key, error)) = schemas.unreadable.iter().find(|(key, _)| key.as_str().ends_with(name)) {
        let error = error.clone();
        return Failure::new(Exit::Invalid, Unusable { path: key.to_string(), error });
    }
    let failure = Failure::new(Exit::NotFound, format!("no schema {name} is published in this bucket"));
    let near = |known: &&str| strsim::damerau_levenshtein(known, name) <= 1 + known.len() / 5;
    let names: Vec<&str> = schemas.published.iter().map(|published| published.name.as_str()).collect();
    match names.iter().copied().find(|known| near(known)) {
        Some(known) => failure.hint(format!("did you mean {known}?")),
        None if names.is_empty() => failure
            .hint("programs publish theirs with Bucket::publish_schema; `kvconf schema publish FILE` does it from a file"),
        None => failure.hint(format!("kvconf schema ls; there are {}", names.join(", "))),
    }
}

#[derive(Debug, derive_more::Display, derive_more::Error)]
#[display("{path} is no schema")]
struct Unusable {
    path: String,
    #[error(source)]
    error: SchemaError,
}
