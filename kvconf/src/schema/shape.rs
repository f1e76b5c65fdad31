//! The keys and the environment variables of a struct as constant data, and what the compiler checks with them: what the
//! macro cannot know, since it sees one struct at a time.

use super::Path;

/// One field as constant data.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// One key, or an alias of one.
    Leaf(&'static str, Env),
    /// All keys below. The variable holds all entries.
    Entries(&'static str, Env),
    /// A struct below. Its variables have this prefix, unless it has one of its own.
    Nested(&'static str, Env, &'static [Shape]),
    /// A struct at this level.
    Flat(&'static [Shape]),
    /// No field: `env_prefix`, before the fields of the struct that has it.
    EnvPrefix(&'static str),
}

/// How the name of an environment variable is formed, or the prefix of such names.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum Env {
    /// There is none: an alias.
    None,
    /// The prefix of the struct around it, `_`, and this: the field's name in capitals.
    Below { name: &'static str },
    /// This, wherever it stands: `env` on the field.
    Given { name: &'static str },
}

/// Whether two keys at one level collide: equal, or one stands below the other.
const fn collide(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let (short, long) = if left.len() <= right.len() { (left, right) } else { (right, left) };
    let mut at = 0;
    while at < short.len() {
        #[expect(clippy::indexing_slicing, reason = "below both lengths")]
        if short[at] != long[at] {
            return false;
        }
        at += 1;
    }
    #[expect(clippy::indexing_slicing, reason = "the longer one has a byte there")]
    let below = short.len() == long.len() || long[short.len()] == b'.';
    below
}

/// Stops the compilation where a flattened struct brings a key that another field has, or that is the prefix of one.
///
/// Within one struct the macro finds this itself, with the place; what a flattened struct holds is known only here. So only
/// flattened structs are held against the others, which keeps a struct of hundreds of fields below the compiler's limit
/// for constants.
#[doc(hidden)]
#[track_caller]
pub const fn assert_disjoint(shapes: &[Shape]) {
    let mut left = 0;
    while left < shapes.len() {
        let mut right = 0;
        #[expect(clippy::indexing_slicing, reason = "below the length")]
        while matches!(shapes[left], Shape::Flat(..)) && right < shapes.len() {
            if right != left {
                assert_apart(&shapes[left], &shapes[right]);
            }
            right += 1;
        }
        left += 1;
    }
}

/// Stops the compilation where structs are nested so deep that a [`Path`] could not name their fields.
#[doc(hidden)]
#[track_caller]
pub const fn assert_depth(inner: &[Shape]) {
    assert!(
        depth(inner) < Path::MAX,
        "structs are nested too deep: a field stands at most 8 levels below the root"
    );
}

const fn depth(shapes: &[Shape]) -> usize {
    let (mut deepest, mut at) = (0, 0);
    while at < shapes.len() {
        #[expect(clippy::indexing_slicing, reason = "below the length")]
        let depth = match shapes[at] {
            Shape::Leaf(..) | Shape::Entries(..) | Shape::EnvPrefix(_) => 1,
            Shape::Nested(_, _, inner) | Shape::Flat(inner) => 1 + depth(inner),
        };
        if depth > deepest {
            deepest = depth;
        }
        at += 1;
    }
    deepest
}

#[track_caller]
const fn assert_apart(left: &Shape, right: &Shape) {
    match (left, right) {
        (Shape::EnvPrefix(_), _) | (_, Shape::EnvPrefix(_)) => {}
        (Shape::Flat(inner), other) | (other, Shape::Flat(inner)) => {
            let mut at = 0;
            while at < inner.len() {
                #[expect(clippy::indexing_slicing, reason = "below the length")]
                assert_apart(&inner[at], other);
                at += 1;
            }
        }
        (
            Shape::Leaf(left, _) | Shape::Entries(left, _) | Shape::Nested(left, ..),
            Shape::Leaf(right, _) | Shape::Entries(right, _) | Shape::Nested(right, ..),
        ) => {
            assert!(
                !collide(left, right),
                "a flattened struct brings a key that another field has already, or that is the prefix of another key"
            );
        }
    }
}
