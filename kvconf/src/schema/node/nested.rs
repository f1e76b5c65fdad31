//! Fields that are structs.

use std::any::Any;

use bytes::Bytes;

use super::{FieldError, Meta, Node, Raw, Stored, Told, mismatch, node_at, validate_struct};
use crate::exposure::Observers;
use crate::schema::prepared::Prepared;
use crate::schema::survey::{Group, Place, Survey, join, survey_struct};
use crate::schema::validation::Complaint;
use crate::schema::{KvConfig, Unlinked};
use crate::value::EncodeError;

/// A field that is a struct.
#[doc(hidden)]
pub struct Nested<S: 'static, N: 'static> {
    /// What is known of it; `key` is empty when it is flattened.
    pub meta: Meta,
    /// Borrows the field.
    pub get: fn(&S) -> &N,
    /// Borrows the field to change it.
    pub get_mut: fn(&mut S) -> &mut N,
}

impl<S: 'static, N: KvConfig> Node<S> for Nested<S, N> {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn survey(&'static self, place: &Place, index: u16, survey: &mut Survey) {
        let env_prefix = match N::__SCHEMA.env_prefix {
            Some(own) => Some(own.to_owned()),
            None if self.meta.key.is_empty() => place.env_prefix.clone(),
            None => place.env(&self.meta),
        };
        let place = Place { path: place.path.join(index), key: join(&place.key, self.meta.key), env_prefix };
        if !self.meta.key.is_empty() {
            let (own, of_type) = (self.meta.description, N::__SCHEMA.description);
            let description = if own.is_empty() { of_type } else { own };
            survey.groups.push(Group { key: place.key.clone(), name: N::__SCHEMA.name, description });
        }
        survey_struct::<N>(&place, survey);
    }

    fn value<'a>(&self, target: &'a S, rest: &[u16]) -> Option<&'a dyn Any> {
        match node_at::<N>(rest) {
            Some((node, rest)) => node.value((self.get)(target), rest),
            None => Some((self.get)(target)),
        }
    }

    fn read(&self, target: &mut S, rest: &[u16], key: &str, raw: Raw<'_>) -> Result<(), Vec<FieldError>> {
        match node_at::<N>(rest) {
            Some((node, rest)) => node.read((self.get_mut)(target), rest, key, raw),
            None => Ok(()),
        }
    }

    fn read_entry(
        &self,
        target: &mut S,
        rest: &[u16],
        segment: &str,
        raw: Raw<'_>,
    ) -> Result<(), Vec<FieldError>> {
        match node_at::<N>(rest) {
            Some((node, rest)) => node.read_entry((self.get_mut)(target), rest, segment, raw),
            None => Ok(()),
        }
    }

    fn copy(&self, target: &mut S, source: &S, rest: &[u16], segment: Option<&str>) {
        if let Some((node, rest)) = node_at::<N>(rest) {
            node.copy((self.get_mut)(target), (self.get)(source), rest, segment);
        }
    }

    fn prepare(&self, prepared: &mut Prepared, rest: &[u16], key: &str, segment: Option<&str>, raw: Raw<'_>) {
        if let Some((node, rest)) = node_at::<N>(rest) {
            node.prepare(prepared, rest, key, segment, raw);
        }
    }

    fn examine(
        &self,
        rest: &[u16],
        key: &str,
        segment: Option<&str>,
        raw: Raw<'_>,
    ) -> Result<(), Vec<FieldError>> {
        node_at::<N>(rest).map_or(Ok(()), |(node, rest)| node.examine(rest, key, segment, raw))
    }

    fn check_entries(&self, target: &S, rest: &[u16]) -> Result<(), Vec<FieldError>> {
        match node_at::<N>(rest) {
            Some((node, rest)) => node.check_entries((self.get)(target), rest),
            None => Ok(()),
        }
    }

    fn encode(&self, target: &S, rest: &[u16]) -> Result<Stored, EncodeError> {
        let (node, rest) = node_at::<N>(rest).ok_or_else(mismatch)?;
        node.encode((self.get)(target), rest)
    }

    fn encode_entries(&self, target: &S, rest: &[u16]) -> Result<Vec<(String, Bytes)>, EncodeError> {
        let (node, rest) = node_at::<N>(rest).ok_or_else(mismatch)?;
        node.encode_entries((self.get)(target), rest)
    }

    fn encode_value(&self, value: &dyn Any, rest: &[u16]) -> Result<Stored, EncodeError> {
        let (node, rest) = node_at::<N>(rest).ok_or_else(mismatch)?;
        node.encode_value(value, rest)
    }

    fn encode_map(&self, value: &dyn Any, rest: &[u16]) -> Result<Vec<(String, Bytes)>, EncodeError> {
        let (node, rest) = node_at::<N>(rest).ok_or_else(mismatch)?;
        node.encode_map(value, rest)
    }

    fn stored_form(&self, text: Option<&str>, rest: &[u16]) -> Option<Stored> {
        let (node, rest) = node_at::<N>(rest)?;
        node.stored_form(text, rest)
    }

    fn default_text(&self, rest: &[u16]) -> Option<Bytes> {
        let (node, rest) = node_at::<N>(rest)?;
        node.default_text(rest)
    }

    fn told(&self, rest: &[u16]) -> Option<Told> {
        let (node, rest) = node_at::<N>(rest)?;
        node.told(rest)
    }

    fn link(&self, target: &mut S, rest: &[u16]) -> Vec<Unlinked> {
        match node_at::<N>(rest) {
            Some((node, rest)) => node.link((self.get_mut)(target), rest),
            None => (self.get_mut)(target).__link(),
        }
    }

    fn equip(&self, target: &mut S, observers: &Observers) {
        (self.get_mut)(target).__equip(observers);
    }

    fn validate(&self, target: &S, rest: &[u16]) -> Vec<Complaint> {
        match node_at::<N>(rest) {
            Some((node, rest)) => node.validate((self.get)(target), rest),
            None => validate_struct((self.get)(target)),
        }
    }
}
