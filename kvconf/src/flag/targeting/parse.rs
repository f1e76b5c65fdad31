//! From JSON to a checked tree. Every mistake is told, up to a few dozen.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use serde_json::{Map, Value as Json};

use super::failure::Failure;
use super::limits::{MAX_CONSTANTS, MAX_DEPTH, MAX_ITERATIONS, MAX_OPERATIONS, MAX_STEPS};
use super::node::{Iteration, Node, Operands, Operator, Place, Reduction, Slot, Variable, WORDS, Word};
use super::trail::Trail;
use super::weigh::weigh;
use crate::flag::problem::{FlagProblem, FlagProblemKind};

/// More mistakes than these help nobody.
pub(super) const MAX_PROBLEMS: usize = 32;

/// A rule with the attributes that it asks for.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) root: Node,
    pub(crate) slots: Vec<Slot>,
    pub(crate) needs_time: bool,
}

/// Reads a rule; `evaluators` holds the rules that `$ref` names.
pub(crate) fn parse(rule: &Json, evaluators: &Map<String, Json>) -> Result<Rule, Vec<FlagProblem>> {
    parse_below(rule, evaluators, 0)
}

/// Reads a rule whose variables belong to an item, as in the body of an iteration.
pub(crate) fn parse_for_item(rule: &Json, evaluators: &Map<String, Json>) -> Result<Rule, Vec<FlagProblem>> {
    parse_below(rule, evaluators, 1)
}

fn parse_below(
    rule: &Json,
    evaluators: &Map<String, Json>,
    iterations: usize,
) -> Result<Rule, Vec<FlagProblem>> {
    let mut parser = Parser::new(evaluators, iterations);
    let top = Trail::top("targeting");
    let root = parser.node(rule, At { iterations, ..At::top(&top) });
    if parser.problems.is_empty() && weigh(&root) > u64::from(MAX_STEPS) {
        parser.problem(&top, FlagProblemKind::TooMuchWork);
    }
    if parser.problems.is_empty() {
        Ok(Rule { root, slots: parser.slots, needs_time: parser.needs_time })
    } else {
        Err(parser.problems)
    }
}

struct Parser<'a> {
    evaluators: &'a Map<String, Json>,
    /// How many iterations are taken to be around the rule. They do not count as the rule's own.
    around: usize,
    slots: Vec<Slot>,
    /// The places of the slots by their paths.
    places: HashMap<Box<str>, u32, RandomState>,
    needs_time: bool,
    operations: usize,
    constants: usize,
    problems: Vec<FlagProblem>,
}

/// Where the parser is.
#[derive(Clone, Copy)]
struct At<'t> {
    trail: &'t Trail<'t>,
    depth: usize,
    /// How many iterations are around; in any of them a variable belongs to the item.
    iterations: usize,
    /// Inside what a `$ref` stood for, where another is not allowed.
    referred: bool,
}

impl<'t> At<'t> {
    fn top(trail: &'t Trail<'t>) -> Self {
        Self { trail, depth: 0, iterations: 0, referred: false }
    }

    fn deeper<'n>(self, trail: &'n Trail<'n>) -> At<'n> {
        At { trail, depth: self.depth + 1, iterations: self.iterations, referred: self.referred }
    }

    /// As [`Self::deeper`], in the body of an iteration.
    fn body<'n>(self, trail: &'n Trail<'n>) -> At<'n> {
        At { iterations: self.iterations + 1, ..self.deeper(trail) }
    }
}

impl<'a> Parser<'a> {
    fn new(evaluators: &'a Map<String, Json>, around: usize) -> Self {
        Self {
            evaluators,
            around,
            slots: Vec::new(),
            places: HashMap::default(),
            needs_time: false,
            operations: 0,
            constants: 0,
            problems: Vec::new(),
        }
    }

    fn problem(&mut self, trail: &Trail<'_>, kind: FlagProblemKind) {
        if self.problems.len() < MAX_PROBLEMS
            && !self.problems.iter().any(|known| known.kind() == &kind && kind.is_limit())
        {
            self.problems.push(FlagProblem::new(trail.to_string(), kind));
        }
    }

    /// Whether the rule is lost already, so that nothing more needs to be read.
    fn is_hopeless(&self) -> bool {
        self.problems.len() >= MAX_PROBLEMS || self.problems.iter().any(|problem| problem.kind().is_limit())
    }

    fn node(&mut self, json: &Json, at: At<'_>) -> Node {
        if at.depth > MAX_DEPTH {
            self.problem(at.trail, FlagProblemKind::TooDeep);
        }
        if self.is_hopeless() {
            return Node::Constant(Json::Null);
        }
        match json {
            Json::Array(items) => self.list(items, at),
            Json::Object(entries) if entries.len() == 1 => match entries.iter().next() {
                Some((name, argument)) => self.operation(name, argument, at),
                None => Node::Constant(Json::Null),
            },
            constant => self.constant(constant, at),
        }
    }

