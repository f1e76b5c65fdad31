//! What each step of the specification does.

use kvconf::flag::FlagDocument;
use open_feature::EvaluationContext;
use open_feature::provider::{FeatureProvider, ProviderStatus};
use serde_json::Value as Json;

use crate::openfeature::check::{Outcome, hook_details, metadata, same, value};
use crate::openfeature::gherkin::{Scenario, Step, captures};
use crate::openfeature::world::{Told, World};

/// Runs a scenario to its end, or to what does not hold.
pub(crate) async fn run(scenario: &Scenario, flags: &FlagDocument) -> Outcome {
    let mut world = World::new(flags).await;
    for step in &scenario.steps {
        take(&mut world, step).await.map_err(|why| format!("{}: {why}", step.text))?;
    }
    Ok(())
}

/// The first pattern that a step fits, with what stands for its `{}`.
fn find<'p>(text: &str, patterns: &[&'p str]) -> Option<(&'p str, Vec<String>)> {
    patterns.iter().find_map(|pattern| Some((*pattern, captures(pattern, text)?)))
}

async fn take(world: &mut World, step: &Step) -> Outcome {
    if let Some(outcome) = given(world, step).await {
        return outcome;
    }
    if let Some(outcome) = when(world, step).await {
        return outcome;
    }
    then(world, step).await.unwrap_or_else(|| panic!("no such step: {}", step.text))
}

const GIVEN: &[&str] = &[
    "a stable provider with retrievable context is registered",
    "a {} provider",
    "a {}-flag with key \"{}\" and a fallback value \"{}\"",
    "a context containing a key \"{}\" with null value",
    "a context containing a key \"{}\", with type \"{}\" and with value \"{}\"",
    "a client with added hook",
    "evaluation options containing specific hooks",
    "an evaluation context with modifiable data",
    "A context entry with key \"{}\" and value \"{}\" is added to the \"{}\" level",
    "A table with levels of increasing precedence",
    "Context entries for each level from API level down to the \"{}\" level, with key \"{}\" and value \"{}\"",
    "context contains keys \"{}\", \"{}\", \"{}\", \"{}\" with values \"{}\", \"{}\", {}, \"{}\"",
];

async fn given(world: &mut World, step: &Step) -> Option<Outcome> {
    let (pattern, found) = find(&step.text, GIVEN)?;
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    let invocation = &mut world.invocation;
    Some(match (pattern, found.as_slice()) {
        ("a {} provider", [state]) => world.provider_is(state).await,
        (_, [kind, key, text]) if pattern.starts_with("a {}-flag") => {
            world.flag = Some((kind.to_lowercase(), (*key).to_owned(), value(kind, text)));
            Ok(())
        }
        (_, [key, kind, text]) if pattern.starts_with("a context containing") => {
            match value(kind, text) {
                Json::Bool(value) => invocation.add_custom_field(*key, value),
                Json::Number(number) => invocation.add_custom_field(*key, number.as_i64().unwrap()),
                other => invocation.add_custom_field(*key, other.as_str().unwrap()),
            }
            Ok(())
        }
        // There is no null in the SDK's context; absent is what rules see of one.
        (_, [_]) if pattern.starts_with("a context containing") => Ok(()),
        ("a client with added hook", _) => {
            world.add_client_hook();
            Ok(())
        }
        ("evaluation options containing specific hooks", _) => {
            let hooks = [world.hook("first", None), world.hook("second", None)];
            let options = std::mem::take(&mut world.options);
            world.options = hooks.into_iter().fold(options, |options, hook| options.with_hook(hook));
            Ok(())
        }
        ("an evaluation context with modifiable data", _) => {
            invocation.add_custom_field("email", "ballmer@macrosoft.com");
            Ok(())
        }
        (_, [key, value, level]) if pattern.starts_with("A context entry") => add(world, level, key, value),
        ("A table with levels of increasing precedence", _) => {
            world.levels = step.table.iter().flatten().cloned().collect();
            Ok(())
        }
        (_, [last, key, _]) if pattern.starts_with("Context entries") => {
            let end = world.levels.iter().position(|level| level == last).expect("a level") + 1;
            let levels = world.levels[..end].to_vec();
            levels.iter().try_for_each(|level| add(world, level, key, level))
        }
        (_, [keys @ .., first, last, age, customer]) if pattern.starts_with("context contains") => {
            invocation.add_custom_field(keys[0], *first);
            invocation.add_custom_field(keys[1], *last);
            invocation.add_custom_field(keys[2], age.parse::<i64>().unwrap());
            invocation.add_custom_field(keys[3], customer.parse::<bool>().unwrap());
            Ok(())
        }
        _ => Ok(()),
    })
}

