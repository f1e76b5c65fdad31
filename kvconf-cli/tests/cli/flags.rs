//! `flag`: flags by name, from the first document to a rollout, and back in time.

use insta::assert_snapshot;
use kvconf::Bucket;
use kvconf_tests::server::Server;

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
    assert_eq!((ran.code, ran.out.lines().last()), (0, Some("2 keys written to prod, revision 2")), "{ran}");
    let again = kvconf.run_with(words).await;
    assert_eq!((again.code, again.out.as_str()), (0, "nothing to change\n"));

    let ran = kvconf.text("flag rollout cart on=100 off=0 --yes").await;
    assert_eq!((ran.code, ran.out.lines().last()), (0, Some("1 key written to prod, revision 3")), "{ran}");
    assert_snapshot!(shown(&kvconf.text("flag eval cart targetingKey=user-1").await), @r"
    exit 0
    --- out
    true
    variant on, TARGETING_MATCH, by targeting.fractional[0]
    ");
    let by_object = ["flag", "eval", "cart", "--attributes", r#"{"targetingKey": "user-1"}"#, "--text"];
    assert_snapshot!(shown(&kvconf.run_with(by_object).await), @r"
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

const ROLLED_OUT: &str = r#"{"flags": {"cart": {
    "state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
    "targeting": {"if": [{"in": [{"var": "country"}, ["NL", "BE", "DE"]]}, {"fractional": [["on", 10], ["off", 90]]}]}
}}}"#;

/// A server with flags below `shop.flags`.
async fn with_flags(document: &str) -> (Server, Bucket, Kvconf) {
    let (server, bucket) = server_with_bucket().await;
    let kvconf = Kvconf::of(&server).variable("KVCONF_FLAGS", "shop.flags");
    let (_folder, document) = file("flags.json", document);
    let ran = kvconf.run_with(["flag", "import", document.as_str(), "--yes"]).await;
    assert_eq!(ran.code, 0, "{ran}");
    (server, bucket, kvconf)
}

