//! The buckets that a bucket copies: whether it hears of them, and where the writes of a mirror go.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::json;

use super::NatsStore;
use super::config::{HEARD_WITHIN, Info};
use super::connection::PROBE_WITHIN;
use super::error::{ApiError, Failure};
use super::known::Way;
use super::stream::stream_name;
use crate::store::Origin;

/// The bucket that a mirror on another domain copies.
#[derive(Debug)]
pub(super) struct Mirrored {
    name: String,
    /// The subject to ask for its settings.
    info: String,
    /// Whether it is asked: the user of a mirror may well not be allowed to.
    way: Way,
}

/// The oldest and the newest entry of a stream: where each stands, and of when it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) first: (u64, SystemTime),
    pub(super) last: (u64, SystemTime),
}

/// How far the clocks of two servers may be apart.
const APART: Duration = Duration::from_secs(2);

/// Whether a mirror holds what the bucket that it copies never had, or has lost. `mirror` was asked before `origin`.
///
/// A mirror keeps places and times, a mirror of a mirror does too, and so does one that was brought back from a backup. So what it
/// has stands no later than the newest that its origin has given, and what stands there later is not older: it was written
/// later. Of the mirror's newest entry only that it is too old proves something: over places where nothing is left a server
/// goes on by its own clock.
fn is_of_another(mirror: (u64, Option<Ends>), origin: (u64, Option<Ends>)) -> bool {
    if mirror.0 > origin.0 {
        return true;
    }
    let (Some(mirror), Some(origin)) = (mirror.1, origin.1) else { return false };
    let (place, written) = origin.first;
    let is_too_old = |(at, time): (u64, SystemTime)| at >= place && time + APART < written;
    is_too_old(mirror.first) || is_too_old(mirror.last)
}

impl Mirrored {
    pub(super) fn new(api: &str, bucket: &str) -> Self {
        let info = format!("{api}.STREAM.INFO.{}", stream_name(bucket));
        Self { name: bucket.to_owned(), info, way: Way::default() }
    }
}

impl NatsStore {
    /// Asks the bucket that takes the writes of a mirror which ones it takes. The mirror does not know: it cannot be set to
    /// take atomic batches, and the server refuses to make one that is (10198, seen with 2.15).
    ///
    /// Where there is no answer what was known before stays: the mirror serves without it.
    pub(super) async fn ask_the_mirrored(&self) {
        let Some(mirrored) = &self.mirrored else { return };
        if let Ok(info) = self.ask_for(mirrored).await {
            self.known.learn_of_writes(&info.config);
        }
    }

    async fn ask_for(&self, mirrored: &Mirrored) -> Result<Info, Failure> {
        let payload = json!({}).to_string().into();
        let asked = self.connection.request(mirrored.info.clone(), None, payload, PROBE_WITHIN).await;
        asked.and_then(|message| super::connection::answer(&message.payload))
    }

    /// What keeps this bucket from having what its origin has. `info` is what it says itself.
    ///
    /// It hears of a bucket that was deleted and created again as it did of the former one: after some twenty seconds the server
    /// copies on behind what it has (2.11 to 2.15). So the other one is asked as well.
    pub(super) async fn origin_of(&self, info: &Info) -> Option<Origin> {
        let told = info.origin();
        let Some(mirrored) = self.mirrored.as_ref().filter(|_| !matches!(told, Some(Origin::Away { .. })))
        else {
            return told;
        };
        if !mirrored.way.is_worth_a_trial() {
            return told;
        }
        let theirs = match self.ask_for(mirrored).await {
            Ok(theirs) => theirs,
            Err(failure) => {
                mirrored.way.failed(&failure);
                return told;
            }
        };
        mirrored.way.worked();
        let standing = |info: &Info| (info.last_revision().get(), info.ends());
        // A leader that is alone may not know of the newest entries.
        if theirs.require_quorum().is_ok() && is_of_another(standing(info), standing(&theirs)) {
            return Some(Origin::Replaced { bucket: mirrored.name.clone() });
        }
        told
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
        (entries > 0).then_some(Origin::Ahead { entries })
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// A stream with entries from one place and second to another.
    fn from_to(first: (u64, u64), last: (u64, u64)) -> (u64, Option<Ends>) {
        let point = |(at, second)| (at, UNIX_EPOCH + Duration::from_secs(second));
        (last.0, Some(Ends { first: point(first), last: point(last) }))
    }

    // P5
    #[test]
    fn a_mirror_that_has_what_its_origin_cannot_have_given_is_of_another_bucket() {
        let mirror = from_to((1, 100), (50, 200));
        assert!(is_of_another(mirror, (0, None)), "created again, and nothing written");
        assert!(is_of_another(mirror, from_to((1, 300), (5, 310))), "created again, and not as far yet");
        assert!(is_of_another(mirror, from_to((1, 300), (50, 310))), "just as far");
        assert!(
            is_of_another(mirror, from_to((7, 310), (90, 400))),
            "further, and its oldest entries are gone"
        );
        let in_part = from_to((1, 100), (90, 400));
        assert!(is_of_another(in_part, from_to((1, 300), (90, 400))), "copied on behind what it had");
        assert!(is_of_another((50, None), from_to((1, 300), (5, 310))), "all it had has been removed");
    }

    // P5
    #[test]
    fn a_mirror_that_lags_or_keeps_less_or_more_is_of_its_origin() {
        let origin = from_to((3, 110), (90, 400));
        assert!(!is_of_another(origin, origin));
        assert!(!is_of_another((0, None), origin), "a new one");
        assert!(!is_of_another(from_to((3, 110), (50, 200)), origin), "lags");
        assert!(!is_of_another(from_to((1, 100), (90, 400)), origin), "keeps more");
        assert!(!is_of_another(from_to((40, 180), (90, 400)), origin), "keeps less");
        assert!(
            !is_of_another(from_to((3, 110), (90, 900)), origin),
            "went over what is gone there by its own clock"
        );
        assert!(!is_of_another(from_to((3, 108), (90, 400)), origin), "clocks that are apart");
        assert!(!is_of_another((90, None), (90, None)), "purged");
        // A mirror of a mirror that was created long after the entries that it copies.
        assert!(!is_of_another(from_to((3, 110), (80, 350)), origin));
    }

    fn worst(json: &str) -> Option<Origin> {
        let all: Vec<Upstream> = serde_json::from_str(json).unwrap();
        Upstream::worst(all.iter())
    }

    #[test]
    fn what_is_not_heard_of_for_three_seconds_is_away_and_one_of_several_is_enough() {
        assert_eq!(worst(r#"[]"#), None);
        assert_eq!(worst(r#"[{ "name": "KV_a", "active": 999000000 }]"#), None);
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
    fn what_was_not_copied_yet_is_ahead() {
        let lagging =
            |lag: u64| worst(&format!(r#"[{{ "active": 1, "lag": {lag} }}, {{ "active": 1, "lag": 1 }}]"#));
        assert_eq!(lagging(0), Some(Origin::Ahead { entries: 1 }));
        assert_eq!(lagging(256), Some(Origin::Ahead { entries: 257 }));
        assert_eq!(worst(r#"[{ "active": 1, "lag": 0 }]"#), None);
    }
}
