//! The structs that are measured.

use std::collections::BTreeMap;
use std::time::Duration;

use kvconf::KvConfig;

include!(concat!(env!("OUT_DIR"), "/wide.rs"));

/// What a small service has.
#[derive(KvConfig, Debug, Clone, serde::Deserialize, serde::Serialize)]
#[kv(prefix = "checkout")]
pub struct Checkout {
    /// Most items in one basket.
    #[kv(default = 50)]
    pub max_items: u32,
    /// Another number.
    #[kv(default = 0)]
    pub other: u32,
    /// How long to wait.
    #[kv(default = "3s")]
    pub timeout: Duration,
    /// Where to.
    #[kv(default = "https://payment.example")]
    pub address: String,
    /// Countries.
    #[kv(default = ["NL", "BE"])]
    pub countries: Vec<String>,
    /// Whether at all.
    #[kv(default = true)]
    pub enabled: bool,
}

impl Checkout {
    /// The defaults.
    pub fn usual() -> Self {
        Self {
            max_items: 50,
            other: 0,
            timeout: Duration::from_secs(3),
            address: "https://payment.example".to_owned(),
            countries: vec!["NL".to_owned(), "BE".to_owned()],
            enabled: true,
        }
    }
}

/// One key for each customer.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "limits")]
pub struct Limits {
    /// By customer.
    #[kv(entries)]
    pub of: BTreeMap<String, u32>,
}

/// Twenty keys.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "first")]
pub struct Few {
    /// By name.
    #[kv(entries)]
    pub of: BTreeMap<String, u32>,
}

/// Ten numbers.
#[derive(KvConfig, Debug, Clone)]
#[expect(missing_docs, reason = "ten numbers")]
pub struct Ten {
    #[kv(default = 1)]
    pub a: u32,
    #[kv(default = 1)]
    pub b: u32,
    #[kv(default = 1)]
    pub c: u32,
    #[kv(default = 1)]
    pub d: u32,
    #[kv(default = 1)]
    pub e: u32,
    #[kv(default = 1)]
    pub f: u32,
    #[kv(default = 1)]
    pub g: u32,
    #[kv(default = 1)]
    pub h: u32,
    #[kv(default = 1)]
    pub i: u32,
    #[kv(default = 1)]
    pub j: u32,
}

/// A hundred numbers, each with a key.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "hundred")]
#[expect(missing_docs, reason = "ten times ten numbers")]
pub struct Hundred {
    #[kv(nested)]
    pub a: Ten,
    #[kv(nested)]
    pub b: Ten,
    #[kv(nested)]
    pub c: Ten,
    #[kv(nested)]
    pub d: Ten,
    #[kv(nested)]
    pub e: Ten,
    #[kv(nested)]
    pub f: Ten,
    #[kv(nested)]
    pub g: Ten,
    #[kv(nested)]
    pub h: Ten,
    #[kv(nested)]
    pub i: Ten,
    #[kv(nested)]
    pub j: Ten,
}

macro_rules! ten_thousand {
    ($($name:ident)+) => {
        /// Ten thousand fields.
        #[derive(KvConfig, Debug, Clone)]
        #[kv(prefix = "widest")]
        pub struct Widest {
            $(
                /// A thousand of them.
                #[kv(nested)]
                pub $name: Wide,
            )+
        }
    };
}
ten_thousand!(a b c d e f g h i j);
