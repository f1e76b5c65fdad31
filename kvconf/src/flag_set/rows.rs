//! How a set stands in the bucket, as the table of a struct.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;
use serde_json::{Map, Value as Json};

use super::set::{FlagSet, SetFlag, StoredFlag};
use crate::change::RULE;
use crate::exposure::Observers;
use crate::flag::{SetProperties, parse_json};
use crate::flag_field::read::{problems_of, read_definition, told};
use crate::schema::{
    Absent, Entries, EntryMap, Env, KvConfig, Leaf, Loader, Meta, Path, Shape, Structure, Unlinked,
};
use crate::value::{Codec, DecodeError, EncodeError, ValuePlace, quote};

/// The key of the set's metadata, below the prefix.
pub(super) const METADATA: &str = "_set.metadata";
/// The key of what else stood in a document that was imported.
pub(super) const DOCUMENT: &str = "_set.document";
/// Where shared rules stand, each with its name behind it. Three parts, where a flag's key has one: no flag can be called
/// so that it stands here.
pub(super) const EVALUATORS: &str = "_set.evaluators";

/// The places of the rows.
pub(super) const METADATA_ROW: u16 = 0;
pub(super) const EVALUATORS_ROW: u16 = 2;
pub(super) const FLAGS_ROW: u16 = 3;

/// A JSON object under one key.
pub(super) type Object = Arc<Map<String, Json>>;

/// Shared rules by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    pub(super) all: BTreeMap<String, Rule>,
    /// Those that have been read, or have gone, since the flags were compiled last.
    pub(super) changed: BTreeSet<String>,
}

/// A shared rule, and the very bytes that it was read from.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) json: Arc<Json>,
    pub(super) stored: Bytes,
}

impl Rule {
    pub(super) fn new(json: Json) -> Self {
        let stored = json.to_string().into();
        Self { json: Arc::new(json), stored }
    }
}

impl EntryMap for Rules {
    type Value = Rule;

    fn put(&mut self, key: &str, value: Rule) -> Result<(), DecodeError> {
        if key.is_empty() {
            return Err(DecodeError::new("a shared rule needs a name"));
        }
        self.changed.insert(key.to_owned());
        self.all.insert(key.to_owned(), value);
        Ok(())
    }

    fn take(&mut self, key: &str) {
        if self.all.remove(key).is_some() {
            self.changed.insert(key.to_owned());
        }
    }

    fn find(&self, key: &str) -> Option<&Rule> {
        self.all.get(key)
    }

    fn each(&self) -> Vec<(String, &Rule)> {
        self.all.iter().map(|(name, rule)| (name.clone(), rule)).collect()
    }
}

/// Flags by key.
#[derive(Debug, Clone, Default)]
pub(super) struct FlagMap {
    pub(super) compiled: HashMap<Arc<str>, Arc<SetFlag>, RandomState>,
    /// Read, and not compiled yet.
    pub(super) fresh: HashMap<Arc<str>, StoredFlag, RandomState>,
}

impl EntryMap for FlagMap {
    type Value = StoredFlag;

    fn put(&mut self, key: &str, value: StoredFlag) -> Result<(), DecodeError> {
        if key.is_empty() {
            return Err(DecodeError::new("a flag needs a name"));
        }
        self.fresh.insert(key.into(), value);
        Ok(())
    }

    fn take(&mut self, key: &str) {
        self.fresh.remove(key);
        self.compiled.remove(key);
    }

    fn find(&self, key: &str) -> Option<&StoredFlag> {
        self.fresh.get(key).or_else(|| self.compiled.get(key).map(|flag| &flag.stored))
    }

    fn each(&self) -> Vec<(String, &StoredFlag)> {
        let compiled = self.compiled.iter().map(|(key, flag)| (key, &flag.stored));
        let settled = compiled.filter(|(key, _)| !self.fresh.contains_key(*key));
        let mut all: Vec<_> = settled.chain(&self.fresh).map(|(key, flag)| (key.to_string(), flag)).collect();
        all.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        all
    }
}

struct FlagCodec;

impl Codec<StoredFlag> for FlagCodec {
    fn decode(&self, bytes: &[u8]) -> Result<StoredFlag, DecodeError> {
        self.decode_at(ValuePlace::default(), bytes)
    }

    fn decode_at(&self, place: ValuePlace<'_>, bytes: &[u8]) -> Result<StoredFlag, DecodeError> {
        Ok(StoredFlag::new(read_definition(bytes)?, Bytes::copy_from_slice(bytes), place.revision))
    }

    fn encode(&self, flag: &StoredFlag) -> Result<Bytes, EncodeError> {
        Ok(flag.bytes().clone())
    }
}

struct RuleCodec;

impl Codec<Rule> for RuleCodec {
    fn decode(&self, bytes: &[u8]) -> Result<Rule, DecodeError> {
        Ok(Rule { json: Arc::new(read_json(bytes)?), stored: Bytes::copy_from_slice(bytes) })
    }

    fn encode(&self, rule: &Rule) -> Result<Bytes, EncodeError> {
        Ok(rule.stored.clone())
    }
}

