//! `kvconf revert`: one change set taken back.

use clap::Args;
use kvconf::{Filter, Prefix};

use crate::change::WriteArgs;
use crate::failure::Outcome;
use crate::past::{Named, named, reference};
use crate::session::Session;
use crate::take_back::{Nothing, take_back};

const EXAMPLE: &str = "\
Examples:
    kvconf revert 4182                    the change that wrote this revision
    kvconf revert 5bd0f7a4 -m 'too few'   by its id, or how that begins

What came after it stays. Where later changes touched one of its keys, it is refused with those who made them.";

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
    write: WriteArgs,
}

impl Revert {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let bucket = session.bucket().await?;
        let prefix = self.prefix.unwrap_or_else(Prefix::root);
        let change = reference(&bucket, &prefix, self.change).await?;
        let filter = Filter::from(prefix);
        take_back(session, &self.write, Nothing::Taken, || bucket.revert(filter.clone(), change.clone())).await
    }
}
