//! Trying changes: decode what they touch, check it, and let the structs around it validate.

use std::ops::DerefMut;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::overlay::{Layered, Overlay};
use super::report::{Place, describe_complaint, describe_field};
use super::{Group, RawState, Table, Target, View};
use crate::change::same_field;
use crate::problem::in_order;
use crate::schema::{
    FieldError, FieldProblem, Hoard, Kind, KvConfig, Loader, Prepared, RawKeys, Slot, StructProblem,
    Validator, link, node_at, validate_struct,
};
use crate::snapshot::Unshared;
use crate::{Complaint, Problem, ProblemKind};

/// What changes lead to.
pub(crate) struct Candidate<T> {
    pub(crate) unshared: Unshared<T>,
    /// Touched slots whose value takes effect at the next start only, and whether it differs from the present one.
    pub(crate) restarts: Restarts,
}

/// Slots whose value takes effect at the next start only, and whether it differs from the present one.
type Restarts = Vec<(usize, bool)>;

/// Everything that is wrong, before it is told.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) fields: Vec<FieldProblem>,
    pub(super) structs: Vec<StructProblem>,
    pub(super) panic: bool,
}

impl Faults {
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.structs.is_empty() && !self.panic
    }

    /// Whether a field of the struct at a path is bad by itself.
    fn have_failed_inside(&self, steps: &[u16]) -> bool {
        self.fields.iter().any(|problem| problem.path.steps().starts_with(steps))
    }

    fn complain(&mut self, validator: &Validator, complaints: Vec<Complaint>) {
        self.structs.extend(complaints.into_iter().map(|complaint| StructProblem {
            path: validator.path,
            key: validator.key.clone(),
            complaint,
        }));
    }
}

