//! Layers: the keys of one struct under several prefixes of one bucket, from general to specific.

use std::sync::Arc;

use derive_more::{Display, Error};

use crate::{Filter, Key, KeyError, Prefix};

/// Why layers cannot be read together.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
#[non_exhaustive]
pub enum LayerError {
    /// There is not one of them.
    #[display("no layer is named")]
    Missing,
    /// A name is no part of a key.
    #[display("{layer:?} cannot be a layer")]
    Name {
        /// The layer.
        layer: String,
        /// Why.
        #[error(source)]
        error: KeyError,
    },
    /// A layer is named twice.
    #[display("layer {layer:?} is named twice")]
    Twice {
        /// The layer.
        layer: String,
    },
    /// The keys of one layer are keys of another one, too: nobody could say which of them a value is of.
    #[display("layers {outer:?} and {inner:?} overlap: keys under {keys} would belong to both")]
    Overlap {
        /// The layer under which all of them stand.
        outer: String,
        /// The layer that has only these.
        inner: String,
        /// Where the keys of the latter stand.
        keys: Prefix,
    },
    /// Of two layers of a [schema](crate::Schema), of which one has a `*`: some keys would belong to both.
    #[display("layers {one:?} and {other:?} overlap: some keys would belong to both")]
    Ambiguous {
        /// The one that is named first.
        one: String,
        /// The other one.
        other: String,
    },
    /// Keys that begin with `_kvconf.` belong to kvconf itself.
    #[display("layer {layer:?} would hold keys of kvconf itself")]
    Reserved {
        /// The layer.
        layer: String,
    },
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layer {
    /// `None` where a handle has no layers, and its keys stand under the struct's prefix as it is.
    name: Option<Arc<str>>,
    /// Where its keys stand.
    prefix: Prefix,
}

/// Where the keys of a handle stand: under the struct's prefix, or under that prefix in each of several layers.
///
/// A layer is called by its number: 0 is the most general one, and each has the say before those below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layers {
    prefix: Prefix,
    all: Arc<[Layer]>,
}

impl Layers {
    /// No layers: the keys stand under the prefix.
    pub(crate) fn none(prefix: Prefix) -> Self {
        let only = Layer { name: None, prefix: prefix.clone() };
        Self { prefix, all: Arc::new([only]) }
    }

    /// These layers of a struct's prefix, from general to specific. An empty name stands for the keys without a layer.
    pub(crate) fn new(prefix: Prefix, names: &[String]) -> Result<Self, LayerError> {
        let layer = |name: &String| {
            let text = crate::key::join(name, prefix.as_str());
            let keys = Prefix::new(name).and_then(|_| Prefix::new(text));
            let keys = keys.map_err(|error| LayerError::Name { layer: name.clone(), error })?;
            if keys.as_str().split('.').next() == Some("_kvconf") {
                return Err(LayerError::Reserved { layer: name.clone() });
            }
            Ok(Layer { name: Some(name.as_str().into()), prefix: keys })
        };
        let all: Vec<Layer> = names.iter().map(layer).collect::<Result<_, _>>()?;
        if all.is_empty() {
            return Err(LayerError::Missing);
        }
        for (at, one) in all.iter().enumerate() {
            all.iter().take(at).try_for_each(|other| apart(other, one))?;
        }
        Ok(Self { prefix, all: all.into() })
    }

    /// The struct's own prefix, without a layer.
    pub(crate) const fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether a write has to say which layer it goes to.
    pub(crate) fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// Their numbers, the one that has the say first.
    pub(crate) fn strongest_first(&self) -> impl Iterator<Item = usize> + use<> {
        (0..self.all.len()).rev()
    }

    /// The names, from general to specific; none for a handle without layers.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.all.iter().filter_map(|layer| layer.name.as_ref())
    }

    /// A layer's name; `None` for a handle without layers.
    pub(crate) fn name(&self, layer: usize) -> Option<&Arc<str>> {
        self.all.get(layer)?.name.as_ref()
    }

    /// The layer of this name. A handle without layers has the one without a name.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.all.iter().position(|layer| layer.name.as_deref().unwrap_or_default() == name)
    }

    /// Where the keys of each stand.
    pub(crate) fn prefixes(&self) -> Vec<Prefix> {
        self.all.iter().map(|layer| layer.prefix.clone()).collect()
    }

    /// What asks for the keys of each.
    pub(crate) fn filters(&self) -> Vec<Filter> {
        self.all.iter().map(|layer| Filter::from(&layer.prefix)).collect()
    }

    /// Where the keys of one stand.
    pub(crate) fn prefix_of(&self, layer: usize) -> &Prefix {
        self.all.get(layer).map_or(&self.prefix, |layer| &layer.prefix)
    }

    /// The layer of a key, and the key below its prefix; `None` for one that is no field, in any of them.
    pub(crate) fn place<'k>(&self, key: &'k Key) -> Option<(usize, &'k str)> {
        // What the framework keeps in the bucket is no field, also where the struct takes the whole bucket.
        if key.is_reserved() {
            return None;
        }
        self.all.iter().enumerate().find_map(|(at, layer)| Some((at, key.under(&layer.prefix)?)))
    }

    /// A key of a layer.
    pub(crate) fn key(&self, layer: usize, below: &str) -> Result<Key, KeyError> {
        self.prefix_of(layer).key(below)
    }

    /// A key of a layer as text, as it stands in the bucket.
    pub(crate) fn full_key(&self, layer: usize, below: &str) -> String {
        crate::key::join(self.prefix_of(layer).as_str(), below)
    }

    /// What a field is called where no layer is meant: its key without one.
    pub(crate) fn field_key(&self, below: &str) -> String {
        crate::key::join(self.prefix.as_str(), below)
    }
}

