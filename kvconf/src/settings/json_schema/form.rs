//! Forms and constraints as keywords of JSON Schema.

use crate::settings::ordered::Json;
use crate::settings::{Constraint, Form, FormField, Setting, TextFormat, Variant};
use crate::value::ByteSize;

type Members = Vec<(String, Json)>;

fn member(name: &str, value: Json) -> (String, Json) {
    (name.to_owned(), value)
}

fn typed(name: &str) -> Members {
    vec![member("type", Json::text(name))]
}

/// The value of a setting, or of one entry of its map.
pub(super) fn of_setting(setting: &Setting) -> Json {
    let constraints: &[Constraint] = if setting.entries { &[] } else { &setting.constraints };
    Json::Object(Writer { constraints, place: Place::File }.form(&setting.form))
}

/// What is asked of a map of entries as a whole.
pub(super) fn entries(setting: &Setting) -> Members {
    setting
        .constraints
        .iter()
        .flat_map(|constraint| length(constraint, "minProperties", "maxProperties"))
        .collect()
}

fn length(constraint: &Constraint, least: &str, most: &str) -> Members {
    let Constraint::Length { min, max } = constraint else { return Vec::new() };
    let least = min.map(|min| member(least, Json::number(min)));
    least.into_iter().chain(max.map(|max| member(most, Json::number(max)))).collect()
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Under the setting's own name.
    File,
    /// Inside a value that is JSON.
    Inside,
}

struct Writer<'a> {
    constraints: &'a [Constraint],
    place: Place,
}

