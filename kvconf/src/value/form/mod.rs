//! What the stored form of a type is, as data: found out by asking the type, and good enough to read values without it.

mod ask;
mod explore;
mod read;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(super) use explore::form_of;

use super::Tree;
use super::kind::ValueKind;

/// What values a setting has, and how they are stored: its type, as far as a reader of its bytes can tell.
///
/// It is found by asking the type's `Deserialize` what it wants, so it also knows types that others have made. What that
/// does not tell (conversions that fail, functions of the program) is not in it.
///
/// ```
/// use kvconf::settings::Form;
/// use kvconf::{Codec, Text};
///
/// let form = Codec::<Option<u16>>::form(&Text);
/// assert_eq!(form, Form::Option { of: Box::new(Form::Whole { signed: false, bits: 16, nonzero: false }) });
/// assert_eq!(form.to_string(), "a whole number (u16)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Form {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Whole {
        /// Whether it can be negative.
        signed: bool,
        /// How many bits it has: 8, 16, 32, 64 or 128.
        bits: u8,
        /// Whether it is never zero.
        #[serde(default, skip_serializing_if = "is_false")]
        nonzero: bool,
    },
    /// A number.
    Float {
        /// How many bits it has: 32 or 64.
        bits: u8,
    },
    /// One character.
    Char,
    /// A text.
    Text {
        /// What it has to look like; `None` for any text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<TextFormat>,
    },
    /// A time with its unit: `3s`.
    Duration,
    /// A size with its unit: `64 MiB`.
    ByteSize,
    /// Any bytes.
    Bytes,
    /// One of several names, some of them with a value.
    Enum {
        /// The names.
        variants: Vec<Variant>,
    },
    /// What is inside, or `null`.
    Option {
        /// What is inside.
        of: Box<Form>,
    },
    /// `null` and nothing else.
    Null,
    /// A list, as JSON.
    List {
        /// Each item.
        items: Box<Form>,
        /// Whether items that are equal count as one.
        #[serde(default, skip_serializing_if = "is_false")]
        distinct: bool,
    },
    /// A list of a fixed length, as JSON.
    Tuple {
        /// The items.
        items: Vec<Form>,
    },
    /// An object with names that are not fixed, as JSON.
    Map {
        /// The names.
        keys: Box<Form>,
        /// The values.
        values: Box<Form>,
    },
    /// An object with fixed names, as JSON.
    Struct {
        /// The names.
        fields: Vec<FormField>,
        /// Whether other names are refused, and not ignored.
        #[serde(default, skip_serializing_if = "is_false")]
        closed: bool,
        /// Whether the type did not tell everything: there may be more names, and more of them may be required.
        #[serde(default, skip_serializing_if = "is_false")]
        partial: bool,
    },
    /// Whatever there is: JSON where the text is JSON, else the text.
    Any,
    /// JSON, also where it would be plain text otherwise: `#[kv(json)]`.
    Json {
        /// What is written as JSON.
        of: Box<Form>,
    },
    /// A feature flag: a flag object, or a plain value.
    Flag {
        /// What its variants are.
        value: Box<Form>,
        /// Whether the program has a default, so that the flag need not name one.
        default: bool,
    },
    /// A form that only the program knows: of a codec of its own, or written by a later version of kvconf.
    #[serde(other)]
    Opaque,
}

/// One name of an enum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Variant {
    /// The name.
    pub name: String,
    /// What stands beside it, as in `{"name": …}`; `None` where the name stands alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Form>,
}

/// One name of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FormField {
    /// The name.
    pub name: String,
    /// Its values.
    pub form: Form,
    /// Whether it must be there.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
}

/// What a text has to look like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum TextFormat {
    /// An IP address of either version.
    Ip,
    /// An IP address of version 4.
    Ipv4,
    /// An IP address of version 6.
    Ipv6,
    /// An IP address with a port.
    Socket,
    /// An IP address of version 4 with a port.
    SocketV4,
    /// An IP address of version 6 with a port.
    SocketV6,
    /// A path of a file.
    Path,
    /// Something else, in the words of the type itself, such as `UUID string`. Only the program can tell which texts fit.
    Other(String),
}

