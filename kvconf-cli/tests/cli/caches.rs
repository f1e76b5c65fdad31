//! Encrypted caches.

use std::time::Duration;

use kvconf::seal::{Keyring, SealKey};
use kvconf::{Bucket, Cache, KvConfig};
use kvconf_tests::wait_until;

use crate::command::{Kvconf, file};

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct Checkout {
    #[kv(default = 50)]
    max_items: u32,
}

const KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

#[tokio::test]
async fn an_encrypted_cache_is_opened_with_its_key_and_shown_when_asked_for() {
    // P11
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let bucket = Bucket::memory();
    bucket.put("checkout.max_items", "80").await.unwrap();
    let ring = Keyring::new(SealKey::from_base64("2026-01", KEY).unwrap());
    let cache = Cache::at(folder.path()).keyring(ring).trust_after(Duration::ZERO);
    let live = bucket.live::<Checkout>().cache(cache).start().await.unwrap();
    wait_until("the state is saved", Duration::from_secs(30), async || {
        live.health().cache.and_then(|cache| cache.saved).is_some_and(|saved| saved.trusted)
    })
    .await;
    drop(live);
    let kvconf = Kvconf::alone();
    let closed = kvconf.text(&format!("cache show {path}")).await;
    assert_eq!(closed.code, 5, "{closed}");
    assert!(
        closed.err.ends_with("help: --keys FILE, with a line for the key 2026-01; or KVCONF_SEAL_KEYS\n"),
        "{closed}"
    );
    let (_keys, keys) = file("seal.keys", format!("# of January\n2026-01 {KEY}\n"));
    let masked = kvconf.text(&format!("cache show {path} --keys {keys}")).await;
    assert!(masked.code == 0 && masked.out.ends_with("checkout.max_items  <secret>\n"), "{masked}");
    assert_eq!(masked.err, "note: it is encrypted, and may hold secrets: --reveal shows values\n");
    let open = kvconf.text(&format!("cache show {path} --keys {keys} --reveal")).await;
    assert!(open.code == 0 && open.out.ends_with("checkout.max_items  80\n"), "{open}");
    let by_variable = kvconf.clone().variable("KVCONF_SEAL_KEYS", &format!("2026-01 {KEY}"));
    assert_eq!(by_variable.text(&format!("cache show {path} --reveal")).await.out, open.out);
    let (_bad, bad) = file("bad.keys", "2026-01 hunter2\n");
    let refused = kvconf.text(&format!("cache show {path} --keys {bad}")).await;
    assert!(refused.code == 6 && refused.err.contains("bad.keys: line 1: "), "{refused}");
    assert!(!refused.err.contains("hunter2"), "{refused}");
    let (_other, other) = file("other.keys", format!("2025-06 {KEY}\n"));
    assert_eq!(kvconf.text(&format!("cache show {path} --keys {other}")).await.code, 5);
}
