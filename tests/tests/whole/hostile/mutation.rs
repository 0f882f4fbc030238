//! Random changes to the bytes of a file or message.

use fastrand::Rng;

/// Values that take the place of a JSON value or word.
const STRANGE: [&str; 16] = [
    "null",
    "-1",
    "1e999",
    "18446744073709551616",
    "\"\"",
    "[]",
    "{}",
    "true",
    "\"../../../etc\"",
    "\"/\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "[[1,2],[3]]",
    "{\"value\":{\"value\":1}}",
    "NaN",
    "\"\u{202e}\u{1b}[2J\"",
];

/// Returns changed bytes and the name of the change.
pub(super) fn mutate(rng: &mut Rng, bytes: &[u8]) -> (Vec<u8>, &'static str) {
    let mut changed = bytes.to_vec();
    let at = rng.usize(0..=bytes.len());
    let until = rng.usize(at..=bytes.len());
    match rng.u8(0..14) {
        0 => (Vec::new(), "emptied"),
        1 => {
            changed.truncate(at);
            (changed, "cut")
        }
        2 => {
            for _ in 0..rng.usize(1..8) {
                if let Some(byte) = rng.choice(&mut changed) {
                    *byte ^= 1 << rng.u8(0..8);
                }
            }
            (changed, "bits flipped")
        }
        3 => {
            changed.drain(at..until);
            (changed, "range removed")
        }
        4 => {
            let twice = bytes[at..until].to_vec();
            changed.splice(at..at, twice);
            (changed, "range doubled")
        }
        5 => {
            let noise: Vec<u8> = (0..rng.usize(1..64)).map(|_| rng.u8(..)).collect();
            changed.splice(at..at, noise);
            (changed, "noise inserted")
        }
        6 => {
            changed.splice(at..at, "9".repeat(rng.usize(1..400)).into_bytes());
            (changed, "digits inserted")
        }
        7 | 8 => (replace_word(rng, bytes), "word replaced"),
        9 => ("[".repeat(100_000).into_bytes(), "nested too deep"),
        10 => {
            let large = rng.usize(1..4) << 20;
            changed.splice(at..at, vec![b'a'; large]);
            (changed, "megabytes inserted")
        }
        11 => {
            changed.splice(at..at, [0; 9]);
            (changed, "zeros inserted")
        }
        12 => {
            changed.splice(at..at, *b"\xff\xfe\xed\xa0\x80");
            (changed, "text that is not UTF-8 inserted")
        }
        _ => {
            let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
            rng.shuffle(&mut lines);
            (lines.concat(), "lines shuffled")
        }
    }
}

/// Replaces a run of characters between JSON punctuation by a strange value.
fn replace_word(rng: &mut Rng, bytes: &[u8]) -> Vec<u8> {
    let is_word = |byte: &u8| !b",:{}[] \n\t=".contains(byte);
    let starts: Vec<usize> = (0..bytes.len())
        .filter(|&at| is_word(&bytes[at]) && (at == 0 || !is_word(&bytes[at - 1])))
        .collect();
    let mut changed = bytes.to_vec();
    if let Some(&start) = rng.choice(&starts) {
        let length = bytes[start..]
            .iter()
            .take_while(|byte| is_word(byte))
            .count();
        let strange = rng.choice(STRANGE).unwrap_or_default();
        changed.splice(start..start + length, strange.bytes());
    }
    changed
}
