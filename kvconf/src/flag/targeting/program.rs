//! What runs: the tests of a rule in a row, each of which says what comes next where it holds and where it does not.
//!
//! `and`, `or`, `!` and `if` are nothing but the order of the tests and where they lead. So an evaluation is one loop that
//! calls nothing in the usual case, and its length is that of the tests which it really makes. A walk through nested conditions
//! took more than twice as many instructions for three of them; most went into entering and leaving functions.

use super::decide::{Decision, Targets, Tree, Truth};
use super::eval::{Evaluator, Scope};
use super::failure::Failure;
use super::split::Split;
use super::test::{Question, Test};
use super::world::Sight;
use crate::flag::evaluation::{EvaluationError, Resolution, Why};
use crate::flag::value::Value;

/// A rule as it runs.
#[derive(Debug, Default)]
pub(crate) struct Program {
    start: u32,
    steps: Box<[Step]>,
    ends: Box<[Quick]>,
    open_ends: Box<[OpenEnd]>,
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

/// Where something is left to be decided when all tests are made.
#[derive(Debug)]
enum OpenEnd {
    Split(Box<Split>),
    Tree(Box<Tree>),
}

/// How far [`Program::run`] has come: to an answer, or to a step or an open end that is not among the usual ones.
///
/// Both in one shape, that of a [`Resolution`], because that is what is returned in registers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quick {
    /// That of the answer, or the number of the step, or of the open end with the bit [`OPEN`].
    place: u64,
    /// `None` where nothing is decided yet.
    why: Option<Why>,
}

impl Quick {
    #[inline]
    pub(super) fn decided(resolution: Resolution) -> Self {
        let (place, why) = resolution.parts();
        Self { place, why: Some(why) }
    }

    #[inline]
    fn at(next: u32) -> Self {
        Self { place: next.into(), why: None }
    }

    /// Where to go on, where nothing is decided.
    #[inline]
    fn next(self) -> u32 {
        self.place as u32
    }

    /// The answer, if there is one.
    #[inline]
    pub(crate) fn resolution(self) -> Option<Resolution> {
        Some(Resolution::from_parts(self.place, self.why?))
    }
}

/// No rule may have so many steps.
const END: u32 = 1 << 31;

/// Nor so many ends.
const OPEN: u32 = 1 << 30;

/// The slot of no attribute.
const NO_SLOT: u32 = u32::MAX;

impl Program {
    pub(crate) fn new(decision: Decision) -> Self {
        let mut writer = Writer::default();
        let start = writer.decision(decision);
        Self {
            start,
            steps: writer.steps.into(),
            ends: writer.ends.into(),
            open_ends: writer.open_ends.into(),
        }
    }

    /// Decides where every test is a usual one about attributes that `near` finds, as nearly always. Elsewhere [`Self::run_from`]
    /// goes on.
    #[inline]
    pub(crate) fn run<'v>(&self, near: impl Fn(u32) -> Option<Value<'v>>) -> Quick {
        let mut next = self.start;
        while let Some(step) = self.steps.get(next as usize) {
            // The question first: each then needs of the attribute only whether it is of the one kind.
            let holds = match &step.question {
                Question::Is(literal, _) => text(near(step.slot)).and_then(|text| literal.is(text)),
                Question::Whole(range, ..) => whole(near(step.slot)).map(|number| range.holds(number)),
                Question::AmongTexts(texts) => {
                    text(near(step.slot)).and_then(|text| texts.contains_short(text))
                }
                _ => None,
            };
            match holds {
                Some(true) => next = step.yes,
                Some(false) => next = step.no,
                None => return Quick::at(next),
            }
        }
        let end = self.end(next);
        match end.why {
            Some(_) => end,
            None => self.split(end, near),
        }
    }

    /// A share of the targeting key, which is usual too.
    #[inline]
    fn split<'v>(&self, end: Quick, near: impl Fn(u32) -> Option<Value<'v>>) -> Quick {
        match self.open_end(end.next()) {
            Some(OpenEnd::Split(split)) => split.decide_near(near).unwrap_or(end),
            _ => end,
        }
    }

    #[inline]
    fn end(&self, number: u32) -> Quick {
        // Every number is that of a step or of an end.
        self.ends.get((number ^ END) as usize).copied().unwrap_or(Quick::at(number))
    }

    #[inline]
    fn open_end(&self, number: u32) -> Option<&OpenEnd> {
        self.open_ends.get((number ^ OPEN) as usize)
    }

    /// Nothing is decided yet.
    #[inline]
    pub(crate) fn begin(&self) -> Quick {
        Quick::at(self.start)
    }

    /// Decides, from there on, whatever the tests are.
    pub(crate) fn run_from(&self, quick: Quick, sight: &impl Sight, targets: &Targets) -> Resolution {
        let mut next = quick.next();
        while let Some(step) = self.steps.get(next as usize) {
            let holds = match (&step.question, sight.near(step.slot)) {
                (Question::Is(literal, _), Some(Value::Text(text))) => literal.equals(text),
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
        // It may have begun behind the last test.
        let end = if next & OPEN == 0 { self.end(next) } else { quick };
        match (end.resolution(), self.open_end(end.next())) {
            (Some(resolution), _) => resolution,
            (None, Some(open)) => open.resolve(sight, targets),
            (None, None) => Resolution::new(Why::Default, None),
        }
    }
}

#[inline]
fn text(value: Option<Value<'_>>) -> Option<&str> {
    match value {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

#[inline]
fn whole(value: Option<Value<'_>>) -> Option<i64> {
    match value {
        Some(Value::Int(number)) => Some(number),
        _ => None,
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

impl OpenEnd {
    #[inline(never)]
    fn resolve(&self, sight: &impl Sight, targets: &Targets) -> Resolution {
        let resolution = match self {
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
    ends: Vec<Quick>,
    open_ends: Vec<OpenEnd>,
}

impl Writer {
    fn decision(&mut self, decision: Decision) -> u32 {
        match decision {
            Decision::Fixed(resolution) => self.end(Quick::decided(resolution)),
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
                let (yes, no) = (self.end(Quick::decided(yes)), self.end(Quick::decided(no)));
                self.test(test, yes, no)
            }
            Decision::Split(split) => self.open_end(OpenEnd::Split(split)),
            Decision::Tree(tree) => self.open_end(OpenEnd::Tree(tree)),
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

    fn end(&mut self, end: Quick) -> u32 {
        self.ends.push(end);
        (self.ends.len() as u32 - 1) | END
    }

    fn open_end(&mut self, end: OpenEnd) -> u32 {
        let number = (self.open_ends.len() as u32) | OPEN;
        self.open_ends.push(end);
        self.end(Quick::at(number))
    }
}
