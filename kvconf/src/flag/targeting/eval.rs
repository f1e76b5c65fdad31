//! Walks the tree of a rule.

use std::cmp::Ordering;

use super::any::Any;
use super::arithmetic;
use super::coercion::{loosely_equal, order, strictly_equal, to_text};
use super::failure::Failure;
use super::fractional;
use super::limits::MAX_BUILT;
use super::node::{Comparison, Node, Operands, Operator, Place, Variable};
use super::size;
use super::text;
use super::world::World;
use crate::flag::context::AttributeName;
use crate::flag::value::Value;

/// A walk through the tree of a rule.
pub(crate) struct Evaluator<'e> {
    pub(crate) world: &'e World<'e>,
}

/// What a variable belongs to.
#[derive(Clone, Copy)]
pub(crate) enum Scope<'s, 'e> {
    Context,
    /// The item that an iteration is at.
    Item(&'s Any<'e>),
}

/// What an operation or a part of it gives.
pub(crate) type Outcome<'e> = Result<Any<'e>, Failure>;

impl<'e> Evaluator<'e> {
    pub(crate) fn new(world: &'e World<'e>) -> Self {
        Self { world }
    }

    /// Counts steps, which end.
    pub(crate) fn spend(&self, steps: usize) -> Result<(), Failure> {
        self.world.spend(steps)
    }

    /// Counts the making of a text or a list.
    pub(crate) fn build(&self, size: usize, per_step: usize) -> Result<(), Failure> {
        if size > MAX_BUILT {
            return Err(Failure::TooLarge);
        }
        self.spend(size / per_step)
    }

    /// Counts looking at all of a value, as far as it is written as a text.
    pub(crate) fn look_at(&self, value: Value<'_>) -> Result<(), Failure> {
        size::as_text(value, &|steps| self.spend(steps))
    }

