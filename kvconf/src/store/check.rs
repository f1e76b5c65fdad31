//! What is refused before anything is sent, by either backend.

use std::collections::HashSet;
use std::time::Duration;

use super::{Action, Write, WriteError};
use crate::attribution::is_plain;
use crate::{Headers, Key};

/// Says whether a write can be sent.
///
/// # Errors
/// [`WriteError::Invalid`] or [`WriteError::Header`].
pub(crate) fn write(write: &Write) -> Result<(), WriteError> {
    if let Some(ttl) = write.ttl {
        time_to_live(ttl)?;
    }
    headers(&write.headers)
}

/// Says whether writes can be sent as one batch.
///
/// # Errors
/// As [`write`], and [`WriteError::Invalid`] for no write at all and for a key twice.
pub(crate) fn batch(writes: &[Write]) -> Result<(), WriteError> {
    if writes.is_empty() {
        return Err(WriteError::Invalid { reason: "a batch needs at least one key".to_owned() });
    }
    let mut seen: HashSet<&Key> = HashSet::with_capacity(writes.len());
    for entry in writes {
        write(entry)?;
        if !seen.insert(&entry.key) {
            return Err(WriteError::Invalid {
                reason: format!("{} stands twice in one batch; no server takes that safely", entry.key),
            });
        }
    }
    Ok(())
}

/// Servers count in whole seconds: less than one is refused there, and a fraction would be cut without a word.
fn time_to_live(ttl: Duration) -> Result<(), WriteError> {
    if ttl >= Duration::from_secs(1) && ttl.subsec_nanos() == 0 {
        return Ok(());
    }
    Err(WriteError::Invalid {
        reason: format!("a time to live is a whole number of seconds, at least one, not {ttl:?}"),
    })
}

fn headers(headers: &Headers) -> Result<(), WriteError> {
    for (name, value) in headers.iter() {
        // What almost all headers are.
        if is_plain(value) && is_own(name) {
            continue;
        }
        let reason = if name.is_empty() {
            "its name is empty"
        } else if !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
            "its name has a character other than visible ASCII, or a colon"
        } else if value.bytes().any(|byte| matches!(byte, b'\r' | b'\n')) {
            "its value has a line break"
        } else if value.trim().len() != value.len() {
            "its value begins or ends with white space, which readers cut off"
        } else if is_reserved(name) {
            "its name has a meaning for the server"
        } else {
            continue;
        };
        return Err(WriteError::Header { name: name.to_owned(), reason });
    }
    Ok(())
}

/// Whether a name is one of kvconf's, all of which can be sent.
fn is_own(name: &str) -> bool {
    use crate::attribution::{AUTHOR, CHANGE, REASON, SET};
    [CHANGE, AUTHOR, REASON, SET].contains(&name)
}

/// Names that make the server do something, up to purging the whole bucket: only a store itself may set them.
fn is_reserved(name: &str) -> bool {
    let begins =
        |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    begins("Nats-") || name.eq_ignore_ascii_case(super::header::OPERATION)
}

/// The bytes that headers take in a message; they count towards the size of a value.
pub(crate) fn header_bytes(headers: &Headers) -> usize {
    const LINE: usize = ": \r\n".len();
    if headers.is_empty() {
        return 0;
    }
    let lines: usize = headers.iter().map(|(name, value)| name.len() + value.len() + LINE).sum();
    "NATS/1.0\r\n".len() + lines + "\r\n".len()
}

impl Action {
    /// The bytes that the action stores.
    pub(crate) fn value(&self) -> bytes::Bytes {
        match self {
            Self::Put(value) => value.clone(),
            Self::Delete | Self::Purge => bytes::Bytes::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Expect;

    fn put(key: &str) -> Write {
        Write {
            key: Key::new(key).unwrap(),
            action: Action::Put("v".into()),
            expect: Expect::Any,
            ttl: None,
            headers: Headers::new(),
        }
    }

    fn with_header(name: &str, value: &str) -> Write {
        Write { headers: [(name, value)].into_iter().collect(), ..put("k") }
    }

    fn refusal(result: Result<(), WriteError>) -> String {
        match result {
            Ok(()) => "taken".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_time_to_live_is_whole_seconds() {
        let with = |ttl| refusal(write(&Write { ttl: Some(ttl), ..put("k") }));
        assert_eq!(with(Duration::from_secs(1)), "taken");
        let refused = "invalid write: a time to live is a whole number of seconds, at least one, not ";
        assert_eq!(with(Duration::from_millis(500)), format!("{refused}500ms"));
        assert_eq!(with(Duration::from_millis(1_500)), format!("{refused}1.5s"));
        assert_eq!(with(Duration::ZERO), format!("{refused}0ns"));
    }

    #[test]
    fn headers_are_one_line_each() {
        assert_eq!(refusal(write(&with_header("Kvconf-Author", "José: ops"))), "taken");
        assert_eq!(
            refusal(write(&with_header("A", "x\r\nNats-Rollup: all"))),
            "header A cannot be sent: its value has a line break"
        );
        assert_eq!(refusal(write(&with_header("", "x"))), "header  cannot be sent: its name is empty");
        assert_eq!(
            refusal(write(&with_header("a b", "x"))),
            "header a b cannot be sent: its name has a character other than visible ASCII, or a colon"
        );
    }

    #[test]
    fn a_header_arrives_as_it_was_sent_or_is_refused() {
        assert_eq!(
            refusal(write(&with_header("A", "x "))),
            "header A cannot be sent: its value begins or ends with white space, which readers cut off"
        );
        for name in ["Nats-Rollup", "nats-ttl", "KV-Operation", "Nats-Marker-Reason"] {
            let expected = format!("header {name} cannot be sent: its name has a meaning for the server");
            assert_eq!(refusal(write(&with_header(name, "x"))), expected);
        }
        for name in ["Kvconf-Author", "Nats", "X-Nats-Rollup"] {
            assert_eq!(refusal(write(&with_header(name, "x"))), "taken");
        }
    }

    #[test]
    fn a_batch_names_each_key_once() {
        assert_eq!(refusal(batch(&[put("a"), put("b")])), "taken");
        assert_eq!(refusal(batch(&[])), "invalid write: a batch needs at least one key");
        assert_eq!(
            refusal(batch(&[put("a"), put("b"), put("a")])),
            "invalid write: a stands twice in one batch; no server takes that safely"
        );
    }

    #[test]
    fn headers_count_as_the_server_counts_them() {
        assert_eq!(header_bytes(&Headers::new()), 0);
        // Measured with nats-server 2.15.1: "NATS/1.0\r\nName: value\r\n\r\n".
        assert_eq!(header_bytes(&[("Name", "value")].into_iter().collect()), 25);
    }
}