#[tokio::test]
async fn a_plan_tells_what_changes_in_a_flag_and_who_moves() {
    let (_server, _bucket, kvconf) = with_flags(ROLLED_OUT).await;
    let visitors: String = (0..200)
        .map(|id| format!("{{\"targetingKey\": \"user-{id}\", \"country\": \"{}\"}}\n", ["NL", "FR"][id % 2]))
        .collect();
    let (_folder, sample) = file("visitors.jsonl", visitors);
    let words = format!("flag rollout cart on=40 off=60 --sample {sample} --dry-run");
    assert_snapshot!(shown(&kvconf.text(&words).await), @r"
    exit 0
    --- out
    shop.flags.cart:
      targeting.if[1].fractional: on 10 % → 40 %, off 90 % → 60 %
    cart: 26 of 200 contexts move (13.0 %)
      off → on: 26 (13.0 %)
      off stays: 163 (81.5 %)
      on stays: 11 (5.5 %)
    ");
    assert_snapshot!(shown(&kvconf.run(&words).await), @r#"
    exit 0
    --- out
    {"changes":[{"after":{"value":"{\"defaultVariant\":\"off\",\"state\":\"ENABLED\",\"targeting\":{\"if\":[{\"in\":[{\"var\":\"country\"},[\"NL\",\"BE\",\"DE\"]]},{\"fractional\":[[\"on\",40],[\"off\",60]]}]},\"variants\":{\"off\":false,\"on\":true}}"},"before":{"value":"{\"defaultVariant\":\"off\",\"state\":\"ENABLED\",\"targeting\":{\"if\":[{\"in\":[{\"var\":\"country\"},[\"NL\",\"BE\",\"DE\"]]},{\"fractional\":[[\"on\",10],[\"off\",90]]}]},\"variants\":{\"off\":false,\"on\":true}}"},"differences":[{"after":[["on",40],["off",60]],"before":[["on",10],["off",90]],"path":"targeting.if[1].fractional"}],"key":"shop.flags.cart"}],"dry_run":true,"findings":[],"moves":[{"flag":"cart","groups":[{"contexts":26,"first":0,"from":"off","to":"on"}],"moved":26,"of":200}],"without_effect":[]}
    "#);
    // As plain keys, too.
    let flag =
        r#"shop.flags.cart={"state":"DISABLED","variants":{"on":true,"off":false},"defaultVariant":"on"}"#;
    assert_snapshot!(shown(&kvconf.run_with(["set", flag, "--dry-run", "--text"]).await), @r#"
    exit 0
    --- out
    ~  shop.flags.cart
         state: ENABLED → DISABLED
         defaultVariant: off → on
         targeting: {"if":[{"in":[{"var":"country"},["NL","BE","DE"]]},{"fractional":[["on",10],["off",90]]}]} → (none)
    "#);
}

#[tokio::test]
async fn a_plan_of_flags_that_became_stale_is_shown_anew_before_it_is_written() {
    // P6
    let (_server, bucket, kvconf) = with_flags(ROLLED_OUT).await;
    let mut terminal = kvconf.in_terminal("flag rollout cart on=40 off=60 -m more", 80);
    terminal.sees("Write 1 key? [y/N]", 1).await;
    terminal.sees("on 10 % → 40 %", 1).await;
    let other = ROLLED_OUT.trim_start_matches(r#"{"flags": {"cart": "#).trim_end_matches("}}");
    let other = other.replace("10", "20").replace("90", "80");
    bucket.put("shop.flags.cart", other).header("Kvconf-Author", "dev").await.unwrap();
    terminal.types("y");
    terminal.sees("now at revision 2 by dev", 1).await;
    terminal.sees("on 20 % → 40 %", 1).await;
    terminal.sees("Write 1 key? [y/N]", 2).await;
    assert_eq!(bucket.status().await.unwrap().last_revision.get(), 2);
    terminal.types("y");
    assert_eq!(terminal.ends().await.code, 0);
    let stored = bucket.get("shop.flags.cart").await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&stored).contains(r#"["on",40]"#), "{stored:?}");
}

#[tokio::test]
async fn a_change_of_a_disabled_flag_says_that_nobody_gets_it() {
    let (server, _bucket, kvconf) = with_flags(&ROLLED_OUT.replace("ENABLED", "DISABLED")).await;
    let named = Kvconf::of(&server);
    assert_snapshot!(shown(&named.text("flag rollout -p shop.flags cart on=40 off=60 --dry-run").await), @r"
    exit 0
    --- out
    shop.flags.cart:
      targeting.if[1].fractional: on 10 % → 40 %, off 90 % → 60 %
    flag `cart` is disabled: nobody gets anything else until it is enabled
    --- err
    note: kvconf flag on -p shop.flags cart enables it
    ");
    let told: serde_json::Value =
        serde_json::from_str(&kvconf.run("flag rollout cart on=40 off=60 --dry-run").await.out).unwrap();
    assert_eq!(told["without_effect"], serde_json::json!(["cart"]));
    assert_snapshot!(shown(&kvconf.text("flag on cart --dry-run").await), @r"
    exit 0
    --- out
    shop.flags.cart:
      state: DISABLED → ENABLED
    ");
    assert_snapshot!(shown(&named.text("flag get -p shop.flags something").await), @r"
    exit 3
    --- err
    error: there is no flag `something`
      help: kvconf flag ls -p shop.flags
    ");
    assert_snapshot!(shown(&kvconf.text("flag rollout something on=1 --dry-run").await), @r"
    exit 3
    --- err
    error: there is no flag `something`
      help: kvconf flag ls
    ");
}

#[tokio::test]
async fn ctrl_c_at_the_question_writes_no_flag() {
    let (_server, bucket, kvconf) = with_flags(ROLLED_OUT).await;
    let mut terminal = kvconf.in_terminal("flag off cart", 80);
    terminal.sees("Write 1 key? [y/N]", 1).await;
    terminal.interrupts();
    let ended = terminal.ends().await;
    assert_eq!(ended.code, 130);
    assert!(ended.text.contains("interrupted, nothing was written"), "{}", ended.text);
    assert_eq!(bucket.status().await.unwrap().last_revision.get(), 1);
}

#[tokio::test]
async fn flags_and_cases_in_files_need_no_server() {
    let kvconf = Kvconf::alone();
    let (_folder, document) = file("flags.json", ROLLED_OUT);
    let words = format!("flag eval --document {document} cart targetingKey=user-1 country=FR --text");
    assert_snapshot!(shown(&kvconf.run(&words).await), @r"
    exit 0
    --- out
    false
    variant off, DEFAULT, by targeting.if[2]
    ");
    let cases = [
        r#"{"key": "cart", "context": {"country": "FR"}, "expected": {"value": false, "reason": "DEFAULT"}}"#,
        "",
        r#"{"key": "size", "type": "Integer", "flag": 3, "default": 0, "expected": {"value": 3}}"#,
        r#"{"key": "cart", "context": {"country": "NL", "targetingKey": "user-1"}, "expected": {"value": null}}"#,
    ];
    let (_cases_folder, path) = file("cases.jsonl", cases.join("\n"));
    let normal = |ran: &Ran| shown(ran).replace(&path, "cases.jsonl");
    let words = format!("flag check {path} --document {document}");
    assert_snapshot!(normal(&kvconf.run(&words).await), @r#"
    exit 11
    --- out
    {"key":"cart","reason":"DEFAULT","value":false,"variant":"off"}
    {"key":"size","reason":"STATIC","value":3,"variant":"3"}
    {"key":"cart","reason":"TARGETING_MATCH","value":false,"variant":"off"}
    --- err
    error: 1 of 3 cases not as expected:
      line 4, cart: value is false and not absent
    "#);
    let first = file("first.jsonl", cases[..3].join("\n"));
    assert_snapshot!(shown(&kvconf.run(&format!("flag check {} --document {document}", first.1)).await), @r#"
    exit 0
    --- out
    {"key":"cart","reason":"DEFAULT","value":false,"variant":"off"}
    {"key":"size","reason":"STATIC","value":3,"variant":"3"}
    --- err
    note: 2 cases as expected
    "#);
    assert_snapshot!(shown(&kvconf.run(&format!("flag eval --cases {}", first.1)).await), @r#"
    exit 0
    --- out
    {"errorCode":"FLAG_NOT_FOUND","key":"cart","reason":"ERROR","value":null}
    {"key":"size","reason":"STATIC","value":3,"variant":"3"}
    "#);
    let bad = [
        &b"{\"key\": \"a\", \"type\": \"Number\"}"[..],
        b"nonsense",
        b"\xff",
        br#"{"key": "a", "expected": 3}"#,
    ];
    let (_bad_folder, path) = file("bad.jsonl", bad.join(&b'\n'));
    let normal = |ran: &Ran| shown(ran).replace(&path, "bad.jsonl");
    assert_snapshot!(normal(&kvconf.run(&format!("flag check {path}")).await), @r"
    exit 6
    --- err
    error: 4 lines of bad.jsonl cannot be used:
      line 1: `type`: expected `Boolean`, `String`, `Integer`, `Float` or `Object`
      line 2: no JSON: unexpected `o` at column 2
      line 3: not UTF-8
      line 4: `expected`: expected an object of `value`, `variant`, `reason` and `errorCode`, or some of them
    ");
    let (_broken_folder, broken) =
        file("broken.json", r#"{"flags": {"a": {"state": "ON", "variants": {}}}}"#);
    let normal = |ran: &Ran| shown(ran).replace(&broken, "broken.json");
    assert_snapshot!(normal(&kvconf.run(&format!("flag eval --document {broken} a")).await), @r"
    exit 6
    --- err
    error: broken.json: 2 problems
      flags.a.state: expected `ENABLED` or `DISABLED`
      flags.a.variants: a flag has at least one variant
    ");
}

#[tokio::test]
async fn each_verb_speaks_to_people_and_to_programs() {
    let (server, bucket) = server_with_bucket().await;
    let flag = r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off"}"#;
    bucket.put("shop.flags.cart", flag).await.unwrap();
    let kvconf = Kvconf::of(&server).variable("KVCONF_FLAGS", "shop.flags");
    assert_snapshot!(shown(&kvconf.run("flag ls").await), @r#"
    exit 0
    --- out
    {"definition":{"defaultVariant":"off","state":"ENABLED","variants":{"off":false,"on":true}},"enabled":true,"flag":"cart","revision":1}
    "#);
    assert_snapshot!(shown(&kvconf.text("flag get cart").await), @r#"
    exit 0
    --- out
    {
      "defaultVariant": "off",
      "state": "ENABLED",
      "variants": {
        "off": false,
        "on": true
      }
    }
    "#);
    assert_snapshot!(shown(&kvconf.run("flag get cart").await), @r#"
    exit 0
    --- out
    {"definition":{"defaultVariant":"off","state":"ENABLED","variants":{"off":false,"on":true}},"enabled":true,"flag":"cart","revision":1}
    "#);
    assert_snapshot!(shown(&kvconf.run("flag off cart --yes").await), @r#"
    exit 0
    --- out
    {"change":"[change]","changes":[{"after":{"value":"{\"defaultVariant\":\"off\",\"state\":\"DISABLED\",\"variants\":{\"off\":false,\"on\":true}}"},"before":{"value":"{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},\"defaultVariant\":\"off\"}"},"differences":[{"after":"DISABLED","before":"ENABLED","path":"state"}],"key":"shop.flags.cart"}],"findings":[],"moves":[],"revision":2,"without_effect":[],"written":[{"key":"shop.flags.cart","revision":2}]}
    "#);
    assert_snapshot!(shown(&kvconf.run("flag on cart --yes").await), @r#"
    exit 0
    --- out
    {"change":"[change]","changes":[{"after":{"value":"{\"defaultVariant\":\"off\",\"state\":\"ENABLED\",\"variants\":{\"off\":false,\"on\":true}}"},"before":{"value":"{\"defaultVariant\":\"off\",\"state\":\"DISABLED\",\"variants\":{\"off\":false,\"on\":true}}"},"differences":[{"after":"ENABLED","before":"DISABLED","path":"state"}],"key":"shop.flags.cart"}],"findings":[],"moves":[],"revision":3,"without_effect":[],"written":[{"key":"shop.flags.cart","revision":3}]}
    "#);
    assert_snapshot!(shown(&kvconf.run("flag rollout cart on=20% --yes").await), @r#"
    exit 0
    --- out
    {"change":"[change]","changes":[{"after":{"value":"{\"defaultVariant\":\"off\",\"state\":\"ENABLED\",\"targeting\":{\"fractional\":[[\"on\",20],[\"off\",80]]},\"variants\":{\"off\":false,\"on\":true}}"},"before":{"value":"{\"defaultVariant\":\"off\",\"state\":\"ENABLED\",\"variants\":{\"off\":false,\"on\":true}}"},"differences":[{"after":{"fractional":[["on",20],["off",80]]},"before":null,"path":"targeting"}],"key":"shop.flags.cart"}],"findings":[],"moves":[],"revision":4,"without_effect":[],"written":[{"key":"shop.flags.cart","revision":4}]}
    "#);
    assert_snapshot!(shown(&kvconf.text("flag export").await), @r#"
    exit 0
    --- out
    {
      "flags": {
        "cart": {
          "defaultVariant": "off",
          "state": "ENABLED",
          "targeting": {
            "fractional": [
              [
                "on",
                20
              ],
              [
                "off",
                80
              ]
            ]
          },
          "variants": {
            "off": false,
            "on": true
          }
        }
      }
    }
    "#);
    let (_folder, cases) = file(
        "cases.jsonl",
        r#"{"key":"a","type":"Boolean","flag":{"state":"ENABLED","variants":{"on":true},"defaultVariant":"on"},"context":{},"default":false}"#,
    );
    assert_snapshot!(shown(&kvconf.text(&format!("flag check {cases}")).await), @r#"
    exit 0
    --- out
    {"key":"a","reason":"STATIC","value":true,"variant":"on"}
    "#);
    assert_snapshot!(shown(&kvconf.text("bucket info prod").await).lines().next().unwrap_or_default(), @"exit 0");
}
