//! Tells the tests whether the conformance suites were named: those that need them are shown as ignored where not.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(conformance)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=KVCONF_CONFORMANCE");
    if std::env::var_os("KVCONF_CONFORMANCE").is_some_and(|folder| !folder.is_empty()) {
        println!("cargo::rustc-cfg=conformance");
    }
}
