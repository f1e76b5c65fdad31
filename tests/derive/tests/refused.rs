//! What the compiler says to what does not compile. What does compile is in `accepted/`: as modules of one test, since
//! trybuild would have to build every dependency once more for them.

/// Every mistake has its message, at its token, and all mistakes of a struct are told at once.
#[test]
fn mistakes_are_told_where_they_are_and_all_at_once() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
