use proptest::prelude::*;

use super::*;

#[test]
fn keys_are_checked_before_anything_is_sent() {
    assert_eq!(Key::new(""), Err(KeyError::Empty));
    for text in ["a..b", ".a", "a.", "."] {
        assert_eq!(Key::new(text), Err(KeyError::EmptyToken { text: text.to_owned() }));
    }
    assert_eq!(
        Key::new("a.b c"),
        Err(KeyError::Character { text: "a.b c".to_owned(), character: ' ', at: 3 })
    );
    assert_eq!(Key::new("a.é"), Err(KeyError::Character { text: "a.é".to_owned(), character: 'é', at: 2 }));
    assert_eq!(Key::new("a".repeat(1_025)), Err(KeyError::TooLong { bytes: 1_025 }));
    assert_eq!(Key::new("a-/_=Z9.b").map(|k| k.to_string()), Ok("a-/_=Z9.b".to_owned()));
}

#[test]
fn map_keys_are_escaped_in_one_way_only() {
    for (text, segment) in [("", "="), ("gold", "gold"), ("a.b", "a=2Eb"), ("a=b", "a=3Db"), ("é", "=C3=A9")]
    {
        assert_eq!(escape_segment(text), segment);
        assert_eq!(unescape_segment(segment).as_deref(), Some(text));
    }
    for segment in ["=61", "=2e", "a=", "a=2", "=FF", "==", "=+1"] {
        assert_eq!(unescape_segment(segment), None, "{segment}");
    }
}

#[test]
fn filters_match_as_subjects_do() {
    let key = |text| Key::new(text).unwrap();
    let filter = |text| Filter::new(text).unwrap();
    assert!(filter("a.>").matches(&key("a.b.c")));
    assert!(!filter("a.>").matches(&key("a")));
    assert!(filter("*.b").matches(&key("a.b")));
    assert!(!filter("*.b").matches(&key("a.b.c")));
    assert!(filter(">").matches(&key("a")));
    assert!(filter("a").matches(&key("a")));
    assert!(!filter("a").matches(&key("a.b")));
    for text in ["a.>.b", "a*", ">a", "a.b>"] {
        assert_eq!(Filter::new(text), Err(KeyError::Wildcard { text: text.to_owned() }));
    }
}

#[test]
fn filters_know_what_they_share() {
    let filter = |text| Filter::new(text).unwrap();
    for (a, b, overlap, covers) in [
        ("a.>", "a.b", true, true),
        ("a.b", "a.>", true, false),
        ("a.*", "*.b", true, false),
        ("a.*", "a.>", true, false),
        ("a.>", "a.*", true, true),
        ("a.>", "a", false, false),
        ("a", "a", true, true),
        ("a.b", "a.c", false, false),
        (">", "a.*.c", true, true),
        ("*", "a.b", false, false),
    ] {
        assert_eq!(filter(a).overlaps(&filter(b)), overlap, "{a} {b}");
        assert_eq!(filter(b).overlaps(&filter(a)), overlap, "{b} {a}");
        assert_eq!(filter(a).covers(&filter(b)), covers, "{a} {b}");
    }
}

#[test]
fn a_prefix_covers_itself_and_what_is_below_it_only() {
    let prefix = |text| Prefix::new(text).unwrap();
    assert!(prefix("a").covers(&prefix("a.b")));
    assert!(prefix("a").covers(&prefix("a")));
    assert!(!prefix("a").covers(&prefix("ab")));
    assert!(prefix("").covers(&prefix("ab")));
    assert_eq!(Key::new("ab.c").unwrap().under(&prefix("a")), None);
    assert_eq!(Key::new("a.c").unwrap().under(&prefix("a")), Some("c"));
}

#[test]
fn what_begins_with_the_frameworks_word_belongs_to_it() {
    let is_reserved = |text: &str| Key::new(text).unwrap().is_reserved();
    assert!(["_kvconf", "_kvconf.schema.x"].into_iter().all(is_reserved));
    assert!(!["_kvconfs.x", "a._kvconf", "_kvcon"].into_iter().any(is_reserved));
}

/// A key or a filter of few short parts, so that many of them have something to do with each other.
fn parts(part: &'static str, last: &'static str) -> impl Strategy<Value = String> {
    (proptest::collection::vec(part, 0..3), last).prop_map(|(mut parts, last)| {
        parts.push(last);
        parts.join(".")
    })
}

proptest! {
    #[test]
    fn every_text_is_one_part_of_a_key_and_reads_back(text in prop_oneof![any::<String>(), "[a-b=./*> -]{0,6}"]) {
        let segment = escape_segment(&text);
        prop_assert_eq!(unescape_segment(&segment), Some(text));
        let key = Key::new(&segment);
        let fits = segment.len() <= MAX_KEY_BYTES;
        prop_assert_eq!(key.map(|key| key.tokens().count()).ok(), fits.then_some(1));
    }

    #[test]
    fn no_two_parts_of_keys_are_the_same_text(segment in "[a-c=0-9A-F/_-]{1,9}") {
        if let Some(text) = unescape_segment(&segment) {
            prop_assert_eq!(escape_segment(&text), segment);
        }
    }

    /// What filters say of each other is what the keys say that they ask for: of all keys of up to four parts out of three.
    #[test]
    fn filters_cover_and_overlap_as_the_keys_that_they_match(
        a in parts("[ab*]", "[ab*>]"),
        b in parts("[ab*]", "[ab*>]"),
    ) {
        let (a, b) = (Filter::new(a).unwrap(), Filter::new(b).unwrap());
        let mut keys = vec![String::new()];
        let mut all = Vec::new();
        for _ in 0..4 {
            keys = keys.iter().flat_map(|key| ["a", "b", "c"].map(|part| join(key, part))).collect();
            all.extend(keys.iter().map(|key| Key::new(key).unwrap()));
        }
        let (ours, theirs) = (|key: &&Key| a.matches(key), |key: &&Key| b.matches(key));
        prop_assert_eq!(a.overlaps(&b), all.iter().any(|key| ours(&key) && theirs(&key)));
        prop_assert_eq!(a.covers(&b), all.iter().filter(theirs).all(|key| ours(&key)));
    }
}
