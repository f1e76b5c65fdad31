//! What evaluating a flag costs, beside other engines.

mod cases;
mod timing;

use std::hint::black_box;

use kvconf::flag::{Bucketing, CompiledFlag, EvaluationContext};
use timing::Subject;

fn get(flag: &CompiledFlag, values: &[bool], context: &dyn EvaluationContext) -> bool {
    let resolution = flag.resolve(context, 0);
    resolution.variant().and_then(|variant| values.get(variant)).copied().unwrap_or(false)
}

fn main() {
    let (typed, dynamic) = (cases::typed(), cases::dynamic());
    let rows = [
        ("static", None, Bucketing::V3),
        ("one", Some(cases::one()), Bucketing::V3),
        ("three", Some(cases::three()), Bucketing::V3),
        ("v2", Some(cases::percentage()), Bucketing::V2),
        ("v3", Some(cases::percentage()), Bucketing::V3),
    ];
    let flags: Vec<_> = rows.into_iter().map(|(n, rule, version)| (n, cases::flag(rule, version))).collect();
    let values = [false, true];
    let mut subjects = Vec::new();
    for (name, flag) in &flags {
        let (typed, dynamic, values) = (&typed, &dynamic, &values);
        subjects.push(Subject::new(format!("{name} typed"), move || get(black_box(flag), values, black_box(typed))));
        subjects.push(Subject::new(format!("{name} dynamic"), move || get(black_box(flag), values, black_box(dynamic))));
    }
    timing::run(&mut subjects, 300);
    for subject in &mut subjects {
        println!("{:20} {:.1}", subject.name.clone(), subject.median());
    }
}
