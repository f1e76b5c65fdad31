//! What every writing verb understands.

use clap::Args;

use kvconf::{Filter, KeyError};

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
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
    /// The layers of the settings, with commas between, `*` for any part: their keys are held against schemas too [env:
    /// KVCONF_LAYERS]
    #[arg(long, value_name = "LAYERS", value_delimiter = ',', value_parser = layer)]
    pub(crate) layers: Vec<Filter>,
    #[command(flatten)]
    pub(crate) fleet: FleetArgs,
}

impl WriteArgs {
    /// The layers as given, else as `KVCONF_LAYERS` has them.
    pub(crate) fn layers(&self) -> Outcome<Vec<Filter>> {
        if !self.layers.is_empty() {
            return Ok(self.layers.clone());
        }
        let given = std::env::var("KVCONF_LAYERS").unwrap_or_default();
        let names = given.split(',').map(str::trim).filter(|name| !name.is_empty());
        let layers: Result<_, _> = names.map(layer).collect();
        layers.map_err(|error| Failure::new(Exit::Usage, error).hint("KVCONF_LAYERS is such as base,env.*"))
    }
}

fn layer(text: &str) -> Result<Filter, KeyError> {
    Filter::new(text)
}
