//! What every writing verb understands of the fleet.

use std::time::Duration;

use clap::Args;
use kvconf::fleet::Share;

/// How the running instances are asked about a change.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Fleet")]
pub(crate) struct FleetArgs {
    /// Write without asking the running instances whether they would take it
    #[arg(long)]
    pub(crate) no_preflight: bool,
    /// How many instances must answer
    #[arg(long, value_name = "COUNT")]
    pub(crate) expect: Option<usize>,
    /// Wait until this share of the instances has it: `95%`, `all`
    #[arg(long, value_name = "SHARE")]
    pub(crate) wait: Option<Share>,
    /// How long to wait for the instances [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = time, requires = "wait")]
    pub(crate) within: Option<Duration>,
    /// Take the change back if too few have it in time
    #[arg(long, requires = "wait")]
    pub(crate) or_rollback: bool,
}

/// `30s`, `2m`
pub(crate) fn time(text: &str) -> Result<Duration, kvconf::DecodeError> {
    kvconf::Codec::decode(&kvconf::Text, text.as_bytes())
}
