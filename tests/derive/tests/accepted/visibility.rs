//! Private structs, fields of several visibilities, names that generated code could trip over.
#![deny(unreachable_pub, unused_qualifications, missing_debug_implementations)]

mod inner {
    use kvconf::KvConfig;

    #[derive(KvConfig, Clone, Debug)]
    pub(super) struct Restricted {
        #[kv(default = 1)]
        private: u8,
        #[kv(default = 1)]
        pub(super) shared: u8,
    }

    type Fields = u8;

    #[derive(KvConfig, Clone, Debug)]
    struct Names {
        __at: Fields,
        loader: u8,
        #[deprecated]
        f0: u8,
        r#fn: u8,
        #[kv(nested)]
        deep: Restricted,
    }

    #[test]
    fn names_do_not_get_in_the_way_of_generated_ones() {
        let names = [Names::fields().__at, Names::fields().loader, Names::fields().r#fn];
        assert_eq!(names.map(|name| format!("{:?}", name.path())), ["[0]", "[1]", "[3]"]);
        assert_eq!(format!("{:?}", Names::fields().deep.private.path()), "[4, 0]");
    }

    #[derive(KvConfig, Clone, Debug)]
    struct Empty {}

    #[derive(KvConfig, Clone, Debug)]
    struct OnlySkipped {
        #[kv(skip)]
        only: u8,
    }

    #[test]
    fn a_struct_may_have_no_keys_at_all() {
        let (_empty, _skipped) = (Empty::fields(), OnlySkipped::fields());
        assert_eq!(Empty::__SCHEMA.nodes.len() + OnlySkipped::__SCHEMA.nodes.len(), 0);
        assert_eq!(OnlySkipped { only: 1 }.only, 1);
    }
}

#[test]
fn typed_names_are_as_visible_as_the_fields() {
    let shared = <inner::Restricted as kvconf::KvConfig>::fields().shared;
    assert_eq!(format!("{:?}", shared.path()), "[1]");
}

mod former {
    use kvconf::KvConfig;

    #[deprecated]
    #[derive(KvConfig, Clone, Debug)]
    pub(super) struct Former {
        #[kv(default = 1)]
        pub(super) number: u8,
    }
}

#[derive(kvconf::KvConfig, Clone, Debug)]
struct Keeps {
    #[expect(deprecated, reason = "it is still in the bucket")]
    #[kv(nested)]
    former: former::Former,
}

/// What a field allows, the code that names its type once more may do too.
#[test]
fn a_struct_keeps_what_is_deprecated() {
    assert_eq!(format!("{:?}", <Keeps as kvconf::KvConfig>::fields().former.number.path()), "[0, 0]");
}