/// Runs the user's code. What it leaves half done when it panics is dropped with the candidate.
pub(crate) fn contained<R>(run: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

/// As [`contained`], for one value: a panic is one more thing that is wrong with it.
pub(crate) fn contained_read(
    run: impl FnOnce() -> Result<(), Vec<FieldError>>,
) -> Result<(), Vec<FieldError>> {
    let panicked = || FieldError::Function { message: "the program's own code panicked on it".to_owned() };
    contained(run).unwrap_or_else(|| Err(vec![panicked()]))
}

pub(super) fn panicked(table: &Table) -> Problem {
    Problem {
        key: table.layers.prefix().to_string(),
        kind: ProblemKind::Panic,
        message: "the program's own code panicked on this state".to_owned(),
        origin: None,
        before: None,
        before_revision: None,
        fields: Vec::new(),
    }
}

/// Builds the first value, in its place. `prepared` is what is known of each slot already; empty, nothing is.
pub(super) fn build<T: KvConfig, P: From<T> + DerefMut<Target = T>>(
    table: &Table,
    raw: &RawState,
    prepared: Vec<Prepared>,
) -> Result<P, Vec<Problem>> {
    let over = Overlay::default();
    let layered = Layered::new(table, raw, &over);
    // What a variable holds for a whole map stands in no sheet when it is bad.
    let mut unread = table.env_problems.clone();
    for problem in &mut unread {
        problem.key = table.layers.field_key(&problem.key);
    }
    let built = contained(|| {
        let mut loader = Loader::new(&layered, Hoard::new(&table.slots, prepared));
        let value = loader.build::<T, P>();
        (value, loader.into_problems())
    });
    let Some((value, (fields, structs))) = built else { return Err(vec![panicked(table)]) };
    let faults = Faults { fields, structs, panic: false };
    match value {
        Some(value) if faults.is_empty() && unread.is_empty() => Ok(value),
        _ => {
            unread.extend(tell::<T>(&faults, &Place { table, state: &layered, served: None }));
            Err(unread)
        }
    }
}

pub(super) fn validate<T: KvConfig>(table: &Table, value: &T, faults: &mut Faults) {
    for validator in &table.validators {
        let steps = validator.path.steps();
        if faults.have_failed_inside(steps) {
            continue;
        }
        let complaints = contained(|| match node_at::<T>(steps) {
            Some((node, rest)) => node.validate(value, rest),
            None => validate_struct(value),
        });
        match complaints {
            Some(complaints) => faults.complain(validator, complaints),
            None => faults.panic = true,
        }
    }
}

pub(super) fn tell<T: KvConfig>(faults: &Faults, place: &Place<'_, T>) -> Vec<Problem> {
    let mut problems = Vec::with_capacity(faults.fields.len() + faults.structs.len());
    for fault in &faults.fields {
        problems.push(describe_field(fault, place));
    }
    for fault in &faults.structs {
        problems.push(describe_complaint(fault, place.table, place.state));
    }
    if faults.panic {
        problems.push(panicked(place.table));
    }
    in_order(&mut problems);
    problems
}

/// Notes what is wrong with the value of a key.
fn fail(faults: &mut Vec<FieldProblem>, slot: &Slot, key: &str, errors: Vec<FieldError>) {
    let problem = |error| FieldProblem { path: slot.path, key: key.to_owned(), error };
    faults.extend(errors.into_iter().map(problem));
}

/// Reads one field out of a state into `target`; of a map only the entries named by `segments`.
pub(super) fn decode_slot<T: KvConfig>(
    slot: &Slot,
    segments: &mut dyn Iterator<Item = &str>,
    layered: &Layered<'_>,
    target: &mut T,
    faults: &mut Vec<FieldProblem>,
) {
    let Some((node, rest)) = node_at::<T>(slot.path.steps()) else { return };
    let before = faults.len();
    if slot.kind == Kind::Leaf {
        if let Err(errors) = node.read(target, rest, &slot.key, slot.raw(layered)) {
            fail(faults, slot, &slot.key, errors);
        }
        return;
    }
    for segment in segments {
        let key = crate::schema::join(&slot.key, segment);
        if let Err(errors) = node.read_entry(target, rest, segment, RawKeys::entry(layered, &key)) {
            fail(faults, slot, &key, errors);
        }
    }
    if faults.len() == before
        && let Err(errors) = node.check_entries(target, rest)
    {
        fail(faults, slot, &slot.key, errors);
    }
}

impl<T: KvConfig> View<T> {
    /// What the changes lead to when they are laid over the taken state.
    ///
    /// `unshared` is equal to the present snapshot; `None` where that could not be copied.
    pub(crate) fn evaluate(
        &self,
        over: &Overlay,
        unshared: Option<Unshared<T>>,
    ) -> Result<Candidate<T>, Vec<Problem>> {
        let Some(mut unshared) = unshared else { return Err(vec![panicked(&self.table)]) };
        let layered = Layered::new(&self.table, &self.raw, over);
        let attempt = contained(|| {
            let (mut restarts, mut faults) = (Restarts::new(), Faults::default());
            let value = unshared.value_mut();
            self.read_fields(&layered, value, &mut restarts, &mut faults);
            faults.fields.extend(link(&self.table.linkers, value));
            validate(&self.table, value, &mut faults);
            if let Some(observers) = &self.table.observers {
                value.__equip(observers);
            }
            (restarts, faults)
        });
        match attempt {
            Some((restarts, faults)) if faults.is_empty() => Ok(Candidate { unshared, restarts }),
            Some((_, faults)) => {
                Err(tell(&faults, &Place { table: &self.table, state: &layered, served: Some(self) }))
            }
            None => Err(vec![panicked(&self.table)]),
        }
    }

    pub(super) fn read_fields(
        &self,
        layered: &Layered<'_>,
        value: &mut T,
        restarts: &mut Restarts,
        faults: &mut Faults,
    ) {
        // Slots in the order of the struct, each once, with the map keys that changed.
        let mut touched: Vec<(usize, Option<&str>)> = Vec::new();
        layered.over.each_key(&mut |key| match self.table.target(key) {
            Some(Target::Field(at)) => touched.push((at, None)),
            Some(Target::Entry(at, segment)) => touched.push((at, Some(segment))),
            None => {}
        });
        if touched.len() > 1 {
            touched.sort_unstable();
            touched.dedup();
        }
        let mut rest = touched.as_slice();
        while let Some((at, _)) = rest.first() {
            let (of_slot, others) = rest.split_at(rest.partition_point(|(other, _)| other <= at));
            self.read_slot((*at, of_slot), layered, value, restarts, faults);
            rest = others;
        }
    }

    fn read_slot(
        &self,
        (at, keys): (usize, &[(usize, Option<&str>)]),
        layered: &Layered<'_>,
        value: &mut T,
        restarts: &mut Restarts,
        faults: &mut Faults,
    ) {
        let Some(slot) = self.table.slot(at) else { return };
        // A value that waits for a restart is checked as any other, on a copy. In a box: else it would take its room on the
        // stack for every other field, too.
        let mut copy = slot.meta.restart.then(|| Box::new(value.clone()));
        let target = copy.as_deref_mut().unwrap_or(value);
        let before = faults.fields.len();
        let mut segments = keys.iter().filter_map(|(_, segment)| *segment);
        decode_slot(slot, &mut segments, layered, target, &mut faults.fields);
        if let Some(copy) = copy
            && faults.fields.len() == before
        {
            let differs = !same_field(&*copy, value, slot.path);
            restarts.push((at, differs));
        }
    }

    /// Which groups cannot be taken or hold a value that is bad, whatever the other keys are.
    pub(super) fn bad_alone(&self, trial: &[Group]) -> Vec<bool> {
        let mut scratch = None;
        let mut is_bad = |group: &Group| {
            let value = scratch.take().or_else(|| contained(|| T::clone(&self.snapshot)));
            let Some((value, is_bad)) = value.and_then(|value| self.try_alone(value, &group.changes)) else {
                return true;
            };
            // A copy for each of many groups would cost the struct's size each time.
            scratch = contained(move || {
                let mut value = value;
                self.put_back(&mut value, &group.changes);
                value
            });
            is_bad
        };
        trial.iter().map(|group| !group.problems.is_empty() || is_bad(group)).collect()
    }

    fn try_alone(&self, mut value: T, changes: &Overlay) -> Option<(T, bool)> {
        let layered = Layered::new(&self.table, &self.raw, changes);
        contained(move || {
            let (mut restarts, mut faults) = (Restarts::new(), Faults::default());
            self.read_fields(&layered, &mut value, &mut restarts, &mut faults);
            (value, !faults.fields.is_empty())
        })
    }
}