/// `checkout`, and with layers `base,env.prod:checkout`, which no prefix can be.
impl std::fmt::Display for Layers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, name) in self.names().enumerate() {
            write!(f, "{}{name}", if at == 0 { "" } else { "," })?;
        }
        let colon = if self.names().next().is_some() { ":" } else { "" };
        write!(f, "{colon}{}", self.prefix)
    }
}

fn apart(one: &Layer, other: &Layer) -> Result<(), LayerError> {
    let name = |layer: &Layer| layer.name.as_deref().unwrap_or_default().to_owned();
    if one.prefix == other.prefix {
        return Err(LayerError::Twice { layer: name(other) });
    }
    let (outer, inner) = if one.prefix.covers(&other.prefix) {
        (one, other)
    } else if other.prefix.covers(&one.prefix) {
        (other, one)
    } else {
        return Ok(());
    };
    Err(LayerError::Overlap { outer: name(outer), inner: name(inner), keys: inner.prefix.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(prefix: &str, names: &[&str]) -> Result<Layers, LayerError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Layers::new(Prefix::new(prefix).unwrap(), &names)
    }

    fn refusal(prefix: &str, names: &[&str]) -> String {
        layers(prefix, names).unwrap_err().to_string()
    }

    #[test]
    fn a_key_belongs_to_one_layer() {
        let layers = layers("checkout", &["", "base", "env.prod"]).unwrap();
        let place = |key: &str| {
            let key = Key::new(key).unwrap();
            layers.place(&key).map(|(layer, below)| (layer, below.to_owned()))
        };
        assert_eq!(place("checkout.max"), Some((0, "max".to_owned())));
        assert_eq!(place("base.checkout.retry.max"), Some((1, "retry.max".to_owned())));
        assert_eq!(place("env.prod.checkout.max"), Some((2, "max".to_owned())));
        assert_eq!(place("env.dev.checkout.max"), None);
        assert_eq!(place("base.checkout"), None);
        assert_eq!(layers.full_key(2, "max"), "env.prod.checkout.max");
        assert_eq!(layers.field_key("max"), "checkout.max");
        assert_eq!(layers.to_string(), ",base,env.prod:checkout");
    }

    #[test]
    fn a_struct_that_takes_the_whole_bucket_has_layers_too() {
        let layers = layers("", &["base", "host.web-1"]).unwrap();
        let key = Key::new("host.web-1.max").unwrap();
        assert_eq!(layers.place(&key), Some((1, "max")));
        assert_eq!(layers.prefixes(), [Prefix::new("base").unwrap(), Prefix::new("host.web-1").unwrap()]);
    }

    #[test]
    fn layers_that_cannot_be_told_apart_are_refused_and_named() {
        assert_eq!(refusal("checkout", &[]), "no layer is named");
        assert_eq!(refusal("checkout", &["base", "env", "base"]), r#"layer "base" is named twice"#);
        assert_eq!(
            refusal("checkout", &["a", "a.checkout"]),
            r#"layers "a" and "a.checkout" overlap: keys under a.checkout.checkout would belong to both"#
        );
        assert_eq!(
            refusal("", &["env.prod", "env"]),
            r#"layers "env" and "env.prod" overlap: keys under env.prod would belong to both"#
        );
        assert_eq!(
            refusal("", &["", "base"]),
            r#"layers "" and "base" overlap: keys under base would belong to both"#
        );
        assert_eq!(refusal("checkout", &["_kvconf"]), r#"layer "_kvconf" would hold keys of kvconf itself"#);
        assert_eq!(refusal("checkout", &["env prod"]), r#""env prod" cannot be a layer"#);
        assert_eq!(refusal("checkout", &["env."]), r#""env." cannot be a layer"#);
    }
}
