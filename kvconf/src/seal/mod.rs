//! Secrets that stand encrypted in the bucket.
//!
//! A sealed value is text that any client can recognise, and only a program with the key can read:
//!
//! ```text
//! kvconf-sealed:v1:<key id>:<base64 of nonce, ciphertext and tag>
//! ```
//!
//! The cipher is XChaCha20-Poly1305 (`draft-irtf-cfrg-xchacha-03`) with a random nonce of 192 bits, so that one key may
//! seal any number of values. The value is bound to the full name of its key in the bucket: copied to another one it does
//! not open. It is not bound to the bucket, so that a bucket can be copied as a whole.
//!
//! A field marked `secret` reads sealed values when its handle has a `Keyring`, see `LiveBuilder::keyring`; the functions
//! here are for tools. See [`guide::secrets`](crate::guide::secrets). All of it needs the feature `seal`; without it sealed
//! values are recognised, and reported, by every handle.

#[cfg(feature = "seal")]
mod keyring;
mod text;

use crate::Key;
use crate::value::MASK;

#[cfg(feature = "seal")]
pub use keyring::{InvalidKey, Keyring, SealKey, open, reseal, seal};
pub use text::{SealError, key_id};
pub(crate) use text::{Sealed, is_sealed, not_secret};

/// Bytes that are wiped when they are dropped.
#[cfg(feature = "seal")]
pub(crate) type Clear = zeroize::Zeroizing<Vec<u8>>;
/// Nothing can be opened.
#[cfg(not(feature = "seal"))]
pub(crate) type Clear = Vec<u8>;

/// What a handle does with sealed values: which keys it has, and whether it seals what it writes.
#[derive(Default, Clone)]
pub(crate) struct Seals {
    #[cfg(feature = "seal")]
    pub(crate) ring: Option<Keyring>,
    /// Whether secrets are written in clear all the same.
    #[cfg(feature = "seal")]
    pub(crate) writes_clear: bool,
}

impl Seals {
    /// What a stored value of a field holds; `None` for one that is not sealed. Only a secret is opened.
    pub(crate) fn read(&self, secret: bool, key: &Key, bytes: &[u8]) -> Option<Result<Clear, SealError>> {
        if secret { self.open(key, bytes) } else { not_secret(bytes).map(Err) }
    }

    /// What a stored value holds; `None` for one that is not sealed.
    pub(crate) fn open(&self, key: &Key, bytes: &[u8]) -> Option<Result<Clear, SealError>> {
        Some(Sealed::parse(bytes)?.and_then(|sealed| self.open_sealed(key, &sealed)))
    }

    #[cfg(feature = "seal")]
    fn open_sealed(&self, key: &Key, sealed: &Sealed<'_>) -> Result<Clear, SealError> {
        match &self.ring {
            Some(ring) => ring.open_sealed(key, sealed),
            None => Err(SealError::NoKeyring { id: sealed.id.to_owned() }),
        }
    }

    #[cfg(not(feature = "seal"))]
    #[expect(clippy::unused_self, reason = "as with the feature `seal`")]
    fn open_sealed(&self, _: &Key, sealed: &Sealed<'_>) -> Result<Clear, SealError> {
        Err(SealError::NoKeyring { id: sealed.id.to_owned() })
    }

    /// The form in which a secret is to be written; `None` for in clear.
    #[cfg_attr(not(feature = "seal"), expect(clippy::unused_self, reason = "as with the feature `seal`"))]
    pub(crate) fn seal(&self, _key: &Key, _clear: &[u8]) -> Option<Result<String, SealError>> {
        #[cfg(feature = "seal")]
        if let Some(ring) = self.ring.as_ref().filter(|_| !self.writes_clear) {
            return Some(seal(ring, _key, _clear));
        }
        None
    }

    /// Whether secrets are sealed when they are written.
    #[cfg_attr(not(feature = "seal"), expect(clippy::unused_self, reason = "as with the feature `seal`"))]
    pub(crate) const fn seals(&self) -> bool {
        #[cfg(feature = "seal")]
        return self.ring.is_some() && !self.writes_clear;
        #[cfg(not(feature = "seal"))]
        false
    }

    /// Whether a stored value is already in the form in which it would be written.
    #[cfg_attr(not(feature = "seal"), expect(clippy::unused_self, reason = "as with the feature `seal`"))]
    pub(crate) fn is_as_written(&self, _stored: &[u8]) -> bool {
        #[cfg(feature = "seal")]
        if let Some(ring) = self.ring.as_ref().filter(|_| !self.writes_clear) {
            return key_id(_stored) == Some(ring.primary_id());
        }
        true
    }
}

/// Shows no key.
impl std::fmt::Debug for Seals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seals({MASK})")
    }
}
