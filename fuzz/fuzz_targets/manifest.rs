//! Manifests: every text is a description or an error with its place.
#![no_main]

use std::path::Path;

use cargo_ansar::manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let path = Path::new("/workspace/Cargo.toml");
    if let Ok(document) = manifest::parse(path, text) {
        let _ = manifest::read(path, &document);
    }
});
