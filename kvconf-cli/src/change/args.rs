//! What every writing verb understands.

use clap::Args;

use crate::fleet::FleetArgs;

/// How a change is made.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Change")]
pub(crate) struct WriteArgs {
    /// Who makes the change [env: KVCONF_AUTHOR] [default: git's user.name, else the user's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) author: Option<String>,
    /// Why
    #[arg(short = 'm', long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Show the plan and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write what a check rejects; needs a reason
    #[arg(long, requires = "reason")]
    pub(crate) force: bool,
    /// Write more than 1 000 keys as several change sets
    #[arg(long)]
    pub(crate) in_parts: bool,
    #[command(flatten)]
    pub(crate) fleet: FleetArgs,
}
