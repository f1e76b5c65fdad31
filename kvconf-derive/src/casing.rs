//! The casings of `rename_all`, which are serde's.

/// How the name of a field becomes its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Casing {
    Snake,
    Kebab,
    Camel,
    Pascal,
    ScreamingSnake,
    ScreamingKebab,
    Lower,
    Upper,
}

/// Each casing under its own name.
const CASINGS: [(&str, Casing); 8] = [
    ("snake_case", Casing::Snake),
    ("kebab-case", Casing::Kebab),
    ("camelCase", Casing::Camel),
    ("PascalCase", Casing::Pascal),
    ("SCREAMING_SNAKE_CASE", Casing::ScreamingSnake),
    ("SCREAMING-KEBAB-CASE", Casing::ScreamingKebab),
    ("lowercase", Casing::Lower),
    ("UPPERCASE", Casing::Upper),
];

impl Casing {
    /// The casing of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        CASINGS.into_iter().find(|(known, _)| *known == name).map(|(_, casing)| casing)
    }

    /// All names, for messages.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        CASINGS.into_iter().map(|(name, _)| name)
    }

    /// The key for a field. Field names are in snake case by Rust's own rule, so `lowercase` leaves them alone, as serde
    /// does.
    pub(crate) fn apply(self, field: &str) -> String {
        match self {
            Self::Snake | Self::Lower => field.to_owned(),
            Self::Kebab => field.replace('_', "-"),
            Self::ScreamingSnake | Self::Upper => field.to_ascii_uppercase(),
            Self::ScreamingKebab => field.to_ascii_uppercase().replace('_', "-"),
            Self::Pascal => pascal(field),
            Self::Camel => {
                let pascal = pascal(field);
                let mut letters = pascal.chars();
                let first = letters.next().map(|c| c.to_ascii_lowercase());
                first.into_iter().chain(letters).collect()
            }
        }
    }

    /// The text for a variant of an enum, whose name is in Pascal case by Rust's own rule.
    pub(crate) fn apply_to_variant(self, variant: &str) -> String {
        match self {
            Self::Pascal => variant.to_owned(),
            Self::Lower => variant.to_ascii_lowercase(),
            Self::Upper => variant.to_ascii_uppercase(),
            casing => casing.apply(&snake(variant)),
        }
    }
}

fn snake(variant: &str) -> String {
    let mut name = String::new();
    for letter in variant.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn pascal(field: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    field.split('_').map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casings_are_those_of_serde() {
        let expected = [
            ("snake_case", "max_open_files"),
            ("kebab-case", "max-open-files"),
            ("camelCase", "maxOpenFiles"),
            ("PascalCase", "MaxOpenFiles"),
            ("SCREAMING_SNAKE_CASE", "MAX_OPEN_FILES"),
            ("SCREAMING-KEBAB-CASE", "MAX-OPEN-FILES"),
            ("lowercase", "max_open_files"),
            ("UPPERCASE", "MAX_OPEN_FILES"),
        ];
        assert_eq!(expected.len(), CASINGS.len());
        for (name, key) in expected {
            assert_eq!(Casing::named(name).unwrap().apply("max_open_files"), key, "{name}");
        }
        assert_eq!(Casing::named("Snake"), None);
    }

    #[test]
    fn casings_of_variants_are_those_of_serde() {
        let expected = [
            ("snake_case", "very_tasty"),
            ("kebab-case", "very-tasty"),
            ("camelCase", "veryTasty"),
            ("PascalCase", "VeryTasty"),
            ("SCREAMING_SNAKE_CASE", "VERY_TASTY"),
            ("SCREAMING-KEBAB-CASE", "VERY-TASTY"),
            ("lowercase", "verytasty"),
            ("UPPERCASE", "VERYTASTY"),
        ];
        for (name, text) in expected {
            assert_eq!(Casing::named(name).unwrap().apply_to_variant("VeryTasty"), text, "{name}");
        }
    }

    #[test]
    fn underscores_at_the_ends_vanish_only_where_words_are_joined() {
        assert_eq!(Casing::Camel.apply("_a__b"), "aB");
        assert_eq!(Casing::Kebab.apply("_a"), "-a");
        assert_eq!(Casing::Camel.apply(""), "");
    }
}
