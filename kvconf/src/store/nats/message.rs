//! From messages to entries.

use std::time::{Duration, SystemTime};

use async_nats::{HeaderMap, HeaderValue, Message};
use bytes::Bytes;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::attribution;
use crate::calendar::date;
use crate::store::header;
use crate::{Entry, Headers, Key, MarkerReason, Operation, Revision};

/// What the server adds to a message that it hands out by a direct get. It is about the message, not part of it.
const ADDED: [&str; 6] = ["Nats-Stream", SUBJECT, SEQUENCE, TIME_STAMP, "Nats-Num-Pending", LAST_SEQUENCE];
/// The message before it in the same answer.
pub(super) const LAST_SEQUENCE: &str = "Nats-Last-Sequence";
pub(super) const SUBJECT: &str = "Nats-Subject";
pub(super) const SEQUENCE: &str = "Nats-Sequence";
const TIME_STAMP: &str = "Nats-Time-Stamp";

/// Names that nearly all headers of entries have.
const KNOWN: [&str; 5] =
    [header::EXPECTED, attribution::CHANGE, attribution::AUTHOR, attribution::REASON, attribution::SET];

/// A message of the bucket's stream: an entry, or something else that stands there.
#[derive(Debug)]
pub(super) enum Stored {
    Entry(Entry),
    Other { subject: String, revision: Revision },
}

impl Stored {
    pub(super) const fn revision(&self) -> Revision {
        match self {
            Self::Entry(entry) => entry.revision(),
            Self::Other { revision, .. } => *revision,
        }
    }
}

/// Where and when a message stands in the stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) revision: Revision,
    pub(super) created: SystemTime,
}

/// Reads what stands in the stream under `subject`; `prefix` is what all subjects of the bucket begin with.
pub(super) fn stored(prefix: &str, subject: &str, place: Place, headers: Headers, value: Bytes) -> Stored {
    let Some(key) = subject.strip_prefix(prefix).and_then(|key| Key::new(key).ok()) else {
        return Stored::Other { subject: subject.to_owned(), revision: place.revision };
    };
    let (operation, marker) = operation(&headers);
    let value = if operation.is_removal() { Bytes::new() } else { value };
    Stored::Entry(Entry {
        key,
        revision: place.revision,
        value,
        operation,
        marker,
        created: place.created,
        headers,
    })
}

/// What the headers say was done. Clients write `KV-Operation`, the server its marker reasons.
fn operation(headers: &Headers) -> (Operation, Option<MarkerReason>) {
    if headers.is_empty() {
        return (Operation::Put, None);
    }
    match headers.get(header::MARKER_REASON) {
        Some("MaxAge") => return (Operation::Purge, Some(MarkerReason::MaxAge)),
        Some("Purge") => return (Operation::Purge, Some(MarkerReason::Purge)),
        Some("Remove") => return (Operation::Delete, Some(MarkerReason::Remove)),
        Some(_) => return (Operation::Unknown, None),
        None => {}
    }
    let operation = match headers.get(header::OPERATION) {
        None | Some("PUT") => Operation::Put,
        Some("DEL") => Operation::Delete,
        Some("PURGE") => Operation::Purge,
        Some(_) => Operation::Unknown,
    };
    (operation, None)
}

/// Takes the headers over, sorted by name: the client does not keep their order.
pub(super) fn headers(map: Option<&HeaderMap>) -> Headers {
    let Some(map) = map.filter(|map| !map.is_empty()) else { return Headers::new() };
    let mut all = Headers::with_capacity(map.len());
    for (name, values) in map.iter() {
        add(&mut all, name.as_ref(), values);
    }
    all.sort();
    all
}

fn add(all: &mut Headers, name: &str, values: &[HeaderValue]) {
    for value in values {
        match KNOWN.iter().find(|known| **known == name) {
            Some(known) => all.add(*known, value.as_str()),
            None => all.insert(name, value.as_str()),
        }
    }
}

/// Headers in their form on the wire, as the API hands them out; sorted by name as everywhere.
pub(super) fn parse_headers(block: &[u8]) -> Option<Headers> {
    let mut lines = std::str::from_utf8(block).ok()?.split("\r\n");
    lines.next()?.starts_with("NATS/1.0").then_some(())?;
    let mut all = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        all.push((name.to_owned(), value.trim().to_owned()));
    }
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    Some(all.into_iter().collect())
}

