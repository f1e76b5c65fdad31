//! `kvconf explain`: what stands under a key, and why.

mod fleet;
mod meaning;

use clap::Args;
use kvconf::{Attribution, Bucket, Entry, Filter, Key};
use serde_json::{Value, json};

use super::history::removed;
use crate::change::{InLayer, LayerArgs, value_json};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{ago, rfc3339, shown};
use crate::past::{Named, by, find};
use crate::schemas::Rules;
use crate::session::Session;
use crate::suggest;
use fleet::Instances;
use meaning::Meaning;

const EXAMPLE: &str = "\
Examples:
    kvconf explain checkout.max_items
    kvconf explain --layer env.prod checkout.max_items

Where a program has published its schema, it says what the setting is, in which layers it stands and what goes before what; \
where instances answer, whether they have it.";

/// How many columns of a value are shown.
const KEPT: usize = 200;

/// The header with which a value is given a time to live.
const TTL: &str = "Nats-TTL";

/// Say what a key is, what stands there, who set it, when and why, and what it was before
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Explain {
    /// The key
    #[arg(value_name = "KEY")]
    key: Key,
    #[command(flatten)]
    layer: InLayer,
}

/// What is known of a key.
struct Known {
    stored: Option<Stored>,
    meaning: Option<Meaning>,
    instances: Option<Instances>,
}

/// What the bucket has of a key.
struct Stored {
    now: Entry,
    before: Option<Entry>,
    /// How many revisions are kept.
    kept: usize,
    /// How many other keys changed with it.
    others: usize,
}

impl Explain {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let bucket = session.bucket().await?;
        let key = self.layer.key(&self.key)?;
        let stored = look(&bucket, &key).await?;
        let rules = Rules::of(&bucket, &LayerArgs::default()).await?;
        let meaning = meaning::look(&bucket, &key, &rules.schemas).await?;
        if stored.is_none() && !meaning.as_ref().is_some_and(Meaning::is_setting) {
            return Err(self.nothing(&bucket, &key).await);
        }
        let newest = stored.as_ref().map(|stored| stored.now.revision());
        let instances = match bucket.fleet().list().await {
            Ok(roster) => Some(fleet::of(&roster, &key, newest)),
            // Most users may not ask; it is not what they want to know first.
            Err(_) => None,
        };
        let known = Known { stored, meaning, instances };
        if session.out.is_json() {
            let document = document(&known, &key, session);
            return session.out.json(&document);
        }
        session.take_time_from(&bucket).await?;
        tell(session, &known, &key, bucket.name())
    }
}

impl Explain {
    async fn nothing(&self, bucket: &Bucket, key: &Key) -> Failure {
        let failure = Failure::new(Exit::NotFound, format!("{key} has no value and no history"));
        let below = Filter::new(format!("{key}.>")).ok();
        if let Some(below) = below
            && bucket.keys(below).await.is_ok_and(|keys| !keys.is_empty())
        {
            return failure.hint(format!("kvconf ls {key} has the keys below it"));
        }
        let hint = match suggest::layers_of(bucket, key).await.first() {
            Some(layer) if *key == self.key => Some(format!("kvconf explain {key} --layer {layer}")),
            _ => suggest::near(bucket, key).await.map(|near| format!("did you mean {near}?")),
        };
        failure.hint(hint.unwrap_or_else(|| "kvconf ls".to_owned()))
    }
}

async fn look(bucket: &Bucket, key: &Key) -> Outcome<Option<Stored>> {
    let mut entries = bucket.history(key.clone()).await?;
    let kept = entries.len();
    let Some(now) = entries.pop() else { return Ok(None) };
    // A user of one prefix cannot look at the whole change set: then nothing is said of others.
    let parent = key.as_str().rsplit_once('.').map_or("", |(parent, _)| parent);
    let parent = Filter::from(kvconf::Prefix::new(parent)?);
    let sets = find(bucket, &[parent], &Named::Revision(now.revision())).await.unwrap_or_default();
    let others = sets.iter().map(|set| set.keys().len().saturating_sub(1)).sum();
    Ok(Some(Stored { now, before: entries.pop(), kept, others }))
}

fn document(known: &Known, key: &Key, session: &Session) -> Value {
    let secrecy = session.out.secrecy();
    let entry = |entry: &Entry| {
        let by = Attribution::of(entry);
        json!({
            "value": value_json(secrecy, entry.key(), entry.put_value()),
            "revision": entry.revision().get(),
            "time": rfc3339(entry.created()),
            "author": by.author.as_deref(), "reason": by.reason.as_deref(), "change": by.change.as_deref(),
            "ttl": entry.headers().get(TTL),
        })
    };
    let stored = known.stored.as_ref();
    json!({
        "key": key.as_str(),
        "now": stored.map(|stored| entry(&stored.now)),
        "before": stored.and_then(|stored| stored.before.as_ref()).map(entry),
        "kept_revisions": stored.map_or(0, |stored| stored.kept),
        "changed_with": stored.map_or(0, |stored| stored.others),
        "sealed_with": stored.and_then(|stored| kvconf::seal::key_id(stored.now.value())),
        "schema": known.meaning.as_ref().map(|meaning| meaning.json(secrecy)),
        "fleet": known.instances.as_ref().map(Instances::json),
    })
}

fn tell(session: &mut Session, known: &Known, key: &Key, bucket: &str) -> Outcome {
    match &known.stored {
        Some(stored) => tell_stored(session, stored, bucket)?,
        None => session.out.line(format!("{key}: (no value)"))?,
    }
    if let Some(meaning) = &known.meaning {
        meaning.tell(&mut session.out, key)?;
    }
    match known.instances.as_ref().and_then(Instances::words) {
        Some(words) => session.out.line(format!("  {words}")),
        None => Ok(()),
    }
}

fn tell_stored(session: &mut Session, known: &Stored, bucket: &str) -> Outcome {
    let out = &mut session.out;
    let (secrecy, now) = (out.secrecy(), out.now());
    let text = |entry: &Entry| match removed(entry) {
        Some(how) => how.to_owned(),
        None => shown(secrecy, entry.key(), entry.value()).short(KEPT),
    };
    let origin = |entry: &Entry| {
        let who = Attribution::of(entry);
        let mut line = format!("revision {}, {}, {}", entry.revision(), ago(entry.created(), now), by(who.author.as_deref()));
        line.extend(who.reason.iter().map(|reason| format!(": {reason:?}")));
        line
    };
    out.line(format!("{}: {}", known.now.key(), text(&known.now)))?;
    out.line(format!("  from bucket {bucket}, {}", origin(&known.now)))?;
    if known.others > 0 {
        let s = if known.others == 1 { "" } else { "s" };
        out.line(format!("  with {} other key{s} in one change: kvconf show {}", known.others, known.now.revision()))?;
    }
    if let Some(ttl) = known.now.headers().get(TTL) {
        out.line(format!("  removed {} after it was written", ttl.escape_debug()))?;
    }
    match &known.before {
        Some(before) => {
            out.line(format!("  before: {}", text(before)))?;
            out.line(format!("  from {}", origin(before)))?;
            out.line(format!("  help: kvconf rollback {} --to {}", before.key(), before.revision()))?;
        }
        None => out.line("  before: (nothing that is kept)")?,
    }
    out.line(format!("  {} kept: kvconf history {}", crate::change::counted(known.kept, "revision"), known.now.key()))
}
