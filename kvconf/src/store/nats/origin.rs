//! The buckets that a bucket copies: whether it hears of them, and where the writes of a mirror go.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::NatsStore;
use super::config::{HEARD_WITHIN, Info};
use super::connection::PROBE_WITHIN;
use super::error::{ApiError, Failure};
use super::stream::stream_name;
use crate::store::Origin;

/// How many entries may be on their way without a word: as many as a watch takes in one go. Of a bucket that is written all
/// the time some always are.
const IN_FLIGHT: u64 = 256;

/// The bucket that a mirror on another domain copies.
#[derive(Debug)]
pub(super) struct Mirrored {
    /// The subject to ask for its settings.
    info: String,
}

impl Mirrored {
    pub(super) fn new(api: &str, bucket: &str) -> Self {
        Self { info: format!("{api}.STREAM.INFO.{}", stream_name(bucket)) }
    }
}

impl NatsStore {
    /// Asks the bucket that takes the writes of a mirror which ones it takes. The mirror does not know: it cannot be set to
    /// take atomic batches, and the server refuses to make one that is (10198, seen with 2.15).
    ///
    /// Where there is no answer what was known before stays: the mirror serves without it.
    pub(super) async fn ask_the_mirrored(&self) {
        let Some(mirrored) = &self.mirrored else { return };
        let payload = json!({}).to_string().into();
        let asked = self.connection.request(mirrored.info.clone(), None, payload, PROBE_WITHIN).await;
        let info: Result<Info, Failure> =
            asked.and_then(|message| super::connection::answer(&message.payload));
        if let Ok(info) = info {
            self.known.learn_of_writes(&info.config);
        }
    }
}

/// A stream that another one copies, as that one tells of it.
#[derive(Debug, Deserialize)]
pub(super) struct Upstream {
    #[serde(default)]
    name: String,
    /// How many entries were not copied when it was last heard of.
    #[serde(default)]
    lag: u64,
    /// Nanoseconds since it was last heard of, which is about every second (2.11 to 2.15); negative if it never was.
    #[serde(default = "never")]
    active: i64,
    #[serde(default)]
    error: Option<ApiError>,
}

const fn never() -> i64 {
    -1
}

impl Upstream {
    fn is_heard(&self) -> bool {
        u64::try_from(self.active).is_ok_and(|nanos| Duration::from_nanos(nanos) < HEARD_WITHIN)
    }

    /// What is wrong with the first of them that is not heard of, or with all of them together.
    pub(super) fn worst<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Option<Origin> {
        if let Some(away) = all.clone().find(|upstream| !upstream.is_heard()) {
            let bucket = away.name.strip_prefix("KV_").unwrap_or(&away.name).to_owned();
            return Some(Origin::Away { bucket, cause: away.error.as_ref().map(ToString::to_string) });
        }
        let entries = all.fold(0_u64, |sum, upstream| sum.saturating_add(upstream.lag));
        (entries > IN_FLIGHT).then_some(Origin::Ahead { entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(json: &str) -> Option<Origin> {
        let all: Vec<Upstream> = serde_json::from_str(json).unwrap();
        Upstream::worst(all.iter())
    }

    #[test]
    fn what_is_not_heard_of_for_three_seconds_is_away_and_one_of_several_is_enough() {
        assert_eq!(worst(r#"[]"#), None);
        assert_eq!(worst(r#"[{ "name": "KV_a", "lag": 1, "active": 999000000 }]"#), None);
        let away = |cause: Option<&str>| {
            Some(Origin::Away { bucket: "b".to_owned(), cause: cause.map(str::to_owned) })
        };
        let one = r#"[{ "name": "KV_a", "active": 1 }, { "name": "KV_b", "active": 3000000000 }]"#;
        assert_eq!(worst(one), away(None));
        assert_eq!(worst(r#"[{ "name": "KV_b", "active": -1 }]"#), away(None));
        let told = r#"[{ "name": "KV_b", "active": 18059796981,
            "error": { "code": 404, "err_code": 10059, "description": "stream not found" } }]"#;
        assert_eq!(worst(told), away(Some("stream not found")));
    }

    #[test]
    fn more_than_what_is_on_its_way_anyhow_is_ahead() {
        let lagging =
            |lag: u64| worst(&format!(r#"[{{ "active": 1, "lag": {lag} }}, {{ "active": 1, "lag": 1 }}]"#));
        assert_eq!(lagging(255), None);
        assert_eq!(lagging(256), Some(Origin::Ahead { entries: 257 }));
    }
}
