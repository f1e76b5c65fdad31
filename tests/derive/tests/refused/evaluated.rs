//! What is found by evaluating constants, after everything else has compiled.

use kvconf::KvConfig;

#[derive(KvConfig, Clone)]
struct Inner {
    value: u8,
}

#[derive(KvConfig, Clone)]
struct Taken {
    value: u8,
    #[kv(flatten)]
    inner: Inner,
}

#[derive(KvConfig, Clone)]
struct Twice {
    #[kv(flatten)]
    one: Inner,
    #[kv(flatten)]
    two: Inner,
}

#[derive(KvConfig, Clone)]
struct Below {
    #[kv(rename = "value.more")]
    more: u8,
    #[kv(flatten)]
    inner: Inner,
}

macro_rules! deeper {
    ($($name:ident of $inner:ident),*) => {$(
        #[derive(KvConfig, Clone)]
        struct $name {
            #[kv(nested)]
            inner: $inner,
        }
    )*};
}

deeper!(D2 of Inner, D3 of D2, D4 of D3, D5 of D4, D6 of D5, D7 of D6, D8 of D7);

#[derive(KvConfig, Clone)]
struct TooDeep {
    #[kv(nested)]
    inner: D8,
}

#[derive(KvConfig, Clone)]
struct Constants {
    #[kv(default = Self::DEFAULT, range(1..=5))]
    number: u32,
    #[kv(default = 0.5, range(LEAST..))]
    float: f64,
}

impl Constants {
    const DEFAULT: u32 = 6;
}

const LEAST: f64 = 1.0;

#[derive(KvConfig, Clone)]
struct Retry {
    max: u32,
    #[kv(env = "PAUSE")]
    pause: u32,
}

#[derive(KvConfig, Clone)]
#[kv(env_prefix = "APP")]
struct OneVariable {
    retry_max: u32,
    #[kv(nested)]
    retry: Retry,
}

#[derive(KvConfig, Clone)]
#[kv(env_prefix = "APP")]
struct Given {
    #[kv(nested, env = "SHOP")]
    left: Max,
    #[kv(nested)]
    right: Shop,
}

#[derive(KvConfig, Clone)]
struct Max {
    max: u32,
}

#[derive(KvConfig, Clone)]
#[kv(env_prefix = "SHOP")]
struct Shop {
    #[kv(flatten)]
    max: Max,
}

#[derive(KvConfig, Clone)]
struct WithoutPrefix {
    #[kv(nested)]
    left: Retry,
    #[kv(nested)]
    right: Retry,
}

#[derive(KvConfig, Clone)]
struct Harmless {
    retry_max: u32,
    #[kv(nested)]
    retry: Max,
}

#[derive(KvConfig, Clone)]
#[kv(env_prefix = "APP")]
struct FurtherBelow {
    #[kv(nested)]
    harmless: Harmless,
}

#[derive(KvConfig, Clone)]
struct InTwoCases {
    #[kv(env = "Pause")]
    pause: u32,
    #[kv(nested)]
    retry: Retry,
}

#[derive(KvConfig, Clone)]
#[kv(env_prefix = "APP")]
struct OfAMap {
    #[kv(nested)]
    retry: Max,
    #[kv(entries)]
    retry_max: std::collections::BTreeMap<String, u32>,
}

fn main() {}