    /// All there is.
    fn whole(&self, scope: Scope<'_, 'e>) -> Any<'e> {
        match scope {
            Scope::Context => Any::Plain(Value::Object(self.world)),
            Scope::Item(item) => item.clone(),
        }
    }

    /// What stands at this path, which is known only now.
    pub(crate) fn at(&self, path: Value<'_>, scope: Scope<'_, 'e>) -> Result<Option<Any<'e>>, Failure> {
        self.look_at(path)?;
        let written;
        let path = match path {
            Value::Null => "",
            Value::Text(path) => path,
            other => {
                written = to_text(other);
                &written
            }
        };
        let whole = self.whole(scope);
        if path.is_empty() {
            return Ok(Some(whole));
        }
        Ok(path.split('.').try_fold(whole, |value, name| value.member(&AttributeName::new(name))))
    }

    /// Whether a node holds.
    pub(crate) fn holds(&self, node: &'e Node, scope: Scope<'_, 'e>) -> Result<bool, Failure> {
        Ok(self.eval(node, scope)?.is_truthy())
    }

    /// The value of a node.
    pub(crate) fn eval(&self, node: &'e Node, scope: Scope<'_, 'e>) -> Outcome<'e> {
        self.spend(1)?;
        match node {
            Node::Constant(json) => Ok(Any::Plain(json.into())),
            Node::List(nodes) => nodes.iter().map(|node| self.eval(node, scope)).collect(),
            Node::Variable(variable) => self.variable(variable, scope),
            Node::If(nodes) => self.conditional(nodes, scope),
            Node::And(nodes) => self.first(nodes, scope, |value| !value.is_truthy()),
            Node::Or(nodes) => self.first(nodes, scope, Any::is_truthy),
            Node::Operation(operator, operands) => self.operation(*operator, operands, scope),
            Node::Iterate(iteration, parts) => {
                let [list, body] = &**parts;
                self.iterate(*iteration, list, body, scope)
            }
            Node::Reduce(reduction) => self.reduce(reduction, scope),
            Node::Fail(failure) => Err(*failure),
        }
    }

    fn variable(&self, variable: &'e Variable, scope: Scope<'_, 'e>) -> Outcome<'e> {
        let found = match &variable.place {
            Place::Whole => Some(self.whole(scope)),
            Place::FlagKey => Some(Value::Text(self.world.flagd.flag_key).into()),
            Place::Timestamp => Some(Value::Int(self.world.flagd.timestamp).into()),
            Place::Attribute(slot) => self.world.attribute(*slot).map(Any::Plain),
            Place::Item(slot) => match scope {
                Scope::Context => None,
                Scope::Item(item) => {
                    slot.names().try_fold(item.clone(), |value, name| value.member(&name.as_name()))
                }
            },
            Place::Computed(path) => self.at(self.eval(path, scope)?.value(), scope)?,
        };
        match (found, &variable.default) {
            (Some(value), _) => Ok(value),
            (None, Some(default)) => self.eval(default, scope),
            (None, None) => Ok(Any::NULL),
        }
    }

    fn conditional(&self, nodes: &'e [Node], scope: Scope<'_, 'e>) -> Outcome<'e> {
        let (pairs, otherwise) = nodes.as_chunks::<2>();
        for [condition, then] in pairs {
            if self.holds(condition, scope)? {
                return self.eval(then, scope);
            }
        }
        otherwise.first().map_or(Ok(Any::NULL), |otherwise| self.eval(otherwise, scope))
    }

    /// The first value that decides, else the last one. Of no operands, false.
    fn first(
        &self,
        nodes: &'e [Node],
        scope: Scope<'_, 'e>,
        decides: impl Fn(&Any<'e>) -> bool,
    ) -> Outcome<'e> {
        let mut last = Any::bool(false);
        for node in nodes {
            last = self.eval(node, scope)?;
            if decides(&last) {
                break;
            }
        }
        Ok(last)
    }

    fn operation(&self, operator: Operator, operands: &'e Operands, scope: Scope<'_, 'e>) -> Outcome<'e> {
        match operands {
            // The usual numbers of operands need no list of them.
            Operands::Listed(nodes) => match &**nodes {
                [one] => self.apply(operator, &[self.eval(one, scope)?], scope),
                [one, two] => self.apply(operator, &[self.eval(one, scope)?, self.eval(two, scope)?], scope),
                nodes => {
                    let values: Vec<_> =
                        nodes.iter().map(|node| self.eval(node, scope)).collect::<Result<_, _>>()?;
                    self.apply(operator, &values, scope)
                }
            },
            Operands::Spread(node) => {
                let value = self.eval(node, scope)?;
                match value.length() {
                    Some(length) if !matches!(operator, Operator::Not | Operator::Truth | Operator::Log) => {
                        self.spend(length)?;
                        let values: Vec<_> = (0..length).filter_map(|index| value.item(index)).collect();
                        self.apply(operator, &values, scope)
                    }
                    _ => self.apply(operator, &[value], scope),
                }
            }
        }
    }

    /// Counts what an operator looks at of its operands, where that can be more than a few words and it does not count itself.
    fn count_operands(&self, operator: Operator, values: &[Any<'e>]) -> Result<(), Failure> {
        match operator {
            Operator::Not | Operator::Truth | Operator::Log | Operator::Merge | Operator::Cat => Ok(()),
            Operator::Missing | Operator::In | Operator::Fractional => Ok(()),
            _ => values.iter().try_for_each(|value| self.look_at(value.value())),
        }
    }

    fn apply(&self, operator: Operator, values: &[Any<'e>], scope: Scope<'_, 'e>) -> Outcome<'e> {
        let first = || values.first().cloned().unwrap_or(Any::NULL);
        self.count_operands(operator, values)?;
        match operator {
            Operator::Compare(comparison) => compare(comparison, values).map(Any::bool),
            Operator::Not => Ok(Any::bool(!first().is_truthy())),
            Operator::Truth => Ok(Any::bool(first().is_truthy())),
            Operator::Add => arithmetic::add(values),
            Operator::Subtract => arithmetic::subtract(values),
            Operator::Multiply => arithmetic::multiply(values),
            Operator::Divide => arithmetic::divide(values),
            Operator::Remainder => arithmetic::remainder(values),
            Operator::Max => arithmetic::extreme(values, Ordering::Greater),
            Operator::Min => arithmetic::extreme(values, Ordering::Less),
            Operator::Merge => self.merge(values),
            Operator::In => self.contains(values),
            Operator::Cat => text::cat(self, values),
            Operator::Substr => text::substr(self, values),
            Operator::Log => Ok(first()),
            Operator::Missing => self.missing(values, scope),
            Operator::MissingSome => self.missing_some(values, scope),
            Operator::StartsWith => Ok(text::affix(values, |text, part| text.starts_with(part))),
            Operator::EndsWith => Ok(text::affix(values, |text, part| text.ends_with(part))),
            Operator::SemVer => Ok(text::sem_ver(values)),
            Operator::Fractional => fractional::apply(self, values),
        }
    }
}

/// A comparison holds between all neighbours.
///
/// # Errors
/// [`Failure::InvalidArguments`] for fewer than two operands, and [`Failure::NotANumber`] where the values have no order.
pub(crate) fn compare(comparison: Comparison, values: &[Any<'_>]) -> Result<bool, Failure> {
    let [first, rest @ ..] = values else { return Err(Failure::InvalidArguments) };
    if rest.is_empty() {
        return Err(Failure::InvalidArguments);
    }
    let mut left = first;
    for right in rest {
        if !holds_between(comparison, left.value(), right.value())? {
            return Ok(false);
        }
        left = right;
    }
    Ok(true)
}

/// A comparison of two values.
pub(crate) fn holds_between(
    comparison: Comparison,
    left: Value<'_>,
    right: Value<'_>,
) -> Result<bool, Failure> {
    Ok(match comparison {
        Comparison::Equal => loosely_equal(left, right)?,
        Comparison::Unequal => !loosely_equal(left, right)?,
        Comparison::StrictlyEqual => strictly_equal(left, right),
        Comparison::StrictlyUnequal => !strictly_equal(left, right),
        Comparison::Less => order(left, right)?.is_some_and(Ordering::is_lt),
        Comparison::LessOrEqual => order(left, right)?.is_some_and(Ordering::is_le),
        Comparison::Greater => order(left, right)?.is_some_and(Ordering::is_gt),
        Comparison::GreaterOrEqual => order(left, right)?.is_some_and(Ordering::is_ge),
    })
}
