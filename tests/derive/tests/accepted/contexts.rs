//! Contexts that compile where names are scarce.

#[derive(kvconf::flag::EvaluationContext)]
#[context(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Tier {
    Free,
    VeryGold,
}

mod scarce {
    #![no_implicit_prelude]

    #[derive(::kvconf::flag::EvaluationContext)]
    pub(crate) struct Visitor<'a> {
        #[context(targeting_key)]
        pub(crate) id: &'a str,
        pub(crate) tier: super::Tier,
        pub(crate) r#type: ::core::option::Option<&'a str>,
        pub(crate) friends: &'a [Friend<'a>],
    }

    #[derive(::kvconf::flag::EvaluationContext)]
    pub(crate) struct Friend<'a> {
        pub(crate) name: ::std::borrow::Cow<'a, str>,
    }

    #[derive(::kvconf::flag::EvaluationContext)]
    pub(crate) struct Nobody;
}

#[test]
fn a_context_is_its_attributes() {
    use kvconf::flag::Value;
    let friends = [scarce::Friend { name: "Ann".into() }];
    let visitor = scarce::Visitor { id: "17", tier: Tier::VeryGold, r#type: None, friends: &friends };
    let shown = format!("{:?}", Value::Object(&visitor));
    assert_eq!(shown, r#"{"targetingKey":"17","tier":"VERY_GOLD","friends":[{"name":"Ann"}]}"#);
    assert_eq!(format!("{:?}", Value::Object(&scarce::Nobody)), "{}");
    assert!(matches!(Tier::Free, Tier::Free));
}
