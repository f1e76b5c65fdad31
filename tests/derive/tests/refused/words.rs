use std::collections::BTreeMap;

use kvconf::{KvConfig, Secret};

#[derive(KvConfig, Clone)]
#[kv(prefx = "a", range(1..=2), namespace = "a", validate)]
#[kv]
struct Words {
    #[kv(rnage(1..=5))]
    slip: u8,
    #[kv(min = 1)]
    foreign_min: u8,
    #[kv(skip_serializing_if = "Option::is_none")]
    foreign_skip: Option<u8>,
    #[kv(sensitive)]
    foreign_secret: String,
    #[kv(nest)]
    foreign_nested: u8,
    #[kv(deserialize_with = "f")]
    foreign_with: u8,
    #[kv(env_var = "A")]
    foreign_env: u8,
    #[kv(email)]
    foreign_email: String,
    #[kv(xyzzy)]
    nobodys: u8,
    #[kv(context = Visitor, default = false)]
    no_flag: bool,
    #[kv(prefix = "a")]
    misplaced: u8,
}

#[derive(KvConfig, Clone)]
struct Forms {
    #[kv(nested = true)]
    value_for_flag: u8,
    #[kv(rename)]
    no_value: u8,
    #[kv(rename = 5)]
    no_text: u8,
    #[kv(rename("a"))]
    list_for_text: u8,
    #[kv(range = 5)]
    value_for_list: u8,
    #[kv(one_of())]
    empty_list: u8,
    #[kv(default(5))]
    list_for_value: u8,
    #[kv(validate = |v| Ok(()))]
    closure: u8,
    #[kv(deprecated(since = "1"))]
    since: u8,
    #[kv(default = 1, default = 2)]
    twice: u8,
    #[kv(default = )]
    cut_short: u8,
    #[kv(restart default)]
    no_comma: u8,
    #[kv("text")]
    no_word: u8,
}

#[derive(KvConfig, Clone)]
struct Combinations {
    #[kv(nested, secret)]
    nested_secret: Inner,
    #[kv(nested, alias = "old", range(1..=2))]
    nested_alias: Inner,
    #[kv(nested, flatten)]
    two_kinds: Inner,
    #[kv(flatten, rename = "a")]
    flatten_rename: Inner,
    #[kv(skip, env = "A")]
    skip_env: u8,
    #[kv(skip, default = "level")]
    skip_text: Inner,
    #[kv(entries, default)]
    entries_default: BTreeMap<String, u8>,
    #[kv(entries)]
    entries_list: Vec<u8>,
    #[kv(with = Codec, json)]
    two_codecs: u8,
    #[kv(secret, json)]
    secret_json: Secret<String>,
    #[kv(secret)]
    secret_string: String,
    #[kv(secret)]
    secret_option: Option<String>,
    #[kv(nested)]
    maybe: Option<Inner>,
}

#[derive(KvConfig, Clone)]
struct Inner {
    value: u8,
}

fn main() {}