impl Writer<'_> {
    fn form(&self, form: &Form) -> Members {
        match form {
            Form::Bool => typed("boolean"),
            Form::Whole { .. } => self.whole(form),
            Form::Float { bits } => self.float(*bits),
            Form::Char => {
                self.text_like(&[member("minLength", Json::number(1)), member("maxLength", Json::number(1))])
            }
            Form::Text { format } => self.text(format.as_ref()),
            Form::Duration => self.text_like(&[member("pattern", Json::text(duration_pattern()))]),
            Form::ByteSize => self.byte_size(),
            Form::Bytes if self.place == Place::File => typed("string"),
            Form::Bytes => list_of(&Form::Whole { signed: false, bits: 8, nonzero: false }),
            Form::Enum { variants } => self.variants(variants),
            Form::Option { of } => self.option(of),
            Form::Null => typed("null"),
            Form::List { items, distinct } => {
                let mut members = list_of(items);
                for constraint in self.constraints {
                    // A set may be written with items that count as one.
                    let most = if *distinct { "x-kvconf-maxItems" } else { "maxItems" };
                    members.extend(length(constraint, "minItems", most));
                }
                members
            }
            Form::Tuple { items } => tuple_of(items),
            Form::Map { keys, values } => {
                let mut members = typed("object");
                members.extend(names_of(keys));
                members.push(member("additionalProperties", inside(values)));
                for constraint in self.constraints {
                    members.extend(length(constraint, "minProperties", "maxProperties"));
                }
                members
            }
            Form::Struct { fields, closed, .. } => struct_of(fields, *closed),
            Form::Json { of } => Writer { constraints: self.constraints, place: Place::Inside }.form(of),
            Form::Flag { value, .. } => {
                let flag = Json::Object(vec![
                    member("type", Json::text("object")),
                    member("required", Json::List(vec![Json::text("variants")])),
                ]);
                vec![member("anyOf", Json::List(vec![inside(value), flag]))]
            }
            Form::Any | Form::Opaque => Vec::new(),
        }
    }

    fn whole(&self, form: &Form) -> Members {
        let mut members = typed("integer");
        let Some((mut min, mut max)) = form.whole_bounds() else { return members };
        let mut exclusive_max = None;
        for constraint in self.constraints {
            if let Constraint::Range { min: low, max: high, exclusive } = constraint {
                let number = |text: &Option<std::borrow::Cow<'static, str>>| {
                    text.as_deref()
                        .filter(|text| text.parse::<i128>().is_ok() || text.parse::<u128>().is_ok())
                        .map(str::to_owned)
                };
                min = number(low).unwrap_or(min);
                match (number(high), exclusive) {
                    (Some(high), true) => exclusive_max = Some(high),
                    (Some(high), false) => max = high,
                    (None, _) => {}
                }
            }
        }
        members.push(member("minimum", Json::Raw(min)));
        members.push(match exclusive_max {
            Some(max) => member("exclusiveMaximum", Json::Raw(max)),
            None => member("maximum", Json::Raw(max)),
        });
        if matches!(form, Form::Whole { signed: true, nonzero: true, .. }) {
            members.push(member("not", Json::Object(vec![member("const", Json::number(0))])));
        }
        members.extend(self.one_of(|value| {
            let is_number = value.parse::<i128>().is_ok() || value.parse::<u128>().is_ok();
            is_number.then(|| Json::Raw(value.to_owned()))
        }));
        members
    }

    fn float(&self, bits: u8) -> Members {
        let mut members = typed("number");
        let finite = |text: &Option<std::borrow::Cow<'static, str>>| {
            let number = text.as_deref()?.parse::<f64>().ok().filter(|number| number.is_finite())?;
            Some(Json::Raw(format!("{number:?}")))
        };
        let (mut low, mut high) = match bits {
            32 => (
                Some(member("minimum", Json::Raw(format!("{:?}", f32::MIN)))),
                Some(member("maximum", Json::Raw(format!("{:?}", f32::MAX)))),
            ),
            _ => (None, None),
        };
        for constraint in self.constraints {
            if let Constraint::Range { min, max, exclusive } = constraint {
                low = finite(min).map(|min| member("minimum", min)).or(low);
                let name = if *exclusive { "exclusiveMaximum" } else { "maximum" };
                high = finite(max).map(|max| member(name, max)).or(high);
            }
        }
        members.extend(low.into_iter().chain(high));
        members.extend(self.one_of(|value| finite(&Some(value.to_owned().into()))));
        members
    }

    fn text(&self, format: Option<&TextFormat>) -> Members {
        let formats = |names: [&str; 2]| {
            let names = names.map(|name| Json::Object(vec![member("format", Json::text(name))]));
            member("anyOf", Json::List(names.into()))
        };
        let more = match format {
            None | Some(TextFormat::Path) => Vec::new(),
            Some(TextFormat::Ip) => vec![formats(["ipv4", "ipv6"])],
            Some(TextFormat::Ipv4) => vec![member("format", Json::text("ipv4"))],
            Some(TextFormat::Ipv6) => vec![member("format", Json::text("ipv6"))],
            Some(other) => vec![member("x-kvconf-format", Json::text(other.words()))],
        };
        let mut members = self.text_like(&more);
        if format.is_some() {
            return members;
        }
        for constraint in self.constraints {
            members.extend(length(constraint, "minLength", "maxLength"));
            if let Constraint::Pattern(pattern) = constraint {
                let name = if reads_alike(pattern) { "pattern" } else { "x-kvconf-pattern" };
                members.push(member(name, Json::text(&**pattern)));
            }
        }
        members
    }

    /// A text, with what its constraints say of its values.
    fn text_like(&self, more: &[(String, Json)]) -> Members {
        let mut members = typed("string");
        members.extend_from_slice(more);
        members.extend(self.range_in_words());
        members.extend(self.one_of(|value| Some(Json::text(value))));
        members
    }

    fn byte_size(&self) -> Members {
        let pattern = member("pattern", Json::text(byte_size_pattern()));
        if self.place == Place::Inside {
            return self.text_like(&[pattern]);
        }
        let mut members = vec![
            member("type", Json::List(vec![Json::text("string"), Json::text("integer")])),
            pattern,
            member("minimum", Json::number(0)),
            member("maximum", Json::number(u64::MAX)),
        ];
        for constraint in self.constraints {
            if let Constraint::Range { min, max, exclusive } = constraint {
                let bytes = |text: &Option<std::borrow::Cow<'static, str>>| {
                    text.as_deref()?.parse::<ByteSize>().ok().map(ByteSize::as_u64)
                };
                members.retain(|(name, _)| {
                    !(name == "minimum" && bytes(min).is_some() || name == "maximum" && bytes(max).is_some())
                });
                let name = if *exclusive { "exclusiveMaximum" } else { "maximum" };
                members.extend(bytes(min).map(|min| member("minimum", Json::number(min))));
                members.extend(bytes(max).map(|max| member(name, Json::number(max))));
            }
        }
        members.extend(self.range_in_words());
        members
    }

    /// A range of what is no number to JSON.
    fn range_in_words(&self) -> Option<(String, Json)> {
        let range =
            self.constraints.iter().find(|constraint| matches!(constraint, Constraint::Range { .. }))?;
        Some(member("x-kvconf-range", Json::text(range.to_string())))
    }

    fn one_of(&self, value: impl Fn(&str) -> Option<Json>) -> Option<(String, Json)> {
        let values = self.constraints.iter().find_map(|constraint| match constraint {
            Constraint::OneOf(values) => Some(values),
            _ => None,
        })?;
        let values: Option<Vec<Json>> = values.iter().map(|text| value(text)).collect();
        Some(member("enum", Json::List(values?)))
    }

    fn variants(&self, variants: &[Variant]) -> Members {
        let allowed = self.constraints.iter().find_map(|constraint| match constraint {
            Constraint::OneOf(values) => Some(values),
            _ => None,
        });
        let known = |name: &str| variants.iter().any(|variant| variant.name == name);
        // Values that only the program can read say nothing here.
        let allowed = allowed.filter(|values| values.iter().all(|value| known(value)));
        let is_allowed = |name: &str| allowed.is_none_or(|values| values.iter().any(|value| *value == *name));
        let alone = variants.iter().filter(|variant| variant.content.is_none() && is_allowed(&variant.name));
        let alone: Vec<Json> = alone.map(|variant| Json::text(&*variant.name)).collect();
        let with = variants.iter().filter_map(|variant| {
            let content = inside(variant.content.as_ref()?);
            Some(Json::Object(vec![
                member("type", Json::text("object")),
                member("properties", Json::Object(vec![(variant.name.clone(), content)])),
                member("required", Json::List(vec![Json::text(&*variant.name)])),
                member("additionalProperties", Json::no()),
            ]))
        });
        let with: Vec<Json> = with.collect();
        let names = vec![member("enum", Json::List(alone))];
        if with.is_empty() {
            return names;
        }
        vec![member("anyOf", Json::List(std::iter::once(Json::Object(names)).chain(with).collect()))]
    }

    fn option(&self, of: &Form) -> Members {
        let inner = self.form(of);
        if inner.is_empty() {
            return inner;
        }
        let null = Json::Object(typed("null"));
        vec![member("anyOf", Json::List(vec![Json::Object(inner), null]))]
    }
}

