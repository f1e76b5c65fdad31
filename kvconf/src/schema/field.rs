//! Typed names of fields.

use std::fmt;
use std::marker::PhantomData;

/// Where a field stands in a struct of structs: the index of a node at every level.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    steps: [u16; Self::MAX],
    len: u8,
}

impl Path {
    /// How deep structs may be nested.
    pub const MAX: usize = 8;

    /// The struct itself.
    pub const ROOT: Self = Self { steps: [0; Self::MAX], len: 0 };

    /// The node with this index below. Beyond [`Path::MAX`] levels the path stays as it is: the derive refuses such
    /// structs at compile time.
    #[doc(hidden)]
    #[must_use]
    pub const fn join(mut self, index: u16) -> Self {
        let len = self.len as usize;
        if let Some((_, rest)) = self.steps.split_at_mut_checked(len)
            && let Some(slot) = rest.first_mut()
        {
            *slot = index;
            self.len += 1;
        }
        self
    }

    pub(crate) fn steps(&self) -> &[u16] {
        self.steps.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps()).finish()
    }
}

/// The name of one field of type `V` in the struct `Root`, nested fields included. Copy it freely, it costs nothing.
///
/// Comes from `Root::fields()`: `Checkout::fields().retry.max`.
pub struct Field<Root, V> {
    path: Path,
    marker: PhantomData<fn(&Root) -> V>,
}

impl<Root, V> Field<Root, V> {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(path: Path) -> Self {
        Self { path, marker: PhantomData }
    }

    /// Where the field stands.
    #[must_use]
    pub const fn path(self) -> Path {
        self.path
    }
}

impl<Root, V> Clone for Field<Root, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Root, V> Copy for Field<Root, V> {}

impl<Root, V> fmt::Debug for Field<Root, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Field").field(&self.path).finish()
    }
}

impl<Root, V> From<Field<Root, V>> for Path {
    fn from(field: Field<Root, V>) -> Self {
        field.path
    }
}
