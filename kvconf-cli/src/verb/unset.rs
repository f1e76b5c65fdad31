//! `kvconf unset`: keys that are to have no value.

use clap::Args;
use kvconf::{Bucket, Filter, Key, KeyError};

use crate::change::{InLayer, WriteArgs, make};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::session::Session;
use crate::suggest::near;

const EXAMPLE: &str = "\
Examples:
    kvconf unset checkout.region -m 'back to the default'
    kvconf unset 'checkout.limits.*' 'tmp.>'     everything that a filter asks for
    kvconf unset --layer host.web-1 checkout.max_items";

/// Delete keys, all of them in one change set; earlier revisions are kept
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Unset {
    /// The keys; `*` stands for one part, `>` at the end for everything below
    #[arg(required = true, value_name = "KEY", value_parser = filter)]
    keys: Vec<Filter>,
    #[command(flatten)]
    layer: InLayer,
    #[command(flatten)]
    write: WriteArgs,
}

impl Unset {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let bucket = session.bucket().await?;
        let (mut keys, mut filters) = (Vec::new(), Vec::new());
        for filter in &self.keys {
            let filter = self.layer.filter(filter.clone())?;
            match filter.as_key() {
                Some(key) => {
                    present(&bucket, &key).await?;
                    keys.push(key);
                }
                None => filters.push(filter),
            }
        }
        let edit = |bucket: &Bucket| {
            let edit = keys.iter().cloned().fold(bucket.edit(), kvconf::PlainEdit::unset);
            if filters.is_empty() { edit } else { edit.unset_others(filters.clone()) }
        };
        make(session, &bucket, &self.write, edit).await?;
        Ok(())
    }
}

fn filter(text: &str) -> Result<Filter, KeyError> {
    Filter::new(text)
}

/// Says that there is nothing to delete, and which key may be meant.
async fn present(bucket: &Bucket, key: &Key) -> Outcome {
    if bucket.entry(key.clone()).await?.is_some_and(|entry| entry.put_value().is_some()) {
        return Ok(());
    }
    let failure = Failure::new(Exit::NotFound, format!("{key} has no value"));
    Err(match near(bucket, key).await {
        Some(near) => failure.hint(format!("did you mean {near}?")),
        None => failure.hint("kvconf ls"),
    })
}
