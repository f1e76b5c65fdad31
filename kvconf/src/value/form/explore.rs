//! Finding out what a whole type looks like, one question at a time.

use serde::de::DeserializeOwned;

use super::ask::{Answer, Step, ask};
use super::{Form, FormField, Variant};
use crate::value::Tree;

/// How deep values are looked into. What is deeper is [`Form::Any`].
const MAX_STEPS: usize = 24;

/// How many questions a type is asked, so that a large one costs milliseconds.
const MAX_QUESTIONS: usize = 4_096;

/// Longer tuples are looked at as a whole: serde's own arrays end here.
const MAX_ITEMS: usize = 32;

/// The form of a type's values.
pub(in crate::value) fn form_of<V: DeserializeOwned>() -> Form {
    Explorer { ask: &ask::<V>, path: Vec::new(), left: MAX_QUESTIONS, around: Vec::new() }.form()
}

struct Explorer<'a> {
    ask: &'a dyn Fn(&[Step]) -> Option<Answer>,
    path: Vec<Step>,
    left: usize,
    /// The types that are being looked into: one that holds itself has no end.
    around: Vec<&'static str>,
}

impl Explorer<'_> {
    fn form(&mut self) -> Form {
        match self.question() {
            Some(Answer::Plain(form)) => form,
            Some(Answer::Option) => Form::Option { of: Box::new(self.at(Step::Some)) },
            Some(Answer::List(distinct)) => {
                Form::List { items: Box::new(self.at(Step::Item(Vec::new()))), distinct }
            }
            Some(Answer::Tuple(len)) => Form::Tuple { items: self.items(len) },
            Some(Answer::Map) => self.map(),
            Some(Answer::Struct(names, who)) => self.within(who, |this| this.structure(names)),
            Some(Answer::Enum(names, who)) => self.within(who, |this| this.variants(names)),
            Some(Answer::NoContent) => Form::Null,
            _ => Form::Any,
        }
    }

    fn question(&mut self) -> Option<Answer> {
        self.left = self.left.checked_sub(1)?;
        if self.path.len() > MAX_STEPS { None } else { (self.ask)(&self.path) }
    }

    fn asked(&mut self, step: Step) -> Option<Answer> {
        self.path.push(step);
        let answer = self.question();
        self.path.pop();
        answer
    }

    fn at(&mut self, step: Step) -> Form {
        self.path.push(step);
        let form = self.form();
        self.path.pop();
        form
    }

    fn within(&mut self, who: &'static str, look: impl FnOnce(&mut Self) -> Form) -> Form {
        if self.around.contains(&who) {
            return Form::Any;
        }
        self.around.push(who);
        let form = look(self);
        self.around.pop();
        form
    }

    /// Each item is asked for behind samples of those before it; where there is no sample nothing more is known.
    fn items(&mut self, len: usize) -> Vec<Form> {
        let mut before = Some(Vec::new());
        let mut items = Vec::new();
        for _ in 0..len.min(MAX_ITEMS) {
            let form = match &before {
                Some(samples) => self.at(Step::Item(samples.clone())),
                None => Form::Any,
            };
            before = before.and_then(|mut samples: Vec<Tree>| {
                samples.push(form.sample()?);
                Some(samples)
            });
            items.push(form);
        }
        items.resize(len.min(1024), Form::Any);
        items
    }

    fn map(&mut self) -> Form {
        if self.asked(Step::Key) == Some(Answer::Identifier) {
            return Form::Struct { fields: Vec::new(), closed: false, partial: true };
        }
        let keys = self.at(Step::Key);
        let values = match keys.sample() {
            Some(Tree::Text(name) | Tree::Number(name)) => self.at(Step::Value(name)),
            Some(Tree::Bool(value)) => self.at(Step::Value(value.to_string())),
            _ => Form::Any,
        };
        Form::Map { keys: Box::new(keys), values: Box::new(values) }
    }

    fn structure(&mut self, names: &'static [&'static str]) -> Form {
        let forms: Vec<Form> = names.iter().map(|name| self.at(Step::Field(name))).collect();
        let (required, partial) = self.required(names, &forms);
        let closed = self.asked(Step::Stranger) == Some(Answer::Refused);
        let fields = names.iter().zip(forms).map(|(name, form)| FormField {
            name: (*name).to_owned(),
            form,
            required: required.contains(name),
        });
        Form::Struct { fields: fields.collect(), closed, partial }
    }

    /// Which fields must be there: a struct is built from nothing, then from what it has missed, until it misses no more.
    fn required(&mut self, names: &[&'static str], forms: &[Form]) -> (Vec<&'static str>, bool) {
        let mut required = Vec::new();
        let mut given: Vec<(String, Tree)> = Vec::new();
        while required.len() <= names.len() {
            match self.asked(Step::Build(given.clone())) {
                Some(Answer::Content) => return (required, false),
                Some(Answer::Missing(name)) if !required.contains(&name) => {
                    required.push(name);
                    let form =
                        names.iter().zip(forms).find(|(known, _)| **known == name).map(|(_, form)| form);
                    let Some(sample) = form.and_then(Form::sample) else { break };
                    given.push((name.to_owned(), sample));
                }
                _ => break,
            }
        }
        (required, true)
    }

    fn variants(&mut self, names: &'static [&'static str]) -> Form {
        let variants = names.iter().map(|name| {
            let step = Step::Variant(name);
            let alone = self.asked(step.clone()) == Some(Answer::NoContent);
            let content = (!alone).then(|| self.at(step));
            Variant { name: (*name).to_owned(), content }
        });
        Form::Enum { variants: variants.collect() }
    }
}
