//! The service protocol, so that `nats micro ls`, `info` and `stats` find instances.
//!
//! The client's own service type does not fit: its endpoints share a queue group, so that one instance of many answers,
//! where here all must; it chooses the id itself; and it has nine subscriptions where three do. So the same messages are
//! spoken by hand (ADR-32 of NATS). Whoever may not subscribe to `$SRV` is not found by that command, and nothing else
//! changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_nats::{Client, Message, SubscribeError};
use futures_util::StreamExt;
use futures_util::stream::select_all;
use serde::Serialize;

use crate::store::exchange::Card;

/// The name of the service. One for all: an application that is a service itself must not be taken for its settings, and
/// permissions can name it.
const NAME: &str = "kvconf";

/// Where a version is none that the protocol takes.
const NO_VERSION: &str = "0.0.0";

#[derive(Serialize)]
struct Reply {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'static str,
    id: String,
    version: String,
    metadata: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoints: Option<Vec<Endpoint>>,
}

#[derive(Serialize)]
struct Endpoint {
    name: String,
    subject: String,
    queue_group: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<BTreeMap<&'static str, String>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    stats: Option<Stats>,
}

#[derive(Serialize)]
struct Stats {
    num_requests: u64,
    num_errors: u64,
    last_error: String,
    /// Nanoseconds.
    processing_time: u128,
    average_processing_time: u128,
}

/// Answers until it is dropped, or the client ends.
pub(super) async fn serve(client: Client, base: String, card: Arc<dyn Card>) -> Result<(), SubscribeError> {
    let id = card.id();
    let mut asked = Vec::new();
    for subject in ["$SRV.*".to_owned(), format!("$SRV.*.{NAME}"), format!("$SRV.*.{NAME}.{id}")] {
        asked.push(client.subscribe(subject).await?);
    }
    let mut asked = select_all(asked);
    while let Some(message) = asked.next().await {
        let Message { subject, reply: Some(reply), .. } = message else { continue };
        let Some(answer) = answer(&subject, &base, &*card) else { continue };
        if let Ok(payload) = serde_json::to_vec(&answer) {
            // The next one who asks is answered all the same.
            let _ = client.publish(reply, payload.into()).await;
        }
    }
    Ok(())
}

/// The answer to one of the protocol's questions.
fn answer(subject: &str, base: &str, card: &dyn Card) -> Option<Reply> {
    let verb = subject.strip_prefix("$SRV.")?.split('.').next()?;
    let version = card.version();
    let parts = Reply {
        kind: "io.nats.micro.v1.ping_response",
        name: NAME,
        id: card.id(),
        version: if is_semantic(&version) { version } else { NO_VERSION.to_owned() },
        metadata: card.metadata().into_iter().collect(),
        description: None,
        started: None,
        endpoints: None,
    };
    let endpoint = |(name, topic): (String, String), with_stats: bool| Endpoint {
        name,
        subject: format!("{base}{topic}"),
        queue_group: "",
        metadata: (!with_stats).then(BTreeMap::new),
        stats: None,
    };
    match verb {
        "PING" => Some(parts),
        "INFO" => {
            let endpoints = card.endpoints().into_iter().map(|named| endpoint(named, false)).collect();
            Some(Reply {
                kind: "io.nats.micro.v1.info_response",
                description: Some(card.description()),
                endpoints: Some(endpoints),
                ..parts
            })
        }
        "STATS" => {
            let counts = card.counts();
            let busy = counts.busy.as_nanos();
            // Counted together: what differs between the topics is told by the instance itself.
            let stats = |first: bool| Stats {
                num_requests: if first { counts.requests } else { 0 },
                num_errors: if first { counts.errors } else { 0 },
                last_error: counts.last_error.clone().filter(|_| first).unwrap_or_default(),
                processing_time: if first { busy } else { 0 },
                average_processing_time: if first { busy / u128::from(counts.requests.max(1)) } else { 0 },
            };
            let endpoints = card
                .endpoints()
                .into_iter()
                .enumerate()
                .map(|(at, named)| Endpoint { stats: Some(stats(at == 0)), ..endpoint(named, true) });
            let endpoints = endpoints.collect();
            Some(Reply {
                kind: "io.nats.micro.v1.stats_response",
                started: Some(card.started()),
                endpoints: Some(endpoints),
                ..parts
            })
        }
        _ => None,
    }
}

