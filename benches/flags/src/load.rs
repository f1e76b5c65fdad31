//! A flag without a rule, from `load()` to its value.

use std::hint::black_box;

use kvconf::{Bucket, Flag, KvConfig, Live, LiveBuilder};

use crate::cases;
use crate::timing::Subject;

/// A struct with a flag.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "shop")]
pub(crate) struct Shop {
    #[kv(default = 50)]
    items: u32,
    #[kv(flag, default = false)]
    pub(crate) new_cart: Flag<bool>,
}

/// A handle on a bucket in memory, and the runtime that keeps it alive.
pub(crate) fn live(flag: &str) -> (tokio::runtime::Runtime, Bucket, Live<Shop>) {
    live_with(flag, |builder| builder)
}

/// The same, started as somebody wants it.
pub(crate) fn live_with(
    flag: &str,
    builder: impl FnOnce(LiveBuilder<Shop>) -> LiveBuilder<Shop>,
) -> (tokio::runtime::Runtime, Bucket, Live<Shop>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (bucket, live) = runtime.block_on(async {
        let bucket = Bucket::memory();
        bucket.put("shop.new_cart", flag.to_owned()).await.expect("writes");
        let live = builder(bucket.live::<Shop>()).start().await.expect("starts");
        (bucket, live)
    });
    (runtime, bucket, live)
}

/// `load()` and a plain field, and `load()` and a flag.
pub(crate) fn subjects(live: &Live<Shop>) -> [Subject<'_>; 2] {
    let visitor = cases::typed();
    [
        Subject::new("`load()` and a number", move || black_box(live).load().items),
        Subject::new("`load()` and a static flag", move || {
            black_box(live).load().new_cart.get(black_box(&visitor))
        }),
    ]
}
