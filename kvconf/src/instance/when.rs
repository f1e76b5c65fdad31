//! A moment as text: RFC 3339, in UTC.

use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serializer, de, ser};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::calendar::date;

pub(crate) fn text(at: SystemTime) -> Option<String> {
    // Without the fraction: it is read by people, and clocks of two machines differ by more.
    let at = date(at)?.replace_nanosecond(0).ok()?;
    at.format(&Rfc3339).ok()
}

pub(super) fn serialize<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let text = text(*at).ok_or_else(|| ser::Error::custom("a moment that has no text"))?;
    serializer.serialize_str(&text)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
    OffsetDateTime::parse(&text, &Rfc3339).map(SystemTime::from).map_err(de::Error::custom)
}
