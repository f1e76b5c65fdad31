//! Writes the struct of a thousand fields: no macro of the language can count.

use std::fmt::Write;
use std::path::Path;

fn main() {
    let mut text = String::from(
        "/// A thousand fields of the types that settings have.\n\
         #[derive(kvconf::KvConfig, Debug, Clone)]\n#[kv(prefix = \"wide\")]\n#[allow(missing_docs)]\n\
         pub struct Wide {\n",
    );
    let kinds = [
        (400, "number", "u32", "7"),
        (300, "text", "String", "\"some text of usual length\""),
        (100, "wait", "std::time::Duration", "\"3s\""),
        (100, "switch", "bool", "true"),
        (100, "list", "Vec<String>", "[\"NL\", \"BE\", \"DE\"]"),
    ];
    for (count, name, kind, default) in kinds {
        for at in 0..count {
            let _ = writeln!(text, "    #[kv(default = {default})]\n    pub {name}_{at}: {kind},");
        }
    }
    text.push_str("}\n");
    let folder = std::env::var_os("OUT_DIR").expect("cargo sets it");
    std::fs::write(Path::new(&folder).join("wide.rs"), text).expect("write the struct");
    println!("cargo::rerun-if-changed=build.rs");
}
