//! Reading one setting.

use super::constraint::{Subject, test};
use super::state::Stood;
use crate::flag_field::check_flag;
use crate::key::unescape_segment;
use crate::schema::{Constraint, FieldError, Presence};
use crate::seal::{is_sealed, not_secret};
use crate::settings::{Form, Setting};
use crate::value::{DecodeError, Tree, show};

/// What is wrong with a setting, and what nobody can tell without the program. Keys are below the prefix.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) errors: Vec<(String, FieldError)>,
    pub(super) unchecked: Vec<(String, String)>,
}

impl Reading {
    fn refuse(&mut self, key: &str, error: FieldError) {
        self.errors.push((key.to_owned(), error));
    }

    fn pass_over(&mut self, key: &str, what: impl Into<String>) {
        self.unchecked.push((key.to_owned(), what.into()));
    }

    /// No source has a value.
    pub(super) fn absent(&mut self, setting: &Setting) {
        if setting.presence == Presence::Required {
            self.refuse(&setting.key, FieldError::Missing);
        }
    }

    /// The value of a setting with one key.
    pub(super) fn value(&mut self, setting: &Setting, key: &str, stood: &Stood) {
        let Some(tree) = self.read(setting, key, stood) else { return };
        let subject = Subject { form: &setting.form, tree: &tree };
        let shown = || show(&setting.form.stored(&tree));
        for constraint in &setting.constraints {
            match test(constraint, subject) {
                Some(Ok(())) => {}
                Some(Err(violation)) => {
                    self.refuse(key, FieldError::of(violation, constraint, setting.secret, &shown));
                }
                None => self.pass_over(key, by_program(constraint)),
            }
        }
    }

    /// The value of one entry of a map.
    pub(super) fn entry(&mut self, setting: &Setting, segment: &str, key: &str, stood: &Stood) {
        if unescape_segment(segment).is_none() {
            let error = DecodeError::new("the last part of the key is no escaped map key");
            return self.refuse(key, FieldError::Decode(error));
        }
        self.read(setting, key, stood);
    }

    /// A whole map, where each of its entries is good.
    pub(super) fn map(&mut self, setting: &Setting, count: usize) {
        if !self.errors.is_empty() {
            return;
        }
        for constraint in &setting.constraints {
            match constraint {
                Constraint::Length { min, max } => {
                    if let Err(violation) = super::constraint::has_length(count, *min, *max) {
                        let error = FieldError::of(violation, constraint, setting.secret, &String::new);
                        self.refuse(&setting.key, error);
                    }
                }
                other => self.pass_over(&setting.key, by_program(other)),
            }
        }
    }

    /// What one layer has of a map, where each of its entries is good: how many there are is told by all layers together.
    pub(super) fn part_of_map(&mut self, setting: &Setting) {
        if self.errors.is_empty() {
            for constraint in &setting.constraints {
                match constraint {
                    Constraint::Length { .. } => {
                        self.pass_over(
                            &setting.key,
                            "how many entries there are is told by all layers together",
                        );
                    }
                    other => self.pass_over(&setting.key, by_program(other)),
                }
            }
        }
    }

    fn read(&mut self, setting: &Setting, key: &str, stood: &Stood) -> Option<Tree> {
        if stood.is_unknown() {
            self.refuse(key, FieldError::Operation);
            return None;
        }
        let bytes = stood.value()?;
        if setting.secret && is_sealed(bytes) {
            self.pass_over(key, "it is sealed");
            return None;
        }
        if let Some(error) = not_secret(bytes) {
            self.refuse(key, FieldError::Sealed(error));
            return None;
        }
        let read = match &setting.form {
            Form::Opaque => {
                self.pass_over(key, "its form is known to the program alone");
                return None;
            }
            Form::Flag { value, default } => {
                check_flag(key, bytes, *default, value).map(|()| Tree::Bytes(bytes.to_vec()))
            }
            form => form.read(bytes),
        };
        match read {
            Ok(tree) => {
                if !setting.form.is_certain() {
                    self.pass_over(
                        key,
                        format!("whether it is {} is told by the program alone", setting.form),
                    );
                }
                Some(tree)
            }
            Err(error) => {
                self.refuse(key, FieldError::Decode(masked(setting, bytes, error)));
                None
            }
        }
    }
}

/// Of a secret nothing is shown but what was expected.
fn masked(setting: &Setting, bytes: &[u8], error: DecodeError) -> DecodeError {
    if !setting.secret {
        return error;
    }
    let kind = setting.form.kind();
    if bytes.trim_ascii().is_empty() {
        return DecodeError::secret(kind.empty());
    }
    DecodeError::secret(format!("the secret value is not {kind}"))
}

fn by_program(constraint: &Constraint) -> String {
    match constraint {
        Constraint::Function(name) => format!("`{name}` is run by the program alone"),
        other => format!("whether it fulfils {other} is told by the program alone"),
    }
}
