//! From a struct's constant table to data.

use super::{Group, Presence, Schema, Setting};
use crate::schema::{Kind, KvConfig, Place, Slot, Survey, Told, Validator, node_at, survey_struct};

impl Schema {
    /// The settings of a struct.
    ///
    /// The types of the fields are asked what they read, and defaults are made once. A default that the program computes by
    /// a free function (`num_cpus::get()`) is not taken down, since it may be another one elsewhere.
    #[must_use]
    pub fn of<T: KvConfig>() -> Self {
        let structure = T::__SCHEMA;
        let mut survey = Survey::default();
        survey_struct::<T>(&Place::root(structure.env_prefix), &mut survey);
        let mut settings = Vec::new();
        for slot in survey.slots {
            settings.extend(setting::<T>(slot));
        }
        Self {
            name: structure.name.to_owned(),
            prefix: structure.prefix.unwrap_or_default().to_owned(),
            layers: Vec::new(),
            description: structure.description.to_owned(),
            settings,
            groups: survey.groups.iter().map(group).collect(),
            validated: validated(survey.validators),
        }
    }
}

fn group(group: &crate::schema::Group) -> Group {
    Group { key: group.key.clone(), name: group.name.to_owned(), description: group.description.to_owned() }
}

fn validated(validators: Vec<Validator>) -> Vec<String> {
    validators.into_iter().map(|validator| validator.key).collect()
}

fn setting<T: KvConfig>(slot: Slot) -> Option<Setting> {
    let (node, rest) = node_at::<T>(slot.path.steps())?;
    let Told { form, presence, constraints } = node.told(rest)?;
    let meta = slot.meta;
    Some(Setting {
        key: slot.key,
        aliases: slot.aliases,
        entries: slot.kind == Kind::Entries,
        description: meta.description.to_owned(),
        form,
        presence: if meta.secret && presence.default().is_some() { Presence::Hidden } else { presence },
        constraints,
        unit: meta.unit.map(str::to_owned),
        secret: meta.secret,
        restart: meta.restart,
        deprecated: meta.deprecated.map(str::to_owned),
        env: slot.env,
    })
}
