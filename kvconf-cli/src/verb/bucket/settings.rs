//! The options of a bucket, as flags.

use std::time::Duration;

use clap::{Args, ValueEnum};
use kvconf::{
    BucketConfig, ByteSize, Codec, Compression, External, Filter, Placement, Republish, Revision, Source,
    Storage, Text,
};

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};

/// The server's code for a stream that exists with other settings.
pub(super) const EXISTS: u64 = 10_058;

/// What can be set when a bucket is made, and changed later.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub(super) struct Changeable {
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// How many revisions of a key are kept, 1 to 64
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=64))]
    history: Option<u32>,
    /// How long a value lives, such as 30d; 0 for ever
    #[arg(long, value_name = "TIME", value_parser = time)]
    max_age: Option<Duration>,
    /// How large the whole bucket may become, such as 64MiB; 0 without a limit
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_bytes: Option<u64>,
    /// How large one value may be, with its headers; 0 without a limit
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_value_size: Option<u64>,
    /// How many servers keep a copy, 1 to 5
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: Option<u8>,
    /// Whether the server compresses what it stores
    #[arg(long, value_enum, value_name = "HOW")]
    compression: Option<Compressed>,
    /// How long the marker of an expired key stays; turns on times to live for single keys
    #[arg(long, value_name = "TIME", value_parser = time)]
    limit_markers: Option<Duration>,
    /// Whether several keys can be changed at once, all or none
    #[arg(long, value_name = "BOOL")]
    atomic_batches: Option<bool>,
    /// Whether mirrors answer reads too
    #[arg(long, value_name = "BOOL")]
    mirror_direct: Option<bool>,
    /// The cluster that it may live in
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// A tag that each of its servers must have; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Republish accepted writes under this subject, such as config.prod.>
    #[arg(long, value_name = "SUBJECT")]
    republish: Option<String>,
    /// Republish only these subjects of the bucket [default: all]
    #[arg(long, value_name = "SUBJECT", requires = "republish")]
    republish_from: Option<String>,
    /// Republish without values
    #[arg(long, requires = "republish")]
    republish_headers_only: bool,
    /// Copy from another bucket; may be repeated: NAME[,filter=KEYS][,from=REVISION][,api=PREFIX][,deliver=PREFIX]
    #[arg(long = "source", value_name = "BUCKET", value_parser = source)]
    sources: Vec<Source>,
    /// A text kept with the bucket; may be repeated
    #[arg(long = "metadata", value_name = "NAME=TEXT", value_parser = pair)]
    metadata: Vec<(String, String)>,
}

/// What is fixed when a bucket is made.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings for good")]
pub(super) struct Fixed {
    /// Where entries are kept
    #[arg(long, value_enum, value_name = "WHERE")]
    storage: Option<Stored>,
    /// How many processes may watch it at once
    #[arg(long, value_name = "COUNT")]
    max_consumers: Option<u32>,
    /// Mirror another bucket, written as for --source
    #[arg(long, value_name = "BUCKET", value_parser = source)]
    mirror: Option<Source>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Compressed {
    None,
    S2,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Stored {
    File,
    Memory,
}

impl Changeable {
    /// Names in `config` what a flag names, and nothing else.
    pub(super) fn apply(self, config: &mut BucketConfig) -> Outcome {
        let named = |given: Option<Duration>, before| given.or(before);
        config.description = self.description.or_else(|| config.description.take());
        config.history = self.history.or(config.history);
        config.max_age = named(self.max_age, config.max_age);
        config.max_bytes = self.max_bytes.or(config.max_bytes);
        if let Some(size) = self.max_value_size {
            let size = u32::try_from(size);
            let size = size.map_err(|_| Failure::new(Exit::Invalid, "no value can be larger than 4 GiB"))?;
            config.max_value_size = Some(size);
        }
        config.num_replicas = self.replicas.or(config.num_replicas);
        config.compression = self.compression.map(Into::into).or(config.compression);
        config.limit_markers = named(self.limit_markers, config.limit_markers);
        config.allow_atomic_batches = self.atomic_batches.or(config.allow_atomic_batches);
        config.mirror_direct = self.mirror_direct.or(config.mirror_direct);
        if self.cluster.is_some() || !self.tags.is_empty() {
            config.placement = Some(Placement { cluster: self.cluster, tags: self.tags });
        }
        if let Some(destination) = self.republish {
            let source = self.republish_from.unwrap_or_else(|| format!("$KV.{}.>", config.name));
            config.republish = Some(Republish { source, destination, headers_only: self.republish_headers_only });
        }
        if !self.sources.is_empty() {
            config.sources = Some(self.sources);
        }
        config.metadata.extend(self.metadata);
        Ok(())
    }
}

impl Fixed {
    pub(super) const fn is_mirror(&self) -> bool {
        self.mirror.is_some()
    }

    pub(super) fn apply(self, config: &mut BucketConfig) {
        config.storage = self.storage.map(Into::into);
        config.max_consumers = self.max_consumers;
        config.mirror = self.mirror;
    }
}

impl From<Compressed> for Compression {
    fn from(compressed: Compressed) -> Self {
        match compressed {
            Compressed::None => Self::None,
            Compressed::S2 => Self::S2,
        }
    }
}

impl From<Stored> for Storage {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::File => Self::File,
            Stored::Memory => Self::Memory,
        }
    }
}

