//! What runs: the tests of a rule in a row, each of which says what comes next where it holds and where it does not.
//!
//! `and`, `or`, `!` and `if` are nothing but the order of the tests and where they lead. So an evaluation is one loop that
//! calls nothing in the usual case, and its length is that of the tests which it really makes. A walk through nested conditions
//! took 463 instructions for three of them where this takes 231; most went into entering and leaving functions.

use super::decide::{Decision, Targets, Tree, Truth};
use super::eval::{Evaluator, Scope};
use super::failure::Failure;
use super::split::Split;
use super::test::{Question, Test};
use super::world::Sight;
use crate::flag::evaluation::{EvaluationError, Resolution, Why};
use crate::flag::value::Value;

/// A rule as it runs.
#[derive(Debug)]
pub(crate) struct Program {
    start: u32,
    steps: Box<[Step]>,
    ends: Box<[End]>,
}

/// A test, and what comes next: the number of another step, or of an end with the bit [`END`].
///
/// As long as a cache line, and on one.
#[derive(Debug)]
#[repr(align(64))]
struct Step {
    question: Question,
    slot: u32,
    yes: u32,
    no: u32,
}

/// What a rule comes to.
#[derive(Debug)]
enum End {
    Fixed(Resolution),
    Split(Box<Split>),
    Tree(Box<Tree>),
}

/// No rule may have so many steps.
const END: u32 = 1 << 31;

/// The slot of no attribute.
const NO_SLOT: u32 = u32::MAX;

impl Program {
    pub(crate) fn new(decision: Decision) -> Self {
        let mut writer = Writer::default();
        let start = writer.decision(decision);
        Self { start, steps: writer.steps.into(), ends: writer.ends.into() }
    }

    /// Decides.
    #[inline]
    pub(crate) fn run(&self, sight: &impl Sight, targets: &Targets) -> Resolution {
        let mut next = self.start;
        while let Some(step) = self.steps.get(next as usize) {
            let holds = match (&step.question, sight.near(step.slot)) {
                (Question::Is(literal, _), Some(Value::Text(text))) => literal.is(text),
                (Question::Whole(range, ..), Some(Value::Int(number))) => range.holds(number),
                (Question::AmongTexts(texts), Some(Value::Text(text))) => texts.contains(text),
                // The attribute is looked up once more: handed on, it would lie in memory for the usual tests, too.
                _ => match step.holds(sight) {
                    Ok(holds) => holds,
                    Err(failure) => return Resolution::failed(EvaluationError::Rule(failure)),
                },
            };
            next = if holds { step.yes } else { step.no };
        }
        match self.ends.get((next & !END) as usize) {
            Some(End::Fixed(resolution)) => *resolution,
            Some(end) => end.resolve(sight, targets),
            // Every number is that of a step or of an end.
            None => Resolution::new(Why::Default, None),
        }
    }
}

impl Step {
    /// The less usual tests, and the less usual kinds of values.
    #[inline(never)]
    fn holds(&self, sight: &impl Sight) -> Result<bool, Failure> {
        let value = sight.attribute(self.slot).unwrap_or(Value::Null);
        if let Question::Tree(node) = &self.question {
            let world = sight.world();
            return Evaluator::new(&world).holds(node, Scope::Context);
        }
        self.question.count(value, &|steps| sight.spend(steps))?;
        self.question.holds(value)
    }
}

impl End {
    #[inline(never)]
    fn resolve(&self, sight: &impl Sight, targets: &Targets) -> Resolution {
        let resolution = match self {
            Self::Fixed(resolution) => Ok(*resolution),
            Self::Split(split) => split.decide(sight, targets),
            Self::Tree(tree) => tree.decide(sight, targets),
        };
        resolution.unwrap_or_else(|failure| Resolution::failed(EvaluationError::Rule(failure)))
    }
}

/// Writes steps from the last to the first, so that it is known where each leads.
#[derive(Default)]
struct Writer {
    steps: Vec<Step>,
    ends: Vec<End>,
}

impl Writer {
    fn decision(&mut self, decision: Decision) -> u32 {
        match decision {
            Decision::Fixed(resolution) => self.end(End::Fixed(resolution)),
            Decision::If { branches, otherwise } => {
                let mut next = self.decision(*otherwise);
                for (test, then) in branches.into_iter().rev() {
                    let then = self.decision(then);
                    next = self.test(test, then, next);
                }
                next
            }
            Decision::Truth(truth) => {
                let Truth { test, yes, no } = *truth;
                let (yes, no) = (self.end(End::Fixed(yes)), self.end(End::Fixed(no)));
                self.test(test, yes, no)
            }
            Decision::Split(split) => self.end(End::Split(split)),
            Decision::Tree(tree) => self.end(End::Tree(tree)),
        }
    }

    /// A test that leads here where it holds, and there where it does not.
    fn test(&mut self, test: Test, yes: u32, no: u32) -> u32 {
        match test {
            Test::Leaf(leaf) => self.step(Step { question: leaf.question, slot: leaf.slot, yes, no }),
            Test::Tree(node) => self.step(Step { question: Question::Tree(node), slot: NO_SLOT, yes, no }),
            Test::Not(test) => self.test(*test, no, yes),
            Test::Constant(holds) => {
                if holds {
                    yes
                } else {
                    no
                }
            }
            // Of no operands, `and` gives false.
            Test::All(tests) if tests.is_empty() => no,
            Test::All(tests) => tests.into_iter().rev().fold(yes, |next, test| self.test(test, next, no)),
            Test::Any(tests) => tests.into_iter().rev().fold(no, |next, test| self.test(test, yes, next)),
        }
    }

    fn step(&mut self, step: Step) -> u32 {
        self.steps.push(step);
        self.steps.len() as u32 - 1
    }

    fn end(&mut self, end: End) -> u32 {
        self.ends.push(end);
        (self.ends.len() as u32 - 1) | END
    }
}
