//! What a struct's own `validate` function says.

use std::fmt;
use std::marker::PhantomData;

use super::Path;

/// Collects what a `#[kv(validate = …)]` function finds wrong. Nothing reported means that all is well.
///
pub struct Validation<S> {
    complaints: Vec<Complaint>,
    marker: PhantomData<fn(&S)>,
}

/// One thing that is wrong, and the fields that take part in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    pub(crate) message: String,
    pub(crate) fields: Vec<Path>,
}

impl<S> Validation<S> {
    pub(crate) fn new() -> Self {
        Self { complaints: Vec::new(), marker: PhantomData }
    }

    /// Reports a problem: lowercase, no full stop, fits behind "checkout.retry: ". Name the fields that take part with
    /// [`Complaint::on`], so that the report can say where their values come from.
    pub fn problem(&mut self, message: impl fmt::Display) -> &mut Complaint {
        self.complaints.push(Complaint { message: message.to_string(), fields: Vec::new() });
        let last = self.complaints.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "pushed right above")]
        &mut self.complaints[last]
    }

    pub(crate) fn into_complaints(self) -> Vec<Complaint> {
        self.complaints
    }
}

impl Complaint {
    /// Names a field that takes part: `problems.problem("…").on(Self::fields().min)`.
    pub fn on(&mut self, field: impl Into<Path>) -> &mut Self {
        self.fields.push(field.into());
        self
    }
}

impl<S> fmt::Debug for Validation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.complaints).finish()
    }
}
