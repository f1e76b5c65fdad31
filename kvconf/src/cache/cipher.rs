//! Whether, and with what, cache files are encrypted.

#[cfg(feature = "seal")]
use crate::seal::Keyring;
use crate::seal::{Clear, SealError};

/// The keys for cache files. Without one, secrets are left out of them.
#[derive(Clone, Default, Debug)]
pub(crate) struct Cipher {
    #[cfg(feature = "seal")]
    pub(super) ring: Option<Keyring>,
}

/// What sets a cache file's encryption apart from that of a sealed value with the same key.
#[cfg(feature = "seal")]
fn bound_to(header: &[u8]) -> Vec<u8> {
    [b"kvconf-cache:1:", header].concat()
}

#[cfg(feature = "seal")]
impl Cipher {
    /// The id of the key that new files are encrypted with.
    pub(crate) fn id(&self) -> Option<&str> {
        self.ring.as_ref().map(Keyring::primary_id)
    }

    /// `None` where files are not encrypted.
    pub(super) fn encrypt(&self, clear: &[u8], header: &[u8]) -> Result<Option<Vec<u8>>, SealError> {
        let ring = self.ring.as_ref();
        ring.map(|ring| ring.primary().encrypt(clear, &bound_to(header))).transpose()
    }

    pub(super) fn decrypt(&self, id: &str, encrypted: &[u8], header: &[u8]) -> Result<Clear, SealError> {
        let id = || id.to_owned();
        let ring = self.ring.as_ref().ok_or_else(|| SealError::NoKeyring { id: id() })?;
        let key = ring.key(&id()).ok_or_else(|| SealError::UnknownKey { id: id() })?;
        key.decrypt(encrypted, &bound_to(header)).ok_or_else(|| SealError::Tampered { id: id() })
    }
}

#[cfg(not(feature = "seal"))]
#[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as with the feature `seal`")]
impl Cipher {
    pub(crate) const fn id(&self) -> Option<&str> {
        None
    }

    pub(super) const fn encrypt(&self, _: &[u8], _: &[u8]) -> Result<Option<Vec<u8>>, SealError> {
        Ok(None)
    }

    pub(super) fn decrypt(&self, id: &str, _: &[u8], _: &[u8]) -> Result<Clear, SealError> {
        Err(SealError::NoKeyring { id: id.to_owned() })
    }
}
