//! How more keys than one change set can hold are divided: prefix by prefix. Pure.

use crate::Key;

/// Divides keys into parts of at most `max` keys. Keys of one prefix stay together as long as they fit; neighbouring small
/// prefixes share a part. The keys must be in the order of [`order`].
pub(super) fn divide<T>(items: Vec<T>, key: impl Fn(&T) -> &Key, max: usize) -> Vec<Vec<T>> {
    let max = max.max(1);
    let keys: Vec<Vec<&str>> = items.iter().map(|item| key(item).tokens().collect()).collect();
    let mut groups = Vec::new();
    split(&keys, 0, max, &mut groups);
    let mut parts: Vec<Vec<T>> = Vec::new();
    let mut items = items.into_iter();
    for size in pack(&groups, max) {
        parts.push(items.by_ref().take(size).collect());
    }
    parts
}

/// The order in which the keys of one prefix stand next to each other.
pub(super) fn order(one: &Key, other: &Key) -> std::cmp::Ordering {
    one.tokens().cmp(other.tokens())
}

/// The sizes of neighbouring groups that belong together, each at most `max`.
fn split(keys: &[Vec<&str>], depth: usize, max: usize, groups: &mut Vec<usize>) {
    if keys.len() <= max {
        groups.push(keys.len());
        return;
    }
    // A key has one last part, so that groups of one key end the descent; keys do not repeat.
    for group in keys.chunk_by(|one, other| one.get(depth) == other.get(depth)) {
        split(group, depth + 1, max, groups);
    }
}

/// Joins neighbouring groups while they fit.
fn pack(groups: &[usize], max: usize) -> Vec<usize> {
    let mut packed: Vec<usize> = Vec::new();
    for group in groups.iter().filter(|group| **group > 0) {
        match packed.last_mut() {
            Some(last) if *last + group <= max => *last += group,
            _ => packed.push(*group),
        }
    }
    packed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn divided(texts: &[&str], max: usize) -> Vec<Vec<String>> {
        let mut keys: Vec<Key> = texts.iter().map(|text| Key::new(text).unwrap()).collect();
        keys.sort_by(order);
        let parts = divide(keys, |key| key, max);
        parts.iter().map(|part| part.iter().map(Key::to_string).collect()).collect()
    }

    #[test]
    fn the_keys_of_a_prefix_stay_together_as_long_as_they_fit() {
        let keys = ["t.a.x", "t.a.y", "t.b.x", "t.b.y", "t.b.z", "t.c", "t.d"];
        assert_eq!(divided(&keys, 7).len(), 1);
        assert_eq!(
            divided(&keys, 3),
            [vec!["t.a.x", "t.a.y"], vec!["t.b.x", "t.b.y", "t.b.z"], vec!["t.c", "t.d"]]
        );
        assert_eq!(divided(&keys, 2)[1..3], [vec!["t.b.x", "t.b.y"], vec!["t.b.z", "t.c"]]);
    }

    #[test]
    fn nothing_is_no_part() {
        assert_eq!(divided(&[], 3), Vec::<Vec<String>>::new());
    }

    #[test]
    fn a_key_that_is_the_beginning_of_another_is_no_trouble() {
        assert_eq!(divided(&["a", "a.b", "a-b.c"], 1), [["a"], ["a.b"], ["a-b.c"]]);
    }

    proptest! {
        #[test]
        fn every_key_is_in_one_part_and_no_part_is_too_large(
            texts in proptest::collection::btree_set("[ab](\\.[abc]){0,3}", 0..40),
            max in 1..6_usize,
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let parts = divided(&texts, max);
            prop_assert!(parts.iter().all(|part| !part.is_empty() && part.len() <= max));
            let mut all: Vec<String> = parts.concat();
            all.sort_unstable();
            prop_assert_eq!(all, texts);
        }
    }
}
