//! Operators on lists.

use std::rc::Rc;

use super::any::{Any, Step};
use super::coercion::{strictly_equal, to_text};
use super::eval::{Evaluator, Outcome, Scope};
use super::failure::Failure;
use super::node::{Iteration, Node, Reduction};
use super::size;
use crate::flag::value::Value;

impl<'e> Evaluator<'e> {
    pub(super) fn iterate(
        &self,
        iteration: Iteration,
        list: &'e Node,
        body: &'e Node,
        scope: Scope<'_, 'e>,
    ) -> Outcome<'e> {
        let list = self.eval(list, scope)?;
        let Some(length) = list.length() else { return without_list(iteration, &list) };
        let items = (0..length).filter_map(|index| list.item(index));
        match iteration {
            Iteration::Map => {
                self.build(length, 1)?;
                items.map(|item| self.eval(body, Scope::Item(&item))).collect()
            }
            Iteration::Filter => {
                self.build(length, 1)?;
                let mut kept = Vec::new();
                for item in items {
                    if self.holds(body, Scope::Item(&item))? {
                        kept.push(item);
                    }
                }
                Ok(kept.into_iter().collect())
            }
            Iteration::All => {
                for item in items {
                    if !self.holds(body, Scope::Item(&item))? {
                        return Ok(Any::bool(false));
                    }
                }
                Ok(Any::bool(length > 0))
            }
            Iteration::Some | Iteration::None => {
                for item in items {
                    if self.holds(body, Scope::Item(&item))? {
                        return Ok(Any::bool(iteration == Iteration::Some));
                    }
                }
                Ok(Any::bool(iteration == Iteration::None))
            }
        }
    }

    /// Without an initial value it is null, as in the reference.
    pub(super) fn reduce(&self, reduction: &'e Reduction, scope: Scope<'_, 'e>) -> Outcome<'e> {
        let list = self.eval(&reduction.list, scope)?;
        let mut accumulator = match &reduction.initial {
            Some(initial) => self.eval(initial, scope)?,
            None => Any::NULL,
        };
        for index in 0..list.length().unwrap_or_default() {
            let Some(current) = list.item(index) else { break };
            let step = Any::Step(Rc::new(Step { current, accumulator }));
            accumulator = self.eval(&reduction.body, Scope::Item(&step))?;
            self.bound(&accumulator)?;
        }
        Ok(accumulator)
    }

    /// Counts what an accumulator consists of. One that contains the last one twice doubles with each item, though it shares
    /// its parts; and one that contains it at all grows deeper, and would take as deep a recursion to drop.
    fn bound(&self, accumulator: &Any<'e>) -> Result<(), Failure> {
        const MAX_NESTING: usize = 64;
        self.count(accumulator, MAX_NESTING)
    }

    fn count(&self, value: &Any<'e>, allowed: usize) -> Result<(), Failure> {
        self.spend(1)?;
        let below = allowed.checked_sub(1).ok_or(Failure::TooLarge);
        match value {
            Any::Plain(_) | Any::Text(_) => Ok(()),
            Any::List(items) => items.iter().try_for_each(|item| self.count(item, below?)),
            Any::Step(step) => {
                self.count(&step.current, below?)?;
                self.count(&step.accumulator, below?)
            }
        }
    }

    pub(super) fn merge(&self, values: &[Any<'e>]) -> Outcome<'e> {
        let size = values.iter().map(|value| value.length().unwrap_or(1)).fold(0, usize::saturating_add);
        self.build(size, 1)?;
        let mut merged = Vec::with_capacity(size);
        for value in values {
            match value.length() {
                Some(length) => merged.extend((0..length).filter_map(|index| value.item(index))),
                None => merged.push(value.clone()),
            }
        }
        Ok(merged.into_iter().collect())
    }

    /// `in`: an item of a list (by `===`), or a part of a text.
    pub(super) fn contains(&self, values: &[Any<'e>]) -> Outcome<'e> {
        let needle = values.first().map_or(Value::Null, Any::value);
        Ok(Any::bool(match values.get(1).map_or(Value::Null, Any::value) {
            Value::Text(text) => {
                self.spend(size::of_text(text))?;
                self.look_at(needle)?;
                match needle {
                    Value::Text(part) => text.contains(part),
                    other => text.contains(&to_text(other)),
                }
            }
            Value::List(items) => {
                let each = if let Value::Text(text) = needle { size::of_text(text) } else { 0 };
                self.spend(items.len() / 8 + items.len().saturating_mul(each))?;
                (0..items.len())
                    .any(|index| items.item(index).is_some_and(|item| strictly_equal(needle, item)))
            }
            _ => false,
        }))
    }

    pub(super) fn missing(&self, values: &[Any<'e>], scope: Scope<'_, 'e>) -> Outcome<'e> {
        let listed = values.first().filter(|value| value.length().is_some());
        let missing = match listed {
            Some(list) => {
                let items = (0..list.length().unwrap_or_default()).filter_map(|index| list.item(index));
                self.absent(items, scope)?
            }
            None => self.absent(values.iter().cloned(), scope)?,
        };
        Ok(missing.into_iter().collect())
    }

    pub(super) fn missing_some(&self, values: &[Any<'e>], scope: Scope<'_, 'e>) -> Outcome<'e> {
        let [needed, paths, ..] = values else { return Err(Failure::InvalidArguments) };
        let Some(length) = paths.length() else { return Err(Failure::InvalidArguments) };
        let missing = self.absent((0..length).filter_map(|index| paths.item(index)), scope)?;
        let found = (length - missing.len().min(length)) as f64;
        let enough = found >= super::coercion::to_number(needed.value());
        Ok(if enough { Vec::new() } else { missing }.into_iter().collect())
    }

    /// Those of the paths at which there is nothing, null or the empty text.
    fn absent(
        &self,
        paths: impl Iterator<Item = Any<'e>>,
        scope: Scope<'_, 'e>,
    ) -> Result<Vec<Any<'e>>, Failure> {
        let mut absent = Vec::new();
        for path in paths {
            self.spend(1)?;
            let found = self.at(path.value(), scope)?;
            if matches!(found.as_ref().map(Any::value), None | Some(Value::Null | Value::Text(""))) {
                absent.push(path);
            }
        }
        Ok(absent)
    }
}

/// What an iteration gives for what is no list.
fn without_list<'e>(iteration: Iteration, value: &Any<'e>) -> Outcome<'e> {
    match iteration {
        Iteration::Map | Iteration::Filter => Ok(std::iter::empty().collect()),
        _ if matches!(value.value(), Value::Null) => Err(Failure::InvalidArguments),
        Iteration::All | Iteration::Some => Ok(Any::bool(false)),
        Iteration::None => Ok(Any::bool(true)),
    }
}
