//! A rule as a tree of operations, checked and with its names numbered.

use serde_json::Value as Json;

use super::failure::Failure;
use crate::flag::context::{AttributeName, fingerprint};

/// One step of a rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Constant(Json),
    /// A list with something to compute in it.
    List(Box<[Node]>),
    Variable(Box<Variable>),
    If(Box<[Node]>),
    And(Box<[Node]>),
    Or(Box<[Node]>),
    Operation(Operator, Operands),
    Iterate(Iteration, Box<[Node; 2]>),
    Reduce(Box<Reduction>),
    /// What can only fail.
    Fail(Failure),
}

/// The operands of an operator.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operands {
    Listed(Box<[Node]>),
    /// `{"op": {…}}`: one operand, or as many as the list has which it turns out to be.
    Spread(Box<Node>),
}

/// `{"var": …}`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Variable {
    pub(crate) place: Place,
    pub(crate) default: Option<Node>,
}

/// Where a variable is found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Place {
    /// All there is.
    Whole,
    FlagKey,
    Timestamp,
    /// An attribute of the context: a number in the flag's list of [`Slot`]s.
    Attribute(u32),
    /// Inside the item that an iteration is at.
    Item(Slot),
    /// The path is known only when the rule runs.
    Computed(Node),
}

/// A path of names into a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    /// In place, as most paths are one name.
    pub(crate) first: Name,
    pub(crate) inner: Box<[Name]>,
}

/// A name with its fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    text: Box<str>,
    fingerprint: u128,
}

impl Slot {
    pub(crate) fn new(path: &str) -> Self {
        let mut names = path.split('.').map(Name::new);
        let first = names.next().unwrap_or_else(|| Name::new(""));
        Self { first, inner: names.collect() }
    }

    pub(crate) fn path(&self) -> String {
        self.texts().collect::<Vec<_>>().join(".")
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.names().map(|name| &*name.text)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Name> {
        std::iter::once(&self.first).chain(&self.inner)
    }
}

impl Name {
    fn new(text: &str) -> Self {
        Self { text: text.into(), fingerprint: fingerprint(text) }
    }

    #[inline]
    pub(crate) fn as_name(&self) -> AttributeName<'_> {
        AttributeName::digested(&self.text, self.fingerprint)
    }
}

/// Operators that evaluate all their operands first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Compare(Comparison),
    Not,
    Truth,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Max,
    Min,
    Merge,
    In,
    Cat,
    Substr,
    Log,
    Missing,
    MissingSome,
    StartsWith,
    EndsWith,
    SemVer,
    Fractional,
}

/// What is asked of two neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Unequal,
    StrictlyEqual,
    StrictlyUnequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Operators that run a rule for each item of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Iteration {
    Map,
    Filter,
    All,
    None,
    Some,
}

/// `{"reduce": [list, body, initial]}`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reduction {
    pub(crate) list: Node,
    pub(crate) body: Node,
    pub(crate) initial: Option<Node>,
}

/// What an operator's name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Var,
    If,
    And,
    Or,
    Iterate(Iteration),
    Reduce,
    Operation(Operator),
}

/// Every operator.
pub(crate) const WORDS: [(&str, Word); 39] = {
    use Comparison as C;
    use Operator as O;
    const fn op(name: &'static str, operator: Operator) -> (&'static str, Word) {
        (name, Word::Operation(operator))
    }
    [
        ("var", Word::Var),
        ("if", Word::If),
        ("?:", Word::If),
        ("and", Word::And),
        ("or", Word::Or),
        ("map", Word::Iterate(Iteration::Map)),
        ("filter", Word::Iterate(Iteration::Filter)),
        ("all", Word::Iterate(Iteration::All)),
        ("none", Word::Iterate(Iteration::None)),
        ("some", Word::Iterate(Iteration::Some)),
        ("reduce", Word::Reduce),
        op("==", O::Compare(C::Equal)),
        op("!=", O::Compare(C::Unequal)),
        op("===", O::Compare(C::StrictlyEqual)),
        op("!==", O::Compare(C::StrictlyUnequal)),
        op("<", O::Compare(C::Less)),
        op("<=", O::Compare(C::LessOrEqual)),
        op(">", O::Compare(C::Greater)),
        op(">=", O::Compare(C::GreaterOrEqual)),
        op("!", O::Not),
        op("!!", O::Truth),
        op("+", O::Add),
        op("-", O::Subtract),
        op("*", O::Multiply),
        op("/", O::Divide),
        op("%", O::Remainder),
        op("max", O::Max),
        op("min", O::Min),
        op("merge", O::Merge),
        op("in", O::In),
        op("cat", O::Cat),
        op("substr", O::Substr),
        op("log", O::Log),
        op("missing", O::Missing),
        op("missing_some", O::MissingSome),
        op("starts_with", O::StartsWith),
        op("ends_with", O::EndsWith),
        op("sem_ver", O::SemVer),
        op("fractional", O::Fractional),
    ]
};

impl Word {
    pub(crate) fn named(name: &str) -> Option<Self> {
        WORDS.iter().find(|(known, _)| *known == name).map(|(_, word)| *word)
    }
}
