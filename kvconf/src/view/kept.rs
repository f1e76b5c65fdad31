//! A place for values that are made on the way and borrowed from there on.

use std::cell::{Cell, OnceCell};

/// How many chunks, each twice as long as the one before: more values than fit into a bucket.
const CHUNKS: usize = 32;

/// A list that only grows and hands out references that live as long as the list.
///
/// A field's raw value is borrowed from the entry that it stands in; a sealed one has to be opened first, and something
/// must own what comes out for as long as the others are borrowed.
#[derive(Debug)]
pub(super) struct Kept<V> {
    /// The chunk with the number `n` has `2^n` places; values never move.
    chunks: [OnceCell<Box<[OnceCell<V>]>>; CHUNKS],
    len: Cell<usize>,
}

impl<V> Default for Kept<V> {
    fn default() -> Self {
        Self { chunks: [const { OnceCell::new() }; CHUNKS], len: Cell::new(0) }
    }
}

impl<V> Kept<V> {
    /// Takes a value in.
    #[expect(
        clippy::indexing_slicing,
        reason = "the chunk is below the logarithm of a count of values in memory"
    )]
    pub(super) fn keep(&self, value: V) -> &V {
        let place = self.len.get() + 1;
        self.len.set(place);
        let chunk = place.ilog2();
        let places = 1_usize << chunk;
        let all = self.chunks[chunk as usize]
            .get_or_init(|| std::iter::repeat_with(OnceCell::new).take(places).collect());
        all[place - places].get_or_init(|| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_stays_where_it_is() {
        let kept = Kept::default();
        let all: Vec<&usize> = (0..1_000).map(|n| kept.keep(n)).collect();
        assert!(all.iter().enumerate().all(|(at, kept)| **kept == at));
    }
}
