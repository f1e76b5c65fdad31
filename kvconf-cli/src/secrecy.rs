//! Which values are not shown.
//!
//! A sealed value is shown as sealed: its text is no secret and no use. Else a published schema says it, and for keys that
//! none knows the name decides, for a bucket of plain keys says nothing of what they mean: a value that looks like a secret by its name is masked, unless `--reveal` asks for it.

use kvconf::Key;
use kvconf::settings::Schemas;

/// Words that, as a whole part of a key's last segment, say that the value is a secret.
const WORDS: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "credentials",
    "apikey",
    "privatekey",
];

/// Two words that say it together.
const PAIRS: [(&str, &str); 5] =
    [("api", "key"), ("private", "key"), ("secret", "key"), ("access", "key"), ("signing", "key")];

/// What may be shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Secrecy {
    pub(crate) reveal: bool,
    /// Whether nothing is to be shown of what nobody can tell secrets from.
    pub(crate) masks_all: bool,
    /// What programs have published.
    pub(crate) schemas: Option<&'static Schemas>,
}

impl Secrecy {
    /// Whether the value of this key is to be masked.
    pub(crate) fn masks(self, key: &Key) -> bool {
        let by_schema = || self.schemas?.is_secret(key.as_str());
        !self.reveal && (self.masks_all || by_schema().unwrap_or_else(|| is_secret_by_name(key)))
    }
}

pub(crate) fn is_secret_by_name(key: &Key) -> bool {
    let last = key.tokens().last().unwrap_or_default();
    let words: Vec<String> = words(last);
    words.iter().any(|word| WORDS.contains(&word.as_str()))
        || words
            .windows(2)
            .any(|pair| matches!(pair, [one, other] if PAIRS.contains(&(one.as_str(), other.as_str()))))
}

/// `api_key`, `api-key`, `apiKey`: the words, in small letters.
fn words(segment: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for character in segment.chars() {
        let begins = character.is_uppercase() && was_small;
        was_small = character.is_lowercase() || character.is_ascii_digit();
        if !character.is_alphanumeric() {
            words.push(String::new());
            continue;
        }
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(character.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_say_secret_are_masked() {
        // P11
        let is_secret = |key: &str| is_secret_by_name(&key.parse().unwrap());
        for key in
            ["db.password", "checkout.api_key", "checkout.apiKey", "a.api-key", "token", "x.privateKey"]
        {
            assert!(is_secret(key), "{key}");
        }
        for key in ["checkout.max_items", "secret.size", "tokens", "limits.key", "keyboard.api", "token.ttl"]
        {
            assert!(!is_secret(key), "{key}");
        }
    }
}
