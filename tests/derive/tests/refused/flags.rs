//! Flags that are none.

use kvconf::{Flag, FlagVariant, KvConfig};

#[derive(KvConfig, Clone)]
struct Shop {
    #[kv(flag, default = false)]
    plain: bool,
    #[kv(flag)]
    optional: Option<Flag<bool>>,
    #[kv(flag, default = 300)]
    too_large: Flag<u8>,
    #[kv(flag, default = "dark")]
    stored: Flag<Theme>,
    #[kv(flag, range(1..=5))]
    range: Flag<u8>,
    #[kv(flag, secret)]
    secret: Flag<String>,
    #[kv(flag, entries)]
    entries: Flag<u8>,
}

#[derive(FlagVariant)]
enum Theme {
    Light,
    Own(String),
}

#[derive(FlagVariant)]
struct Generic<T>(T);

fn main() {}