fn add(world: &mut World, level: &str, key: &str, value: &str) -> Outcome {
    let context = match level {
        "API" => &mut world.global,
        "Client" => &mut world.of_client,
        "Invocation" => &mut world.invocation,
        "Before Hooks" => world.before_hooks.get_or_insert_with(EvaluationContext::default),
        other => return Err(format!("the SDK has no context of the level {other}")),
    };
    context.add_custom_field(key, value);
    Ok(())
}

const WHEN: &[&str] = &[
    "the flag was evaluated with details",
    "the flag was evaluated with details asynchronously",
    "the flag was evaluated with details using the evaluation options",
    "Some flag was evaluated",
    "a flag with key \"{}\" is evaluated with default value \"{}\"",
    "a non-existent string flag with key \"{}\" is evaluated with details and a fallback value \"{}\"",
    "a string flag with key \"{}\" is evaluated as an integer, with details and a fallback value {}",
    "an object flag with key \"{}\" is evaluated with {}null default value",
    "{} flag with key \"{}\" is evaluated with default value {}",
    "{} flag with key \"{}\" is evaluated with details and default value {}",
];

async fn when(world: &mut World, step: &Step) -> Option<Outcome> {
    let (pattern, found) = find(&step.text, WHEN)?;
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    let asked = |kind: &str, key: &str, text: &str| {
        Some((kind.to_owned(), key.to_owned(), value(kind, text.trim_matches('"'))))
    };
    match found.as_slice() {
        [] if pattern == "Some flag was evaluated" => {
            world.flag = Some(("boolean".to_owned(), "boolean-flag".to_owned(), false.into()));
        }
        [] => {}
        [key, _] if pattern.starts_with("an object") => world.flag = asked("object", key, "{}"),
        [key, text] if pattern.contains("as an integer") => world.flag = asked("integer", key, text),
        [key, text] => world.flag = asked("string", key, text),
        [kind, key, text] => {
            let kind = kind.trim_start_matches("an ").trim_start_matches("a ");
            world.flag = asked(kind, key, text);
        }
        _ => return None,
    }
    let before = world.invocation.clone();
    world.evaluate().await;
    Some(same("the context after the evaluation", &world.invocation, &before))
}

const THEN: &[&str] = &[
    "the resolved details value should be \"{}\"",
    "the reason should be \"{}\"",
    "the error-code should be \"{}\"",
    "the flag key should be \"{}\"",
    "the variant should be \"{}\", and the reason should be \"{}\"",
    "the variant should be \"{}\"",
    "the provider status should be \"{}\"",
    "the resolved {} details value should be {}, the variant should be \"{}\", and the reason should be \"{}\"",
    "the resolved object {}value should be contain fields \"{}\", \"{}\", and \"{}\", with values \"{}\", \"{}\" and {}, respectively",
    "the resolved string response should be \"{}\"",
    "the resolved flag value is \"{}\" when the context is empty",
    "the default {} value should be returned",
    "the reason should indicate an error and the error code should indicate {} with \"{}\"",
    "the resolved {} value should be {}",
    "the resolved metadata should contain",
    "the resolved metadata is empty",
    "the \"{}\" hook should have been executed",
    "the \"{}\" hooks should be called with evaluation details",
    "the specified hooks should execute during evaluation",
    "the hook order should be maintained",
    "the original evaluation context should remain unmodified",
    "the evaluation details should be immutable",
    "the evaluation should complete without blocking",
    "The merged context contains an entry with key \"{}\" and value \"{}\"",
];