/// `30d`, `1h 30m`, as kvconf stores a duration; a bare `0` too.
fn time(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let time: Result<Duration, _> = Text.decode(text.as_bytes());
    time.map_err(|_| "no time such as 10s, 1h 30m or 30d".to_owned())
}

/// `64MiB`, as kvconf stores a size; a bare number is bytes.
fn size(text: &str) -> Result<u64, String> {
    if let Ok(bytes) = text.parse() {
        return Ok(bytes);
    }
    let size: Result<ByteSize, _> = Text.decode(text.as_bytes());
    size.map(u64::from).map_err(|_| "no size such as 512KiB, 64MiB or a number of bytes".to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is written NAME=TEXT")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// `other,filter=app.>,from=7,api=$JS.hub.API`.
fn source(text: &str) -> Result<Source, String> {
    let mut parts = text.split(',');
    let bucket = parts.next().unwrap_or_default();
    kvconf::check_bucket_name(bucket).map_err(|error| error.to_string())?;
    let mut source = Source { bucket: bucket.to_owned(), ..Source::default() };
    let (mut api, mut deliver) = (None, None);
    for part in parts {
        match part.split_once('=') {
            Some(("filter", filter)) => {
                Filter::new(filter).map_err(|error| error.to_string())?;
                source.filter = Some(filter.to_owned());
            }
            Some(("from", revision)) => {
                let revision = revision.parse().map_err(|_| format!("{revision:?} is no revision"))?;
                source.start = Some(Revision::new(revision));
            }
            Some(("api", prefix)) => api = Some(prefix.to_owned()),
            Some(("deliver", prefix)) => deliver = Some(prefix.to_owned()),
            _ => return Err(format!("{part:?} is none of filter=, from=, api= and deliver=")),
        }
    }
    source.external = match (api, deliver) {
        (Some(api_prefix), deliver_prefix) => Some(External { api_prefix, deliver_prefix }),
        (None, Some(_)) => return Err("deliver= needs api=".to_owned()),
        (None, None) => None,
    };
    Ok(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_read_with_all_its_parts() {
        assert_eq!(source("prod").unwrap(), Source { bucket: "prod".into(), ..Source::default() });
        assert_eq!(
            source("prod,filter=app.>,from=7,api=$JS.hub.API,deliver=d").unwrap(),
            Source {
                bucket: "prod".into(),
                filter: Some("app.>".into()),
                start: Some(Revision::new(7)),
                external: Some(External { api_prefix: "$JS.hub.API".into(), deliver_prefix: Some("d".into()) }),
            }
        );
        for text in ["", "a.b", "prod,x=1", "prod,from=x", "prod,filter=a..b", "prod,deliver=d"] {
            assert!(source(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_and_sizes_are_those_that_kvconf_stores() {
        assert_eq!(time("1h 30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(time("0"), Ok(Duration::ZERO));
        assert_eq!(time("soon"), Err("no time such as 10s, 1h 30m or 30d".to_owned()));
        assert_eq!((size("64MiB"), size("17")), (Ok(64 << 20), Ok(17)));
        assert_eq!(size("big"), Err("no size such as 512KiB, 64MiB or a number of bytes".to_owned()));
    }
}
