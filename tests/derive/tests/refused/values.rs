use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use kvconf::{ByteSize, KvConfig};

#[derive(KvConfig, Clone)]
struct Defaults {
    #[kv(default = 300)]
    too_big: u8,
    #[kv(default = -1)]
    negative: u32,
    #[kv(default = "50")]
    quoted: u32,
    #[kv(default = "true")]
    quoted_bool: bool,
    #[kv(default = 5)]
    unquoted: String,
    #[kv(default = 5)]
    no_unit: Duration,
    #[kv(default = "5 sec")]
    wrong_unit: Duration,
    #[kv(default = "64 M")]
    size: ByteSize,
    #[kv(default = "300.0.0.1")]
    address: IpAddr,
    #[kv(default = 0)]
    zero: NonZeroU8,
    #[kv(default = "NL")]
    no_list: Vec<String>,
    #[kv(default = ["a", 5])]
    mixed_list: Vec<String>,
    #[kv(default = 5)]
    option: Option<u8>,
    #[kv(default)]
    bare_option: Option<u8>,
}

#[derive(KvConfig, Clone)]
struct OwnChecks {
    #[kv(default = 600, range(1..=500))]
    range: u32,
    #[kv(default = 500, range(1..500))]
    exclusive: u32,
    #[kv(default = 0.5, range(1..))]
    float: f64,
    #[kv(default = "11s", range("1s"..="10s"))]
    duration: Duration,
    #[kv(default = "abc", length(4..))]
    length: String,
    #[kv(default = ["a", "b"], length(..=1))]
    items: Vec<String>,
    #[kv(default = "ABC", pattern("^[a-z]+$"))]
    pattern: String,
    #[kv(default = "c", one_of("a", "b"))]
    one_of: String,
}

#[derive(KvConfig, Clone)]
struct Checks {
    #[kv(range(5..=1))]
    empty: u32,
    #[kv(range(1, 5))]
    list: u32,
    #[kv(range(..))]
    open: u32,
    #[kv(range(1..=300))]
    beyond: u8,
    #[kv(range(1..=5))]
    string: String,
    #[kv(range("1"..="2s"))]
    duration: Duration,
    #[kv(length(1..=5))]
    number: u8,
    #[kv(length("a"))]
    text: String,
    #[kv(pattern("("))]
    open_group: String,
    #[kv(pattern("a"))]
    number_pattern: u8,
    #[kv(pattern(5))]
    no_pattern: String,
    #[kv(one_of("a", "a"))]
    twice: String,
    #[kv(one_of("a"))]
    number_of_texts: u8,
    #[kv(one_of(true))]
    truth: bool,
}

fn main() {}
