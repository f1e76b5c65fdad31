//! `flag`: flags by name, from the first document to a rollout, and back in time.

use insta::assert_snapshot;

use crate::command::{Kvconf, Ran, file, normalised, server_with_bucket};

fn shown(ran: &Ran) -> String {
    normalised(&ran.to_string(), None)
}

const DOCUMENT: &str = r#"{"flags": {
    "cart": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off"},
    "size": {"state": "ENABLED", "variants": {"big": 20}, "defaultVariant": "big"}
}}"#;

#[tokio::test]
async fn flags_come_in_are_switched_and_rolled_out_and_go_out() {
    let (server, _bucket) = server_with_bucket().await;
    let kvconf = Kvconf::of(&server).variable("KVCONF_FLAGS", "shop.flags");
    let (_folder, document) = file("flags.json", DOCUMENT);
    let words = ["flag", "import", document.as_str(), "--yes", "--text", "-m", "first"];
    let ran = kvconf.run_with(words).await;
    assert_eq!((ran.code, ran.out.lines().last()), (0, Some("2 keys written, revision 2")), "{ran}");
    let again = kvconf.run_with(words).await;
    assert_eq!((again.code, again.out.as_str()), (0, "nothing to change\n"));

    let ran = kvconf.text("flag rollout cart on=100 off=0 --yes").await;
    assert_eq!((ran.code, ran.out.lines().last()), (0, Some("1 key written, revision 3")), "{ran}");
    assert_snapshot!(shown(&kvconf.text("flag eval cart targetingKey=user-1").await), @r"
    exit 0
    --- out
    true
    variant on, TARGETING_MATCH, by targeting.fractional[0]
    ");
    assert_snapshot!(shown(&kvconf.run("flag eval cart targetingKey=user-1 --at 2").await), @r#"
    exit 0
    --- out
    {"error":null,"flag":"cart","metadata":{},"reason":"STATIC","revision":1,"rule":null,"value":false,"variant":"off"}
    "#);
    let ran = kvconf.text("flag off cart --yes").await;
    assert_eq!(ran.code, 0, "{ran}");
    assert_snapshot!(shown(&kvconf.text("flag eval cart targetingKey=user-1").await), @r"
    exit 0
    --- out
    (the caller's default)
    DISABLED
    ");
    let exported = kvconf.run("flag export").await;
    assert!(exported.out.contains("\"DISABLED\"") && exported.out.contains("\"size\""), "{exported}");
}

#[tokio::test]
async fn what_cannot_be_done_is_said_with_what_may_be_meant() {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("shop.flags.cart", "true").await.unwrap();
    let kvconf = Kvconf::of(&server).variable("KVCONF_FLAGS", "shop.flags");
    assert_snapshot!(shown(&kvconf.text("flag on crat --yes").await), @r"
    exit 3
    --- err
    error: there is no flag `crat`, did you mean `cart`?
    ");
    assert_snapshot!(shown(&kvconf.text("flag rollout cart on=1 --yes").await), @r"
    exit 6
    --- err
    error: flag `cart` has no variant `on`
    ");
    bucket.put("shop.flags.cart", "[]").await.unwrap();
    let ran = kvconf.text("flag ls").await;
    assert_eq!(ran.code, 5, "{ran}");
    assert!(ran.err.contains("a flag is an object, `true`, `false`, a text or a number"), "{ran}");
    let ran = Kvconf::of(&server).text("flag ls").await;
    assert_eq!(ran.code, 2, "{ran}");
}
