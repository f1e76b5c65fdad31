//! The one table of attribute words, and the words of other crates that people try first.

/// Where a word may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Struct,
    Field,
    Both,
}

/// What stands behind a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Nothing: `nested`.
    Flag,
    /// `= "text"`.
    Text,
    /// `= "text"` or `("text", "text")`, and more than once.
    Texts,
    /// `= path`.
    Path,
    /// `= expression`.
    Expression,
    /// Nothing, or `= expression`.
    MaybeExpression,
    /// `(…)`.
    List,
    /// Nothing, or `(…)`.
    MaybeList,
}

/// One word of `#[kv(…)]`.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) name: &'static str,
    pub(crate) on: On,
    pub(crate) form: Form,
    /// How it is written, for messages.
    pub(crate) usage: &'static str,
}

const fn word(name: &'static str, on: On, form: Form, usage: &'static str) -> Word {
    Word { name, on, form, usage }
}

/// Every word that kvconf knows.
pub(crate) const WORDS: [Word; 25] = [
    word("prefix", On::Struct, Form::Text, "prefix = \"checkout\""),
    word("rename_all", On::Struct, Form::Text, "rename_all = \"kebab-case\""),
    word("env_prefix", On::Struct, Form::Text, "env_prefix = \"CHECKOUT\""),
    word("crate", On::Struct, Form::Path, "crate = path::to::kvconf"),
    word("validate", On::Both, Form::Path, "validate = path::to::function"),
    word("rename", On::Field, Form::Text, "rename = \"new-name\""),
    word("alias", On::Field, Form::Texts, "alias = \"old-name\""),
    word("default", On::Field, Form::MaybeExpression, "default = 50"),
    word("nested", On::Field, Form::Flag, "nested"),
    word("flatten", On::Field, Form::Flag, "flatten"),
    word("entries", On::Field, Form::Flag, "entries"),
    word("range", On::Field, Form::List, "range(1..=500)"),
    word("length", On::Field, Form::List, "length(1..=64)"),
    word("pattern", On::Field, Form::List, "pattern(\"^[a-z]+$\")"),
    word("one_of", On::Field, Form::List, "one_of(\"a\", \"b\")"),
    word("secret", On::Field, Form::Flag, "secret"),
    word("unit", On::Field, Form::Text, "unit = \"items\""),
    word("env", On::Field, Form::Text, "env = \"NAME\""),
    word("with", On::Field, Form::Expression, "with = MyCodec"),
    word("json", On::Field, Form::Flag, "json"),
    word("restart", On::Field, Form::Flag, "restart"),
    word("deprecated", On::Field, Form::MaybeList, "deprecated(use = \"new_field\")"),
    word("skip", On::Field, Form::Flag, "skip"),
    word("flag", On::Field, Form::Flag, "flag"),
    word("context", On::Field, Form::Path, "context = Visitor"),
];

/// Words of serde, config, confique, figment, clap, garde, validator and others, and what to write here instead.
const FOREIGN: [(&[&str], &str); 22] = [
    (&["min", "max", "minimum", "maximum", "between"], "write `range(1..=500)`"),
    (&["min_length", "max_length", "len", "size", "min_items", "max_items"], "write `length(1..=64)`"),
    (&["regex", "regexp", "matches"], "write `pattern(\"…\")`"),
    (
        &[
            "email",
            "url",
            "ip",
            "ascii",
            "alphanumeric",
            "contains",
            "starts_with",
            "ends_with",
            "prefix_str",
        ],
        "write `pattern(\"…\")`, or `validate = path` with a function",
    ),
    (&["enumerate", "values", "possible_values", "value_enum", "choices", "allowed"], "write `one_of(…)`"),
    (&["custom", "validator", "check", "must_match"], "write `validate = path`"),
    (
        &["default_value", "default_value_t", "default_values", "default_t", "or", "fallback", "default_fn"],
        "write `default = …`",
    ),
    (
        &["optional", "required", "required_if", "skip_serializing_if", "skip_none"],
        "an `Option` is optional by itself, any other field without `default` is required",
    ),
    (&["sensitive", "redact", "redacted", "masked", "private", "hidden", "hide"], "write `secret`"),
    (
        &["inner", "nest", "dive", "subconfig", "section", "group", "sub", "recurse", "command"],
        "write `nested`",
    ),
    (&["env_var", "envvar", "from_env", "environment"], "write `env = \"NAME\"`"),
    (&["env_name_prefix", "env_root"], "write `env_prefix = \"…\"` on the struct"),
    (
        &[
            "deserialize_with",
            "serialize_with",
            "parse",
            "parse_env",
            "value_parser",
            "from",
            "try_from",
            "into",
            "parse_with",
            "codec",
        ],
        "write `with = MyCodec`, a unit struct that implements `Codec`",
    ),
    (&["skip_serializing", "skip_deserializing", "ignore", "skip_parsing"], "write `skip`"),
    (&["name", "key", "id", "path", "long"], "write `rename = \"…\"`"),
    (&["aliases", "visible_alias", "old_name", "renamed_from", "previously"], "write `alias = \"…\"`"),
    (&["namespace", "root", "base", "bucket"], "write `prefix = \"…\"` on the struct"),
    (
        &["rename_fields", "rename_all_fields", "case", "case_insensitive"],
        "write `rename_all = \"…\"` on the struct",
    ),
    (&["map", "each", "spread", "keys", "dynamic"], "write `entries`"),
    (
        &["static", "immutable", "reload", "hot_reload", "cold"],
        "write `restart` where a change waits for a restart",
    ),
    (&["help", "about", "description", "doc", "comment", "summary"], "the doc comment is the description"),
    (
        &["deny_unknown_fields", "transparent", "tag", "untagged", "bound", "borrow", "other", "getter"],
        "kvconf has no such thing",
    ),
];

/// The word of this name.
pub(crate) fn find(name: &str) -> Option<&'static Word> {
    WORDS.iter().find(|word| word.name == name)
}

/// What to say about a word that is not in the table.
pub(crate) fn unknown(name: &str) -> String {
    let advice = foreign(name).map(|advice| format!("; {advice}"));
    let close = || close(name).map(|close| format!("; did you mean `{close}`?"));
    format!("unknown attribute `{name}`{}", advice.or_else(close).unwrap_or_default())
}

fn foreign(name: &str) -> Option<&'static str> {
    FOREIGN.iter().find(|(words, _)| words.contains(&name)).map(|(_, advice)| *advice)
}

fn close(name: &str) -> Option<&'static str> {
    nearest(name, WORDS.iter().map(|word| word.name))
}

/// The candidate that is most probably meant, when one is close enough.
pub(crate) fn nearest(name: &str, candidates: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_gets_a_suggestion() {
        assert_eq!(unknown("rnage"), "unknown attribute `rnage`; did you mean `range`?");
        assert_eq!(unknown("nestd"), "unknown attribute `nestd`; did you mean `nested`?");
        assert_eq!(unknown("zzz"), "unknown attribute `zzz`");
    }

    #[test]
    fn words_of_other_crates_are_translated() {
        assert_eq!(unknown("sensitive"), "unknown attribute `sensitive`; write `secret`");
        assert_eq!(unknown("max"), "unknown attribute `max`; write `range(1..=500)`");
    }

    #[test]
    fn no_foreign_word_is_one_of_ours_and_none_stands_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for name in FOREIGN.iter().flat_map(|(words, _)| words.iter()) {
            assert!(find(name).is_none(), "{name}");
            assert!(seen.insert(name), "{name}");
        }
    }
}
