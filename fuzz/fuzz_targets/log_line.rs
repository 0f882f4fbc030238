//! Lines of a log, from any process.
#![no_main]

use ansar_contract::line::Line;
use cargo_ansar::logs::header::Head;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(head) = Head::of(bytes) {
        assert!(head.text_at() <= bytes.len());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Some(line) = Line::parse(text) {
            assert!(text.ends_with(line.text));
        }
    }
});
