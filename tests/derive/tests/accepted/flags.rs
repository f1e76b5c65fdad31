//! Flags that compile where names are scarce.

#[derive(kvconf::FlagVariant, serde::Serialize, serde::Deserialize, Debug, Clone, Default, PartialEq)]
pub(crate) enum Theme {
    #[default]
    Light,
    Dark,
}

mod scarce {
    #![no_implicit_prelude]

    use ::core::clone::Clone;

    #[derive(::kvconf::flag::EvaluationContext)]
    pub(crate) struct Visitor<'a> {
        #[context(targeting_key)]
        pub(crate) id: &'a str,
    }

    #[derive(::kvconf::KvConfig, Clone)]
    #[kv(prefix = "shop")]
    pub(crate) struct Shop<T: ::kvconf::FlagVariant> {
        #[kv(flag, default = Self::START, context = Visitor)]
        pub(crate) r#type: ::kvconf::Flag<u8>,
        #[kv(flag, default)]
        pub(crate) theme: ::kvconf::Flag<super::Theme>,
        #[kv(flag, default = "hello", rename = "text")]
        pub(crate) greeting: ::kvconf::Flag<::std::string::String>,
        #[kv(flag)]
        pub(crate) own: ::kvconf::Flag<T>,
    }

    impl<T: ::kvconf::FlagVariant> Shop<T> {
        const START: u8 = 3;
    }
}

use kvconf::{Bucket, Flag};
use scarce::{Shop, Visitor};

#[tokio::test]
async fn flags_have_their_defaults() {
    let bucket = Bucket::memory();
    bucket.put("shop.own", "true").await.unwrap();
    let live = bucket.live::<Shop<bool>>().start().await.unwrap();
    let (shop, visitor) = (live.load(), Visitor { id: "user-1" });
    assert_eq!((shop.r#type.get(&visitor), shop.theme.get(&visitor)), (3, Theme::Light));
    assert_eq!((shop.greeting.get(&visitor), shop.own.get(&visitor)), ("hello", true));
    let theme: Flag<Theme> = shop.theme.redefine("Dark").unwrap();
    assert_eq!((theme.get(&visitor), theme.key()), (Theme::Dark, "theme"));
}
