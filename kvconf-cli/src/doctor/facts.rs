//! What was found out, before anybody judges it.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

/// All that is known.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// As whom it was tried, without secrets.
    pub(crate) login: String,
    pub(crate) servers: String,
    pub(crate) context: Option<String>,
    pub(crate) connected: Result<Server, Unconnected>,
    /// The answer to a question about the account; `None` where nobody was asked.
    pub(crate) account: Option<Answer<Account>>,
    /// The bucket that is meant; `None` where none is named.
    pub(crate) bucket: Option<String>,
    /// The prefix that the user is about; empty for all keys.
    pub(crate) prefix: String,
    pub(crate) stream: Option<Answer<Stream>>,
    /// The buckets that there are, where the one that is meant was not found or none is named.
    pub(crate) buckets: Option<Answer<Vec<String>>>,
    pub(crate) probes: Vec<Probe>,
    /// Published schemas, and what they say of the values; `None` where they could not be read.
    pub(crate) schemas: Option<Vec<Judged>>,
    /// Subscriptions that the server refused.
    pub(crate) refused_inboxes: Vec<String>,
}

/// Why there is no connection.
#[derive(Debug, Clone)]
pub(crate) struct Unconnected {
    pub(crate) words: Vec<String>,
    pub(crate) hints: Vec<String>,
}

/// The server that answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) jetstream: bool,
    pub(crate) round_trip: Option<Duration>,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) enum Answer<T> {
    Yes(T),
    /// The server's code and words.
    Refused(u64, String),
    /// The server forbids the subject.
    Denied,
    /// Nobody listens there.
    Nobody,
    /// Nothing, for so long.
    Silence(Duration),
}

impl<T> Answer<T> {
    pub(crate) const fn yes(&self) -> Option<&T> {
        if let Self::Yes(found) = self { Some(found) } else { None }
    }
}

/// What an account may use of JetStream.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Account {
    #[serde(default)]
    pub(crate) storage: i64,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) domain: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Limits {
    /// -1 where there is none.
    #[serde(default)]
    pub(crate) max_storage: i64,
}

/// The stream behind a bucket.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Stream {
    #[serde(default)]
    pub(crate) config: Config,
    #[serde(default)]
    pub(crate) state: State,
    #[serde(default)]
    pub(crate) cluster: Option<Cluster>,
    /// What the server's clock said, and what this one said in the middle of the question.
    #[serde(skip)]
    pub(crate) clocks: Option<(SystemTime, SystemTime)>,
    /// How long the answer took, which is how wrong that may be.
    #[serde(skip)]
    pub(crate) took: Duration,
}

/// The settings that matter. Zero and negative numbers stand for "no limit".
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    pub(crate) subjects: Vec<String>,
    pub(crate) max_msgs_per_subject: i64,
    pub(crate) max_age: i64,
    pub(crate) max_bytes: i64,
    pub(crate) max_msgs: i64,
    pub(crate) max_consumers: i64,
    pub(crate) storage: String,
    pub(crate) num_replicas: u64,
    pub(crate) discard: String,
    pub(crate) allow_direct: bool,
    pub(crate) allow_atomic: bool,
    pub(crate) allow_msg_ttl: bool,
    pub(crate) allow_rollup_hdrs: bool,
    pub(crate) subject_delete_marker_ttl: i64,
    pub(crate) sealed: bool,
    pub(crate) retention: String,
    pub(crate) no_ack: bool,
    pub(crate) discard_new_per_subject: bool,
    pub(crate) subject_transform: Option<Transform>,
    pub(crate) consumer_limits: ConsumerLimits,
    pub(crate) mirror: Option<Origin>,
    pub(crate) sources: Option<Vec<Origin>>,
}

/// Other names under which a stream stores what it takes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Transform {
    pub(crate) src: String,
    pub(crate) dest: String,
}

/// What a stream asks of its consumers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ConsumerLimits {
    /// The longest time, in nanoseconds, after which one that nobody listens to is forgotten.
    pub(crate) inactive_threshold: i64,
}

/// Another stream that this one copies from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Origin {
    pub(crate) name: String,
    pub(crate) external: Option<serde_json::Value>,
    pub(crate) subject_transforms: Option<Vec<serde_json::Value>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) consumer_count: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Cluster {
    /// `None` for a server that is alone.
    pub(crate) name: Option<String>,
    pub(crate) leader: Option<String>,
    pub(crate) replicas: Option<Vec<Replica>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Replica {
    pub(crate) name: String,
    pub(crate) current: bool,
    pub(crate) offline: bool,
    pub(crate) lag: u64,
}

/// What a published schema says of the values that stand in the bucket.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The layers that it names.
    pub(crate) layers: Vec<String>,
    /// What its program would refuse; `None` where the values could not be read.
    pub(crate) refused: Option<Vec<String>>,
}

/// A permission that was tried out.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    pub(crate) purpose: Purpose,
    /// The subject that was used.
    pub(crate) subject: String,
    pub(crate) allowed: Allowed,
}

/// What a permission is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Watch,
    EndWatch,
    FlowControl,
    ReadKey,
    ReadMany,
    ReadAtLeader,
    Write,
    /// To ask the running instances.
    AskFleet,
    /// To be one of them.
    AnswerFleet,
}

/// Whether the server lets a subject through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    Yes,
    No,
    /// No answer: nobody knows.
    Unknown,
}
