//! What changes from one schema to the next, and what that means for the values that stand in a bucket.

mod constraint;
mod form;

use std::collections::BTreeSet;
use std::fmt;

use super::{Constraint, Presence, Schema, Setting};
use form::{Relation, relation};

/// What a difference means for values that the older schema took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// Every one of them is read.
    Safe,
    /// Some may be refused: look at what stands in the bucket.
    MayRefuse,
    /// Values are refused, or missing, unless somebody writes others.
    Breaks,
}

/// `safe`, `may refuse`, `breaks`
impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safe => "safe",
            Self::MayRefuse => "may refuse",
            Self::Breaks => "breaks",
        })
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The key in full, by the newer schema where it has it; the prefix for a struct as a whole.
    pub key: String,
    /// What it means for values that stand there.
    pub effect: Effect,
    /// What it is, to be read behind the key.
    pub what: String,
}

/// `checkout.max_items: 1..=500 became 1..=100`
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)
    }
}

/// All differences between two schemas. From [`Schema::compare`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Comparison {
    /// In the order of the newer schema, what was removed last.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// The worst of them; [`Effect::Safe`] where there are none.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.differences.iter().map(|difference| difference.effect).max().unwrap_or(Effect::Safe)
    }
}

/// One line for each difference, the effect first.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.differences.is_empty() {
            return f.write_str("no differences");
        }
        for (at, difference) in self.differences.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "\n" })?;
            write!(f, "{:<10}  {difference}", difference.effect.to_string())?;
        }
        Ok(())
    }
}

impl Schema {
    /// What is different in a newer schema, and whether it still reads every value that this one took.
    ///
    /// It looks at the schemas alone. Whether a bucket holds a value that is refused tell
    /// [`Bucket::check_schema`](crate::Bucket::check_schema) and [`Schema::judge`].
    ///
    /// ```
    /// # use kvconf::settings::Effect;
    /// # use kvconf::{KvConfig, Schema};
    /// mod old {
    ///     # use kvconf::KvConfig;
    ///     #[derive(KvConfig, Debug, Clone)]
    ///     #[kv(prefix = "checkout")]
    ///     pub struct Checkout {
    ///         #[kv(default = 50, range(1..=500))]
    ///         pub max_items: u32,
    ///         #[kv(default = 3)]
    ///         pub tries: u8,
    ///     }
    /// }
    ///
    /// #[derive(KvConfig, Debug, Clone)]
    /// #[kv(prefix = "checkout")]
    /// struct Checkout {
    ///     #[kv(default = 50, range(1..=100))]
    ///     max_items: u32,
    ///     #[kv(alias = "tries", default = 3)]
    ///     attempts: u16,
    /// }
    ///
    /// let comparison = Schema::of::<old::Checkout>().compare(&Schema::of::<Checkout>());
    /// assert_eq!(comparison.effect(), Effect::MayRefuse);
    /// assert_eq!(
    ///     comparison.to_string(),
    ///     "may refuse  checkout.max_items: 1..=500 became 1..=100\n\
    ///      safe        checkout.attempts: was checkout.tries, which is still read\n\
    ///      safe        checkout.attempts: a whole number (u8) became a whole number (u16)"
    /// );
    /// ```
    #[must_use]
    pub fn compare(&self, newer: &Self) -> Comparison {
        let mut comparing =
            Comparing { old: self, new: newer, differences: Vec::new(), seen: BTreeSet::new() };
        comparing.all();
        Comparison { differences: comparing.differences }
    }
}

struct Comparing<'a> {
    old: &'a Schema,
    new: &'a Schema,
    differences: Vec<Difference>,
    /// Old settings that the new schema has too.
    seen: BTreeSet<&'a str>,
}

impl<'a> Comparing<'a> {
    fn add(&mut self, key: &str, effect: Effect, what: impl Into<String>) {
        self.differences.push(Difference { key: self.new.full_key(key), effect, what: what.into() });
    }

    fn all(&mut self) {
        if self.old.prefix != self.new.prefix {
            let what =
                format!("the prefix {:?} became {:?}: no value is read", self.old.prefix, self.new.prefix);
            self.add("", Effect::Breaks, what);
        }
        self.layers();
        let new = self.new;
        for setting in &new.settings {
            match self.old_of(setting) {
                Some(old) => {
                    self.seen.insert(&old.key);
                    self.setting(old, setting);
                }
                None => self.added(setting),
            }
        }
        let old = self.old;
        for setting in old
            .settings
            .iter()
            .filter(|setting| !self.seen.contains(setting.key.as_str()))
            .collect::<Vec<_>>()
        {
            let key = self.old.full_key(&setting.key);
            let what = "removed: a value that stands there is ignored".to_owned();
            self.differences.push(Difference { key, effect: Effect::Safe, what });
        }
        for key in new.validated.iter().filter(|key| !old.validated.contains(key)) {
            self.add(key, Effect::MayRefuse, "its fields are now checked together by the program");
        }
    }

