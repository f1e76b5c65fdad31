//! The part of Gherkin that the specification uses.

/// A scenario with its background; of an outline one for each row of its examples.
pub(crate) struct Scenario {
    /// The file, the scenario, and the row.
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Default)]
pub(crate) struct Step {
    pub(crate) text: String,
    pub(crate) table: Vec<Vec<String>>,
}

#[derive(Default)]
struct Draft {
    name: String,
    steps: Vec<Step>,
    examples: Vec<Vec<Vec<String>>>,
}

#[derive(Clone, Copy)]
enum Place {
    Step,
    Examples,
}

pub(crate) fn parse(file: &str, text: &str) -> Vec<Scenario> {
    let (mut background, mut drafts, mut place) = (Vec::new(), Vec::<Draft>::new(), Place::Step);
    for line in text.lines().map(str::trim) {
        let after = |word: &str| line.strip_prefix(word).map(str::trim);
        if line.is_empty() || line.starts_with(['#', '@']) || after("Feature:").is_some() {
            continue;
        } else if after("Background:").is_some() {
            assert!(drafts.is_empty(), "{file}: a background behind a scenario");
        } else if let Some(name) = after("Scenario:").or(after("Scenario Outline:")) {
            drafts.push(Draft { name: name.to_owned(), ..Draft::default() });
            place = Place::Step;
        } else if after("Examples:").is_some() {
            drafts.last_mut().unwrap().examples.push(Vec::new());
            place = Place::Examples;
        } else if let Some(row) = line.strip_prefix('|') {
            let row = row.trim_end_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
            let draft = drafts.last_mut().unwrap();
            match place {
                Place::Step => draft.steps.last_mut().unwrap().table.push(row),
                Place::Examples => draft.examples.last_mut().unwrap().push(row),
            }
        } else {
            let words = ["Given ", "When ", "Then ", "And ", "But "];
            let text = words.iter().find_map(|word| line.strip_prefix(word));
            let text = text.unwrap_or_else(|| panic!("{file}: {line}: what is this?")).trim();
            let steps = drafts.last_mut().map_or(&mut background, |draft| &mut draft.steps);
            steps.push(Step { text: text.to_owned(), table: Vec::new() });
        }
    }
    drafts.into_iter().flat_map(|draft| expand(file, &background, draft)).collect()
}

fn expand(file: &str, background: &[Step], draft: Draft) -> Vec<Scenario> {
    let Draft { name, steps, examples } = draft;
    let steps: Vec<Step> = background.iter().cloned().chain(steps).collect();
    if examples.is_empty() {
        return vec![Scenario { name: format!("{file}: {name}"), steps }];
    }
    let mut scenarios: Vec<Scenario> = Vec::new();
    for table in &examples {
        let (header, rows) = table.split_first().unwrap_or_else(|| panic!("{file}: {name}: no rows"));
        for row in rows {
            let fill = |text: &str| {
                let pairs = header.iter().zip(row);
                pairs.fold(text.to_owned(), |text, (column, cell)| text.replace(&format!("<{column}>"), cell))
            };
            let steps = steps.iter().map(|step| Step {
                text: fill(&step.text),
                table: step.table.iter().map(|row| row.iter().map(|cell| fill(cell)).collect()).collect(),
            });
            let base = format!("{file}: {name} ({})", row.join(", "));
            let again = scenarios.iter().filter(|scenario| scenario.name.starts_with(&base)).count();
            let name = if again == 0 { base } else { format!("{base} #{}", again + 1) };
            scenarios.push(Scenario { name, steps: steps.collect() });
        }
    }
    scenarios
}

/// What stands for each `{}` of a pattern in a text.
pub(crate) fn captures(pattern: &str, text: &str) -> Option<Vec<String>> {
    let mut literals = pattern.split("{}");
    let mut rest = text.strip_prefix(literals.next()?)?;
    let literals: Vec<&str> = literals.collect();
    let mut found = Vec::new();
    for (place, literal) in literals.iter().enumerate() {
        // The last one reaches to the end: values may have quotes in them.
        let end = if place + 1 == literals.len() {
            rest.ends_with(literal).then(|| rest.len() - literal.len())?
        } else {
            rest.find(literal)?
        };
        found.push(rest[..end].replace("\\\"", "\""));
        rest = &rest[end + literal.len()..];
    }
    rest.is_empty().then_some(found)
}
