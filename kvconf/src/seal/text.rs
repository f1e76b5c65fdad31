//! The stored form of a sealed value, as text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use derive_more::{Display, Error};

/// What every sealed value begins with, whatever its version. Stored form: public and unchanging.
const MARK: &str = "kvconf-sealed:";
/// The version that this program writes.
const V1: &str = "v1:";
/// The longest id of a key, in bytes.
pub(super) const MAX_ID_BYTES: usize = 64;
/// In bytes, of XChaCha20-Poly1305.
pub(super) const NONCE: usize = 24;
/// In bytes.
const TAG: usize = 16;

/// Why a value could not be sealed or opened. Shows nothing of the value and of no key more than its id.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The value is sealed, and there is no keyring at all.
    #[display("sealed with key {id}, and this program has no keyring")]
    NoKeyring {
        /// The id of the key that it was sealed with.
        id: String,
    },
    /// The value is sealed with a key that the keyring has not.
    #[display("sealed with key {id}, which is not on the keyring")]
    UnknownKey {
        /// The key's id.
        id: String,
    },
    /// The value was changed since it was sealed, or sealed for another key of the bucket, or by another key of that id.
    #[display(
        "sealed with key {id}, and does not open: tampered with, copied from another key, or sealed with another key {id}"
    )]
    Tampered {
        /// The key's id.
        id: String,
    },
    /// The value is sealed, and its field is not marked `secret`: served, it would be the sealed text; opened, it would show.
    #[display("sealed with key {id}, and the field is not marked secret")]
    NotSecret {
        /// The id of the key that it was sealed with.
        id: String,
    },
    /// The value begins as a sealed one and is none.
    #[display("looks sealed and is not: {what}")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The system gave no random bytes, or the value is beyond what can be sealed.
    #[display("the value could not be sealed")]
    Failed,
}

/// A sealed value, taken apart.
#[derive(Debug)]
pub(crate) struct Sealed<'a> {
    pub(crate) id: &'a str,
    /// Nonce, ciphertext and tag.
    #[cfg_attr(not(feature = "seal"), expect(dead_code, reason = "nothing can be opened"))]
    pub(crate) body: Vec<u8>,
}

impl<'a> Sealed<'a> {
    /// `None` for a value that is not sealed.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Result<Self, SealError>> {
        let rest = bytes.trim_ascii().strip_prefix(MARK.as_bytes())?;
        Some(Self::parse_rest(rest).map_err(|what| SealError::Malformed { what }))
    }

    fn parse_rest(rest: &'a [u8]) -> Result<Self, &'static str> {
        let rest = str::from_utf8(rest).map_err(|_| "not UTF-8")?;
        let rest = rest.strip_prefix(V1).ok_or("of a version that is not known here")?;
        let (id, body) = rest.split_once(':').ok_or("without a key id")?;
        if !is_id(id) {
            return Err("the key id is none");
        }
        let body = STANDARD.decode(body).map_err(|_| "not base64")?;
        if body.len() < NONCE + TAG {
            return Err("too short");
        }
        Ok(Self { id, body })
    }
}

/// Whether a value is sealed, or looks so.
pub(crate) fn is_sealed(stored: &[u8]) -> bool {
    stored.trim_ascii_start().starts_with(MARK.as_bytes())
}

/// What is wrong with a value of a field that is not secret; `None` for one that is not sealed.
pub(crate) fn not_secret(stored: &[u8]) -> Option<SealError> {
    match Sealed::parse(stored)? {
        Ok(sealed) => Some(SealError::NotSecret { id: sealed.id.to_owned() }),
        Err(error) => Some(error),
    }
}

/// Whether a text can be a key's id.
pub(super) fn is_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !id.is_empty() && id.len() <= MAX_ID_BYTES && id.bytes().all(fits)
}

/// What stands before the base64.
#[cfg(feature = "seal")]
pub(super) fn head(id: &str) -> String {
    format!("{MARK}{V1}{id}:")
}

#[cfg(feature = "seal")]
pub(super) fn write(id: &str, body: &[u8]) -> String {
    head(id) + &STANDARD.encode(body)
}

/// The id of the key that a stored value is sealed with; `None` for a value that is not sealed, or not well.
///
/// ```
/// use kvconf::seal::key_id;
///
/// let body = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";
/// assert_eq!(key_id(format!("kvconf-sealed:v1:2025-06:{body}").as_bytes()), Some("2025-06"));
/// assert_eq!(key_id(b"hunter2"), None);
/// ```
#[must_use]
pub fn key_id(stored: &[u8]) -> Option<&str> {
    Sealed::parse(stored)?.ok().map(|sealed| sealed.id)
}
