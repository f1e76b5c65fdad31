use kvconf::KvConfig;

#[derive(KvConfig, Clone)]
#[kv(prefix = "check out", rename_all = "kebap-case", env_prefix = "")]
struct Keys {
    #[kv(rename = "")]
    empty: u8,
    #[kv(rename = "a..b")]
    hole: u8,
    #[kv(rename = "grün")]
    umlaut: u8,
    #[kv(rename = "_kvconf.x")]
    reserved: u8,
    #[kv(alias = "a*")]
    star: u8,
    größe: u8,
}

#[derive(KvConfig, Clone)]
#[kv(prefix = "_kvconf", rename_all = "title case")]
struct Reserved {
    field: u8,
}

#[derive(KvConfig, Clone)]
struct Collisions {
    first: u8,
    #[kv(rename = "first")]
    again: u8,
    #[kv(alias("old", "first"))]
    third: u8,
    #[kv(alias = "old")]
    fourth: u8,
    #[kv(alias = "fifth")]
    fifth: u8,
    #[kv(rename = "first.below")]
    below: u8,
    #[kv(rename = "above.all")]
    all: u8,
    above: u8,
    #[kv(nested)]
    deep: Inner,
    #[kv(rename = "deep")]
    leaf: u8,
    #[kv(rename = "deep.value")]
    value: u8,
}

#[derive(KvConfig, Clone)]
struct Inner {
    value: u8,
}

#[derive(KvConfig, Clone)]
#[kv(env_prefix = "APP")]
struct Environment {
    #[kv(env = "HOST")]
    host: u8,
    #[kv(env = "HOST")]
    other: u8,
    #[kv(env = "APP_PORT")]
    third: u8,
    port: u8,
    #[kv(env = "A=B")]
    bad: u8,
}

#[derive(KvConfig, Clone)]
struct EnvironmentInTwoCases {
    #[kv(env = "Host")]
    host: u8,
    #[kv(env = "HOST")]
    other: u8,
}

fn main() {
    // The names of a struct with mistakes are there all the same.
    let _ = (Collisions::fields().first, Keys::fields().hole, Collisions::fields().deep.value);
}
