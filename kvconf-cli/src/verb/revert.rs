//! `kvconf revert`: one change set taken back.

use clap::Args;
use kvconf::{Bucket, Filter, Prefix, Revision, RollbackError};

use crate::change::WriteArgs;
use crate::failure::{Failure, Outcome};
use crate::past::{Named, find, named, not_found, reference};
use crate::session::Session;
use crate::take_back::{Found, Nothing, take_back};
use crate::targets::{InLayers, quoted};

const EXAMPLE: &str = "\
Examples:
    kvconf revert 4182                    the change that wrote this revision
    kvconf revert 5bd0f7a4 -m 'too few'   by its id, or how that begins
    kvconf revert 4182 --layer env.prod   its keys in this layer, no others

What came after it stays. Where later changes touched one of its keys, and it does not hold again what it held before,
it is refused with those who made them.";

/// Take one change set back, and leave what came after it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Revert {
    /// A revision that it wrote, or its id
    #[arg(value_name = "CHANGE", value_parser = named)]
    change: Named,
    /// Only its keys under this prefix
    #[arg(long, value_name = "PREFIX", value_parser = |text: &str| Prefix::new(text))]
    prefix: Option<Prefix>,
    #[command(flatten)]
    layers: InLayers,
    #[command(flatten)]
    write: WriteArgs,
}

impl Revert {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let filters = self.layers.filters(&[self.prefix.unwrap_or_else(Prefix::root).into()])?;
        let bucket = session.bucket().await?;
        let named = self.change.clone();
        let change = reference(&bucket, &filters, self.change).await?;
        let revert = || bucket.revert(filters.clone(), change.clone());
        match take_back(session, &self.write, Nothing::Taken, revert).await {
            Ok(Found::Keys) => Ok(()),
            // It is a change of keys that nobody takes back like that.
            Ok(Found::None) => Err(not_found(&bucket, &filters, &named).await),
            Err(failure) => match failure.error.downcast_ref() {
                Some(RollbackError::ChangedSince(_)) => {
                    Err(with_way_back(failure, &bucket, &filters, &named).await)
                }
                Some(RollbackError::UnknownChange { .. }) => Err(not_found(&bucket, &filters, &named).await),
                _ => Err(failure),
            },
        }
    }
}

/// Later changes in the way go back with it, where its keys go back to what they held before it: the command for that.
async fn with_way_back(mut failure: Failure, bucket: &Bucket, filters: &[Filter], named: &Named) -> Failure {
    /// More keys are not typed.
    const MOST: usize = 10;
    let sets = find(bucket, filters, named).await.unwrap_or_default();
    let keys: Vec<String> =
        sets.iter().flat_map(|set| set.keys()).map(|key| quoted(key.key().as_str())).collect();
    let Some(first) = sets.iter().map(|set| *set.revisions().start()).min() else { return failure };
    let (to, keys) = (first - 1, if keys.len() > MOST { "KEY".to_owned() } else { keys.join(" ") });
    // Before the first revision there was nothing: that is no state to go back to.
    let command = if to == Revision::ZERO {
        format!("kvconf unset {keys}")
    } else {
        format!("kvconf rollback {keys} --to {to}")
    };
    failure.hints = vec![format!("{command} takes those back too")];
    failure
}
