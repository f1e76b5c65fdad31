//! Who got what then.

use kvconf::flag::Reason;
use kvconf::{Flag, KvConfig, PastError};
use kvconf_tests::Backend;

use super::{IN_NL, USES_STAFF, cart, put, start, visitor};

// P8
pub(crate) async fn a_set_is_evaluated_as_of_a_revision_and_a_time(backend: &Backend) {
    let bucket = backend.plain().await;
    let flags = start(&bucket).await;
    put(&flags, &bucket, "_set.evaluators.staff", IN_NL).await;
    let cart_at = put(&flags, &bucket, "cart", &cart(USES_STAFF)).await;
    let night = cart(r#"{"if": [{"<": [{"var": "$flagd.timestamp"}, 1000]}, "on"]}"#);
    let monday = put(&flags, &bucket, "night", &night).await;
    let entry = bucket.entry("shop.flags.night").await.unwrap().unwrap();
    put(&flags, &bucket, "_set.evaluators.staff", r#"{"!": [1]}"#).await;
    put(&flags, &bucket, "cart", "false").await;

    for past in [flags.at(monday).await.unwrap(), flags.at_time(entry.created()).await.unwrap()] {
        let detail = past.evaluate("cart", &visitor(), false);
        assert_eq!((detail.value, detail.reason), (true, Reason::TargetingMatch));
        assert_eq!((past.revision(), detail.revision), (monday, Some(cart_at)));
        let night = [999, 1000].map(|now| past.evaluate_at("night", &visitor(), now, false).value);
        assert_eq!(night, [true, false]);
    }
    assert!(!flags.get("cart", &visitor(), true));
    // Right after the rule had changed.
    let tuesday = flags.at(monday.next()).await.unwrap();
    assert_eq!(tuesday.evaluate("cart", &visitor(), true).reason, Reason::Default);
}

// P8
pub(crate) async fn what_is_no_longer_kept_is_named(backend: &Backend) {
    let bucket = backend.keeping(2).await;
    let flags = start(&bucket).await;
    let first = put(&flags, &bucket, "cart", "true").await;
    put(&flags, &bucket, "size", "1").await;
    for _ in 0..3 {
        put(&flags, &bucket, "cart", "false").await;
    }
    let error = flags.at(first).await.unwrap_err();
    assert!(matches!(error, PastError::Lost { .. } | PastError::OutOfRange { .. }), "{error}");
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "shop")]
struct Shop {
    #[kv(flag, default = false)]
    new_cart: Flag<bool>,
}

// P8
pub(crate) async fn flags_in_fields_are_evaluated_as_of_a_revision(backend: &Backend) {
    let bucket = backend.plain().await;
    let live = bucket.live::<Shop>().start().await.unwrap();
    let first = bucket.put("shop.new_cart", cart(&format!(r#"{{"if": [{IN_NL}, "on"]}}"#))).await.unwrap();
    let second = bucket.put("shop.new_cart", "false").await.unwrap();
    live.wait_for(second).await.unwrap();
    assert_eq!(live.load().new_cart.evaluate(&visitor()).revision, Some(second));

    let past = live.at(first).await.unwrap();
    let detail = past.new_cart.evaluate(&visitor());
    assert_eq!((detail.value, detail.rule, detail.revision), (true, Some("targeting.if[1]"), Some(first)));
    let before = live.at(first - 1).await;
    match before {
        Ok(before) => assert_eq!(before.new_cart.evaluate(&visitor()).revision, None),
        Err(error) => assert!(matches!(error, PastError::OutOfRange { .. }), "{error}"),
    }
}

// P8
pub(crate) async fn a_set_goes_back_with_its_rules(backend: &Backend) {
    let bucket = backend.plain().await;
    let flags = start(&bucket).await;
    put(&flags, &bucket, "_set.evaluators.staff", IN_NL).await;
    let good = put(&flags, &bucket, "cart", &cart(USES_STAFF)).await;
    put(&flags, &bucket, "_set.evaluators.staff", r#"{"!": [1]}"#).await;
    put(&flags, &bucket, "size", "20").await;
    let applied = flags.rollback_to(good).author("ops").await.unwrap();
    flags.wait_for(applied.revision()).await.unwrap();
    assert!(flags.get("cart", &visitor(), false));
    assert!(flags.load().flag("size").is_none());
    let stored = bucket.get("shop.flags._set.evaluators.staff").await.unwrap().unwrap();
    assert_eq!(stored, IN_NL);
}
