//! Secrets and the cache: encrypted, or left out.

use std::fs;
use std::time::Duration;

use kvconf::seal::{Keyring, SealKey, seal};
use kvconf::{Bucket, Cache, Key, Live, StartError};

use super::{Folder, WithSecret, away, bucket, health, trusted};

const SECRET: &str = "correct-horse-battery-staple";

fn ring(id: &str, byte: u8) -> Keyring {
    Keyring::new(SealKey::new(id, [byte; 32]).unwrap())
}

async fn serve(bucket: &Bucket, folder: &Folder, cache: Cache) {
    bucket.put("checkout.max_items", "60").await.unwrap();
    let live: Live<WithSecret> = bucket.live().cache(cache).keyring(ring("a", 1)).start().await.unwrap();
    trusted(&live).await;
    drop(live);
    folder.free().await;
}

async fn start(bucket: &Bucket, cache: Cache) -> Result<Live<WithSecret>, StartError> {
    let start = bucket.live().cache(cache).keyring(ring("a", 1));
    start.deadline(Duration::from_millis(1)).start().await
}

/// The files of the folder that have a text in them.
fn with(folder: &Folder, text: &str) -> usize {
    let has = |bytes: Vec<u8>| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    folder.files().into_iter().filter(|file| has(fs::read(file).unwrap())).count()
}

// P11, P9
#[tokio::test(start_paused = true)]
async fn without_a_key_a_secret_is_left_out_and_the_start_is_refused_by_name() {
    let folder = Folder::new("left-out");
    let (bucket, faults) = bucket();
    bucket.put("checkout.api_key", SECRET).await.unwrap();
    // It may be what the secret was called before.
    bucket.put("checkout.old_api_key", SECRET).await.unwrap();
    serve(&bucket, &folder, folder.cache()).await;
    assert_eq!((with(&folder, SECRET), with(&folder, "\"60\"")), (0, 1));

    away(&faults);
    let error = start(&bucket, folder.cache()).await.unwrap_err();
    let told = error.to_string();
    let expected = "the cached state of revision 3 is not valid: checkout.api_key: its value is not in the cache: \
                    one without a key holds no secrets";
    assert!(told.ends_with(expected), "{told}");
}

/// The next build of the service.
mod newer {
    #[derive(kvconf::KvConfig, Debug, Clone)]
    #[kv(prefix = "checkout")]
    pub struct WithSecret {
        #[kv(default = "usual")]
        pub mode: String,
    }
}

// P9
#[tokio::test(start_paused = true)]
async fn a_value_that_the_saving_build_did_not_know_is_missed_for_what_it_is() {
    let folder = Folder::new("unknown");
    let (bucket, faults) = bucket();
    bucket.put("checkout.api_key", SECRET).await.unwrap();
    bucket.put("checkout.mode", "careful").await.unwrap();
    serve(&bucket, &folder, folder.cache()).await;

    away(&faults);
    let start = bucket.live::<newer::WithSecret>().cache(folder.cache());
    let error = start.deadline(Duration::from_millis(1)).start().await.unwrap_err();
    let expected = "checkout.mode: its value is not in the cache: the program that saved it did not know the field, \
                    and may not keep a secret in clear";
    assert!(error.to_string().ends_with(expected), "{error}");
}

// P11, P9
#[tokio::test(start_paused = true)]
async fn with_a_key_everything_is_encrypted_and_the_start_has_its_secrets() {
    let folder = Folder::new("encrypted");
    let (bucket, faults) = bucket();
    bucket.put("checkout.api_key", SECRET).await.unwrap();
    let cache = folder.cache().keyring(ring("disk", 2));
    serve(&bucket, &folder, cache.clone()).await;
    assert_eq!((with(&folder, SECRET), with(&folder, "max_items")), (0, 0));

    away(&faults);
    let live = start(&bucket, cache).await.unwrap();
    assert!(live.load().is_cached());
    assert_eq!((live.load().max_items, live.load().api_key.expose().as_str()), (60, SECRET));
    drop(live);
    folder.free().await;
    // Another key, another program.
    away(&faults);
    let error = start(&bucket, folder.cache().keyring(ring("other", 3))).await.unwrap_err();
    assert!(error.to_string().contains("sealed with key disk, which is not on the keyring"), "{error}");
}

// P11, P9
#[tokio::test(start_paused = true)]
async fn a_sealed_secret_stays_sealed_in_a_cache_without_a_key() {
    let folder = Folder::new("sealed");
    let (bucket, faults) = bucket();
    let key = Key::new("checkout.api_key").unwrap();
    let sealed = seal(&ring("a", 1), &key, SECRET.as_bytes()).unwrap();
    bucket.put(&key, sealed.clone()).await.unwrap();
    serve(&bucket, &folder, folder.cache()).await;
    assert_eq!((with(&folder, SECRET), with(&folder, &sealed)), (0, 1));

    away(&faults);
    let live = start(&bucket, folder.cache()).await.unwrap();
    assert!(live.load().is_cached());
    assert_eq!(live.load().api_key.expose(), SECRET);
    health(&live, |health| health.is_current()).await;
}
