//! Executables, which are read and never run.
#![no_main]

use std::convert::Infallible;

use ansar_contract::marker;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = marker::find::<Infallible>(&mut |offset, length| {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(length).min(bytes.len());
        Ok(bytes[start..end].to_vec())
    });
});
