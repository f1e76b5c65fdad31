//! From an identity to a bucket: which share of a `fractional` a subject falls into.
//!
//! Both versions hash bytes with murmur3 and scale the hash to the sum of the weights; they differ in the bytes. What a
//! version computes never changes: it decides what users get.

mod cbor;
mod murmur3;

use std::fmt;
use std::str::FromStr;

use derive_more::{Display, Error};

pub(crate) use cbor::{write_list, write_text, write_text_head, write_value};
pub(crate) use murmur3::Murmur3;

/// The largest weight, and the largest sum of weights, in a `fractional`.
pub const MAX_WEIGHT: u32 = i32::MAX as u32;

/// Which bytes of an identity decide about its share of a `fractional`.
///
/// It is pinned for a flag set: an upgrade of a library must not move anybody. Where nothing is pinned it is [`Self::V3`],
/// and stays so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Bucketing {
    /// flagd's Go and JavaScript cores: the bytes of a text; by default those of the flag's key and the targeting key.
    V2,
    /// flagd's newest Rust and Python cores: the deterministic CBOR (RFC 8949 §4.2.1) of any value; by default that of the
    /// list of the flag's key and the targeting key.
    #[default]
    V3,
}

impl Bucketing {
    /// `v2` or `v3`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V3 => "v3",
        }
    }
}

impl fmt::Display for Bucketing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text is no version of bucketing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, Error)]
#[display("bucketing is `v2` or `v3`")]
pub struct UnknownBucketing;

impl FromStr for Bucketing {
    type Err = UnknownBucketing;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::V2, Self::V3].into_iter().find(|version| version.name() == text).ok_or(UnknownBucketing)
    }
}

/// Where a hash falls among as many buckets as the weights have in sum: below `total`.
pub(crate) fn bucket(hash: u32, total: u32) -> u32 {
    // The product of two numbers of 32 bits has 64; its upper half is below each of them.
    ((u64::from(hash) * u64::from(total)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_end_below_the_total() {
        assert_eq!(bucket(0, 100), 0);
        assert_eq!(bucket(u32::MAX, 100), 99);
        assert_eq!(bucket(u32::MAX, MAX_WEIGHT), MAX_WEIGHT - 1);
        assert_eq!(bucket(1 << 31, 2), 1);
    }

    #[test]
    fn versions_have_names() {
        assert_eq!("v2".parse(), Ok(Bucketing::V2));
        assert_eq!("v3".parse(), Ok(Bucketing::V3));
        assert_eq!("v1".parse::<Bucketing>(), Err(UnknownBucketing));
        assert_eq!(Bucketing::default(), Bucketing::V3);
    }
}
