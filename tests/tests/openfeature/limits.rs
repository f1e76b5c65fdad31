//! Scenarios that cannot pass, and why. The README of `kvconf-openfeature` has the reasons, too.

/// A reason, and the scenarios that it takes.
pub(crate) const NOT_POSSIBLE: &[(&str, &[&str])] = &[
    (
        "The SDK has no context of a transaction.",
        &[
            "contextMerging.feature: A context entry is added to a single level (Transaction)",
            "contextMerging.feature: A context entry is added to a single level (Transaction) #2",
            "contextMerging.feature: For a transaction, a context entry is added to each level with different keys",
            "contextMerging.feature: For a transaction and a hook, a context entry is added to each level with different keys",
            "contextMerging.feature: For a transaction, a context entry in one level overwrites values with the same key from preceding levels (Transaction)",
            "contextMerging.feature: For a transaction, a context entry in one level overwrites values with the same key from preceding levels (Client)",
            "contextMerging.feature: For a transaction, a context entry in one level overwrites values with the same key from preceding levels (Invocation)",
            "contextMerging.feature: For a transaction and a hook, context entry in one level overwrites values with the same key from preceding levels (Transaction)",
            "contextMerging.feature: For a transaction and a hook, context entry in one level overwrites values with the same key from preceding levels (Client)",
            "contextMerging.feature: For a transaction and a hook, context entry in one level overwrites values with the same key from preceding levels (Invocation)",
            "contextMerging.feature: For a transaction and a hook, context entry in one level overwrites values with the same key from preceding levels (Before Hooks)",
        ],
    ),
    (
        "The SDK has no status `FATAL`.",
        &["evaluation_v2.feature: Provider status accessibility (fatal, FATAL)"],
    ),
    (
        "The SDK's calls take no default, and beside an error they give no reason: a disabled flag is the error `DISABLED`.",
        &[
            "evaluation_v2.feature: DISABLED reason (boolean-disabled-flag, Boolean, false)",
            "evaluation_v2.feature: DISABLED reason (float-disabled-flag, Float, 0.1)",
            "evaluation_v2.feature: DISABLED reason (integer-disabled-flag, Integer, 1)",
            r#"evaluation_v2.feature: DISABLED reason (object-disabled-flag, Object, {\"a\": 1})"#,
            "evaluation_v2.feature: DISABLED reason (string-disabled-flag, String, bye)",
        ],
    ),
    (
        "The details that the SDK's hooks get have the default of the type, not that of the caller.",
        &["hooks.feature: Flag not found"],
    ),
    (
        "kvconf keeps no results: a flag without a rule says `STATIC` each time, and never `CACHED`.",
        &[
            "evaluation_v2.feature: CACHED reason (boolean-flag, Boolean, false)",
            "evaluation_v2.feature: CACHED reason (string-flag, String, bye)",
        ],
    ),
];