/// A message as a direct get hands it out, with its place in headers.
pub(super) fn direct(prefix: &str, message: Message) -> Option<Stored> {
    let (mut subject, mut revision, mut created) = (None, None, None);
    let mut own = Headers::new();
    for (name, values) in message.headers.as_ref()?.iter() {
        // The last of several is the server's: a message that was republished brings such headers along.
        let last = values.last().map(|value| value.as_str());
        let name: &str = name.as_ref();
        match name {
            SUBJECT => subject = last,
            SEQUENCE => revision = number(last?.as_bytes()),
            TIME_STAMP => created = time(last?),
            _ if ADDED.contains(&name) => {}
            _ => add(&mut own, name, values),
        }
    }
    own.sort();
    let place = Place { revision: Revision::new(revision?), created: created? };
    Some(stored(prefix, subject?, place, own, message.payload))
}

/// A time in the server's form.
pub(super) fn time(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
}

/// A time in the form that the server reads.
pub(super) fn format_time(time: SystemTime) -> Option<String> {
    date(time)?.format(&Rfc3339).ok()
}

/// Up to which size a value is copied out of the buffer that it was read into.
const MOST_COPIED: usize = 16 * 1024;

/// A value that keeps no more memory than its own, or little more.
///
/// The client hands out slices of the buffers that it reads into, 64 KiB each. One key that changes now and then would keep
/// a whole one for as long as its value stands, and a thousand such keys 64 MiB.
pub(super) fn detached(value: Bytes) -> Bytes {
    if value.len() <= MOST_COPIED { Bytes::copy_from_slice(&value) } else { value }
}

/// What the reply subject of a delivered message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delivered {
    pub(super) stream_sequence: u64,
    pub(super) consumer_sequence: u64,
    pub(super) created: SystemTime,
    pub(super) pending: u64,
}

impl Delivered {
    /// Reads `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`, or the later form,
    /// which has a domain and an account before the stream and may have more behind.
    pub(super) fn parse(reply: &str) -> Option<Self> {
        // In one go: every message that is delivered comes through here.
        let rest = reply.strip_prefix("$JS.ACK.")?;
        let (mut numbers, mut token, mut digits) = ([None; 9], 0, Some(0));
        let mut is_empty = true;
        for byte in rest.bytes().chain([b'.']) {
            if byte == b'.' {
                if let Some(number) = numbers.get_mut(token) {
                    *number = digits.filter(|_| !is_empty);
                }
                (token, digits, is_empty) = (token + 1, Some(0), true);
            } else {
                (digits, is_empty) = (digits.and_then(|number| with_digit(number, byte)), false);
            }
        }
        // Counted from the front: the later form may grow at its end.
        let [stream_sequence, consumer_sequence, created, pending] = match token {
            7 => [numbers[3], numbers[4], numbers[5], numbers[6]],
            9.. => [numbers[5], numbers[6], numbers[7], numbers[8]],
            _ => return None,
        };
        Some(Self {
            stream_sequence: stream_sequence?,
            consumer_sequence: consumer_sequence?,
            created: SystemTime::UNIX_EPOCH + Duration::from_nanos(created?),
            pending: pending?,
        })
    }
}

fn with_digit(number: u64, byte: u8) -> Option<u64> {
    let digit = byte.wrapping_sub(b'0');
    if digit > 9 {
        return None;
    }
    number.checked_mul(10)?.checked_add(u64::from(digit))
}

