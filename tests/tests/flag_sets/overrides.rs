//! Flags that a test fixes for itself.

use kvconf::{FlagSet, Flags};
use serde_json::{Value as Json, json};

use super::visitor;

#[test]
fn what_one_test_fixes_no_other_sees() {
    let shared = Flags::fixed(FlagSet::fixed([("cart", json!(false)), ("size", json!(20))]).unwrap());
    std::thread::scope(|scope| {
        for at in 0..8_i64 {
            let shared = &shared;
            scope.spawn(move || {
                let mine = shared.overridden([("size", json!(at)), ("cart", json!(at % 2 == 0))]).unwrap();
                for _ in 0..1_000 {
                    assert_eq!(mine.get("size", &visitor(), -1_i64), at);
                    assert_eq!(mine.get("cart", &visitor(), at % 2 != 0), at % 2 == 0);
                    assert_eq!(shared.get("size", &visitor(), -1_i64), 20);
                }
            });
        }
    });
}

#[test]
fn a_fixed_set_can_be_given_another() {
    let flags = Flags::fixed(FlagSet::default());
    assert_eq!(flags.get("limits", &visitor(), Json::Null), Json::Null);
    assert!(flags.set_fixed(FlagSet::fixed([("limits", json!({"items": 3}))]).unwrap()));
    assert_eq!(flags.get("limits", &visitor(), Json::Null), json!({"items": 3}));
    let error = FlagSet::fixed([("a", json!([])), ("b", Json::Null), ("", json!(1))]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a: a flag is an object, `true`, `false`, a text or a number; b: a flag is an object, `true`, `false`, a text or a \
         number; an empty name"
    );
}
