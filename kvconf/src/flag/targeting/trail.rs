//! Where in a rule something stands.

use std::fmt;

/// A path from the top of a rule, kept on the stack and written only when asked for: `targeting.if[2].==[0]`.
#[derive(Clone, Copy)]
pub(crate) struct Trail<'a> {
    before: Option<&'a Trail<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Place(usize),
}

impl<'a> Trail<'a> {
    pub(crate) fn top(name: &'a str) -> Self {
        Self { before: None, step: Step::Name(name) }
    }

    pub(crate) fn name(&'a self, name: &'a str) -> Self {
        Self { before: Some(self), step: Step::Name(name) }
    }

    pub(crate) fn place(&'a self, place: usize) -> Self {
        Self { before: Some(self), step: Step::Place(place) }
    }
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(before) = self.before {
            before.fmt(f)?;
        }
        match self.step {
            Step::Name(name) if self.before.is_some() => write!(f, ".{name}"),
            Step::Name(name) => f.write_str(name),
            Step::Place(place) => write!(f, "[{place}]"),
        }
    }
}
