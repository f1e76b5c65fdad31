//! Structs that are large by themselves: each function that hands one on by value has it on its stack.

use kvconf::{Bucket, KvConfig};

/// What a thread of tokio's has.
const STACK: usize = 2 << 20;

macro_rules! texts {
    ($name:ident: $($field:ident)*) => {
        #[derive(KvConfig, Debug, Clone)]
        struct $name {
            $(#[kv(default = "text")] $field: String,)*
        }
    };
}

macro_rules! parts {
    ($name:ident of $part:ident: $($field:ident)*) => {
        #[derive(KvConfig, Debug, Clone)]
        struct $name {
            $(#[kv(nested)] $field: $part,)*
        }
    };
}

texts!(Page:
    t0 t1 t2 t3 t4 t5 t6 t7 t8 t9 t10 t11 t12 t13 t14 t15 t16 t17 t18 t19 t20 t21 t22 t23 t24
    t25 t26 t27 t28 t29
);
parts!(Book of Page: p0 p1 p2 p3 p4 p5 p6 p7 p8 p9);
parts!(Shelf of Book: b0 b1 b2 b3 b4 b5 b6 b7 b8 b9);

async fn read_and_change() -> (String, String, String) {
    let bucket = Bucket::memory();
    bucket.put("wide.b0.p0.t0", "first").await.unwrap();
    let live = bucket.live::<Shelf>().prefix("wide").start().await.unwrap();
    let first = live.snapshot();
    // One state is made in a copy, for the first one is held; the next one in the one before.
    for text in ["second", "third", "fourth"] {
        let revision = bucket.put("wide.b9.p9.t29", text).await.unwrap();
        live.wait_for(revision).await.unwrap();
    }
    let applied = live.update(|shelf| shelf.b5.p5.t5 = "fifth".to_owned()).await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    let now = live.snapshot();
    (first.b0.p0.t0.clone(), now.b9.p9.t29.clone(), now.b5.p5.t5.clone())
}

// P10
#[test]
fn three_thousand_texts_are_read_and_changed_on_the_stack_that_a_worker_has() {
    assert_eq!(size_of::<Shelf>(), 72_000);
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(read_and_change())
    };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(run).unwrap();
    let expected = ("first".to_owned(), "fourth".to_owned(), "fifth".to_owned());
    assert_eq!(thread.join().unwrap(), expected);
}