fn number(digits: &[u8]) -> Option<u64> {
    (!digits.is_empty()).then(|| digits.iter().try_fold(0, |number, byte| with_digit(number, *byte)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { revision: Revision::new(3), created: SystemTime::UNIX_EPOCH }
    }

    fn entry(headers: &[(&str, &str)]) -> Entry {
        let headers = headers.iter().copied().collect();
        match stored("$KV.b.", "$KV.b.a.b", place(), headers, Bytes::from_static(b"v")) {
            Stored::Entry(entry) => entry,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn operations_are_what_clients_and_servers_write() {
        use MarkerReason::{MaxAge, Purge, Remove};
        let cases = [
            ([("X", "y")], Operation::Put, None),
            ([("KV-Operation", "PUT")], Operation::Put, None),
            ([("KV-Operation", "DEL")], Operation::Delete, None),
            ([("KV-Operation", "PURGE")], Operation::Purge, None),
            ([("KV-Operation", "MOVE")], Operation::Unknown, None),
            ([("Nats-Marker-Reason", "MaxAge")], Operation::Purge, Some(MaxAge)),
            ([("Nats-Marker-Reason", "Purge")], Operation::Purge, Some(Purge)),
            ([("Nats-Marker-Reason", "Remove")], Operation::Delete, Some(Remove)),
        ];
        assert_eq!(entry(&[]).operation(), Operation::Put);
        for (headers, operation, marker) in cases {
            let entry = entry(&headers);
            assert_eq!((entry.operation(), entry.marker_reason()), (operation, marker), "{headers:?}");
            assert_eq!(entry.value().is_empty(), operation.is_removal());
        }
    }

    #[test]
    fn a_subject_that_no_key_can_have_is_no_entry() {
        for subject in ["$KV.b.a\u{e4}", "$KV.b.a..b", "$KV.b", "other"] {
            let stored = stored("$KV.b.", subject, place(), Headers::new(), Bytes::new());
            assert!(matches!(stored, Stored::Other { subject: found, .. } if found == subject));
        }
    }

    // P10
    #[test]
    fn a_time_that_no_calendar_has_is_not_asked_for() {
        let milliseconds = Duration::from_secs(1_795_374_769_939);
        assert_eq!(format_time(SystemTime::UNIX_EPOCH + milliseconds), None);
    }

    #[test]
    fn both_forms_of_the_reply_subject_are_read() {
        let expected = Delivered {
            stream_sequence: 12,
            consumer_sequence: 3,
            created: SystemTime::UNIX_EPOCH + Duration::from_nanos(1_795_374_769_939_036_380),
            pending: 40,
        };
        for reply in [
            "$JS.ACK.KV_b.c1.1.12.3.1795374769939036380.40",
            "$JS.ACK.hub.A1B2.KV_b.c1.1.12.3.1795374769939036380.40",
            "$JS.ACK._.A1B2.KV_b.c1.1.12.3.1795374769939036380.40.random",
        ] {
            assert_eq!(Delivered::parse(reply), Some(expected), "{reply}");
        }
        for reply in [
            "",
            "_INBOX.x",
            "$JS.ACK.KV_b.c1.1.12.3.17",
            "$JS.ACK.KV_b.c1.1.x.3.1795.40",
            "$JS.ACK.KV_b.c1.1.1.3.1795.",
        ] {
            assert_eq!(Delivered::parse(reply), None, "{reply}");
        }
    }

    #[test]
    fn the_place_of_a_direct_message_is_no_header_of_its_entry() {
        let mut map = HeaderMap::new();
        // A republished message, stored in a bucket.
        map.append("Nats-Sequence", "99");
        for (name, value) in [
            ("Nats-Stream", "KV_b"),
            ("Nats-Subject", "$KV.b.k"),
            ("Nats-Sequence", "7"),
            ("Nats-Time-Stamp", "2026-01-02T03:04:05.678Z"),
            ("Kvconf-Author", "ops"),
        ] {
            map.append(name, value);
        }
        let message = Message {
            subject: "_INBOX.1".into(),
            reply: None,
            payload: Bytes::from_static(b"v"),
            headers: Some(map),
            status: None,
            description: None,
            length: 0,
        };
        let Some(Stored::Entry(entry)) = direct("$KV.b.", message) else { panic!("no entry") };
        assert_eq!((entry.key().as_str(), entry.revision().get()), ("k", 7));
        assert_eq!(entry.headers().iter().collect::<Vec<_>>(), [("Kvconf-Author", "ops")]);
        assert_eq!(format_time(entry.created()).as_deref(), Some("2026-01-02T03:04:05.678Z"));
    }

    #[test]
    fn a_small_value_lets_go_of_the_buffer_that_it_was_read_into() {
        let buffer = Bytes::from(vec![7; 64 * 1024]);
        let small = detached(buffer.slice(3..8));
        assert!(buffer.is_unique() && *small == [7; 5]);
        let large = detached(buffer.slice(..MOST_COPIED + 1));
        assert!(!buffer.is_unique() && large.len() == MOST_COPIED + 1);
    }

    #[test]
    fn a_block_of_headers_is_read_in_the_order_of_names() {
        let block = b"NATS/1.0\r\nb: 1\r\na:2\r\nb: 3 : 4\r\n\r\n";
        let headers = parse_headers(block).unwrap();
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("a", "2"), ("b", "1"), ("b", "3 : 4")]);
        assert_eq!(parse_headers(b"HTTP/1.1\r\na: b\r\n\r\n"), None);
    }
}
