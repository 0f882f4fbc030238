//! Lines of JSON that another version of the tool may have written.
#![no_main]

use cargo_ansar::events::json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(event) = json::read(bytes) {
        // What is read can be written and read again.
        assert!(json::read(json::line(&event).as_bytes()).is_some());
    }
});
