//! Maps with one key per entry.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::hash::{BuildHasher, Hash};
use std::str::FromStr;

use bytes::Bytes;

use super::{FieldError, Meta, Node, Raw, Stored, Told, mask_if_secret, mismatch, run_checks};
use crate::key::{escape_segment, unescape_segment};
use crate::schema::check::Check;
use crate::schema::prepared::Prepared;
use crate::schema::presence::Presence;
use crate::schema::survey::{Kind, Place, Slot, Survey, join};
use crate::schema::validation::Complaint;
use crate::value::{Codec, DecodeError, EncodeError, ValuePlace, quote_text};

/// A map with one key per entry.
#[doc(hidden)]
pub struct Entries<S: 'static, M: EntryMap> {
    /// What is known of it.
    pub meta: Meta,
    /// Borrows the field.
    pub get: fn(&S) -> &M,
    /// Borrows the field to change it.
    pub get_mut: fn(&mut S) -> &mut M,
    /// The stored form of one entry's value.
    pub codec: &'static dyn Codec<M::Value>,
    /// The checks on the map as a whole.
    pub checks: &'static [Check<M>],
}

/// A map that can be spread over one key per entry.
///
/// Implemented for `BTreeMap` and `HashMap` whose keys are written by `Display` and read back by `FromStr`. A key of the
/// bucket that would be written in another way, such as `07` for the number 7, is no entry and a problem.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be spread over one key per entry",
    label = "`entries` needs a `BTreeMap` or a `HashMap`",
    note = "the keys of the map must be `Display` and `FromStr`, its values `Clone + Send + Sync`"
)]
pub trait EntryMap: Clone + Default + Send + Sync + 'static {
    /// What one entry holds.
    type Value: Clone + Send + Sync + 'static;

    #[doc(hidden)]
    fn put(&mut self, key: &str, value: Self::Value) -> Result<(), DecodeError>;

    #[doc(hidden)]
    fn take(&mut self, key: &str);

    #[doc(hidden)]
    fn find(&self, key: &str) -> Option<&Self::Value>;

    #[doc(hidden)]
    fn each(&self) -> Vec<(String, &Self::Value)>;
}

/// A key of a map from its text. Only the form that is written will do: of two keys of the bucket that were one in the map,
/// one would hide the other, and take its entry along when it is removed.
fn parse_map_key<K: FromStr + Display>(text: &str) -> Result<K, DecodeError> {
    // The key stands in every report; none of it is a secret.
    let key: K = text
        .parse()
        .map_err(|_| DecodeError::secret(format!("{} is not a key of this map", quote_text(text))))?;
    let written = key.to_string();
    if written == text {
        return Ok(key);
    }
    let (text, written) = (quote_text(text), quote_text(&written));
    Err(DecodeError::secret(format!("the key {text} of the map must be written {written}")))
}

macro_rules! entry_map {
    ($($map:ty where [$($bounds:tt)*];)+) => {$(
        impl<V: Clone + Send + Sync + 'static, $($bounds)*> EntryMap for $map {
            type Value = V;

            fn put(&mut self, key: &str, value: V) -> Result<(), DecodeError> {
                self.insert(parse_map_key(key)?, value);
                Ok(())
            }

            fn take(&mut self, key: &str) {
                if let Ok(key) = parse_map_key::<K>(key) {
                    self.remove(&key);
                }
            }

            fn find(&self, key: &str) -> Option<&V> {
                self.get(&parse_map_key::<K>(key).ok()?)
            }

            fn each(&self) -> Vec<(String, &V)> {
                self.iter().map(|(key, value)| (key.to_string(), value)).collect()
            }
        }
    )+};
}

entry_map! {
    BTreeMap<K, V> where [K: Ord + FromStr + Display + Clone + Send + Sync + 'static];
    HashMap<K, V, H> where [
        K: Eq + Hash + FromStr + Display + Clone + Send + Sync + 'static,
        H: BuildHasher + Default + Clone + Send + Sync + 'static
    ];
}

impl<S: 'static, M: EntryMap> Entries<S, M> {
    /// Puts one entry into a map, or takes it out.
    pub(crate) fn read_into(&self, map: &mut M, segment: &str, raw: Raw<'_>) -> Result<(), Vec<FieldError>> {
        let one = |error| vec![error];
        let Some(key) = unescape_segment(segment) else {
            let error = DecodeError::new("the last part of the key is no escaped map key");
            // Nothing can stand in the map for it, so there is nothing to take out.
            return if raw == Raw::Absent { Ok(()) } else { Err(one(FieldError::Decode(error))) };
        };
        match raw {
            Raw::Absent => {
                map.take(&key);
                Ok(())
            }
            Raw::Unknown => Err(one(FieldError::Operation)),
            Raw::Sealed(error) => Err(one(FieldError::Sealed(error.clone()))),
            Raw::Bytes(bytes, revision) => {
                let decode = |e| one(FieldError::Decode(mask_if_secret(&self.meta, e)));
                let value =
                    self.codec.decode_at(ValuePlace { key: &key, revision }, bytes).map_err(decode)?;
                map.put(&key, value).map_err(decode)
            }
        }
    }

    pub(crate) fn check(&self, map: &M) -> Vec<FieldError> {
        run_checks(&self.meta, self.checks, map, &|| "the map".to_owned(), &|_| None)
    }

    fn encode_all(&self, map: &M) -> Result<Vec<(String, Bytes)>, EncodeError> {
        map.each()
            .into_iter()
            .map(|(key, value)| Ok((escape_segment(&key), self.codec.encode(value)?)))
            .collect()
    }
}

