//! Consumers of the bucket's stream: made, read, and deleted again.

use std::time::{Duration, SystemTime};

use async_nats::Client;
use bytes::Bytes;
use futures_util::FutureExt;
use serde::Deserialize;
use serde_json::json;

use super::NatsStore;
use super::connection::ANSWER_WITHIN;
use super::error::Failure;
use super::message::time;
use super::stream::set;
use crate::Filter;
use crate::store::Start;

/// How often the server says that it is still there when it has nothing to deliver.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);

/// After which time the server deletes a consumer that nobody listens to any more.
///
/// It is the fallback for a client that could not delete it: short, so that a service which restarts in a loop does not
/// pile them up, and longer than a connection usually takes to come back.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// What a consumer is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose<'a> {
    /// To deliver to a subject.
    Deliver(&'a str),
    /// To deliver to a subject, without the values.
    DeliverHeads(&'a str),
    /// To be asked how much there is, and then deleted.
    Count,
}

/// A consumer on the server. Dropping it deletes it there.
#[derive(Debug)]
pub(super) struct Consumer {
    client: Client,
    deletion: String,
    /// How many messages stood before it when it was made.
    pub(super) pending: u64,
    /// What the server's clock said then.
    pub(super) clock: Option<SystemTime>,
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // Put into the client's queue without waiting, so that it works outside of a runtime too. Where the queue is full
        // or the deletion not permitted, the server forgets the consumer by itself.
        let _ = self.client.publish(std::mem::take(&mut self.deletion), Bytes::new()).now_or_never();
    }
}

#[derive(Deserialize)]
struct Created {
    num_pending: u64,
    #[serde(default)]
    ts: String,
}

impl NatsStore {
    /// Makes a consumer. Its name is new: what an earlier one left on the server is never taken for its own.
    pub(super) async fn consumer(
        &self,
        filters: &[Filter],
        start: Start,
        purpose: Purpose<'_>,
    ) -> Result<Consumer, Failure> {
        let name = format!("kvconf-{}", self.unique());
        let mut subject = format!("CONSUMER.CREATE.{}.{name}", self.stream);
        let mut config = json!({
            "name": name,
            "ack_policy": "none",
            "replay_policy": "instant",
            "max_deliver": 1,
            "mem_storage": true,
            "num_replicas": 1,
            "inactive_threshold": nanos(FORGOTTEN_AFTER),
            // Nothing is acknowledged, so nothing is pending. Where the stream itself has a limit and no number is given, the
            // server takes the limit for one and refuses it (measured with 2.11 and 2.15).
            "max_ack_pending": -1,
        });
        match filters {
            // One filter stands in the subject too. That is what makes permissions on one prefix work.
            [filter] => {
                let filter = self.subject(filter);
                subject.push('.');
                subject.push_str(&filter);
                set(&mut config, "filter_subject", filter);
            }
            filters => {
                let filters: Vec<_> = filters.iter().map(|filter| self.subject(filter)).collect();
                set(&mut config, "filter_subjects", filters);
            }
        }
        let policy = match start {
            Start::Last => "last_per_subject",
            Start::New => "new",
            Start::Revision(revision) if revision.get() > 0 => {
                set(&mut config, "opt_start_seq", revision.get());
                "by_start_sequence"
            }
            Start::Revision(_) | Start::All => "all",
        };
        set(&mut config, "deliver_policy", policy);
        match purpose {
            Purpose::Deliver(inbox) | Purpose::DeliverHeads(inbox) => {
                if matches!(purpose, Purpose::DeliverHeads(_)) {
                    set(&mut config, "headers_only", true);
                }
                set(&mut config, "deliver_subject", inbox);
                set(&mut config, "idle_heartbeat", nanos(HEARTBEAT));
                set(&mut config, "flow_control", true);
            }
            Purpose::Count => set(&mut config, "headers_only", true),
        }
        let request = json!({ "stream_name": self.stream, "config": config });
        // Made before it is asked for: when this future is dropped, the server may still make the consumer.
        let mut consumer = Consumer {
            client: self.connection.client().clone(),
            deletion: self.connection.api(&format!("CONSUMER.DELETE.{}.{name}", self.stream)),
            pending: 0,
            clock: None,
        };
        let created: Created = self.connection.call(&subject, &request, ANSWER_WITHIN).await?;
        consumer.pending = created.num_pending;
        consumer.clock = time(&created.ts);
        Ok(consumer)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