const FORMATS: [(&str, &str, TextFormat); 7] = [
    ("ip", "IP address", TextFormat::Ip),
    ("ipv4", "IPv4 address", TextFormat::Ipv4),
    ("ipv6", "IPv6 address", TextFormat::Ipv6),
    ("socket", "socket address", TextFormat::Socket),
    ("socket-v4", "IPv4 socket address", TextFormat::SocketV4),
    ("socket-v6", "IPv6 socket address", TextFormat::SocketV6),
    ("path", "path string", TextFormat::Path),
];

impl TextFormat {
    /// By what serde says that a type expects; `None` for any text.
    fn expected(expected: &str) -> Option<Self> {
        if matches!(expected, "a string" | "a borrowed string" | "string" | "str") {
            return None;
        }
        let known = FORMATS.iter().find(|(_, words, _)| *words == expected);
        Some(known.map_or_else(|| Self::Other(expected.to_owned()), |(.., format)| format.clone()))
    }

    /// The words for it, as in `IP address`.
    #[must_use]
    pub fn words(&self) -> &str {
        match self {
            Self::Other(words) => words,
            known => {
                FORMATS.iter().find(|(.., format)| format == known).map_or("text", |(_, words, _)| words)
            }
        }
    }
}

impl From<String> for TextFormat {
    fn from(name: String) -> Self {
        let known = FORMATS.iter().find(|(known, ..)| *known == name);
        known.map_or(Self::Other(name), |(.., format)| format.clone())
    }
}

impl From<TextFormat> for String {
    fn from(format: TextFormat) -> Self {
        match format {
            TextFormat::Other(words) => words,
            known => {
                let name = FORMATS.iter().find(|(.., format)| *format == known).map(|(name, ..)| *name);
                name.unwrap_or("text").to_owned()
            }
        }
    }
}

