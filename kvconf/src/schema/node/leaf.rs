//! Fields with one key.

use std::any::Any;

use bytes::Bytes;

use super::{FieldError, Meta, Node, Raw, Stored, Told, mask_if_secret, mismatch, run_checks};
use crate::exposure::Observers;
use crate::schema::check::Check;
use crate::schema::prepared::Prepared;
use crate::schema::presence::Presence;
use crate::schema::survey::{Kind, Place, Slot, Survey, join};
use crate::schema::validation::Complaint;
use crate::value::{Codec, EncodeError, ValuePlace};

/// What a field is where no source has a value.
#[doc(hidden)]
pub enum Absent<V: 'static> {
    /// A problem.
    Required,
    /// An `Option`: this value, and a test for it.
    Optional {
        /// Gives `None`.
        none: fn() -> V,
        /// Whether a value is `None`.
        is_none: fn(&V) -> bool,
    },
    /// The default.
    Value(fn() -> V),
    /// A default that may be another one in every process.
    Computed(fn() -> V),
    /// The same, for the key of the field below the struct's prefix.
    Keyed(fn(&str) -> V),
    /// The default in stored form; read by the field's codec.
    Text(&'static str),
}

/// A field with one key.
#[doc(hidden)]
pub struct Leaf<S: 'static, V: 'static> {
    /// What is known of it.
    pub meta: Meta,
    /// Borrows the field.
    pub get: fn(&S) -> &V,
    /// Borrows the field to change it.
    pub get_mut: fn(&mut S) -> &mut V,
    /// Its stored form.
    pub codec: &'static dyn Codec<V>,
    /// What it is without a value.
    pub absent: Absent<V>,
    /// Its checks, all of which are run.
    pub checks: &'static [Check<V>],
}

impl<S: 'static, V: Clone + Send + Sync + 'static> Leaf<S, V> {
    /// The value for `raw`, or every problem with it. `key` is the field's below the struct's prefix, whatever name the
    /// value was found under.
    pub(crate) fn decode(&self, key: &str, raw: Raw<'_>) -> Result<V, Vec<FieldError>> {
        let decode = |bytes, revision| {
            let place = ValuePlace { key, revision };
            self.codec.decode_at(place, bytes).map_err(|e| mask_if_secret(&self.meta, e))
        };
        let value = match (raw, &self.absent) {
            (Raw::Unknown, _) => Err(FieldError::Operation),
            (Raw::Sealed(error), _) => Err(FieldError::Sealed(error.clone())),
            (Raw::Bytes(bytes, revision), _) => decode(bytes, revision).map_err(FieldError::Decode),
            (Raw::Absent, Absent::Required) => Err(FieldError::Missing),
            (Raw::Absent, Absent::Optional { none, .. }) => Ok(none()),
            (Raw::Absent, Absent::Value(default) | Absent::Computed(default)) => Ok(default()),
            (Raw::Absent, Absent::Keyed(default)) => Ok(default(key)),
            (Raw::Absent, Absent::Text(text)) => decode(text.as_bytes(), None).map_err(FieldError::Default),
        };
        let value = value.map_err(|error| vec![error])?;
        let shown = || match self.codec.encode(&value) {
            Ok(bytes) => crate::value::show(&bytes),
            Err(_) => "the value".to_owned(),
        };
        let problems = run_checks(&self.meta, self.checks, &value, &shown, &|value| self.text_of(value));
        if problems.is_empty() { Ok(value) } else { Err(problems) }
    }

    /// A value in stored form, where that is a text.
    fn text_of(&self, value: &V) -> Option<String> {
        String::from_utf8(self.codec.encode(value).ok()?.into()).ok()
    }

    fn stored(&self, value: &V) -> Result<Stored, EncodeError> {
        match &self.absent {
            Absent::Optional { is_none, .. } if is_none(value) => Ok(Stored::Absent),
            _ => self.codec.encode(value).map(Stored::Value),
        }
    }
}

impl<S: 'static, V: Clone + Send + Sync + 'static> Node<S> for Leaf<S, V> {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn survey(&'static self, place: &Place, index: u16, survey: &mut Survey) {
        survey.slots.push(Slot {
            path: place.path.join(index),
            key: join(&place.key, self.meta.key),
            aliases: aliases(place, &self.meta),
            meta: &self.meta,
            kind: Kind::Leaf,
            env: place.env(&self.meta),
            required: matches!(self.absent, Absent::Required),
        });
    }