async fn then(world: &mut World, step: &Step) -> Option<Outcome> {
    let (pattern, found) = find(&step.text, THEN)?;
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    if let ("the resolved flag value is \"{}\" when the context is empty", [expected]) = (pattern, &*found) {
        world.invocation = EvaluationContext::default();
        world.evaluate().await;
        return Some(same("the value", &told(world)?.value, &Json::from(*expected)));
    }
    if pattern.starts_with("the provider status") {
        // The SDK's client does not tell; the provider does.
        let status = match world.provider.status() {
            ProviderStatus::NotReady => "NOT_READY",
            ProviderStatus::Ready => "READY",
            ProviderStatus::Error => "ERROR",
            ProviderStatus::STALE => "STALE",
        };
        return Some(same("the status", status, found.first()?));
    }
    if pattern.contains("hook") {
        return Some(of_hooks(world, pattern, &found, step));
    }
    if let (true, [key, expected]) = (pattern.starts_with("The merged"), &*found) {
        let merged = world.merged.lock().unwrap().get(*key).cloned();
        return Some(same("what the provider was given", merged, Some(Json::from(*expected))));
    }
    let (kind, _, default) = world.flag.clone()?;
    of_result(told(world)?, (&kind, &default), pattern, &found, step)
}

fn told(world: &World) -> Option<&Told> {
    world.told.as_ref()
}

fn of_result(
    told: &Told,
    (kind, default): (&str, &Json),
    pattern: &str,
    found: &[&str],
    step: &Step,
) -> Option<Outcome> {
    let is_value = |text: &str| same("the value", &told.value, &value(kind, text.trim_matches('"')));
    let is_variant = |text: &str| same("the variant", told.variant.as_deref(), Some(text));
    let is_reason = |text: &str| same("the reason", told.reason.as_deref(), Some(text));
    let is_error = |text: &str| same("the error code", told.error.as_deref(), Some(text));
    Some(match found {
        [] if pattern.ends_with("should contain") => metadata(told, &step.table),
        [] if pattern.ends_with("is empty") => same("the metadata", told.metadata.len(), 0),
        // A copy, which nobody else holds; and `when` looked at the context.
        [] => Ok(()),
        // An object is written with quotes inside; nothing is cut off there.
        [text] if pattern.starts_with("the resolved details") => {
            same("the value", &told.value, &value(kind, text))
        }
        [text] if pattern.starts_with("the resolved") => is_value(text),
        [text] if pattern.starts_with("the reason") => is_reason(text),
        [text] if pattern.starts_with("the error-code") => is_error(text),
        [text] if pattern.starts_with("the flag key") => same("the key", told.key.as_str(), text),
        [text] if pattern.starts_with("the variant") => is_variant(text),
        [_] if pattern.starts_with("the default") => same("the value", &told.value, default),
        [variant, reason] if pattern.starts_with("the variant") => is_variant(variant).and(is_reason(reason)),
        [_, code] if pattern.starts_with("the reason") => is_reason("ERROR").and(is_error(code)),
        [_, text] => is_value(text),
        [_, text, variant, reason] => is_value(text).and(is_variant(variant)).and(is_reason(reason)),
        [_, names @ .., first, second, third] => {
            let expected = [first.parse::<bool>().ok()?.into(), Json::from(*second), value("integer", third)];
            let mut fields = names.iter().zip(expected);
            fields.try_for_each(|(name, expected)| same(name, &told.value[*name], &expected))
        }
        _ => return None,
    })
}

fn of_hooks(world: &World, pattern: &str, found: &[&str], step: &Step) -> Outcome {
    let calls = world.calls.lock().unwrap();
    let order = |stage: &str| -> Vec<&str> {
        calls.iter().filter(|call| call.stage == stage).map(|call| call.hook).collect()
    };
    match (pattern, found) {
        ("the hook order should be maintained", _) => {
            same("the order before", order("before"), vec!["first", "second"])?;
            same("the order after", order("finally"), vec!["second", "first"])
        }
        ("the specified hooks should execute during evaluation", _) => {
            same("the stages", calls.iter().map(|call| call.stage).collect::<Vec<_>>().len(), 6)
        }
        (_, [stage]) if pattern.ends_with("executed") => {
            same(&format!("calls of the {stage} hook"), order(stage).len(), 1)
        }
        (_, [stages]) => hook_details(&calls, stages, step),
        _ => Err("no such step".to_owned()),
    }
}