impl<S: 'static, M: EntryMap> Node<S> for Entries<S, M> {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn survey(&'static self, place: &Place, index: u16, survey: &mut Survey) {
        survey.slots.push(Slot {
            path: place.path.join(index),
            key: join(&place.key, self.meta.key),
            aliases: Vec::new(),
            meta: &self.meta,
            kind: Kind::Entries,
            env: place.env(&self.meta),
            required: false,
        });
    }

    fn value<'a>(&self, target: &'a S, _rest: &[u16]) -> Option<&'a dyn Any> {
        Some((self.get)(target))
    }

    fn read(&self, _: &mut S, _: &[u16], _: &str, _: Raw<'_>) -> Result<(), Vec<FieldError>> {
        Ok(())
    }

    fn read_entry(
        &self,
        target: &mut S,
        _rest: &[u16],
        segment: &str,
        raw: Raw<'_>,
    ) -> Result<(), Vec<FieldError>> {
        self.read_into((self.get_mut)(target), segment, raw)
    }

    fn copy(&self, target: &mut S, source: &S, _rest: &[u16], segment: Option<&str>) {
        // What is no escaped key stands in no map.
        let Some(key) = segment.and_then(unescape_segment) else { return };
        let (map, source) = ((self.get_mut)(target), (self.get)(source));
        let taken = source.find(&key).cloned().map(|value| map.put(&key, value));
        if !matches!(taken, Some(Ok(()))) {
            map.take(&key);
        }
    }

    fn prepare(&self, prepared: &mut Prepared, _rest: &[u16], _: &str, segment: Option<&str>, raw: Raw<'_>) {
        let Some(segment) = segment else { return };
        if matches!(prepared, Prepared::Absent) && raw != Raw::Absent {
            *prepared = Prepared::Value(Box::new(M::default()));
        }
        if let Prepared::Value(map) = prepared
            && let Some(map) = map.downcast_mut()
            && self.read_into(map, segment, raw).is_err()
        {
            *prepared = Prepared::Open;
        }
    }

    fn examine(
        &self,
        _: &[u16],
        _: &str,
        segment: Option<&str>,
        raw: Raw<'_>,
    ) -> Result<(), Vec<FieldError>> {
        segment.map_or(Ok(()), |segment| self.read_into(&mut M::default(), segment, raw))
    }

    fn check_entries(&self, target: &S, _rest: &[u16]) -> Result<(), Vec<FieldError>> {
        let problems = self.check((self.get)(target));
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn encode(&self, _: &S, _: &[u16]) -> Result<Stored, EncodeError> {
        Err(mismatch())
    }

    fn encode_entries(&self, target: &S, _rest: &[u16]) -> Result<Vec<(String, Bytes)>, EncodeError> {
        self.encode_all((self.get)(target))
    }

    fn encode_value(&self, value: &dyn Any, _rest: &[u16]) -> Result<Stored, EncodeError> {
        self.codec.encode(value.downcast_ref().ok_or_else(mismatch)?).map(Stored::Value)
    }

    fn encode_map(&self, value: &dyn Any, _rest: &[u16]) -> Result<Vec<(String, Bytes)>, EncodeError> {
        self.encode_all(value.downcast_ref().ok_or_else(mismatch)?)
    }

    fn stored_form(&self, text: Option<&str>, _rest: &[u16]) -> Option<Stored> {
        self.codec.stored_form(text).map(Stored::Value)
    }

    fn default_text(&self, _rest: &[u16]) -> Option<Bytes> {
        None
    }

    fn told(&self, _rest: &[u16]) -> Option<Told> {
        let constraints = self.checks.iter().map(|check| check.constraint.clone()).collect();
        Some(Told { form: self.codec.form(), presence: Presence::Optional, constraints })
    }

    fn validate(&self, _: &S, _: &[u16]) -> Vec<Complaint> {
        Vec::new()
    }
}
