//! No two fields read the same environment variable: `retry_max`, and `max` in a struct `retry`, are both `APP_RETRY_MAX`.
//! Names that differ in case only count as the same: on Windows they are.
//!
//! The names are hashed as they are formed, from the root on, and looked up in a table: each pair of names would be
//! millions of steps for a struct of a thousand fields, and the compiler stops a constant after two million.

use super::Path;
use super::shape::{Env, Shape};

/// Stops the compilation where two fields, wherever they stand, read one environment variable.
#[doc(hidden)]
#[track_caller]
pub const fn assert_env_apart(shapes: &[Shape]) {
    // As many rounds as it takes that no table is more than about half full.
    let rounds = count(shapes) as u128 * 2 / Table::SLOTS as u128 + 1;
    let mut round = 0;
    while round < rounds {
        let mut table = Table { slots: [0; Table::SLOTS], rounds, round };
        if let Some(taken) = table.add_all(None, shapes) {
            let message = Message::new("two fields read the environment variable ", &taken);
            #[expect(clippy::panic, reason = "stops the compilation, never a program")]
            {
                panic!("{}", message.text());
            }
        }
        round += 1;
    }
}

/// A name, or the part of one that is known at some level.
#[derive(Clone, Copy)]
struct Name {
    /// FNV-1a of the whole name in capitals: 128 bits, so that two names with one hash need not be thought of.
    hash: u128,
    /// Joined by `_`.
    parts: [&'static str; Name::MAX],
    len: usize,
}

impl Name {
    /// The prefix and one part for each level.
    const MAX: usize = Path::MAX + 1;

    const fn new(prefix: &'static str) -> Self {
        let start = Self { hash: 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, parts: [""; Self::MAX], len: 0 };
        start.and(prefix)
    }

    /// With another part. Beyond [`Name::MAX`] parts the name stays as it is: structs that deep are refused elsewhere.
    #[expect(clippy::indexing_slicing, reason = "below both lengths")]
    const fn and(mut self, part: &'static str) -> Self {
        if self.len == Self::MAX {
            return self;
        }
        if self.len > 0 {
            self.hash = hash(self.hash, b'_');
        }
        let bytes = part.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            self.hash = hash(self.hash, bytes[at].to_ascii_uppercase());
            at += 1;
        }
        self.parts[self.len] = part;
        self.len += 1;
        self
    }

    /// The name of what stands at a level whose names begin with `above`.
    const fn at(above: &Option<Self>, env: Env) -> Option<Self> {
        match (env, above) {
            (Env::Given { name }, _) => Some(Self::new(name)),
            (Env::Below { name }, Some(above)) => Some(above.and(name)),
            (Env::Below { .. }, None) | (Env::None, _) => None,
        }
    }
}

const fn hash(before: u128, byte: u8) -> u128 {
    (before ^ byte as u128).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
}

/// The fields below a level; none of them need have a variable.
const fn count(shapes: &[Shape]) -> usize {
    let (mut count, mut at) = (0, 0);
    while at < shapes.len() {
        #[expect(clippy::indexing_slicing, reason = "below the length")]
        match shapes[at] {
            Shape::Leaf(..) | Shape::Entries(..) => count += 1,
            Shape::EnvPrefix(_) => {}
            Shape::Nested(_, _, inner) | Shape::Flat(inner) => count += self::count(inner),
        }
        at += 1;
    }
    count
}

/// The hashes of one round: those that leave `round` when divided by `rounds`.
struct Table {
    /// Zero where free.
    slots: [u128; Table::SLOTS],
    rounds: u128,
    round: u128,
}

impl Table {
    const SLOTS: usize = 1024;

    /// Adds every name below a level, and gives the first that was there before.
    const fn add_all(&mut self, mut above: Option<Name>, shapes: &[Shape]) -> Option<Name> {
        let mut at = 0;
        while at < shapes.len() {
            #[expect(clippy::indexing_slicing, reason = "below the length")]
            let taken = match shapes[at] {
                Shape::Leaf(_, env) | Shape::Entries(_, env) => match Name::at(&above, env) {
                    Some(name) if self.adds(name.hash) => None,
                    name => name,
                },
                Shape::EnvPrefix(prefix) => {
                    above = Some(Name::new(prefix));
                    None
                }
                Shape::Nested(_, env, inner) => self.add_all(Name::at(&above, env), inner),
                Shape::Flat(inner) => self.add_all(above, inner),
            };
            if taken.is_some() {
                return taken;
            }
            at += 1;
        }
        None
    }

    /// Whether the hash was not there before.
    #[expect(clippy::indexing_slicing, reason = "below the length")]
    const fn adds(&mut self, hash: u128) -> bool {
        if hash % self.rounds != self.round {
            return true;
        }
        let (mut slot, mut probes) = ((hash / self.rounds % Self::SLOTS as u128) as usize, 0);
        while self.slots[slot] != 0 && probes < Self::SLOTS {
            if self.slots[slot] == hash {
                return false;
            }
            slot = (slot + 1) % Self::SLOTS;
            probes += 1;
        }
        self.slots[slot] = hash;
        true
    }
}

/// A text that is put together while the compiler runs.
struct Message {
    bytes: [u8; Message::MAX],
    len: usize,
}

impl Message {
    /// Longer ones are cut off.
    const MAX: usize = 512;

    const fn new(what: &str, name: &Name) -> Self {
        let mut message = Self { bytes: [0; Self::MAX], len: 0 };
        message.push(what);
        let mut at = 0;
        while at < name.len {
            if at > 0 {
                message.push("_");
            }
            #[expect(clippy::indexing_slicing, reason = "below the length")]
            message.push(name.parts[at]);
            at += 1;
        }
        message
    }

    #[expect(clippy::indexing_slicing, reason = "below both lengths")]
    const fn push(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() && self.len < Self::MAX {
            self.bytes[self.len] = bytes[at];
            self.len += 1;
            at += 1;
        }
    }

    const fn text(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "two fields read one environment variable",
        }
    }
}