fn inside(form: &Form) -> Json {
    let members = Writer { constraints: &[], place: Place::Inside }.form(form);
    if members.is_empty() { Json::yes() } else { Json::Object(members) }
}

fn list_of(items: &Form) -> Members {
    let mut members = typed("array");
    members.push(member("items", inside(items)));
    members
}

fn tuple_of(items: &[Form]) -> Members {
    let mut members = typed("array");
    if !items.is_empty() {
        members.push(member("prefixItems", Json::List(items.iter().map(inside).collect())));
    }
    members.push(member("minItems", Json::number(items.len())));
    members.push(member("maxItems", Json::number(items.len())));
    members
}

fn struct_of(fields: &[FormField], closed: bool) -> Members {
    let mut members = typed("object");
    let properties = fields.iter().map(|field| (field.name.clone(), inside(&field.form)));
    members.push(member("properties", Json::Object(properties.collect())));
    let required: Vec<Json> =
        fields.iter().filter(|field| field.required).map(|field| Json::text(&*field.name)).collect();
    if !required.is_empty() {
        members.push(member("required", Json::List(required)));
    }
    if closed {
        members.push(member("additionalProperties", Json::no()));
    }
    members
}

/// The names of an object.
fn names_of(keys: &Form) -> Option<(String, Json)> {
    let names = match keys.inner() {
        Form::Whole { signed, .. } => {
            let sign = if *signed { "-?" } else { "" };
            vec![member("pattern", Json::text(format!("^({sign}[1-9][0-9]*|0)$")))]
        }
        Form::Bool => vec![member("enum", Json::List(vec![Json::text("true"), Json::text("false")]))],
        Form::Char => vec![member("minLength", Json::number(1)), member("maxLength", Json::number(1))],
        Form::Enum { variants } => {
            let names = variants.iter().map(|variant| Json::text(&*variant.name));
            vec![member("enum", Json::List(names.collect()))]
        }
        Form::Duration => vec![member("pattern", Json::text(duration_pattern()))],
        _ => return None,
    };
    Some(member("propertyNames", Json::Object(names)))
}

/// Numbers with units, the largest first.
fn duration_pattern() -> String {
    let units = ["d", "h", "m", "s", "ms", "(us|µs|μs)", "ns"];
    let parts: String = units.iter().map(|unit| format!(r"([0-9]+(\.[0-9]+)?\s*{unit}\s*)?")).collect();
    format!(r"^\s*(?=[0-9]){parts}$")
}

/// A number with or without a unit, in whatever case.
fn byte_size_pattern() -> String {
    r"^\s*\+?[0-9]+(\.[0-9]+)?\s*(([KkMmGgTtPpEe][Ii]?)?[Bb])?\s*$".to_owned()
}

/// Whether an expression means to JSON Schema (ECMA 262) what it means to the program. What both write alike and read
/// otherwise (`\d` of all scripts, `$` before a line feed) is left to the program.
fn reads_alike(pattern: &str) -> bool {
    let pattern = pattern.replace("(?:", "(");
    let only_rust = [
        "(?", "[[", "&&", "--", "~~", r"\A", r"\z", r"\a", r"\x{", r"\p", r"\P", r"\D", r"\W", r"\S", r"\b",
        r"\B", r"\u{", r"\U",
    ];
    // Of all scripts to Rust, of ASCII to ECMA: what is not one of them differs the other way round.
    let classes = [r"\d", r"\w", r"\s"];
    let turned = pattern.contains("[^") && classes.iter().any(|class| pattern.contains(class));
    !turned && !only_rust.iter().any(|words| pattern.contains(words))
}
