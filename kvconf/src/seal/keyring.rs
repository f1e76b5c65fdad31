//! Keys, and what they do.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use derive_more::{Display, Error};
use rand::TryRng;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use super::text::{MAX_ID_BYTES, NONCE, Sealed, head, is_id, write};
use super::{Clear, SealError};
use crate::{Key, Secret};

/// In bytes.
const KEY: usize = 32;

/// Why something is no key to seal with.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
#[non_exhaustive]
pub enum InvalidKey {
    /// The id is empty, longer than 64 bytes, or has a character outside `[-_.a-zA-Z0-9]`.
    #[display("{id:?} is no key id: it is made of 1 to {MAX_ID_BYTES} of a-z A-Z 0-9 - _ and dots")]
    Id {
        /// What was given.
        id: String,
    },
    /// The text is not the base64 of 32 bytes.
    #[display("key {id} is not the base64 of {KEY} bytes")]
    Text {
        /// The key's id.
        id: String,
    },
    /// Two keys of a keyring have the same id.
    #[display("key {id} is on the keyring twice")]
    Twice {
        /// The id.
        id: String,
    },
    /// The system gave no random bytes.
    #[display("the system gives no random bytes")]
    Random,
}

/// One symmetric key of 256 bits with an id. Wiped when dropped; `Debug` shows the id alone.
#[derive(Clone)]
pub struct SealKey {
    id: String,
    bytes: Zeroizing<[u8; KEY]>,
}

impl SealKey {
    /// A key of these bytes, which must come from a random generator and not from a password.
    ///
    /// The id stands in clear in every value sealed with it: a date or a number, such as `2025-06`.
    ///
    /// # Errors
    /// [`InvalidKey::Id`].
    pub fn new(id: impl Into<String>, bytes: [u8; KEY]) -> Result<Self, InvalidKey> {
        let (id, bytes) = (id.into(), Zeroizing::new(bytes));
        if is_id(&id) { Ok(Self { id, bytes }) } else { Err(InvalidKey::Id { id }) }
    }

    /// A key from its base64, as `openssl rand -base64 32` prints one. Space around it does not matter.
    ///
    /// # Errors
    /// [`InvalidKey::Id`] and [`InvalidKey::Text`].
    pub fn from_base64(id: impl Into<String>, text: &str) -> Result<Self, InvalidKey> {
        let id = id.into();
        let decoded = STANDARD.decode(text.trim()).map(Zeroizing::new);
        let bytes: Option<[u8; KEY]> = decoded.ok().and_then(|bytes| bytes.as_slice().try_into().ok());
        match bytes {
            Some(bytes) => Self::new(id, bytes),
            None => Err(InvalidKey::Text { id }),
        }
    }

    /// A new random key.
    ///
    /// # Errors
    /// [`InvalidKey::Id`] and [`InvalidKey::Random`].
    pub fn generate(id: impl Into<String>) -> Result<Self, InvalidKey> {
        let mut bytes = Zeroizing::new([0; KEY]);
        SysRng.try_fill_bytes(bytes.as_mut()).map_err(|_| InvalidKey::Random)?;
        Self::new(id, *bytes)
    }

    /// The key's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key in clear, as [`SealKey::from_base64`] reads it: to be kept somewhere safe.
    #[must_use]
    pub fn to_base64(&self) -> Secret<String> {
        Secret::new(STANDARD.encode(self.bytes.as_ref()))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        let bytes: &[u8; KEY] = &self.bytes;
        XChaCha20Poly1305::new(bytes.into())
    }

    /// Nonce, ciphertext and tag.
    pub(crate) fn encrypt(&self, clear: &[u8], bound_to: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut body = vec![0; NONCE];
        SysRng.try_fill_bytes(&mut body).map_err(|_| SealError::Failed)?;
        self.encrypt_with(body, clear, bound_to)
    }

