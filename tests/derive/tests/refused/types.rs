//! What the compiler itself finds, at the tokens of the user.

use kvconf::{KvConfig, Validation};

#[derive(Clone)]
struct Opaque;

#[derive(KvConfig, Clone)]
struct WrongTypes {
    #[kv(default = true)]
    number: u32,
    #[kv(default = 1.5)]
    whole: u32,
    #[kv(default = 'a')]
    text: String,
    #[kv(default = Vec::<u8>::new())]
    list: Vec<u16>,
    #[kv(default = [1, 2, 3])]
    array: [u8; 2],
}

#[derive(KvConfig, Clone)]
#[kv(validate = check)]
struct Functions {
    #[kv(validate = takes_text)]
    number: u32,
}

fn check(_: &u8, _: &mut Validation<Functions>) {}

fn takes_text(_: &str) -> Result<(), String> {
    Ok(())
}

#[derive(KvConfig, Clone)]
struct NotNested {
    #[kv(nested)]
    number: u32,
}

#[derive(KvConfig, Clone)]
struct NotEntries {
    #[kv(entries)]
    map: Alias,
}

type Alias = Vec<u8>;

#[derive(KvConfig, Clone)]
struct NoDefault {
    #[kv(default)]
    bare: std::net::IpAddr,
}

#[derive(KvConfig)]
struct NoClone {
    #[kv(default = 1)]
    number: u32,
}

#[derive(KvConfig, Clone)]
struct NoCodec {
    #[kv(with = Opaque)]
    number: u32,
}

fn main() {}