/// Whether clients of the protocol take a text for a version: `1.4.2`, `1.4.2-rc.1+build.7`.
fn is_semantic(version: &str) -> bool {
    let (rest, build) = version.split_once('+').map_or((version, None), |(rest, build)| (rest, Some(build)));
    let (core, pre) = rest.split_once('-').map_or((rest, None), |(core, pre)| (core, Some(pre)));
    let is_number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let is_word = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    core.split('.').count() == 3
        && core.split('.').all(is_number)
        && pre
            .is_none_or(|pre| pre.split('.').all(|part| is_word(part) && (!digits(part) || is_number(part))))
        && build.is_none_or(|build| build.split('.').all(is_word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::exchange::Counts;

    struct One;

    impl Card for One {
        fn id(&self) -> String {
            "pod-7".to_owned()
        }
        fn version(&self) -> String {
            "spring".to_owned()
        }
        fn description(&self) -> String {
            "checkout on host".to_owned()
        }
        fn metadata(&self) -> Vec<(&'static str, String)> {
            vec![("bucket", "prod".to_owned())]
        }
        fn started(&self) -> String {
            "2026-01-02T03:04:05Z".to_owned()
        }
        fn endpoints(&self) -> Vec<(String, String)> {
            vec![("who".to_owned(), "who".to_owned())]
        }
        fn counts(&self) -> Counts {
            Counts { requests: 4, errors: 1, busy: std::time::Duration::from_micros(8), last_error: None }
        }
    }

    fn said(subject: &str) -> Option<String> {
        answer(subject, "kvconf.prod.", &One).map(|answer| serde_json::to_string(&answer).unwrap())
    }

    #[test]
    fn the_protocol_is_spoken_as_its_clients_read_it() {
        assert_eq!(
            said("$SRV.PING").unwrap(),
            r#"{"type":"io.nats.micro.v1.ping_response","name":"kvconf","id":"pod-7","version":"0.0.0","metadata":{"bucket":"prod"}}"#
        );
        assert_eq!(
            said("$SRV.INFO.kvconf").unwrap(),
            r#"{"type":"io.nats.micro.v1.info_response","name":"kvconf","id":"pod-7","version":"0.0.0","metadata":{"bucket":"prod"},"description":"checkout on host","endpoints":[{"name":"who","subject":"kvconf.prod.who","queue_group":"","metadata":{}}]}"#
        );
        assert_eq!(
            said("$SRV.STATS.kvconf.pod-7").unwrap(),
            r#"{"type":"io.nats.micro.v1.stats_response","name":"kvconf","id":"pod-7","version":"0.0.0","metadata":{"bucket":"prod"},"started":"2026-01-02T03:04:05Z","endpoints":[{"name":"who","subject":"kvconf.prod.who","queue_group":"","num_requests":4,"num_errors":1,"last_error":"","processing_time":8000,"average_processing_time":2000}]}"#
        );
        assert_eq!(said("$SRV.SCHEMA"), None);
    }

    #[test]
    fn a_version_that_the_protocol_takes_is_told_from_others() {
        for version in ["1.4.2", "0.0.0", "1.0.0-rc.1", "1.0.0+x.7", "1.0.0-a-b+c"] {
            assert!(is_semantic(version), "{version}");
        }
        for version in ["", "1", "1.2", "v1.2.3", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3+", "1.2.3 "] {
            assert!(!is_semantic(version), "{version}");
        }
    }
}