    /// `nonce` must never have been used with this key.
    fn encrypt_with(&self, nonce: Vec<u8>, clear: &[u8], bound_to: &[u8]) -> Result<Vec<u8>, SealError> {
        let fixed = XNonce::try_from(nonce.as_slice()).map_err(|_| SealError::Failed)?;
        let payload = Payload { msg: clear, aad: bound_to };
        let encrypted = self.cipher().encrypt(&fixed, payload).map_err(|_| SealError::Failed)?;
        Ok([nonce, encrypted].concat())
    }

    /// `None` unless it was made with this key and the same `bound_to`.
    pub(crate) fn decrypt(&self, body: &[u8], bound_to: &[u8]) -> Option<Clear> {
        let (nonce, encrypted) = body.split_at_checked(NONCE)?;
        let payload = Payload { msg: encrypted, aad: bound_to };
        self.cipher().decrypt(&XNonce::try_from(nonce).ok()?, payload).ok().map(Zeroizing::new)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The keys that a program has: one to seal with, and any number that only open. Cloning is cheap.
///
/// To rotate: give every reader the new key as well, then make it the primary one of the writers, then
/// [reseal](crate::Edit::reseal) what stands in the bucket, then take the old one away.
///
/// ```
/// use kvconf::seal::{Keyring, SealKey, open, reseal, seal};
/// use kvconf::Key;
///
/// let old = SealKey::generate("2024-11")?;
/// let key = Key::new("checkout.api_key")?;
/// let stored = seal(&Keyring::new(old.clone()), &key, b"hunter2")?;
/// assert!(stored.starts_with("kvconf-sealed:v1:2024-11:"));
///
/// let ring = Keyring::new(SealKey::generate("2025-06")?).and(old)?;
/// assert_eq!(open(&ring, &key, stored.as_bytes())?.expose().as_slice(), b"hunter2");
/// let renewed = reseal(&ring, &key, stored.as_bytes())?.unwrap();
/// assert!(renewed.starts_with("kvconf-sealed:v1:2025-06:"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Keyring {
    /// The first one seals.
    keys: Arc<(SealKey, Vec<SealKey>)>,
}

impl Keyring {
    /// A keyring that seals with this key.
    #[must_use]
    pub fn new(primary: SealKey) -> Self {
        Self { keys: Arc::new((primary, Vec::new())) }
    }

    /// The same with another key that opens and does not seal.
    ///
    /// # Errors
    /// [`InvalidKey::Twice`] when there is one of that id.
    pub fn and(mut self, older: SealKey) -> Result<Self, InvalidKey> {
        if self.key(&older.id).is_some() {
            return Err(InvalidKey::Twice { id: older.id });
        }
        Arc::make_mut(&mut self.keys).1.push(older);
        Ok(self)
    }

    /// The ids of all keys, the primary one first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.all().map(SealKey::id)
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn primary_id(&self) -> &str {
        self.primary().id()
    }

    pub(crate) fn primary(&self) -> &SealKey {
        &self.keys.0
    }

    fn all(&self) -> impl Iterator<Item = &SealKey> {
        std::iter::once(&self.keys.0).chain(&self.keys.1)
    }

    pub(crate) fn key(&self, id: &str) -> Option<&SealKey> {
        self.all().find(|key| key.id == id)
    }

