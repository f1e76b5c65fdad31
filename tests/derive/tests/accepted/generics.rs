//! Structs with parameters.
#![expect(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "functions that an attribute names have a given shape"
)]

use std::collections::BTreeMap;
use std::marker::PhantomData;

use kvconf::{KvConfig, Validation};

/// With a type, a struct and a number.
#[derive(KvConfig, Clone, Debug)]
#[kv(validate = Self::check)]
pub struct Pool<T: Copy, N, const MOST: u32 = 4>
where
    N: Clone,
{
    /// One value.
    pub value: T,
    /// A default of it.
    #[kv(default, validate = Self::fine)]
    pub other: Vec<T>,
    /// Perhaps.
    pub maybe: Option<T>,
    /// Many.
    #[kv(entries)]
    pub map: BTreeMap<String, T>,
    /// A struct.
    #[kv(nested)]
    pub nested: N,
    /// Without a parameter.
    #[kv(default = Self::LEAST, range(Self::LEAST..=MOST))]
    pub size: u32,
    /// Not stored.
    #[kv(skip)]
    pub marker: PhantomData<T>,
}

impl<T: Copy, N: Clone, const MOST: u32> Pool<T, N, MOST> {
    const LEAST: u32 = 1;

    fn check(&self, _: &mut Validation<Self>) {}

    fn fine(_: &[T]) -> Result<(), String> {
        Ok(())
    }
}

/// Inner settings.
#[derive(KvConfig, Clone, Debug)]
pub struct Inner {
    /// A number.
    pub number: u8,
}

/// Holds a generic struct.
#[derive(KvConfig, Clone, Debug)]
pub struct Outer {
    /// It.
    #[kv(nested)]
    pub pool: Pool<u16, Inner, 7>,
}

#[test]
fn parameters_reach_rows_and_typed_names() {
    assert_eq!(format!("{:?}", Outer::fields().pool.nested.number.path()), "[0, 4, 0]");
    assert_eq!(format!("{:?}", Pool::<u8, Inner>::fields().maybe.path()), "[2]");
    assert_eq!(Pool::<u8, Inner>::__SCHEMA.nodes.len(), 6);
}
