//! The codecs as their users see them.

mod golden;
mod messages;
mod round_trips;
mod types;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Codec, Json, Text};

fn read<V: DeserializeOwned + Serialize>(text: &str) -> V {
    Text.decode(text.as_bytes()).unwrap()
}

fn fault<V: DeserializeOwned + Serialize + std::fmt::Debug>(text: &str) -> String {
    Codec::<V>::decode(&Text, text.as_bytes()).unwrap_err().to_string()
}

fn json_fault<V: DeserializeOwned + Serialize + std::fmt::Debug>(text: &str) -> String {
    Codec::<V>::decode(&Json, text.as_bytes()).unwrap_err().to_string()
}

fn stored<V: DeserializeOwned + Serialize>(value: &V) -> String {
    String::from_utf8(Text.encode(value).unwrap().into()).unwrap()
}