    /// Also an object of no key or of several, which is a value: nothing in it is computed.
    fn constant(&mut self, json: &Json, at: At<'_>) -> Node {
        self.constants += count(json);
        if self.constants > MAX_CONSTANTS {
            self.problem(at.trail, FlagProblemKind::TooManyConstants);
        }
        Node::Constant(json.clone())
    }

    fn list(&mut self, items: &[Json], at: At<'_>) -> Node {
        // Most lists are of scalars only, and some of those are long.
        if items.iter().all(|item| !matches!(item, Json::Array(_) | Json::Object(_))) {
            return self.constant(&Json::Array(items.to_vec()), at);
        }
        let nodes = self.nodes(items, at);
        if !nodes.iter().all(|node| matches!(node, Node::Constant(_))) {
            return Node::List(nodes);
        }
        // Moved, not copied at each level; and what a shared rule stood for is what it is, not its name.
        let constants = nodes.into_iter().filter_map(|node| match node {
            Node::Constant(constant) => Some(constant),
            _ => None,
        });
        Node::Constant(constants.collect())
    }

    fn nodes(&mut self, items: &[Json], at: At<'_>) -> Box<[Node]> {
        let each = items.iter().enumerate().map(|(place, item)| {
            let trail = at.trail.place(place);
            self.node(item, at.deeper(&trail))
        });
        each.collect()
    }

    /// What stands for a `$ref`, wherever one may stand.
    fn referred<'j>(&mut self, json: &'j Json, at: &mut At<'_>) -> Option<&'j Json>
    where
        'a: 'j,
    {
        let Some(name) = reference(json) else { return Some(json) };
        if at.referred {
            self.problem(at.trail, FlagProblemKind::NestedReference { name: name.to_owned() });
            return None;
        }
        at.referred = true;
        let found = self.evaluators.get(name);
        if found.is_none() {
            self.problem(at.trail, FlagProblemKind::UnresolvedReference { name: name.to_owned() });
        }
        found
    }

    fn operation(&mut self, name: &str, argument: &Json, at: At<'_>) -> Node {
        if name == "$ref" && argument.is_string() {
            return self.reference(argument, at);
        }
        let Some(word) = Word::named(name) else {
            let close = crate::flag::problem::nearest(name, WORDS.iter().map(|(known, _)| *known));
            self.problem(at.trail, FlagProblemKind::UnknownOperator { name: name.to_owned(), close });
            return Node::Constant(Json::Null);
        };
        self.operations += 1;
        if self.operations > MAX_OPERATIONS {
            self.problem(at.trail, FlagProblemKind::TooManyOperations);
            return Node::Constant(Json::Null);
        }
        let trail = at.trail.name(name);
        let mut at = At { trail: &trail, ..at };
        let Some(argument) = self.referred(argument, &mut at) else { return Node::Constant(Json::Null) };
        match word {
            Word::Var => self.variable(argument, at),
            Word::If | Word::And | Word::Or => self.control(word, argument, at),
            Word::Iterate(iteration) => self.iteration(iteration, argument, at),
            Word::Reduce => self.reduction(argument, at),
            Word::Operation(operator) => self.eager(operator, argument, at),
        }
    }

    fn reference(&mut self, name: &Json, at: At<'_>) -> Node {
        let name = name.as_str().unwrap_or_default();
        if at.referred {
            self.problem(at.trail, FlagProblemKind::NestedReference { name: name.to_owned() });
            return Node::Constant(Json::Null);
        }
        match self.evaluators.get(name) {
            // The depth grows, so that a chain of references ends.
            Some(rule) => self.node(rule, At { referred: true, depth: at.depth + 1, ..at }),
            None => {
                self.problem(at.trail, FlagProblemKind::UnresolvedReference { name: name.to_owned() });
                Node::Constant(Json::Null)
            }
        }
    }

    fn control(&mut self, word: Word, argument: &Json, at: At<'_>) -> Node {
        let Json::Array(items) = argument else {
            // Looked at all the same, for the mistakes in it.
            self.node(argument, at.deeper(at.trail));
            return Node::Fail(Failure::InvalidArguments);
        };
        let nodes = self.nodes(items, at);
        match word {
            Word::And => Node::And(nodes),
            Word::Or => Node::Or(nodes),
            _ => Node::If(nodes),
        }
    }

    fn eager(&mut self, operator: Operator, argument: &Json, at: At<'_>) -> Node {
        let operands = match argument {
            Json::Array(items) => Operands::Listed(self.nodes(items, at)),
            other => match self.node(other, at.deeper(at.trail)) {
                Node::Constant(constant) => Operands::Listed([Node::Constant(constant)].into()),
                node => Operands::Spread(Box::new(node)),
            },
        };
        if matches!(operator, Operator::Missing | Operator::MissingSome) && at.iterations == 0 {
            self.note_paths(&operands);
        }
        if operator == Operator::Fractional {
            self.slot("targetingKey");
        }
        Node::Operation(operator, operands)
    }

