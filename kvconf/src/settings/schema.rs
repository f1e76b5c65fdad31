//! The data.

use serde::{Deserialize, Serialize};

use super::{Constraint, Form, Presence};
use crate::schema::join;

/// Everything that can be said of a struct's settings without its Rust type.
///
/// It is made by [`Schema::of`], or read from a bucket where a program has published it. Equal structs give equal schemas, in
/// every build and on every machine.
///
/// ```
/// use kvconf::settings::{Form, Presence};
/// use kvconf::{KvConfig, Schema};
///
/// #[derive(KvConfig, Debug, Clone)]
/// #[kv(prefix = "checkout")]
/// struct Checkout {
///     /// Most items in one basket.
///     #[kv(default = 50, range(1..=500))]
///     max_items: u32,
/// }
///
/// let schema = Schema::of::<Checkout>();
/// let setting = &schema.settings[0];
/// assert_eq!(schema.full_key(&setting.key), "checkout.max_items");
/// assert_eq!(setting.description, "Most items in one basket.");
/// assert_eq!(setting.form, Form::Whole { signed: false, bits: 32, nonzero: false });
/// assert_eq!(setting.presence, Presence::Default("50".to_owned()));
/// assert_eq!(setting.constraints[0].to_string(), "1..=500");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Schema {
    /// The struct's name.
    pub name: String,
    /// What all keys begin with; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// The layers in which the program reads these settings, from general to specific, `*` for a part that differs from one
    /// instance to another; none where it reads them without layers. See [`Schema::with_layers`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
    /// The struct's doc comment.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Every setting, those of structs below included, in the order of the source.
    pub settings: Vec<Setting>,
    /// The structs below that have a key segment of their own, in the order of the source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// The keys of the structs that check their fields together, by code that no schema can hold; the root is the empty key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validated: Vec<String>,
}

/// One setting: a key, or a map with one key per entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Setting {
    /// Its key, below the prefix.
    pub key: String,
    /// Older names of the key, below the prefix too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Whether it is a map with one key per entry, right below [`Setting::key`]; everything else then holds for each
    /// entry's value, but `length`, which counts the entries.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub entries: bool,
    /// The doc comment.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What values it has.
    pub form: Form,
    /// What it is without a value.
    pub presence: Presence,
    /// What else is asked of a value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    /// What a number counts, as `unit = "…"` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Whether its values are never shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// Whether a change takes effect at the next start only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restart: bool,
    /// Whether it should not be used any more, and what to use instead; empty where nothing was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
    /// The environment variable that overrides it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
}

/// A struct below the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Group {
    /// Its key, below the prefix.
    pub key: String,
    /// The struct's name.
    pub name: String,
    /// The doc comment of the field, else of the struct.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

impl Schema {
    /// The setting with this key below the prefix; of a map of entries that of the map itself.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    /// A key in full.
    #[must_use]
    pub fn full_key(&self, key: &str) -> String {
        join(&self.prefix, key)
    }
}

impl Setting {
    /// The last part of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        self.key.rsplit('.').next().unwrap_or(&self.key)
    }
}
