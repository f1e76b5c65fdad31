//! What the bucket still keeps, without the values.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::NatsStore;
use super::connection::{ANSWER_WITHIN, PROBE_WITHIN};
use super::error::Failure;
use super::message::time;
use super::stream::Stream;
use crate::store::Kept;
use crate::{Filter, ReadError, Revision};

const WHAT: &str = "what the bucket keeps";

/// One page of what the leader says about the stream, with how many messages each of its subjects has.
#[derive(Deserialize)]
struct Page {
    config: Stream,
    created: String,
    state: PageState,
    #[serde(default)]
    total: usize,
}

#[derive(Deserialize)]
struct PageState {
    messages: u64,
    first_seq: u64,
    last_seq: u64,
    #[serde(default)]
    last_ts: String,
    #[serde(default)]
    subjects: HashMap<String, u64>,
}

impl NatsStore {
    pub(super) async fn read_kept(&self, filters: &[Filter]) -> Result<Kept, ReadError> {
        self.kept_of(filters).await.map_err(|failure| failure.read(&self.bucket, WHAT))
    }

    pub(super) async fn kept_of(&self, filters: &[Filter]) -> Result<Kept, Failure> {
        if filters.is_empty() {
            return frame(&self.page(&json!({})).await?);
        }
        let mut kept: Option<Kept> = None;
        for filter in filters {
            let mut seen = 0;
            loop {
                let query = json!({ "subjects_filter": self.subject(filter), "offset": seen });
                let page = self.page(&query).await?;
                let on_page = page.state.subjects.len();
                seen += on_page;
                let is_last = on_page == 0 || seen >= page.total;
                let kept = match &mut kept {
                    Some(kept) => kept,
                    None => kept.insert(frame(&page)?),
                };
                let keys = page.state.subjects.into_iter();
                kept.entries
                    .extend(keys.filter_map(|(subject, count)| Some((self.key_of(&subject)?, count))));
                if is_last {
                    break;
                }
            }
        }
        kept.ok_or_else(|| Failure::Unexpected("no filter to ask for".to_owned()))
    }

    /// Without a filter in it the question is for a page that lists nothing.
    async fn page(&self, query: &Value) -> Result<Page, Failure> {
        let within = if self.known.info.is_trusted() { ANSWER_WITHIN } else { PROBE_WITHIN };
        self.connection.call(&format!("STREAM.INFO.{}", self.stream), query, within).await
    }
}

/// What a page says besides its keys.
fn frame(page: &Page) -> Result<Kept, Failure> {
    let number = |name: &str| page.config.get(name).and_then(Value::as_i64).unwrap_or(0);
    // Zero and negative numbers stand for "no limit".
    let is_limited = |name: &str| number(name) > 0;
    let discards_old = page.config.get("discard").and_then(Value::as_str) != Some("new");
    let created = time(&page.created).ok_or_else(|| Failure::Unexpected(page.created.clone()))?;
    Ok(Kept {
        entries: HashMap::new(),
        first: Revision::new(page.state.first_seq),
        last: Revision::new(page.state.last_seq),
        total: page.state.messages,
        history: u64::try_from(number("max_msgs_per_subject")).ok().filter(|n| *n > 0).unwrap_or(u64::MAX),
        evicts: is_limited("max_age")
            || (discards_old && (is_limited("max_bytes") || is_limited("max_msgs"))),
        created,
        // A stream that has never had a message says the year one, or nothing.
        written: time(&page.state.last_ts).map_or(created, |written| written.max(created)),
    })
}
