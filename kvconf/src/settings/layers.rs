//! In which layers the settings of a schema stand.

use super::judge::below;
use super::{Schema, Setting};
use crate::schema::join;
use crate::{Filter, Key, LayerError, Prefix};

impl Schema {
    /// The same settings, as a program reads them that has [layers](crate::guide::layers): from general to specific, as
    /// [`LiveBuilder::layers`](crate::LiveBuilder::layers) is given them.
    ///
    /// Where a part of a name differs from one instance to another (its host, its environment), a `*` stands for it: one
    /// schema is published for all of them. An empty name stands for the keys without a layer.
    ///
    /// Whoever has the schema then knows which keys are its settings, and holds them against it in every layer.
    ///
    /// ```
    /// # use kvconf::{KvConfig, Schema};
    /// #[derive(KvConfig, Debug, Clone)]
    /// #[kv(prefix = "checkout")]
    /// struct Checkout {
    ///     #[kv(default = 50)]
    ///     max_items: u32,
    /// }
    ///
    /// let schema = Schema::of::<Checkout>().with_layers(["base", "env.*", "host.*"])?;
    /// assert_eq!(schema.layer_of("env.prod.checkout.max_items"), Some("env.prod"));
    /// assert_eq!(schema.layer_of("blog.checkout.max_items"), None);
    /// # Ok::<(), kvconf::LayerError>(())
    /// ```
    ///
    /// # Errors
    /// [`LayerError`]: no layer at all, a name that is no part of a key, and layers that could hold the same key.
    pub fn with_layers(
        mut self,
        layers: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, LayerError> {
        let layers: Vec<String> = layers.into_iter().map(Into::into).collect();
        if layers.is_empty() {
            return Err(LayerError::Missing);
        }
        check(&layers, &self.prefix)?;
        self.layers = layers;
        Ok(self)
    }

    /// The layer that a key in full stands in, by its name there: `env.prod` where the schema has `env.*`, and empty for keys
    /// without a layer. `None` for a key that is none of this schema's, whether or not it is a setting's.
    #[must_use]
    pub fn layer_of<'k>(&self, key: &'k str) -> Option<&'k str> {
        self.place(key).map(|(layer, _)| layer)
    }

    /// What is left of a key in full below its layer, where it stands in one, and the prefix.
    #[must_use]
    pub fn below<'k>(&self, key: &'k str) -> Option<&'k str> {
        self.place(key).map(|(_, below)| below).or_else(|| below(key, &self.prefix))
    }

    /// What asks a bucket for all keys of the schema, in every layer: none of them overlap.
    #[must_use]
    pub fn filters(&self) -> Vec<Filter> {
        if self.layers.is_empty() {
            return Prefix::new(&self.prefix).map(Filter::from).into_iter().collect();
        }
        self.layers.iter().filter_map(|layer| filter_of(layer, &self.prefix).ok()).collect()
    }

    /// The schema of what stands in one layer, as if its settings had that name in front.
    #[must_use]
    pub fn in_layer(&self, layer: &str) -> Self {
        Self { prefix: join(layer, &self.prefix), layers: Vec::new(), ..self.clone() }
    }

    /// The layer of a key, and what is left of it below the layer and the prefix.
    pub(super) fn place<'k>(&self, key: &'k str) -> Option<(&'k str, &'k str)> {
        if self.layers.is_empty() {
            return Some(("", below(key, &self.prefix)?));
        }
        // What the framework keeps in the bucket is no setting, also where a layer is `*`.
        below(key, "")?;
        self.layers.iter().find_map(|pattern| {
            let (layer, rest) = cut(key, pattern)?;
            Some((layer, below(rest, &self.prefix)?))
        })
    }

    /// The setting of a key in full that stands in no layer.
    pub(super) fn setting_without_layer(&self, key: &str) -> Option<&Setting> {
        self.setting_below(below(key, &self.prefix)?)
    }

    /// The setting that a key below the prefix belongs to: its own, or that of the map that it is an entry of.
    pub(super) fn setting_below(&self, key: &str) -> Option<&Setting> {
        let fields = || self.settings.iter().filter(|setting| !setting.entries);
        let map = || {
            let parent = key.rsplit_once('.').map_or("", |(parent, _)| parent);
            self.settings.iter().find(|setting| setting.entries && setting.key == parent)
        };
        // As the table of all settings has it, which is dear to make for one key.
        let field = fields().find(|setting| setting.key == key);
        field.or_else(|| fields().find(|setting| setting.aliases.iter().any(|name| name == key))).or_else(map)
    }
}

