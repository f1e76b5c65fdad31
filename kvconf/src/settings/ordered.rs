//! JSON that keeps its order: people read it.

use crate::value::Tree;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    /// A text that is JSON already.
    Raw(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Raw(Tree::Text(text.into()).to_json())
    }

    pub(super) fn yes() -> Self {
        Self::Raw("true".to_owned())
    }

    pub(super) fn no() -> Self {
        Self::Raw("false".to_owned())
    }

    #[expect(clippy::needless_pass_by_value, reason = "numbers of several types")]
    pub(super) fn number(number: impl ToString) -> Self {
        Self::Raw(number.to_string())
    }

    pub(super) fn tree(tree: &Tree) -> Self {
        Self::Raw(tree.to_json())
    }

    /// On several lines, indented by two.
    pub(super) fn pretty(&self) -> String {
        let mut out = String::new();
        self.write(0, &mut out);
        out.push('\n');
        out
    }

    fn write(&self, depth: usize, out: &mut String) {
        match self {
            Self::Raw(text) => out.push_str(text),
            Self::List(items) if items.iter().all(|item| matches!(item, Self::Raw(_))) => {
                let items: Vec<&str> = items
                    .iter()
                    .filter_map(|item| if let Self::Raw(text) = item { Some(text.as_str()) } else { None })
                    .collect();
                out.push('[');
                out.push_str(&items.join(", "));
                out.push(']');
            }
            Self::List(items) => {
                lines('[', items, ']', depth, out, |item, out| item.write(depth + 1, out));
            }
            Self::Object(entries) if entries.is_empty() => out.push_str("{}"),
            Self::Object(entries) => lines('{', entries, '}', depth, out, |(name, value), out| {
                out.push_str(&Tree::Text(name.clone()).to_json());
                out.push_str(": ");
                value.write(depth + 1, out);
            }),
        }
    }
}

fn lines<T>(
    open: char,
    items: &[T],
    close: char,
    depth: usize,
    out: &mut String,
    mut write: impl FnMut(&T, &mut String),
) {
    out.push(open);
    for (at, item) in items.iter().enumerate() {
        out.push_str(if at == 0 { "\n" } else { ",\n" });
        out.push_str(&"  ".repeat(depth + 1));
        write(item, out);
    }
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
    out.push(close);
}
