//! What a field is where no source has a value, as data.

use serde::{Deserialize, Serialize};

/// What a setting is where no source has a value for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Presence {
    /// It must have a value somewhere.
    Required,
    /// `None`, or an empty map of entries.
    Optional,
    /// This value, in stored form.
    Default(String),
    /// A value that the program computes at its start: it may be another one in every process.
    Computed,
    /// A default that is not shown, since the setting is secret.
    Hidden,
}

impl Presence {
    /// The default in stored form, where there is one that may be shown.
    #[must_use]
    pub fn default(&self) -> Option<&str> {
        match self {
            Self::Default(stored) => Some(stored),
            Self::Required | Self::Optional | Self::Computed | Self::Hidden => None,
        }
    }
}