    /// The names that `missing` asks for count as attributes that the rule uses.
    fn note_paths(&mut self, operands: &Operands) {
        let nodes = match operands {
            Operands::Listed(nodes) => nodes,
            Operands::Spread(node) => std::slice::from_ref(&**node),
        };
        for node in nodes {
            match node {
                Node::Constant(Json::String(path)) => drop(self.slot(path)),
                Node::Constant(Json::Array(paths)) => {
                    for path in paths.iter().filter_map(Json::as_str) {
                        self.slot(path);
                    }
                }
                _ => {}
            }
        }
    }

    fn iteration(&mut self, iteration: Iteration, argument: &Json, at: At<'_>) -> Node {
        let Json::Array(operands) = argument else {
            self.node(argument, at.deeper(at.trail));
            return Node::Fail(Failure::InvalidArguments);
        };
        let null = Json::Null;
        let list = self.operand(operands.first().unwrap_or(&null), 0, at);
        let body = self.body(operands.get(1).unwrap_or(&null), at);
        // A literal null is a mistake of the author; a list that the context lacks is one of no items to map and filter.
        let is_null = |node: &Node| matches!(node, Node::Constant(Json::Null));
        let makes_list = matches!(iteration, Iteration::Map | Iteration::Filter);
        if is_null(&list) || (is_null(&body) && makes_list) {
            return Node::Fail(Failure::InvalidArguments);
        }
        Node::Iterate(iteration, Box::new([list, body]))
    }

    fn operand(&mut self, json: &Json, place: usize, at: At<'_>) -> Node {
        let trail = at.trail.place(place);
        self.node(json, at.deeper(&trail))
    }

    fn body(&mut self, json: &Json, at: At<'_>) -> Node {
        let trail = at.trail.place(1);
        let at = at.body(&trail);
        if at.iterations > self.around + MAX_ITERATIONS {
            self.problem(at.trail, FlagProblemKind::TooManyIterations);
        }
        self.node(json, at)
    }

    fn reduction(&mut self, argument: &Json, at: At<'_>) -> Node {
        let Json::Array(operands) = argument else {
            self.node(argument, at.deeper(at.trail));
            return Node::Fail(Failure::InvalidArguments);
        };
        let null = Json::Null;
        let list = self.operand(operands.first().unwrap_or(&null), 0, at);
        let body = self.body(operands.get(1).unwrap_or(&null), at);
        let initial = operands.get(2).map(|initial| self.operand(initial, 2, at));
        Node::Reduce(Box::new(Reduction { list, body, initial }))
    }

    fn variable(&mut self, argument: &Json, at: At<'_>) -> Node {
        let null = Json::Null;
        let (path, default) = match argument {
            Json::Array(items) => (items.first().unwrap_or(&null), items.get(1)),
            other => (other, None),
        };
        let place = match self.operand(path, 0, at) {
            Node::Constant(Json::Null) => Place::Whole,
            Node::Constant(Json::String(path)) => self.place(&path, at),
            Node::Constant(other) => self.place(&super::coercion::to_text((&other).into()), at),
            computed => {
                // It may turn out to be the path of the time.
                self.needs_time = true;
                Place::Computed(computed)
            }
        };
        self.needs_time |= place == Place::Whole && at.iterations == 0;
        let default = default.map(|default| self.operand(default, 1, at));
        Node::Variable(Box::new(Variable { place, default }))
    }

    fn place(&mut self, path: &str, at: At<'_>) -> Place {
        match path {
            "" => Place::Whole,
            _ if at.iterations > 0 => Place::Item(Slot::new(path)),
            "$flagd.flagKey" => Place::FlagKey,
            "$flagd.timestamp" => {
                self.needs_time = true;
                Place::Timestamp
            }
            _ if path == "$flagd" || path.starts_with("$flagd.") => {
                self.needs_time = true;
                Place::Computed(Node::Constant(path.into()))
            }
            _ => Place::Attribute(self.slot(path)),
        }
    }

    fn slot(&mut self, path: &str) -> u32 {
        if let Some(place) = self.places.get(path) {
            return *place;
        }
        // No rule has so many.
        let place = self.slots.len() as u32;
        self.slots.push(Slot::new(path));
        self.places.insert(path.into(), place);
        place
    }
}

/// The name in `{"$ref": "name"}`.
pub(crate) fn reference(json: &Json) -> Option<&str> {
    let entries = json.as_object().filter(|entries| entries.len() == 1)?;
    entries.get("$ref")?.as_str()
}

/// How many values stand in a constant, itself included.
fn count(json: &Json) -> usize {
    match json {
        Json::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Json::Object(entries) => 1 + entries.values().map(count).sum::<usize>(),
        _ => 1,
    }
}
