//! Which Rust types can be attributes.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use super::AttributeKind;
use crate::flag::value::{Items, Value};

/// A type whose values can be attributes of a typed context.
///
/// Numbers, `bool`, texts; [`Option`] (absent when `None`), lists, references and boxes of such types have it.
/// The derive gives it to structs, which become objects, and to enums without fields, which become the text of the variant.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an attribute of an evaluation context",
    label = "not an attribute",
    note = "derive `EvaluationContext` for a struct or an enum without fields, or skip the field with `#[context(skip)]`"
)]
pub trait Attribute {
    /// What a rule sees, or `None` when there is nothing.
    fn value(&self) -> Option<Value<'_>>;

    /// What values there can be.
    fn kind() -> AttributeKind
    where
        Self: Sized;
}

/// A type that can name whom a flag is evaluated for: a text, and `Option`s, references and boxes of texts.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a targeting key",
    label = "not a text",
    note = "shares of a rollout are by the text of the targeting key"
)]
pub trait TargetingKey: Attribute {}

/// Fails to compile for what is no [`TargetingKey`]. For the derive.
#[doc(hidden)]
pub const fn assert_targeting_key<T: TargetingKey>() {}

macro_rules! numbers {
    ($($number:ty => |$value:ident| $as_value:expr, $kind:ident;)*) => {$(
        impl Attribute for $number {
            fn value(&self) -> Option<Value<'_>> {
                let $value = *self;
                Some($as_value)
            }

            fn kind() -> AttributeKind {
                AttributeKind::$kind
            }
        }
    )*};
}

numbers! {
    bool => |value| Value::Bool(value), Bool;
    i8 => |value| Value::Int(value.into()), Integer;
    i16 => |value| Value::Int(value.into()), Integer;
    i32 => |value| Value::Int(value.into()), Integer;
    i64 => |value| Value::Int(value), Integer;
    isize => |value| Value::Int(value as i64), Integer;
    u8 => |value| Value::Int(value.into()), Integer;
    u16 => |value| Value::Int(value.into()), Integer;
    u32 => |value| Value::Int(value.into()), Integer;
    u64 => |value| Value::from_unsigned(value), Integer;
    usize => |value| Value::from_unsigned(value as u64), Integer;
    f32 => |value| float(value.into()), Float;
    f64 => |value| float(value), Float;
}

/// What is no number has no place in JSON either.
fn float(value: f64) -> Value<'static> {
    if value.is_finite() { Value::Float(value) } else { Value::Null }
}

macro_rules! texts {
    ($($text:ty),*) => {$(
        impl Attribute for $text {
            fn value(&self) -> Option<Value<'_>> {
                Some(Value::Text(self))
            }

            fn kind() -> AttributeKind {
                AttributeKind::Text
            }
        }

        impl TargetingKey for $text {}
    )*};
}

texts!(&str, String, Box<str>, Rc<str>, Arc<str>, Cow<'_, str>);

impl<T: TargetingKey> TargetingKey for Option<T> {}

impl<T: Attribute> Attribute for Option<T> {
    fn value(&self) -> Option<Value<'_>> {
        self.as_ref().and_then(T::value)
    }

    fn kind() -> AttributeKind {
        T::kind()
    }
}

macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        impl<T: Attribute> Attribute for $pointer {
            fn value(&self) -> Option<Value<'_>> {
                (**self).value()
            }

            fn kind() -> AttributeKind {
                T::kind()
            }
        }

        impl<T: TargetingKey> TargetingKey for $pointer {}
    )*};
}

pointers!(&T, Box<T>, Rc<T>, Arc<T>);

macro_rules! lists {
    ($([$($parameters:tt)*] $list:ty;)*) => {$(
        impl<T: Attribute, $($parameters)*> Items for $list {
            fn len(&self) -> usize {
                <[T]>::len(self)
            }

            fn item(&self, index: usize) -> Option<Value<'_>> {
                Some(<[T]>::get(self, index)?.value().unwrap_or(Value::Null))
            }
        }

        impl<T: Attribute, $($parameters)*> Attribute for $list {
            fn value(&self) -> Option<Value<'_>> {
                Some(Value::List(self))
            }

            fn kind() -> AttributeKind {
                AttributeKind::List(T::kind)
            }
        }
    )*};
}

lists! {
    [] &[T];
    [] Vec<T>;
    [] Box<[T]>;
    [] Arc<[T]>;
    [const N: usize] [T; N];
}