    pub(super) fn open_sealed(&self, key: &Key, sealed: &Sealed<'_>) -> Result<Clear, SealError> {
        let id = || sealed.id.to_owned();
        let with = self.key(sealed.id).ok_or_else(|| SealError::UnknownKey { id: id() })?;
        with.decrypt(&sealed.body, &bound_to(sealed.id, key)).ok_or_else(|| SealError::Tampered { id: id() })
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("ids", &self.ids().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

/// What a value is bound to: the version, the id and the full key. No part can run into another: an id has no colon, and
/// the key is the last.
fn bound_to(id: &str, key: &Key) -> Vec<u8> {
    (head(id) + key.as_str()).into_bytes()
}

/// Seals a value for one key of a bucket, with the keyring's primary key.
///
/// `clear` is the value's stored form: for a `Secret<String>` the text itself.
///
/// # Errors
/// [`SealError::Failed`] when the system gives no random bytes.
pub fn seal(ring: &Keyring, key: &Key, clear: &[u8]) -> Result<String, SealError> {
    let primary = ring.primary();
    Ok(write(&primary.id, &primary.encrypt(clear, &bound_to(&primary.id, key))?))
}

/// What a stored value holds: opened when it is sealed, else as it is.
///
/// # Errors
/// [`SealError::UnknownKey`], [`SealError::Tampered`] and [`SealError::Malformed`].
pub fn open(ring: &Keyring, key: &Key, stored: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
    match Sealed::parse(stored) {
        None => Ok(Secret::new(stored.to_vec())),
        Some(sealed) => Ok(Secret::new(ring.open_sealed(key, &sealed?)?.to_vec())),
    }
}

/// The same value sealed with the primary key; `None` when it is already. A value in clear is sealed.
///
/// # Errors
/// As [`open`] and [`seal`].
pub fn reseal(ring: &Keyring, key: &Key, stored: &[u8]) -> Result<Option<String>, SealError> {
    match Sealed::parse(stored) {
        None => seal(ring, key, stored).map(Some),
        Some(sealed) => {
            let sealed = sealed?;
            let clear = ring.open_sealed(key, &sealed)?;
            if sealed.id == ring.primary_id() { Ok(None) } else { seal(ring, key, &clear).map(Some) }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::super::{Seals, key_id};
    use super::*;

    fn key(text: &str) -> Key {
        Key::new(text).unwrap()
    }

    fn ring(id: &str, byte: u8) -> Keyring {
        Keyring::new(SealKey::new(id, [byte; KEY]).unwrap())
    }

    #[test]
    fn the_stored_form_is_pinned() {
        let sealing = SealKey::new("2025-06", [7; KEY]).unwrap();
        let name = key("checkout.api_key");
        let bound_to = bound_to("2025-06", &name);
        assert_eq!(bound_to, b"kvconf-sealed:v1:2025-06:checkout.api_key");
        let stored = write("2025-06", &sealing.encrypt_with(vec![9; NONCE], b"hunter2", &bound_to).unwrap());
        // The same comes out of an implementation of the draft that has nothing in common with the one used here.
        let expected =
            "kvconf-sealed:v1:2025-06:CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ1geM/hnYS70F8RMbQsPrUJ/jlR0ZPPw=";
        assert_eq!(stored, expected);
        assert_eq!(open(&ring("2025-06", 7), &name, stored.as_bytes()).unwrap().expose(), b"hunter2");
    }

    #[test]
    fn another_key_of_the_bucket_another_key_of_the_ring_and_no_key_are_told_apart() {
        let stored = seal(&ring("a", 1), &key("x.secret"), b"hunter2").unwrap();
        let opened = |ring: &Keyring, name: &str| open(ring, &key(name), stored.as_bytes());
        assert_eq!(opened(&ring("a", 1), "x.other"), Err(SealError::Tampered { id: "a".into() }));
        assert_eq!(opened(&ring("a", 2), "x.secret"), Err(SealError::Tampered { id: "a".into() }));
        assert_eq!(opened(&ring("b", 1), "x.secret"), Err(SealError::UnknownKey { id: "a".into() }));
        let none = Seals::default().open(&key("x.secret"), stored.as_bytes()).unwrap();
        assert_eq!(none, Err(SealError::NoKeyring { id: "a".into() }));
    }

    #[test]
    fn a_relabelled_value_does_not_open() {
        let stored = seal(&ring("a", 1), &key("x"), b"hunter2").unwrap();
        let relabelled = stored.replacen(":a:", ":b:", 1);
        // The same bytes under another id.
        let both = ring("b", 1);
        assert_eq!(
            open(&both, &key("x"), relabelled.as_bytes()),
            Err(SealError::Tampered { id: "b".into() })
        );
    }

    #[test]
    fn what_looks_sealed_and_is_not_says_why() {
        let fault = |text: &str| match open(&ring("a", 1), &key("x"), text.as_bytes()) {
            Err(error) => error.to_string(),
            Ok(opened) => panic!("opened: {}", opened.expose().len()),
        };
        assert_eq!(
            fault("kvconf-sealed:v2:a:AAAA"),
            "looks sealed and is not: of a version that is not known here"
        );
        assert_eq!(fault("kvconf-sealed:v1:a"), "looks sealed and is not: without a key id");
        assert_eq!(fault("kvconf-sealed:v1:a b:AAAA"), "looks sealed and is not: the key id is none");
        assert_eq!(fault("kvconf-sealed:v1:a:!"), "looks sealed and is not: not base64");
        assert_eq!(fault("kvconf-sealed:v1:a:AAAA"), "looks sealed and is not: too short");
    }

    #[test]
    fn keys_are_checked_and_never_shown() {
        // P11
        assert_eq!(SealKey::new("a:b", [0; KEY]).unwrap_err(), InvalidKey::Id { id: "a:b".into() });
        assert_eq!(SealKey::from_base64("a", "AAAA").unwrap_err(), InvalidKey::Text { id: "a".into() });
        let generated = SealKey::generate("a").unwrap();
        let text = generated.to_base64();
        let read = SealKey::from_base64("a", &format!(" {}\n", text.expose())).unwrap();
        assert_eq!(read.bytes, generated.bytes);
        let ring = Keyring::new(generated).and(SealKey::new("b", [1; KEY]).unwrap()).unwrap();
        assert_eq!(format!("{ring:?}"), r#"Keyring { ids: ["a", "b"], .. }"#);
        assert_eq!(ring.clone().and(read).unwrap_err(), InvalidKey::Twice { id: "a".into() });
        assert_eq!(format!("{:?} {text:?}", ring.primary()), r#"SealKey { id: "a", .. } ***"#);
    }

    #[test]
    fn a_value_is_resealed_once() {
        let (old, name) = (ring("old", 1), key("x"));
        let stored = seal(&old, &name, b"hunter2").unwrap();
        let both = ring("new", 2).and(SealKey::new("old", [1; KEY]).unwrap()).unwrap();
        let renewed = reseal(&both, &name, stored.as_bytes()).unwrap().unwrap();
        assert_eq!(open(&ring("new", 2), &name, renewed.as_bytes()).unwrap().expose(), b"hunter2");
        assert_eq!(reseal(&both, &name, renewed.as_bytes()), Ok(None));
        let clear = reseal(&both, &name, b"hunter2").unwrap().unwrap();
        assert_eq!(key_id(clear.as_bytes()), Some("new"));
    }

    proptest! {
        #[test]
        fn whatever_was_sealed_is_opened_again(clear in any::<Vec<u8>>(), name in "[a-z]{1,8}(\\.[a-z]{1,8}){0,3}") {
            let (ring, name) = (ring("a", 3), key(&name));
            let stored = seal(&ring, &name, &clear).unwrap();
            prop_assert_eq!(open(&ring, &name, stored.as_bytes()).unwrap().into_exposed(), clear);
        }

        // P10
        #[test]
        fn no_bytes_behind_the_mark_panic_or_open(bytes in any::<Vec<u8>>(), at in any::<usize>(), bit in 0_u8..8) {
            let (ring, name) = (ring("a", 3), key("x"));
            let forged = [b"kvconf-sealed:v1:a:".to_vec(), bytes].concat();
            assert!(open(&ring, &name, &forged).is_err());
            let mut body = ring.primary().encrypt(b"hunter2", &bound_to("a", &name)).unwrap();
            let at = at % body.len();
            body[at] ^= 1 << bit;
            prop_assert_eq!(
                open(&ring, &name, write("a", &body).as_bytes()),
                Err(SealError::Tampered { id: "a".into() })
            );
        }
    }
}
