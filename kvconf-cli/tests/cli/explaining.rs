//! `explain`: what a key is and why it is so.

use insta::assert_snapshot;
use kvconf::fleet::Instance;
use kvconf::{Bucket, KvConfig, Live, Schema, Secret};

use crate::command::{Kvconf, normalised, server_with_bucket};

/// How baskets are paid for.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct Checkout {
    /// Most items in one basket.
    #[kv(default = 50, range(1..=500), unit = "items", alias = "most")]
    max_items: u32,
    #[kv(env = "PAY")]
    pay: Option<Secret<String>>,
}

async fn put(bucket: &Bucket, key: &str, value: &str, author: &str) {
    let plan = bucket.edit().set(key, value.to_owned()).plan().await.unwrap();
    plan.commit().author(author).await.unwrap();
}

/// Without how long ago something was, which is a matter of seconds here.
fn settled(ran: &crate::command::Ran) -> String {
    let text = normalised(&ran.to_string(), None);
    let when = |part: &str| part == "now" || part.ends_with("s ago");
    let line = |line: &str| {
        line.split(", ").map(|part| if when(part) { "[ago]" } else { part }).collect::<Vec<_>>().join(", ")
            + "\n"
    };
    text.lines().map(line).collect()
}

#[tokio::test]
async fn a_setting_is_told_with_its_schema_and_what_goes_before_it() {
    // P7, P11
    let (server, bucket) = server_with_bucket().await;
    let schema = Schema::of::<Checkout>().with_layers(["base", "env.*", "host.*"]).unwrap();
    bucket.publish_schema(&schema, "1.4.0").await.unwrap();
    put(&bucket, "base.checkout.max_items", "60", "ops").await;
    put(&bucket, "env.prod.checkout.most", "70", "ops").await;
    put(&bucket, "env.prod.checkout.max_items", "9999", "deploy").await;
    put(&bucket, "host.web-1.checkout.max_items", "90", "ops").await;
    put(&bucket, "base.checkout.pay", "hunter2", "ops").await;
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(settled(&kvconf.text("explain env.prod.checkout.max_items").await), @r"
    exit 0
    --- out
    env.prod.checkout.max_items: 9999
      from bucket prod, revision 4, [ago], by deploy
      before: (nothing that is kept)
      1 revision kept: kvconf history env.prod.checkout.max_items
      setting of Checkout 1.4.0: a whole number (u32), 1 to 500, in items
      Most items in one basket.
      without a value: 50
      of the layers (base, env.*, host.*), the first of these that a program reads wins:
          host.web-1.checkout.max_items  90    revision 5, [ago], by ops
       →  env.prod.checkout.max_items    9999  revision 4, [ago], by deploy
          env.prod.checkout.most         70    ignored, an old name; revision 3, [ago], by ops
          base.checkout.max_items        60    revision 2, [ago], by ops
      × env.prod.checkout.max_items: 9999 is outside 1..=500
      × env.prod.checkout.most: an old name of env.prod.checkout.max_items, ignored; write env.prod.checkout.max_items instead
    ");
    assert_snapshot!(settled(&kvconf.text("explain --layer base checkout.pay").await), @r"
    exit 0
    --- out
    base.checkout.pay: <secret>
      from bucket prod, revision 6, [ago], by ops
      before: (nothing that is kept)
      1 revision kept: kvconf history base.checkout.pay
      setting of Checkout 1.4.0: a text
      without a value: none
      Secret: its values are never shown.
      where it is set, the environment variable PAY wins
    ");
    assert_snapshot!(settled(&kvconf.text("explain checkout.max_items").await), @r"
    exit 0
    --- out
    checkout.max_items: (no value)
      setting of Checkout 1.4.0: a whole number (u32), 1 to 500, in items
      Most items in one basket.
      without a value: 50
      of the layers (base, env.*, host.*), the first of these that a program reads wins:
          host.web-1.checkout.max_items  90    revision 5, [ago], by ops
          env.prod.checkout.max_items    9999  revision 4, [ago], by deploy
          env.prod.checkout.most         70    ignored, an old name; revision 3, [ago], by ops
          base.checkout.max_items        60    revision 2, [ago], by ops
      × env.prod.checkout.max_items: 9999 is outside 1..=500
      × env.prod.checkout.most: an old name of env.prod.checkout.max_items, ignored; write env.prod.checkout.max_items instead
    ");
    let ran = kvconf.run("explain base.checkout.pay").await;
    assert!(!ran.out.contains("hunter2"), "{ran}");
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["schema"]["setting"]["secret"], true);
    assert_eq!(document["schema"]["standing"][0]["layer"], "base");
    assert_eq!(document["now"]["value"], serde_json::json!({ "masked": true }));
    let unknown = kvconf.text("explain base.checkout.max_itmes").await;
    assert_snapshot!(unknown, @r"
    exit 3
    --- err
    error: base.checkout.max_itmes has no value and no history
      help: did you mean base.checkout.max_items?
    ");
}

#[tokio::test]
async fn instances_that_reject_a_key_are_named_with_what_they_say() {
    // P3
    let (server, bucket) = server_with_bucket().await;
    let open = async || Bucket::open(&server.client().await, "prod").await.unwrap();
    let join = async |id: &str| -> Live<Checkout> {
        open().await.live().instance(Instance::named("checkout").id(id)).start().await.unwrap()
    };
    let (a, b) = (join("a").await, join("b").await);
    put(&bucket, "checkout.max_items", "60", "ops").await;
    let newest = bucket.entry("checkout.max_items").await.unwrap().unwrap().revision();
    a.wait_for(newest).await.unwrap();
    b.wait_for(newest).await.unwrap();
    let kvconf = Kvconf::of(&server);
    let told = kvconf.text("explain checkout.max_items").await;
    assert!(told.out.ends_with("  2 instances read it, 2 up to date\n"), "{told}");
    put(&bucket, "checkout.max_items", "9999", "ops").await;
    kvconf_tests::wait_until("both have seen it", std::time::Duration::from_secs(30), async || {
        bucket.fleet().list().await.unwrap().not_current().count() == 2
    })
    .await;
    let told = kvconf.text("explain checkout.max_items").await;
    assert!(
        told.out.ends_with(
            "  2 instances read it, 0 up to date, 2 reject it:\n    × a: 9999 is outside 1..=500\n    × b: 9999 is outside 1..=500\n"
        ),
        "{told}"
    );
    assert_eq!(kvconf.text("explain elsewhere.x").await.code, 3);
}