fn read_json(bytes: &[u8]) -> Result<Json, DecodeError> {
    let text = str::from_utf8(bytes)
        .map_err(|_| DecodeError::new(format!("expected JSON, found {}", quote(bytes))))?;
    parse_json(text).map_err(|error| DecodeError::new(error.to_string()))
}

fn read_object(bytes: &[u8]) -> Result<Map<String, Json>, DecodeError> {
    match read_json(bytes)? {
        Json::Object(entries) => Ok(entries),
        _ => Err(DecodeError::new(format!("expected a JSON object, found {}", quote(bytes)))),
    }
}

fn write_object(object: &Object) -> Bytes {
    Json::Object((**object).clone()).to_string().into()
}

struct MetadataCodec;

impl Codec<Object> for MetadataCodec {
    fn decode(&self, bytes: &[u8]) -> Result<Object, DecodeError> {
        let metadata = read_object(bytes)?;
        let properties = SetProperties::new(Map::new(), metadata);
        let properties = properties.map_err(|error| told(&problems_of(&error)))?;
        Ok(Arc::new(properties.metadata().clone()))
    }

    fn encode(&self, metadata: &Object) -> Result<Bytes, EncodeError> {
        Ok(write_object(metadata))
    }
}

struct DocumentCodec;

impl Codec<Object> for DocumentCodec {
    fn decode(&self, bytes: &[u8]) -> Result<Object, DecodeError> {
        read_object(bytes).map(Arc::new)
    }

    fn encode(&self, document: &Object) -> Result<Bytes, EncodeError> {
        Ok(write_object(document))
    }
}

const fn meta(
    name: &'static str,
    key: &'static str,
    type_name: &'static str,
    description: &'static str,
) -> Meta {
    Meta {
        name,
        key,
        aliases: &[],
        description,
        type_name,
        secret: false,
        restart: false,
        deprecated: None,
        env: None,
        unit: None,
    }
}

static METADATA_LEAF: Leaf<FlagSet, Object> = Leaf {
    meta: meta("metadata", METADATA, "object", "What the set says about itself."),
    get: |set| &set.metadata,
    get_mut: |set| &mut set.metadata,
    codec: &MetadataCodec,
    absent: Absent::Optional { none: Object::default, is_none: |metadata| metadata.is_empty() },
    checks: &[],
};

static DOCUMENT_LEAF: Leaf<FlagSet, Object> = Leaf {
    meta: meta("document", DOCUMENT, "object", "What else stood in the document that was imported."),
    get: |set| &set.document,
    get_mut: |set| &mut set.document,
    codec: &DocumentCodec,
    absent: Absent::Optional { none: Object::default, is_none: |document| document.is_empty() },
    checks: &[],
};

static EVALUATORS_MAP: Entries<FlagSet, Rules> = Entries {
    meta: meta("evaluators", EVALUATORS, RULE, "Rules that the flags share."),
    get: |set| &set.rules,
    get_mut: |set| &mut set.rules,
    codec: &RuleCodec,
    checks: &[],
};

static FLAGS_MAP: Entries<FlagSet, FlagMap> = Entries {
    meta: meta("flags", "", "flag", "The flags."),
    get: |set| &set.flags,
    get_mut: |set| &mut set.flags,
    codec: &FlagCodec,
    checks: &[],
};

const fn env(name: &'static str) -> Env {
    Env::Below { name }
}

static SCHEMA: Structure<FlagSet> = Structure {
    name: "FlagSet",
    prefix: None,
    env_prefix: None,
    description: "Flags by name, with what they share.",
    nodes: &[&METADATA_LEAF, &DOCUMENT_LEAF, &EVALUATORS_MAP, &FLAGS_MAP],
    shape: &[
        Shape::Leaf(METADATA, env("METADATA")),
        Shape::Leaf(DOCUMENT, env("DOCUMENT")),
        Shape::Entries(EVALUATORS, env("EVALUATORS")),
        Shape::Entries("", env("FLAGS")),
    ],
    validate: None,
};

impl KvConfig for FlagSet {
    type Fields<Root: 'static> = ();

    const __SCHEMA: &'static Structure<Self> = &SCHEMA;

    const __LINKS: bool = true;

    fn __fields<Root: 'static>(_: Path) {}

    fn __build(loader: &mut Loader<'_>) -> Option<Self> {
        let metadata = loader.leaf(METADATA_ROW, &METADATA_LEAF);
        let document = loader.leaf(1, &DOCUMENT_LEAF);
        let rules = loader.entries(EVALUATORS_ROW, &EVALUATORS_MAP);
        // What is wrong with a flag that can be read is told also where another cannot be.
        let flags = loader.good_entries(FLAGS_ROW, &FLAGS_MAP);
        Some(Self::unlinked(metadata.unwrap_or_default(), document.unwrap_or_default(), rules?, flags))
    }

    fn __link(&mut self) -> Vec<Unlinked> {
        self.link()
    }

    fn __equip(&mut self, observers: &Observers) {
        self.observers = Some(observers.clone());
    }
}