/// Parts the name of a layer from the rest of a key.
fn cut<'k>(key: &'k str, pattern: &str) -> Option<(&'k str, &'k str)> {
    if pattern.is_empty() {
        return Some(("", key));
    }
    let count = pattern.split('.').count();
    let (at, _) = key.match_indices('.').nth(count.checked_sub(1)?)?;
    let (layer, rest) = key.split_at_checked(at)?;
    let fits = pattern.split('.').zip(layer.split('.')).all(|(ours, theirs)| ours == "*" || ours == theirs);
    if fits { Some((layer, rest.strip_prefix('.')?)) } else { None }
}

fn filter_of(layer: &str, prefix: &str) -> Result<Filter, crate::KeyError> {
    Filter::new(join(&join(layer, prefix), ">"))
}

/// Whether these can be the layers of a schema with this prefix.
pub(super) fn check(layers: &[String], prefix: &str) -> Result<(), LayerError> {
    let mut known: Vec<(&String, Filter)> = Vec::new();
    for layer in layers {
        let name = |error| LayerError::Name { layer: layer.clone(), error };
        // The rest of a key has no name.
        if layer.split('.').any(|part| part == ">") {
            let error = Key::new(layer).err();
            return Err(error.map_or(LayerError::Missing, name));
        }
        if !layer.is_empty() {
            Filter::new(layer).map_err(name)?;
        }
        let filter = filter_of(layer, prefix).map_err(name)?;
        if join(layer, prefix).split('.').next() == Some("_kvconf") {
            return Err(LayerError::Reserved { layer: layer.clone() });
        }
        if let Some((one, _)) = known.iter().find(|(_, other)| other.overlaps(&filter)) {
            return Err(if *one == layer {
                LayerError::Twice { layer: layer.clone() }
            } else {
                LayerError::Ambiguous { one: (*one).clone(), other: layer.clone() }
            });
        }
        known.push((layer, filter));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(prefix: &str, layers: &[&str]) -> String {
        let layers: Vec<String> = layers.iter().map(|layer| (*layer).to_owned()).collect();
        check(&layers, prefix).unwrap_err().to_string()
    }

    fn schema(prefix: &str, layers: &[&str]) -> Schema {
        Schema {
            name: "Checkout".to_owned(),
            prefix: prefix.to_owned(),
            layers: layers.iter().map(|layer| (*layer).to_owned()).collect(),
            description: String::new(),
            settings: Vec::new(),
            groups: Vec::new(),
            validated: Vec::new(),
        }
    }

    #[test]
    fn a_key_stands_in_one_layer_or_in_none() {
        let of = schema("checkout", &["base", "env.*", "host.*", ""]);
        assert_eq!(of.place("base.checkout.retry.max"), Some(("base", "retry.max")));
        assert_eq!(of.place("host.web-1.checkout.max"), Some(("host.web-1", "max")));
        assert_eq!(of.place("checkout.max"), Some(("", "max")));
        assert_eq!(of.place("env.checkout.max"), None);
        assert_eq!(of.place("base.checkout"), None);
        assert_eq!(of.place("blog.checkout.max"), None);
        let whole = schema("", &["base", "region.*"]);
        assert_eq!(whole.place("region.eu.max"), Some(("region.eu", "max")));
        assert_eq!(whole.place("region.eu"), None);
        assert_eq!(schema("", &["*"]).place("_kvconf.schema"), None);
        assert_eq!(schema("checkout", &[]).place("checkout.max"), Some(("", "max")));
    }

    #[test]
    fn what_asks_for_the_keys_names_every_layer() {
        let asked = |schema: Schema| schema.filters().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            asked(schema("checkout", &["base", "env.*", ""])),
            ["base.checkout.>", "env.*.checkout.>", "checkout.>"]
        );
        assert_eq!(asked(schema("checkout", &[])), ["checkout.>"]);
        assert_eq!(asked(schema("", &["base"])), ["base.>"]);
    }

    #[test]
    fn layers_that_a_key_could_not_be_told_apart_by_are_refused() {
        assert_eq!(refusal("checkout", &["base", "base"]), r#"layer "base" is named twice"#);
        assert_eq!(
            refusal("checkout", &["env.prod", "env.*"]),
            r#"layers "env.prod" and "env.*" overlap: some keys would belong to both"#
        );
        assert_eq!(
            refusal("", &["", "base"]),
            r#"layers "" and "base" overlap: some keys would belong to both"#
        );
        assert_eq!(refusal("checkout", &["_kvconf"]), r#"layer "_kvconf" would hold keys of kvconf itself"#);
        assert_eq!(refusal("checkout", &["env prod"]), r#""env prod" cannot be a layer"#);
        assert_eq!(refusal("checkout", &["env.>"]), r#""env.>" cannot be a layer"#);
        assert_eq!(refusal("checkout", &["env.p*"]), r#""env.p*" cannot be a layer"#);
        assert_eq!(check(&["base".to_owned(), "env.*".to_owned(), "host.*".to_owned()], "checkout"), Ok(()));
    }
}
