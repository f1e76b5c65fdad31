//! Opening, making and changing buckets.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::NatsStore;
use super::batch::MAX_BATCH;
use super::connection::{ANSWER_WITHIN, Connection, PROBE_WITHIN};
use super::error::{Failure, code};
use super::known::Known;
use super::message::time;
use super::origin::{Ends, Mirrored, Upstream};
use super::stream::{
    Stream, apply, bucket_config, drops_oldest, new_stream, no_bucket, stream_name, subject_prefix,
    takes_direct_reads,
};
use crate::store::{Caveat, Origin, Standing, Status};
use crate::{BucketConfig, Filter, ReadError, Revision, WriteError, check_bucket_name};

/// The oldest server that kvconf works with: the first with markers for expired keys and with `multi_last`.
const OLDEST: (u32, u32) = (2, 11);

/// The first server that knows atomic batches; an older one may refuse settings that it does not know.
const WITH_BATCHES: (u32, u32) = (2, 12);

/// How long ago the leader must have heard of another copy, or of the bucket that it copies, to count it.
pub(super) const HEARD_WITHIN: Duration = Duration::from_secs(3);

/// What the server says about a stream.
#[derive(Deserialize)]
pub(super) struct Info {
    pub(super) config: Stream,
    pub(super) created: String,
    /// What the server's clock says.
    #[serde(default)]
    ts: Option<String>,
    state: State,
    #[serde(default)]
    cluster: Option<Cluster>,
    #[serde(default)]
    mirror: Option<Upstream>,
    #[serde(default)]
    sources: Option<Vec<Upstream>>,
}

impl Info {
    /// The newest revision that the stream has given.
    pub(super) const fn last_revision(&self) -> Revision {
        Revision::new(self.state.last_seq)
    }

    /// Its oldest entry and its newest one: where each stands, and of when it is.
    pub(super) fn ends(&self) -> Option<Ends> {
        let State { messages, first_seq, last_seq, first_ts, last_ts, .. } = &self.state;
        let times = (*messages > 0).then(|| Some((time(first_ts)?, time(last_ts)?))).flatten();
        let (first_at, last_at) = times?;
        Some(Ends { first: (*first_seq, first_at), last: (*last_seq, last_at) })
    }

    /// What keeps the stream from having what the ones have that it copies, as it tells of them itself.
    pub(super) fn origin(&self) -> Option<Origin> {
        Upstream::worst(self.mirror.iter().chain(self.sources.iter().flatten()))
    }

    /// Refuses what a leader says that is alone.
    pub(super) fn require_quorum(&self) -> Result<(), Failure> {
        let is_alone = self.cluster.as_ref().is_some_and(|cluster| !cluster.has_quorum());
        if is_alone { Err(Failure::NoResponders) } else { Ok(()) }
    }
}

/// The copies of a stream, as its leader sees them.
#[derive(Deserialize)]
struct Cluster {
    /// Without the leader itself.
    #[serde(default)]
    replicas: Vec<Replica>,
}

#[derive(Deserialize)]
struct Replica {
    #[serde(default)]
    offline: bool,
    /// Nanoseconds since it was last heard of.
    #[serde(default)]
    active: u64,
}

impl Cluster {
    /// Whether the leader hears of so many others that they are most of all. One that was parted from them believes for
    /// more than twenty seconds that it still leads (measured with 2.15); it hears of the others every second.
    fn has_quorum(&self) -> bool {
        let is_heard =
            |replica: &&Replica| !replica.offline && Duration::from_nanos(replica.active) < HEARD_WITHIN;
        let heard = self.replicas.iter().filter(is_heard).count();
        2 * (1 + heard) > 1 + self.replicas.len()
    }
}

#[derive(Deserialize)]
struct State {
    messages: u64,
    bytes: u64,
    first_seq: u64,
    last_seq: u64,
    #[serde(default)]
    first_ts: String,
    #[serde(default)]
    last_ts: String,
    consumer_count: u64,
}

impl NatsStore {
    /// Opens a bucket. Without permission to ask for its settings, it is taken to be as kvconf makes it.
    pub(crate) async fn open(connection: Connection, bucket: &str) -> Result<Self, ReadError> {
        check_bucket_name(bucket)?;
        let store = Self::new(connection, bucket);
        match store.ask(PROBE_WITHIN).await {
            Ok(info) => {
                store.check_version()?;
                store.with_settings(&info.config).await
            }
            Err(failure) if failure.may_be_denial() => {
                store.check_version()?;
                store.known.info.failed(&failure);
                store.has(vec![Caveat::Unknown]);
                Ok(store)
            }
            Err(failure) => Err(failure.read(bucket, "the bucket's settings")),
        }
    }