    fn value<'a>(&self, target: &'a S, _rest: &[u16]) -> Option<&'a dyn Any> {
        Some((self.get)(target))
    }

    fn read(&self, target: &mut S, _rest: &[u16], key: &str, raw: Raw<'_>) -> Result<(), Vec<FieldError>> {
        let value = self.decode(key, raw)?;
        *(self.get_mut)(target) = value;
        Ok(())
    }

    fn read_entry(&self, _: &mut S, _: &[u16], _: &str, _: Raw<'_>) -> Result<(), Vec<FieldError>> {
        Ok(())
    }

    fn copy(&self, target: &mut S, source: &S, _rest: &[u16], _segment: Option<&str>) {
        (self.get_mut)(target).clone_from((self.get)(source));
    }

    fn prepare(&self, prepared: &mut Prepared, _rest: &[u16], key: &str, _: Option<&str>, raw: Raw<'_>) {
        *prepared = match raw {
            Raw::Absent => Prepared::Absent,
            raw => self.decode(key, raw).map_or(Prepared::Open, |value| Prepared::Value(Box::new(value))),
        };
    }

    fn examine(&self, _: &[u16], key: &str, _: Option<&str>, raw: Raw<'_>) -> Result<(), Vec<FieldError>> {
        self.decode(key, raw).map(drop)
    }

    fn check_entries(&self, _: &S, _: &[u16]) -> Result<(), Vec<FieldError>> {
        Ok(())
    }

    fn encode(&self, target: &S, _rest: &[u16]) -> Result<Stored, EncodeError> {
        self.stored((self.get)(target))
    }

    fn encode_entries(&self, _: &S, _: &[u16]) -> Result<Vec<(String, Bytes)>, EncodeError> {
        Err(mismatch())
    }

    fn encode_value(&self, value: &dyn Any, _rest: &[u16]) -> Result<Stored, EncodeError> {
        self.stored(value.downcast_ref().ok_or_else(mismatch)?)
    }

    fn encode_map(&self, _: &dyn Any, _: &[u16]) -> Result<Vec<(String, Bytes)>, EncodeError> {
        Err(mismatch())
    }

    fn stored_form(&self, text: Option<&str>, _rest: &[u16]) -> Option<Stored> {
        match (&self.absent, text) {
            (Absent::Optional { .. }, None) => Some(Stored::Absent),
            _ => self.codec.stored_form(text).map(Stored::Value),
        }
    }

    fn default_text(&self, _rest: &[u16]) -> Option<Bytes> {
        match &self.absent {
            Absent::Required | Absent::Optional { .. } => None,
            Absent::Value(default) | Absent::Computed(default) => self.codec.encode(&default()).ok(),
            Absent::Keyed(default) => self.codec.encode(&default(self.meta.key)).ok(),
            Absent::Text(text) => Some(Bytes::from_static(text.as_bytes())),
        }
    }

    fn told(&self, rest: &[u16]) -> Option<Told> {
        let presence = match &self.absent {
            Absent::Required => Presence::Required,
            Absent::Optional { .. } => Presence::Optional,
            Absent::Computed(_) => Presence::Computed,
            Absent::Value(_) | Absent::Keyed(_) | Absent::Text(_) if self.meta.secret => Presence::Hidden,
            Absent::Value(_) | Absent::Keyed(_) | Absent::Text(_) => by_default(self.default_text(rest)),
        };
        let encode = |value: &V| self.text_of(value);
        let mut constraints = Vec::with_capacity(self.checks.len());
        for check in self.checks {
            constraints.push(check.told(&encode));
        }
        Some(Told { form: self.codec.form(), presence, constraints })
    }

    fn equip(&self, target: &mut S, observers: &Observers) {
        self.codec.equip((self.get_mut)(target), observers);
    }

    fn validate(&self, _: &S, _: &[u16]) -> Vec<Complaint> {
        Vec::new()
    }
}

// What follows is apart, as it is the same for each struct and each type of a field.

fn aliases(place: &Place, meta: &Meta) -> Vec<String> {
    meta.aliases.iter().map(|alias| join(&place.key, alias)).collect()
}

fn by_default(stored: Option<Bytes>) -> Presence {
    let text = stored.map(Vec::from).and_then(|bytes| String::from_utf8(bytes).ok());
    text.map_or(Presence::Computed, Presence::Default)
}
