//! What a typed context has, for those who check rules against it.

/// The attributes of a typed context, in the order of their places.
///
/// It is told apart from others by its address, so it must be a `static`; the derive sees to that.
#[derive(Debug)]
pub struct ContextSchema {
    name: &'static str,
    attributes: &'static [AttributeSpec],
}

/// One attribute of a typed context.
#[derive(Debug, Clone, Copy)]
pub struct AttributeSpec {
    /// Its name in rules.
    pub name: &'static str,
    /// What values it has.
    pub kind: fn() -> AttributeKind,
}

/// What values an attribute has.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum AttributeKind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// Any text.
    Text,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A list of values of one kind.
    List(fn() -> AttributeKind),
    /// Attributes of its own.
    Object(&'static ContextSchema),
    /// Anything: known at run time only.
    Any,
}

/// How a path of names leads into a typed context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// The attribute at this place.
    Attribute(usize),
    /// Through objects, by their places.
    Nested(Box<[usize]>),
    /// By places as far as they are known, by names from there on.
    Mixed(Box<[usize]>, usize),
    /// There is no such attribute.
    Nowhere,
}

impl ContextSchema {
    /// A schema with this name (of the type, for messages) and these attributes.
    pub const fn new(name: &'static str, attributes: &'static [AttributeSpec]) -> Self {
        Self { name, attributes }
    }

    /// The name of the type.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The attributes.
    pub const fn attributes(&self) -> &'static [AttributeSpec] {
        self.attributes
    }

    /// The place of the attribute with this name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.attributes.iter().position(|attribute| attribute.name == name)
    }

    /// Every path that ends in a plain value, such as `user.tier`.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, before: &str, paths: &mut Vec<String>) {
        // A type that contains itself (behind a list or an option) would never end.
        if before.matches('.').count() > 4 {
            return;
        }
        for attribute in self.attributes {
            let path = format!("{before}{}", attribute.name);
            match (attribute.kind)() {
                AttributeKind::Object(inner) => inner.collect(&format!("{path}."), paths),
                _ => paths.push(path),
            }
        }
    }

    /// How this path leads into a context of this schema.
    pub(crate) fn resolve<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Way {
        let mut schema = self;
        let mut places = Vec::new();
        let mut names = path.into_iter();
        while let Some(name) = names.next() {
            let Some(place) = schema.index_of(name) else { return Way::Nowhere };
            let Some(attribute) = schema.attributes.get(place) else { return Way::Nowhere };
            places.push(place);
            match (attribute.kind)() {
                AttributeKind::Object(inner) => schema = inner,
                AttributeKind::List(_) | AttributeKind::Any => {
                    return match names.count() {
                        0 => whole(places),
                        _ => {
                            let known = places.len();
                            Way::Mixed(places.into(), known)
                        }
                    };
                }
                _ if names.next().is_some() => return Way::Nowhere,
                _ => return whole(places),
            }
        }
        whole(places)
    }
}

fn whole(places: Vec<usize>) -> Way {
    match places.as_slice() {
        [place] => Way::Attribute(*place),
        _ => Way::Nested(places.into()),
    }
}
