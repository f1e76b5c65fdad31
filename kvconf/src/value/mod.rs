//! Between bytes in a bucket and Rust values: text for scalars, JSON for the rest.

mod error;

use bytes::Bytes;

pub use error::{DecodeError, EncodeError};

/// How one field's values stand in the bucket.
///
/// [`Text`] is the codec of every field that names no other. Implement this for a unit struct and name it in
/// `#[kv(with = MyCodec)]` to store a field in another form.
pub trait Codec<V>: Send + Sync + 'static {
    /// Reads a value. The bytes are whatever somebody wrote: any of them must give a value or an error.
    ///
    /// # Errors
    /// [`DecodeError`] says what was expected and what stands there.
    fn decode(&self, bytes: &[u8]) -> Result<V, DecodeError>;

    /// Writes a value so that [`Codec::decode`] gives an equal one.
    ///
    /// # Errors
    /// [`EncodeError`] when the value has no stored form.
    fn encode(&self, value: &V) -> Result<Bytes, EncodeError>;
}

/// What stands for a secret value wherever something is shown.
pub(crate) const MASK: &str = "***";
/// Shows stored bytes in a message: as text, shortened, quoted only where that is needed to read it.
pub(crate) fn show(_bytes: &[u8]) -> String {
    String::new()
}
/// The codec of fields that name no other: text for scalars, JSON for the rest.
#[derive(Debug, Clone, Copy)]
pub struct Text;
/// The codec of `#[kv(json)]`: JSON for everything, scalars included.
#[derive(Debug, Clone, Copy)]
pub struct Json;
/// The codec of `#[kv(secret)]`: as [`Text`], of what the secret holds.
#[derive(Debug, Clone, Copy)]
pub struct SecretText;
/// A value that shows itself to nobody who does not ask by name.
#[derive(Clone)]
pub struct Secret<V>(V);
