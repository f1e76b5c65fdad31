//! Where things stand in a text.

use std::collections::{HashMap, VecDeque};

/// Line and column, from 1; 0 where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Position {
    pub(crate) line: usize,
    /// In characters.
    pub(crate) column: usize,
}

impl Position {
    /// Of a form in which every key has a line of its own.
    pub(crate) const fn line(line: usize) -> Self {
        Self { line, column: 0 }
    }
}

/// A text with the beginnings of its lines.
pub(super) struct Places<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Places<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// The place of a byte.
    pub(super) fn at(&self, byte: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= byte);
        let start = line.checked_sub(1).and_then(|line| self.starts.get(line)).copied().unwrap_or(0);
        let before = self.text.get(start..byte.min(self.text.len())).unwrap_or_default();
        Position { line, column: before.chars().count() + 1 }
    }
}

/// Where the names of objects stand in a JSON text, by their path from the outside; what is inside of arrays has none. The text
/// is known to be JSON: of anything else, what is found is no use and does no harm.
pub(super) fn names(text: &str) -> HashMap<Vec<String>, VecDeque<usize>> {
    let mut found: HashMap<Vec<String>, VecDeque<usize>> = HashMap::new();
    // The open brackets, and for objects the name that is being read.
    let mut open: Vec<Option<String>> = Vec::new();
    let mut is_name = false;
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' => {
                open.push(Some(String::new()));
                is_name = true;
            }
            b'[' => {
                open.push(None);
                is_name = false;
            }
            b'}' | b']' => {
                open.pop();
                is_name = false;
            }
            b',' => is_name = matches!(open.last(), Some(Some(_))),
            b':' => is_name = false,
            b'"' => {
                let end = end_of_text(bytes, at);
                if is_name && let Some(Some(name)) = open.last_mut() {
                    *name = text
                        .get(at..end)
                        .and_then(|text| serde_json::from_str(text).ok())
                        .unwrap_or_default();
                    let path: Option<Vec<String>> = open.iter().cloned().collect();
                    found.entry(path.unwrap_or_default()).or_default().push_back(at);
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Behind the quote that ends a text.
fn end_of_text(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one() {
        let places = Places::of("a = 1\nbé = 2\n");
        assert_eq!(places.at(0), Position { line: 1, column: 1 });
        assert_eq!(places.at(6), Position { line: 2, column: 1 });
        assert_eq!(places.at(10), Position { line: 2, column: 4 });
        assert_eq!(places.at(99), Position { line: 3, column: 1 });
    }

    #[test]
    fn names_are_found_by_their_path() {
        let text = r#"{"a": {"b": "x{\"c\":1}", "d": [1, {"e": 2}]}, "a": 3}"#;
        let found = names(text);
        let at = |path: &[&str]| {
            let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
            found.get(&path).cloned().unwrap_or_default().into_iter().collect::<Vec<_>>()
        };
        assert_eq!(at(&["a"]), [1, 47]);
        assert_eq!(at(&["a", "b"]), [7]);
        assert_eq!(at(&["a", "d"]), [26]);
        assert_eq!(at(&["e"]), [0; 0]);
        // P10
        for broken in ["{", "{\"", "\"\\", "}}]", "{\"a", "\\\"é"] {
            names(broken);
        }
    }
}