    /// In which layers it is read. A schema of before there were layers in schemas says nothing of them.
    fn layers(&mut self) {
        let (old, new) = (&self.old.layers, &self.new.layers);
        if old.is_empty() && !new.is_empty() {
            return self.add("", Effect::Safe, format!("says its layers: {}", new.join(", ")));
        }
        for layer in old.iter().filter(|layer| !new.contains(layer)) {
            self.add("", Effect::MayRefuse, format!("layer {layer:?} is no longer read"));
        }
        for layer in new.iter().filter(|layer| !old.contains(layer)) {
            self.add("", Effect::MayRefuse, format!("layer {layer:?} is read, too"));
        }
        let kept = |all: &[String], other: &[String]| -> Vec<String> {
            all.iter().filter(|layer| other.contains(layer)).cloned().collect()
        };
        if kept(old, new) != kept(new, old) {
            let what = format!("the layers have the say in another order: {}", new.join(", "));
            self.add("", Effect::MayRefuse, what);
        }
    }

    fn old_of(&self, setting: &Setting) -> Option<&'a Setting> {
        let names = std::iter::once(&setting.key).chain(&setting.aliases);
        names.into_iter().find_map(|name| self.old.setting(name))
    }

    fn added(&mut self, setting: &Setting) {
        match setting.presence {
            Presence::Required => {
                self.add(&setting.key, Effect::Breaks, "added, and required: a value must be written first")
            }
            _ => {
                let what = format!("added; without a value {}", setting.without_value());
                self.add(&setting.key, Effect::Safe, what);
            }
        }
    }

    fn setting(&mut self, old: &Setting, new: &Setting) {
        if old.key != new.key {
            let what = format!("was {}, which is still read", self.old.full_key(&old.key));
            self.add(&new.key, Effect::Safe, what);
        }
        for name in old.aliases.iter().filter(|name| !new.aliases.contains(name) && **name != new.key) {
            let what = format!("the old name {} is no longer read", self.old.full_key(name));
            self.add(&new.key, Effect::MayRefuse, what);
        }
        if old.entries != new.entries {
            let what = if new.entries {
                "one key became a map with one key per entry"
            } else {
                "a map with one key per entry became one key"
            };
            return self.add(&new.key, Effect::Breaks, what);
        }
        self.form(old, new);
        self.presence(old, new);
        for (effect, what) in constraint::differences(old, new) {
            self.add(&new.key, effect, what);
        }
        self.marks(old, new);
    }

    fn form(&mut self, old: &Setting, new: &Setting) {
        let effect = match relation(&old.form, &new.form) {
            Relation::Same => return,
            Relation::Wider => Effect::Safe,
            Relation::Narrower => Effect::MayRefuse,
            Relation::Other => Effect::Breaks,
        };
        let (before, after) = (old.form.to_string(), new.form.to_string());
        let what = if before == after {
            format!("{after}, but of another shape inside")
        } else {
            format!("{before} became {after}")
        };
        self.add(&new.key, effect, what);
    }

    fn presence(&mut self, old: &Setting, new: &Setting) {
        if old.presence == new.presence {
            return;
        }
        let what = format!("without a value {} became {}", old.without_value(), new.without_value());
        let effect = if new.presence == Presence::Required { Effect::Breaks } else { Effect::Safe };
        self.add(&new.key, effect, what);
    }

    fn marks(&mut self, old: &Setting, new: &Setting) {
        let marks = [
            (old.secret, new.secret, "secret"),
            (old.restart, new.restart, "read at starts only"),
            (old.deprecated.is_some(), new.deprecated.is_some(), "deprecated"),
        ];
        for (before, after, mark) in marks {
            if before != after {
                let what = if after { format!("is now {mark}") } else { format!("is no longer {mark}") };
                self.add(&new.key, Effect::Safe, what);
            }
        }
    }
}

/// The constraints of a kind, for comparing like with like.
fn of_kind<'a>(setting: &'a Setting, like: &Constraint) -> Option<&'a Constraint> {
    let kind = std::mem::discriminant(like);
    setting.constraints.iter().find(|constraint| std::mem::discriminant(*constraint) == kind)
}
