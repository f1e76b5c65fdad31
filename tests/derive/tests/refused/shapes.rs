use kvconf::KvConfig;

#[derive(KvConfig, Clone)]
enum Enum {
    One,
}

#[derive(KvConfig, Clone, Copy)]
union Union {
    one: u8,
}

#[derive(KvConfig, Clone)]
struct Tuple(u8, u8);

#[derive(KvConfig, Clone)]
struct Unit;

#[derive(KvConfig, Clone)]
struct Borrows<'a> {
    text: &'a str,
}

fn main() {}
