//! What every writing verb understands.

use clap::Args;

use kvconf::{Filter, Key, KeyError, Prefix};

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
    #[command(flatten)]
    pub(crate) layers: LayerArgs,
    #[command(flatten)]
    pub(crate) fleet: FleetArgs,
}

/// In which layers settings stand, beside those that published schemas name.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct LayerArgs {
    /// Hold keys of these layers against schemas too, beside those of the layers that schemas name, with commas between, `*`
    /// for any part; it does not say which keys are meant [env: KVCONF_LAYERS]
    #[arg(long = "schema-layers", value_name = "LAYERS", value_delimiter = ',', value_parser = layer)]
    layers: Vec<Filter>,
}

impl LayerArgs {
    /// The layers as given, else as `KVCONF_LAYERS` has them.
    pub(crate) fn named(&self) -> Outcome<Vec<Filter>> {
        if !self.layers.is_empty() {
            return Ok(self.layers.clone());
        }
        let given = std::env::var("KVCONF_LAYERS").unwrap_or_default();
        let names = given.split(',').map(str::trim).filter(|name| !name.is_empty());
        let layers: Result<_, _> = names.map(layer).collect();
        layers.map_err(|error| Failure::new(Exit::Usage, error).hint("KVCONF_LAYERS is such as base,env.*"))
    }
}

/// The layer that keys are given in.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct InLayer {
    /// The layer that the keys are of: `--layer host.web-1 checkout.max_items` is host.web-1.checkout.max_items
    #[arg(long, value_name = "LAYER", value_parser = |text: &str| Prefix::new(text))]
    layer: Option<Prefix>,
}

impl InLayer {
    /// A key of this layer.
    pub(crate) fn key(&self, key: &Key) -> Result<Key, KeyError> {
        self.layer.as_ref().map_or(Ok(key.clone()), |layer| layer.key(key.as_str()))
    }

    /// A filter of keys of this layer.
    pub(crate) fn filter(&self, filter: Filter) -> Result<Filter, KeyError> {
        match &self.layer {
            Some(layer) if !layer.is_root() => Filter::new(format!("{layer}.{filter}")),
            _ => Ok(filter),
        }
    }
}

fn layer(text: &str) -> Result<Filter, KeyError> {
    Filter::new(text)
}
