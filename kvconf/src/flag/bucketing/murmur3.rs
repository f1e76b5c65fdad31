//! MurmurHash3 x86 32, by Austin Appleby's public-domain reference, over bytes that come in pieces.

const C1: u32 = 0xcc9e_2d51;
const C2: u32 = 0x1b87_3593;

/// A hash in the making, with seed 0.
///
/// Pieces spare building the text that is hashed: a rollout's identity is usually made of the flag's key and the subject's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Murmur3 {
    state: u32,
    /// The bytes behind the last full block, lowest first.
    tail: u32,
    length: u32,
}

impl Murmur3 {
    /// The hash of nothing so far.
    pub(crate) const fn new() -> Self {
        Self { state: 0, tail: 0, length: 0 }
    }

    /// The hash of these bytes.
    #[cfg(test)]
    pub(crate) fn of(bytes: &[u8]) -> u32 {
        let mut hash = Self::new();
        hash.write(bytes);
        hash.finish()
    }

    /// Appends bytes.
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let pending = self.length & 3;
        // The length counts modulo 2^32, as in the reference.
        self.length = self.length.wrapping_add(bytes.len() as u32);
        let (blocks, rest) = bytes.as_chunks::<4>();
        if pending == 0 {
            for block in blocks {
                self.block(u32::from_le_bytes(*block));
            }
        } else {
            // Each block ends the one that has begun, and begins another.
            let shift = pending * 8;
            for block in blocks {
                let block = u32::from_le_bytes(*block);
                self.block(self.tail | (block << shift));
                self.tail = block >> (32 - shift);
            }
        }
        let mut pending = pending;
        for byte in rest {
            self.tail |= u32::from(*byte) << (pending * 8);
            pending += 1;
            if pending == 4 {
                self.block(self.tail);
                self.tail = 0;
                pending = 0;
            }
        }
    }

    #[inline]
    fn block(&mut self, block: u32) {
        self.state ^= mix(block);
        self.state = self.state.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }

    /// The hash.
    #[inline]
    pub(crate) fn finish(&self) -> u32 {
        // Mixing a tail of nothing gives zero, which changes nothing.
        let mut hash = self.state ^ mix(self.tail) ^ self.length;
        hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
        hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
        hash ^ (hash >> 16)
    }
}

#[inline]
const fn mix(block: u32) -> u32 {
    block.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The values of the reference implementation (SMHasher), as published with it and its ports.
    #[test]
    fn hashes_are_those_of_the_reference() {
        let expected = [
            ("", 0),
            ("hello", 0x248b_fa47),
            ("hello, world", 0x149b_bb7f),
            ("foo", 0xf6a5_c420),
            ("The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
        ];
        for (text, hash) in expected {
            assert_eq!(Murmur3::of(text.as_bytes()), hash, "{text}");
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..6)) {
            let mut hash = Murmur3::new();
            for piece in &pieces {
                hash.write(piece);
            }
            prop_assert_eq!(hash.finish(), Murmur3::of(&pieces.concat()));
        }
    }
}