    /// Makes a bucket and opens it. One that exists with the same settings is opened as it is.
    pub(crate) async fn create(connection: Connection, config: &BucketConfig) -> Result<Self, WriteError> {
        check_bucket_name(&config.name)?;
        check_origins(config)?;
        let store = Self::new(connection, &config.name);
        let version = store.check_version()?;
        let mut stream = new_stream(config);
        if version.is_some_and(|version| version < WITH_BATCHES) {
            stream.remove("allow_atomic");
        }
        let info = match store.make(&stream).await {
            Err(failure) if config.max_consumers.is_none() && asks_too_many_consumers(&failure) => {
                // The account allows fewer: then it decides.
                stream.insert("max_consumers".into(), json!(-1));
                store.make(&stream).await
            }
            result => result,
        };
        let info = info.map_err(|failure| store.config_error(failure))?;
        Ok(store.with_settings(&info.config).await?)
    }

    /// Makes a bucket, or changes one that exists to what `config` names; then opens it.
    pub(crate) async fn create_or_update(
        connection: Connection,
        config: &BucketConfig,
    ) -> Result<Self, WriteError> {
        check_bucket_name(&config.name)?;
        let store = Self::new(connection.clone(), &config.name);
        match store.change_config(config).await {
            Ok(_) => Ok(Self::open(connection, &config.name).await?),
            Err(WriteError::Failed(ReadError::BucketNotFound { .. })) => {
                match Self::create(connection.clone(), config).await {
                    // Somebody else was faster.
                    Err(WriteError::Failed(ReadError::Server { code: code::STREAM_EXISTS, .. })) => {
                        store.change_config(config).await?;
                        Ok(Self::open(connection, &config.name).await?)
                    }
                    result => result,
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Removes a bucket with all that it holds.
    pub(crate) async fn destroy(connection: Connection, bucket: &str) -> Result<(), WriteError> {
        check_bucket_name(bucket)?;
        let store = Self::new(connection, bucket);
        let subject = format!("STREAM.DELETE.{}", store.stream);
        let answer: Result<Value, Failure> = store.connection.call(&subject, &json!({}), ANSWER_WITHIN).await;
        answer.map(|_| ()).map_err(|failure| store.config_error(failure))
    }

    fn new(connection: Connection, bucket: &str) -> Self {
        let prefix = subject_prefix(bucket);
        // Across domains and accounts, the API's prefix leads plain subjects to the bucket too.
        let write_prefix = if connection.is_foreign() { connection.api(&prefix) } else { prefix.clone() };
        Self {
            connection,
            bucket: bucket.to_owned(),
            stream: stream_name(bucket),
            read_prefix: prefix.into(),
            write_prefix,
            mirrored: None,
            known: Known::default(),
            caveats: Mutex::default(),
        }
    }

    /// Takes note of the bucket's settings, and refuses those under which keys would silently be missing.
    async fn with_settings(mut self, stream: &Stream) -> Result<Self, ReadError> {
        self.known.learn(stream);
        if let Some((what, reason)) = no_bucket(&self.bucket, stream) {
            return Err(ReadError::Unsupported { what, reason });
        }
        let config = bucket_config(&self.bucket, stream);
        if let Some(mirror) = &config.mirror {
            let api = mirror.external.as_ref().map(|external| external.api_prefix.as_str());
            let Some(api) = api.filter(|api| !api.is_empty()) else {
                return Err(local_mirror(&self.bucket, &mirror.bucket));
            };
            let origin = subject_prefix(&mirror.bucket);
            self.write_prefix = format!("{api}.{origin}");
            self.read_prefix = Arc::from(origin);
            self.mirrored = Some(Mirrored::new(api, &mirror.bucket));
        }
        for source in stream.get("sources").and_then(Value::as_array).into_iter().flatten() {
            let is_foreign = source.get("name").and_then(Value::as_str) != Some(&self.stream);
            let transforms = source.get("subject_transforms").and_then(Value::as_array);
            if is_foreign && transforms.is_none_or(Vec::is_empty) {
                return Err(ReadError::Unsupported {
                    what: "a source without a subject transform",
                    reason: format!("its keys would not be found in bucket {}", self.bucket),
                });
            }
        }
        self.ask_the_mirrored().await;
        self.has(self.caveats_of(&config, stream));
        Ok(self)
    }

    /// What the settings keep from being promised.
    fn caveats_of(&self, config: &BucketConfig, stream: &Stream) -> Vec<Caveat> {
        let mut caveats = Caveat::of(config);
        // Of a mirror the bucket that takes its writes has the say.
        caveats.retain(|caveat| *caveat != Caveat::NoBatches || !self.known.allows_batches());
        caveats.extend(drops_oldest(stream).then_some(Caveat::DropsOldest));
        caveats.extend((!takes_direct_reads(stream)).then_some(Caveat::NoDirectReads));
        caveats
    }

    async fn ask(&self, within: Duration) -> Result<Info, Failure> {
        let info: Result<Info, Failure> =
            self.connection.call(&format!("STREAM.INFO.{}", self.stream), &json!({}), within).await;
        if let Ok(info) = &info {
            self.known.info.worked();
            self.known.was_created(time(&info.created));
        }
        info
    }

    async fn make(&self, stream: &Stream) -> Result<Info, Failure> {
        let subject = format!("STREAM.CREATE.{}", self.stream);
        let info: Info = self.connection.call(&subject, stream, ANSWER_WITHIN).await?;
        self.known.was_created(time(&info.created));
        Ok(info)
    }

    /// Asks for the bucket's settings anew and takes note of them.
    pub(super) async fn refresh(&self) -> Result<Info, ReadError> {
        let within = if self.known.info.is_trusted() { ANSWER_WITHIN } else { PROBE_WITHIN };
        let info = self.ask(within).await;
        let info = info.map_err(|failure| failure.read(&self.bucket, "the bucket's settings"))?;
        self.known.learn(&info.config);
        self.ask_the_mirrored().await;
        self.has(self.caveats_of(&bucket_config(&self.bucket, &info.config), &info.config));
        Ok(info)
    }

    /// Takes note of what the settings keep from being promised, and tells what is new.
    fn has(&self, caveats: Vec<Caveat>) {
        let before = std::mem::replace(
            &mut *self.caveats.lock().unwrap_or_else(PoisonError::into_inner),
            caveats.clone(),
        );
        let new: Vec<Caveat> = caveats.into_iter().filter(|caveat| !before.contains(caveat)).collect();
        Caveat::tell(&self.bucket, &new);
    }

    /// As [`Self::refresh`], for what can do without. The caller takes note of a failure, when all else works.
    pub(super) async fn info_if_permitted(&self) -> Option<Result<Info, Failure>> {
        let within = if self.known.info.is_trusted() { ANSWER_WITHIN } else { PROBE_WITHIN };
        if self.known.info.is_worth_a_trial() { Some(self.ask(within).await) } else { None }
    }

    pub(super) async fn read_status(&self) -> Result<Status, ReadError> {
        let info = self.refresh().await?;
        self.status_of(&info)
    }

    /// An error when nobody leads the stream, or a leader that is alone. The newest revision is zero where the client may not
    /// ask further.
    pub(super) async fn ask_for_standing(&self, filters: &[Filter]) -> Result<Standing, ReadError> {
        const WHAT: &str = "the bucket's leader";
        let info = self.ask(ANSWER_WITHIN).await.map_err(|failure| failure.read(&self.bucket, WHAT))?;
        info.require_quorum().map_err(|failure| failure.read(&self.bucket, WHAT))?;
        let origin = self.origin_of(&info).await;
        let way = &self.known.message_get;
        let is_a_trial = !way.is_open();
        if !self.known.has_replicas() || !way.is_worth_a_trial() {
            return Ok(Standing { newest: Revision::ZERO, origin });
        }
        let newest = match self.newest_at_leader(filters).await {
            Err(failure) if is_a_trial && failure.may_be_denial() => {
                way.failed(&failure);
                Revision::ZERO
            }
            newest => newest.map_err(|failure| failure.read(&self.bucket, WHAT))?,
        };
        Ok(Standing { newest, origin })
    }

    fn status_of(&self, info: &Info) -> Result<Status, ReadError> {
        let created = time(&info.created);
        let created = created.ok_or_else(|| ReadError::Answer {
            what: "the bucket's settings",
            found: info.created.clone(),
        })?;
        let version = self.connection.client().server_info().version;
        Ok(Status {
            config: bucket_config(&self.bucket, &info.config),
            created,
            entries: info.state.messages,
            bytes: info.state.bytes,
            first_revision: Revision::new(info.state.first_seq),
            last_revision: Revision::new(info.state.last_seq),
            consumers: info.state.consumer_count,
            max_batch: if self.known.allows_batches() { MAX_BATCH } else { 1 },
            server_version: (!version.is_empty()).then_some(version),
            time: info.ts.as_deref().and_then(time),
        })
    }

    pub(super) async fn change_config(&self, config: &BucketConfig) -> Result<Status, WriteError> {
        check_origins(config)?;
        let version = self.check_version()?;
        let mut stream = self.refresh().await?.config;
        apply(config, &mut stream);
        if version.is_some_and(|version| version < WITH_BATCHES) {
            stream.remove("allow_atomic");
        }
        let subject = format!("STREAM.UPDATE.{}", self.stream);
        let info: Result<Info, Failure> = self.connection.call(&subject, &stream, ANSWER_WITHIN).await;
        let info = info.map_err(|failure| self.config_error(failure))?;
        self.known.learn(&info.config);
        Ok(self.status_of(&info)?)
    }

    /// A change of settings is a write as well: unanswered, it may have taken place.
    fn config_error(&self, failure: Failure) -> WriteError {
        match failure {
            Failure::Timeout(after) => WriteError::Unconfirmed { after },
            failure => WriteError::Failed(failure.read(&self.bucket, "the bucket's settings")),
        }
    }

    /// The server's version, when it knows no atomic batches.
    pub(super) fn server_without_batches(&self) -> Option<String> {
        let text = self.connection.client().server_info().version;
        version(&text).is_some_and(|version| version < WITH_BATCHES).then_some(text)
    }

    /// Refuses a server that is too old. `None` when it does not tell its version.
    fn check_version(&self) -> Result<Option<(u32, u32)>, ReadError> {
        let text = self.connection.client().server_info().version;
        let version = version(&text);
        match version {
            Some(version) if version < OLDEST => Err(ReadError::Unsupported {
                what: "this server",
                reason: format!("nats-server {text} is too old, kvconf needs {}.{}", OLDEST.0, OLDEST.1),
            }),
            version => Ok(version),
        }
    }
}

/// One page of the names of all streams.
#[derive(Deserialize)]
struct Names {
    total: usize,
    /// `null` where there are none.
    streams: Option<Vec<String>>,
}

/// The names of all buckets that the client's account has, sorted.
pub(crate) async fn bucket_names(connection: &Connection) -> Result<Vec<String>, ReadError> {
    let mut streams: Vec<String> = Vec::new();
    loop {
        let request = json!({ "offset": streams.len() });
        let page: Result<Names, Failure> = connection.call("STREAM.NAMES", &request, ANSWER_WITHIN).await;
        let page = page.map_err(|failure| failure.read("", "the names of buckets"))?;
        let found = page.streams.unwrap_or_default();
        let is_last = found.is_empty() || streams.len() + found.len() >= page.total;
        streams.extend(found);
        if is_last {
            break;
        }
    }
    let mut names: Vec<String> =
        streams.iter().filter_map(|stream| stream.strip_prefix("KV_")).map(str::to_owned).collect();
    names.sort_unstable();
    Ok(names)
}

/// Major and minor version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim_start_matches('v').split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

fn asks_too_many_consumers(failure: &Failure) -> bool {
    failure.api_code() == Some(code::TOO_MANY_CONSUMERS)
}

/// Refuses a mirror that [`NatsStore::open`] would refuse, before it is made.
fn check_origins(config: &BucketConfig) -> Result<(), ReadError> {
    match &config.mirror {
        Some(mirror) if mirror.external.is_none() => Err(local_mirror(&config.name, &mirror.bucket)),
        _ => Ok(()),
    }
}

/// On one server a mirror's entries keep the subjects of its origin, which belong to the origin alone: no write can ever
/// reach the mirror, and other clients find no key in it.
fn local_mirror(bucket: &str, origin: &str) -> ReadError {
    ReadError::Unsupported {
        what: "a mirror in the same account and domain",
        reason: format!("the keys of {bucket} are those of {origin}: open {origin} itself, or use sources"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_that_hears_of_nobody_is_none() {
        let quorum = |json: &str| serde_json::from_str::<Cluster>(json).unwrap().has_quorum();
        assert!(quorum("{}"), "one copy");
        assert!(quorum(r#"{ "replicas": [{ "active": 900000000 }, { "active": 60000000000 }] }"#));
        assert!(!quorum(r#"{ "replicas": [{ "active": 3000000000 }, { "offline": true, "active": 1 }] }"#));
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(version("2.9.25"), Some((2, 9)));
        assert_eq!(version("v2.12.0-RC.1"), Some((2, 12)));
        assert!(version("2.9.25") < version("2.11.0"));
        assert_eq!(version(""), None);
    }
}
