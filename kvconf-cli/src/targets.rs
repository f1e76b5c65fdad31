//! Which keys a verb is about: keys, prefixes or filters, in the layers that are named.

use clap::Args;
use kvconf::{Bucket, Filter, Key, KeyError, Prefix, ReadError};

use crate::failure::Outcome;

/// In which layers keys are looked at.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct InLayers {
    /// Look in these layers only, with commas between, `*` for any part, '' for keys without a layer: with
    /// `--layer base,env.prod` checkout is base.checkout and env.prod.checkout
    #[arg(id = "in_layers", long = "layer", value_name = "LAYER", value_delimiter = ',', value_parser = layer)]
    layers: Vec<Layer>,
}

/// The name of a layer, or a pattern of names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layer(String);

fn layer(text: &str) -> Result<Layer, KeyError> {
    match text {
        "" => {}
        text if text.contains('*') => drop(Filter::new(format!("{text}.x"))?),
        text => drop(Prefix::new(text)?),
    }
    Ok(Layer(text.to_owned()))
}

impl Layer {
    /// What is asked for in this layer.
    fn filter(&self, filter: &Filter) -> Result<Filter, KeyError> {
        if self.0.is_empty() { Ok(filter.clone()) } else { Filter::new(format!("{}.{filter}", self.0)) }
    }
}

impl InLayers {
    /// Whether any is named.
    pub(crate) fn is_named(&self) -> bool {
        !self.layers.is_empty()
    }

    /// As they are typed, if they are.
    pub(crate) fn typed(&self) -> Option<String> {
        let names: Vec<&str> = self.layers.iter().map(|layer| layer.0.as_str()).collect();
        (!names.is_empty()).then(|| format!("--layer {}", quoted(&names.join(","))))
    }

    /// The one layer that is named without a pattern, as a prefix; the root where none is. `None` for any others.
    pub(crate) fn only(&self) -> Option<Prefix> {
        match self.layers.as_slice() {
            [] => Some(Prefix::root()),
            [one] => Prefix::new(&one.0).ok(),
            _ => None,
        }
    }

    /// All of them as prefixes, in the order in which they are named. `None` where there are fewer than two, or patterns.
    pub(crate) fn ordered(&self) -> Option<Vec<Prefix>> {
        let named: Option<Vec<Prefix>> = self.layers.iter().map(|layer| Prefix::new(&layer.0).ok()).collect();
        named.filter(|layers| layers.len() > 1)
    }

    /// A filter in each layer; as it stands where none is named.
    pub(crate) fn filters(&self, filters: &[Filter]) -> Result<Vec<Filter>, KeyError> {
        if self.layers.is_empty() {
            return Ok(filters.to_vec());
        }
        let each = self.layers.iter().flat_map(|layer| filters.iter().map(|filter| layer.filter(filter)));
        Ok(without_covered(&each.collect::<Result<Vec<_>, _>>()?))
    }

    /// Everything in these layers.
    pub(crate) fn everything(&self) -> Result<Vec<Filter>, KeyError> {
        self.filters(&[Filter::all()])
    }
}

/// What is meant: a filter as it stands; else the key, and the keys under it.
pub(crate) fn filters(targets: &[String], layers: &InLayers) -> Result<Vec<Filter>, KeyError> {
    let mut filters: Vec<Filter> = Vec::new();
    for target in targets {
        let target = target.trim_end_matches('.');
        if target.contains(['*', '>']) {
            filters.push(Filter::new(target)?);
        } else {
            filters.push(Filter::from(Key::new(target)?));
            filters.push(Filter::from(Prefix::new(target)?));
        }
    }
    layers.filters(&without_covered(&filters))
}

/// As [`filters`], without keys that there are none of: a user of one prefix may ask for no more than what is under it.
/// Without targets everything in the layers.
pub(crate) async fn present(bucket: &Bucket, targets: &[String], layers: &InLayers) -> Outcome<Vec<Filter>> {
    if targets.is_empty() {
        return Ok(layers.everything()?);
    }
    let mut present = Vec::new();
    for filter in filters(targets, layers)? {
        let was_given = targets.iter().any(|target| filter.as_str() == target && target.contains(['*', '>']));
        let is_present = match filter.as_key().filter(|_| !was_given) {
            Some(key) => is_there(bucket, key).await?,
            None => true,
        };
        present.extend(Some(filter).filter(|_| is_present));
    }
    Ok(present)
}

async fn is_there(bucket: &Bucket, key: Key) -> Outcome<bool> {
    match bucket.entry(key).await {
        Ok(entry) => Ok(entry.is_some()),
        Err(ReadError::NotPermitted { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A word as a shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    let is_safe = |c: char| c.is_alphanumeric() || "_-./=:@,+%".contains(c);
    if !word.is_empty() && word.chars().all(is_safe) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Leaves out what another one covers already.
fn without_covered(all: &[Filter]) -> Vec<Filter> {
    let is_needed = |at: usize, filter: &Filter| {
        !all.iter()
            .enumerate()
            .any(|(other, wider)| other != at && wider.covers(filter) && (wider != filter || other < at))
    };
    let kept = all.iter().enumerate().filter(|(at, filter)| is_needed(*at, filter));
    kept.map(|(_, filter)| filter.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(targets: &[&str], layers: &[&str]) -> Vec<String> {
        let targets: Vec<String> = targets.iter().map(|target| (*target).to_owned()).collect();
        let layers = InLayers { layers: layers.iter().map(|name| layer(name).unwrap()).collect() };
        filters(&targets, &layers).unwrap().iter().map(|filter| filter.as_str().to_owned()).collect()
    }

    #[test]
    fn a_name_is_a_key_and_a_prefix_and_what_is_covered_is_left_out() {
        assert_eq!(filtered(&["checkout"], &[]), ["checkout", "checkout.>"]);
        assert_eq!(filtered(&["checkout.", "checkout"], &[]), ["checkout", "checkout.>"]);
        assert_eq!(filtered(&["checkout.max_items", "checkout"], &[]), ["checkout", "checkout.>"]);
        assert_eq!(filtered(&[">", "app.*.port"], &[]), [">"]);
        assert_eq!(filtered(&["app.*.port"], &[]), ["app.*.port"]);
        assert!(filters(&["a..b".to_owned()], &InLayers::default()).is_err());
    }

    #[test]
    fn a_target_is_looked_for_in_every_layer_that_is_named() {
        let (key, below) = ("base.checkout", "base.checkout.>");
        assert_eq!(filtered(&["checkout"], &["base"]), [key, below]);
        assert_eq!(filtered(&["a.*"], &["base", "env.*", ""]), ["base.a.*", "env.*.a.*", "a.*"]);
        assert_eq!(filtered(&["checkout"], &["base", "base"]), [key, below]);
        let everything = InLayers { layers: vec![layer("base").unwrap(), layer("env.*").unwrap()] };
        let everything: Vec<String> =
            everything.everything().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(everything, ["base.>", "env.*.>"]);
    }

    #[test]
    fn what_a_shell_would_take_for_a_sign_is_quoted() {
        assert_eq!(quoted("env.prod"), "env.prod");
        assert_eq!(
            (quoted("app.*.port"), quoted("it's"), quoted("")),
            ("'app.*.port'".into(), r"'it'\''s'".into(), "''".into())
        );
    }

    #[test]
    fn what_is_no_name_of_a_layer_is_refused() {
        for text in ["a..b", "a.>", "a b", ".", "env.*."] {
            assert!(layer(text).is_err(), "{text}");
        }
    }
}
