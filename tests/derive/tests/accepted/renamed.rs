//! The library under another name, and behind another crate's module.

/// The library.
pub extern crate kvconf as renamed;

/// What a framework would do.
pub mod framework {
    pub use super::renamed as settings;
}

mod kvconf {
    //! In the way of a relative path.
}

/// By its other name.
#[derive(renamed::KvConfig, Clone)]
#[kv(crate = renamed)]
pub struct One {
    /// A number.
    #[kv(default = 1)]
    pub number: u32,
}

/// By a path.
#[derive(renamed::KvConfig, Clone)]
#[kv(crate = crate::renamed::framework::settings)]
pub struct Two {
    /// The other.
    #[kv(nested)]
    pub one: One,
}

#[test]
fn the_library_is_found_where_the_struct_says() {
    let path = <Two as renamed::KvConfig>::fields().one.number.path();
    assert_eq!(format!("{path:?}"), "[0, 0]");
}