/// For serde.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Form {
    /// Any text.
    #[must_use]
    pub const fn text() -> Self {
        Self::Text { format: None }
    }

    /// The kind that readers name in messages.
    pub(crate) fn kind(&self) -> ValueKind<'_> {
        match self {
            Self::Bool => ValueKind::Bool,
            Self::Whole { signed, bits, .. } => ValueKind::Whole { signed: *signed, bits: *bits },
            Self::Float { bits } => ValueKind::Float { bits: *bits },
            Self::Char => ValueKind::Char,
            Self::Text { .. } | Self::ByteSize => ValueKind::Text,
            Self::Duration => ValueKind::Duration,
            Self::Bytes => ValueKind::Bytes,
            Self::Enum { variants } => {
                ValueKind::Enum(variants.iter().map(|variant| variant.name.as_str()).collect())
            }
            Self::Option { of } => ValueKind::Option(Box::new(of.kind())),
            Self::Null => ValueKind::Unit,
            Self::List { .. } | Self::Tuple { .. } => ValueKind::List,
            Self::Map { .. } | Self::Struct { .. } => ValueKind::Map,
            Self::Json { of } => of.kind(),
            Self::Any | Self::Flag { .. } | Self::Opaque => ValueKind::Any,
        }
    }

    /// Without the option around it.
    #[must_use]
    pub fn inner(&self) -> &Self {
        match self {
            Self::Option { of } | Self::Json { of } => of.inner(),
            other => other,
        }
    }

    /// The least and the greatest number of a whole one, as text.
    pub(crate) fn whole_bounds(&self) -> Option<(String, String)> {
        let Self::Whole { signed, bits, nonzero } = self else { return None };
        let shift = 128_u32.saturating_sub(u32::from(*bits)).min(127);
        Some(match (signed, nonzero) {
            (true, _) => ((i128::MIN >> shift).to_string(), (i128::MAX >> shift).to_string()),
            (false, true) => ("1".to_owned(), (u128::MAX >> shift).to_string()),
            (false, false) => ("0".to_owned(), (u128::MAX >> shift).to_string()),
        })
    }

    /// Whether a reader without the program can tell every bad value from a good one, by the form alone.
    pub(crate) fn is_certain(&self) -> bool {
        match self {
            Self::Bool
            | Self::Whole { .. }
            | Self::Float { .. }
            | Self::Char
            | Self::Duration
            | Self::ByteSize
            | Self::Bytes
            | Self::Null => true,
            Self::Text { format } => !matches!(format, Some(TextFormat::Other(_))),
            Self::Enum { variants } => {
                variants.iter().flat_map(|variant| &variant.content).all(Self::is_certain)
            }
            Self::Option { of } | Self::Json { of } => of.is_certain(),
            Self::List { items, .. } => items.is_certain(),
            Self::Tuple { items } => items.iter().all(Self::is_certain),
            Self::Map { keys, values } => keys.is_certain() && values.is_certain(),
            Self::Struct { fields, partial, .. } => {
                !partial && fields.iter().all(|field| field.form.is_certain())
            }
            Self::Flag { value, .. } => value.is_certain(),
            // Any is what an untagged enum asks for too.
            Self::Any | Self::Opaque => false,
        }
    }

    /// A value that fits, to be put in the way of a question about what comes behind it.
    fn sample(&self) -> Option<Tree> {
        let text = |text: &str| Some(Tree::Text(text.to_owned()));
        match self {
            Self::Bool => Some(Tree::Bool(true)),
            Self::Whole { .. } => Some(Tree::Number("1".to_owned())),
            Self::Float { .. } => Some(Tree::Number("1.0".to_owned())),
            Self::Char => text("a"),
            Self::Text { format } => match format {
                None | Some(TextFormat::Path) => text("a"),
                Some(TextFormat::Ip | TextFormat::Ipv4) => text("127.0.0.1"),
                Some(TextFormat::Ipv6) => text("::1"),
                Some(TextFormat::Socket | TextFormat::SocketV4) => text("127.0.0.1:80"),
                Some(TextFormat::SocketV6) => text("[::1]:80"),
                Some(TextFormat::Other(_)) => None,
            },
            Self::Duration => text("1s"),
            Self::ByteSize => text("1 B"),
            Self::Bytes | Self::List { .. } => Some(Tree::List(Vec::new())),
            Self::Enum { variants } => variants.iter().find_map(Variant::sample),
            Self::Option { .. } | Self::Null | Self::Any => Some(Tree::Null),
            Self::Tuple { items } => {
                items.iter().map(Self::sample).collect::<Option<Vec<_>>>().map(Tree::List)
            }
            Self::Map { .. } => Some(Tree::Object(Default::default())),
            Self::Struct { partial: true, .. } | Self::Json { .. } | Self::Flag { .. } | Self::Opaque => None,
            Self::Struct { fields, .. } => {
                let required = fields.iter().filter(|field| field.required);
                let entry = |field: &FormField| Some((field.name.clone(), field.form.sample()?));
                required.map(entry).collect::<Option<_>>().map(Tree::Object)
            }
        }
    }
}

impl Variant {
    fn sample(&self) -> Option<Tree> {
        match &self.content {
            None => Some(Tree::Text(self.name.clone())),
            Some(form) => {
                let content = form.sample()?;
                Some(Tree::Object([(self.name.clone(), content)].into()))
            }
        }
    }
}

/// What was expected, as errors say it: fits behind "expected ".
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag { value, .. } => write!(f, "a flag of {value}"),
            Self::ByteSize => f.write_str("a byte size such as 64 MiB"),
            Self::Text { format: Some(TextFormat::Path) } => f.write_str("a path"),
            Self::Text { format: Some(TextFormat::Other(words)) } => f.write_str(words),
            Self::Text { format: Some(format) } => {
                let words = format.words();
                write!(f, "{} {words}", if words.starts_with('I') { "an" } else { "a" })
            }
            Self::Whole { nonzero: true, .. } => write!(f, "{}, not zero", self.kind()),
            Self::Tuple { items } => write!(f, "a list of {} items", items.len()),
            Self::Struct { fields, .. } if !fields.is_empty() => {
                let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
                write!(f, "an object with {}", names.join(", "))
            }
            Self::Opaque => f.write_str("a form that only the program knows"),
            Self::Option { of } | Self::Json { of } => of.fmt(f),
            Self::List { items, .. } => write!(f, "a list, each item {items}"),
            Self::Map { values, .. } => write!(f, "an object, each value {values}"),
            other => other.kind().fmt(f),
        }
    }
}
