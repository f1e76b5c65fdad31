//! What two schemas have in common when they read alike.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::{Schema, Setting};

/// Digits of a hash: 64 bits tell the few versions of one struct apart.
const DIGITS: usize = 16;

impl Schema {
    /// Sixteen hexadecimal digits that are equal where structs read alike: the same keys, forms, constraints and defaults.
    ///
    /// Names of structs, the prefix, descriptions and units are not in it, nor are defaults that the program computes. It
    /// stays the same across builds, machines and versions of kvconf; a form that a later version tells more of changes it.
    ///
    /// ```
    /// # use kvconf::{KvConfig, Schema};
    /// #[derive(KvConfig, Debug, Clone)]
    /// struct Old {
    ///     #[kv(default = 50)]
    ///     max_items: u32,
    /// }
    ///
    /// #[derive(KvConfig, Debug, Clone)]
    /// struct New {
    ///     /// Most items in one basket.
    ///     #[kv(default = 50)]
    ///     max_items: u32,
    /// }
    ///
    /// assert_eq!(Schema::of::<Old>().hash(), Schema::of::<New>().hash());
    /// ```
    #[must_use]
    pub fn hash(&self) -> String {
        let settings: Vec<Setting> = self.settings.iter().map(decisive).collect();
        // Data of this kind has a JSON form.
        let text = serde_json::to_vec(&(settings, &self.validated)).unwrap_or_default();
        let digest = Sha256::digest(text);
        let mut hash = String::with_capacity(DIGITS);
        for byte in digest.iter().take(DIGITS / 2) {
            // Writing to a String cannot fail.
            let _ = write!(hash, "{byte:02x}");
        }
        hash
    }
}

/// What decides how values are read.
fn decisive(setting: &Setting) -> Setting {
    let mut setting = setting.clone();
    setting.description.clear();
    setting.unit = None;
    setting.deprecated = setting.deprecated.map(|_| String::new());
    setting
}
