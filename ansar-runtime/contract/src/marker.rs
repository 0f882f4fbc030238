//! The marker by which a component is recognised without running it.
//!
//! `ansar_runtime::main` and `ansar_runtime::wrap` link it: an ELF note, or on macOS the
//! same bytes in a section of their own. A script that implements the contract has the line [`SCRIPT_LINE`].
//! This module knows the bytes and finds them; it does not open files.

use crate::launch::VERSION;

/// The note of a component: lengths of owner and descriptor, type, owner, and the
/// contract's version.
pub const NOTE: [u32; 6] = note(COMPONENT);
/// The note of an application that wraps its own `main`.
pub const WRAPPED_NOTE: [u32; 6] = note(WRAPPED);
/// A further note of such an application, which announces that it is ready.
pub const READINESS_NOTE: [u32; 6] = note(READINESS);
/// The line of a script, among the first [`SCRIPT_LINES`], before the contract's version.
pub const SCRIPT_LINE: &str = "# ansar-component: ";
/// Number of lines of a script in which its marker may stand.
pub const SCRIPT_LINES: usize = 16;

const OWNER_LENGTH: u32 = 6;
const OWNER: &[u8; OWNER_LENGTH as usize] = b"ansar\0";
const COMPONENT: u32 = 1;
const WRAPPED: u32 = 2;
const READINESS: u32 = 3;
/// Section of the marker in a Mach-O file, in the segment `__DATA`.
const MACH_SECTION: (&[u8], &[u8]) = (b"__ansar", b"__DATA");

/// Most bytes that are read from the start of a file.
const HEAD: usize = 8 << 10;
/// Most bytes of one table or one block of notes that are read.
const MOST: usize = 256 << 10;

/// The kind of an executable, by its marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A component of this version of the contract.
    Component(u32),
    /// An application that wraps its own `main`, which reads no flags of components. It is
    /// told its role in the environment variable [`LAUNCH`](crate::launch::LAUNCH).
    Wrapped {
        /// The version of the contract.
        version: u32,
        /// True if it announces that it is ready.
        announces: bool,
    },
    /// A script without the marker.
    Script,
    /// Any other file.
    Other,
}

/// A function that reads a number of bytes of a file from an offset; fewer at the
/// end of the file.
pub type Read<'a, E> = dyn FnMut(u64, usize) -> Result<Vec<u8>, E> + 'a;

/// Finds the marker in an executable of this platform.
///
/// Reads the first 8 KiB, and tables and notes that these point at, of which each is
/// bounded. A malformed file is no component.
pub fn find<E>(read: &mut Read<'_, E>) -> Result<Kind, E> {
    let head = read(0, HEAD)?;
    if head.starts_with(b"#!") {
        return Ok(script(&head).map_or(Kind::Script, Kind::Component));
    }
    let found = if head.starts_with(b"\x7fELF") {
        elf(&head, read)?
    } else {
        mach(&head, read)?
    };
    Ok(found.kind())
}

const fn note(kind: u32) -> [u32; 6] {
    [
        OWNER_LENGTH,
        4,
        kind,
        u32::from_ne_bytes([OWNER[0], OWNER[1], OWNER[2], OWNER[3]]),
        u32::from_ne_bytes([OWNER[4], OWNER[5], 0, 0]),
        VERSION,
    ]
}

/// The notes that were found in a file.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    component: Option<u32>,
    wrapped: Option<u32>,
    announces: bool,
}

impl Found {
    fn add(&mut self, kind: u32, version: u32) {
        match kind {
            COMPONENT => self.component = Some(version),
            WRAPPED => self.wrapped = Some(version),
            READINESS => self.announces = true,
            _ => {}
        }
    }

    fn kind(self) -> Kind {
        match (self.component, self.wrapped) {
            (Some(version), _) => Kind::Component(version),
            (None, Some(version)) => Kind::Wrapped {
                version,
                announces: self.announces,
            },
            (None, None) => Kind::Other,
        }
    }
}

/// The version in the marker line of a script.
fn script(head: &[u8]) -> Option<u32> {
    let lines = head.split(|byte| *byte == b'\n').take(SCRIPT_LINES);
    let mut versions = lines.filter_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        line.strip_prefix(SCRIPT_LINE)?.trim_end().parse().ok()
    });
    versions.next()
}

/// The notes of an ELF file of 64 bits and of this byte order: in its segments, and where
/// these have none, in its sections.
fn elf<E>(head: &[u8], read: &mut Read<'_, E>) -> Result<Found, E> {
    const CLASS_64: u8 = 2;
    const ORDER: u8 = if cfg!(target_endian = "big") { 2 } else { 1 };
    const EXECUTABLE: [u16; 2] = [2, 3];
    const SEGMENT_OF_NOTES: u32 = 4;
    const SECTION_OF_NOTES: u32 = 7;

    let is_ours = head.get(4..6) == Some(&[CLASS_64, ORDER]);
    if !is_ours || !u16_at(head, 16).is_some_and(|kind| EXECUTABLE.contains(&kind)) {
        return Ok(Found::default());
    }
    let mut found = Found::default();
    // Where the table begins, how large and how many its rows are; then, in a row, its kind,
    // where the notes are, how long, and how they are aligned.
    let segments = ([32, 54, 56], SEGMENT_OF_NOTES, [0, 8, 32, 48]);
    let sections = ([40, 58, 60], SECTION_OF_NOTES, [4, 24, 32, 48]);
    for ([start, size, count], wanted, [kind, offset, length, align]) in [segments, sections] {
        let (Some(start), Some(size), Some(count)) =
            (u64_at(head, start), u16_at(head, size), u16_at(head, count))
        else {
            return Ok(found);
        };
        let (size, count) = (usize::from(size), usize::from(count));
        if size < 56 {
            continue;
        }
        let table = read(start, (size * count).min(MOST))?;
        for row in table.chunks_exact(size) {
            if u32_at(row, kind) != Some(wanted) {
                continue;
            }
            let (Some(offset), Some(length)) = (u64_at(row, offset), u64_at(row, length)) else {
                continue;
            };
            let align = if u64_at(row, align) == Some(8) { 8 } else { 4 };
            let length = usize::try_from(length).unwrap_or(MOST).min(MOST);
            in_notes(&read(offset, length)?, align, &mut found);
        }
        if found.kind() != Kind::Other {
            break;
        }
    }
    Ok(found)
}

/// Adds the notes of a block to `found`. Stops at one that is malformed.
fn in_notes(mut notes: &[u8], align: usize, found: &mut Found) -> Option<()> {
    const HEADER: usize = 12;
    while let (Some(owner_length), Some(length), Some(kind)) =
        (u32_at(notes, 0), u32_at(notes, 4), u32_at(notes, 8))
    {
        let (owner_length, length) = (owner_length as usize, length as usize);
        let owner_end = HEADER.checked_add(owner_length)?;
        let start = owner_end.checked_next_multiple_of(align)?;
        let end = start.checked_add(length)?;
        if length == 4 && notes.get(HEADER..owner_end) == Some(OWNER) {
            found.add(kind, u32_at(notes, start)?);
        }
        notes = notes.get(end.checked_next_multiple_of(align)?..)?;
    }
    None
}

/// The notes of a Mach-O file of 64 bits, or of one of those that a universal file holds.
fn mach<E>(head: &[u8], read: &mut Read<'_, E>) -> Result<Found, E> {
    const UNIVERSAL: [u8; 4] = [0xca, 0xfe, 0xba, 0xbe];
    const MOST_FILES: usize = 16;
    const ROW: usize = 20;

    if !head.starts_with(&UNIVERSAL) {
        return thin(head, 0, read);
    }
    let big = |at: usize| Some(u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let count = big(4).map_or(0, |count| count as usize);
    for row in 0..count.min(MOST_FILES) {
        let Some(base) = big(8 + row * ROW + 8) else {
            break;
        };
        let head = read(u64::from(base), HEAD)?;
        let found = thin(&head, u64::from(base), read)?;
        if found.kind() != Kind::Other {
            return Ok(found);
        }
    }
    Ok(Found::default())
}

/// The notes of a Mach-O file of one architecture, which begins at `base`.
fn thin<E>(head: &[u8], base: u64, read: &mut Read<'_, E>) -> Result<Found, E> {
    const MAGIC: u32 = 0xfeed_facf;
    const HEADER: u64 = 32;
    const SEGMENT: u32 = 0x19;
    const SEGMENT_HEADER: usize = 72;
    const SECTION: usize = 80;

    let mut found = Found::default();
    if u32_at(head, 0) != Some(MAGIC) {
        return Ok(found);
    }
    let size = u32_at(head, 20).map_or(0, |size| size as usize).min(MOST);
    let commands = read(base + HEADER, size)?;
    let mut rest = commands.as_slice();
    while let (Some(command), Some(size)) = (u32_at(rest, 0), u32_at(rest, 4)) {
        let size = size as usize;
        let Some(this) = rest.get(..size).filter(|this| this.len() >= 8) else {
            break;
        };
        let sections = this.get(SEGMENT_HEADER..).filter(|_| command == SEGMENT);
        for section in sections.unwrap_or_default().chunks_exact(SECTION) {
            let names = (name_at(section, 0), name_at(section, 16));
            let (Some(length), Some(offset)) = (u64_at(section, 40), u32_at(section, 48)) else {
                continue;
            };
            if names == MACH_SECTION {
                let length = usize::try_from(length).unwrap_or(MOST).min(MOST);
                let notes = read(base + u64::from(offset), length)?;
                in_notes(&notes, 4, &mut found);
                return Ok(found);
            }
        }
        rest = &rest[size..];
    }
    Ok(found)
}

/// A name of up to 16 bytes, padded with zeros.
fn name_at(bytes: &[u8], at: usize) -> &[u8] {
    let name = bytes.get(at..at + 16).unwrap_or_default();
    let end = name.iter().position(|byte| *byte == 0);
    &name[..end.unwrap_or(name.len())]
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn found(file: &[u8]) -> Kind {
        let mut read = |offset: u64, length: usize| -> Result<Vec<u8>, Infallible> {
            let start = usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(file.len());
            let end = start.saturating_add(length).min(file.len());
            Ok(file[start..end].to_vec())
        };
        let Ok(kind) = find(&mut read);
        kind
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
        file.resize(file.len().max(at + bytes.len()), 0);
        file[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// An ELF file with one row of notes in its segments or in its sections.
    fn elf_file(in_segments: bool, notes: &[u8]) -> Vec<u8> {
        const TABLE: usize = 64;
        const NOTES: usize = 256;
        let order = if cfg!(target_endian = "big") { 2 } else { 1 };
        let mut file = b"\x7fELF\x02".to_vec();
        file.push(order);
        put(&mut file, 16, &3_u16.to_ne_bytes());
        let (start, size, count, row, kind, offset, length) = if in_segments {
            (32, 54, 56, 56_u16, (0, 4_u32), 8, 32)
        } else {
            (40, 58, 60, 64_u16, (4, 7_u32), 24, 32)
        };
        put(&mut file, start, &(TABLE as u64).to_ne_bytes());
        put(&mut file, size, &row.to_ne_bytes());
        put(&mut file, count, &1_u16.to_ne_bytes());
        put(&mut file, TABLE + kind.0, &kind.1.to_ne_bytes());
        put(&mut file, TABLE + offset, &(NOTES as u64).to_ne_bytes());
        put(
            &mut file,
            TABLE + length,
            &(notes.len() as u64).to_ne_bytes(),
        );
        put(&mut file, TABLE + 48, &4_u64.to_ne_bytes());
        put(&mut file, NOTES, notes);
        file
    }

    /// A Mach-O file with one segment that has one section.
    fn mach_file(notes: &[u8]) -> Vec<u8> {
        const NOTES: u32 = 512;
        let mut file = words(&[0xfeed_facf, 0, 0, 2, 1, 152, 0, 0, 0x19, 152]);
        put(&mut file, 32 + 72, b"__ansar");
        put(&mut file, 32 + 72 + 16, b"__DATA");
        put(&mut file, 32 + 72 + 40, &(notes.len() as u64).to_ne_bytes());
        put(&mut file, 32 + 72 + 48, &NOTES.to_ne_bytes());
        put(&mut file, NOTES as usize, notes);
        file
    }

    #[test]
    fn the_note_is_found_wherever_it_stands() {
        let note = words(&NOTE);
        // A build id before it, of which the owner has four bytes.
        let other = [words(&[4, 3, 3]), b"GNU\0abc\0".to_vec(), note.clone()].concat();
        for notes in [&note, &other] {
            for file in [
                elf_file(true, notes),
                elf_file(false, notes),
                mach_file(notes),
            ] {
                assert_eq!(found(&file), Kind::Component(VERSION));
            }
        }
        let mut universal = vec![0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 1];
        put(&mut universal, 16, &1024_u32.to_be_bytes());
        put(&mut universal, 1024, &mach_file(&note));
        // Offsets in it count from where it begins.
        assert_eq!(found(&universal), Kind::Component(VERSION));
    }

    #[test]
    fn an_application_that_wraps_its_main_says_so() {
        let notes = |notes: &[[u32; 6]]| words(&notes.concat());
        let wrapped = |announces| Kind::Wrapped {
            version: VERSION,
            announces,
        };
        for (notes, kind) in [
            (notes(&[WRAPPED_NOTE]), wrapped(false)),
            (notes(&[WRAPPED_NOTE, READINESS_NOTE]), wrapped(true)),
            (notes(&[READINESS_NOTE, WRAPPED_NOTE]), wrapped(true)),
            (notes(&[READINESS_NOTE]), Kind::Other),
            (notes(&[WRAPPED_NOTE, NOTE]), Kind::Component(VERSION)),
        ] {
            for file in [
                elf_file(true, &notes),
                elf_file(false, &notes),
                mach_file(&notes),
            ] {
                assert_eq!(found(&file), kind);
            }
        }
    }

    #[test]
    fn a_note_of_another_owner_kind_or_length_is_not_ours() {
        for (at, word) in [(0, 5), (1, 8), (2, 4), (3, 0)] {
            let mut note = NOTE;
            note[at] = word;
            assert_eq!(found(&elf_file(true, &words(&note))), Kind::Other, "{at}");
        }
        let mut note = NOTE;
        note[5] = 7;
        assert_eq!(found(&elf_file(true, &words(&note))), Kind::Component(7));
    }

    #[test]
    fn a_file_of_another_machine_is_no_component() {
        let file = elf_file(true, &words(&NOTE));
        for (at, byte) in [(4, 1), (5, 3 - file[5]), (16, 1)] {
            let mut other = file.clone();
            other[at] = byte;
            assert_eq!(found(&other), Kind::Other, "byte {at}");
        }
        assert_eq!(found(b""), Kind::Other);
        assert_eq!(found(b"MZ"), Kind::Other);
    }

    #[test]
    fn a_script_is_known_by_one_of_its_first_lines() {
        let script = |line: &str, before: usize| {
            let text = format!("#!/bin/sh\n{}{line}\necho\n", "#\n".repeat(before));
            found(text.as_bytes())
        };
        assert_eq!(script("# ansar-component: 1", 0), Kind::Component(1));
        assert_eq!(script("# ansar-component: 1\r", 14), Kind::Component(1));
        assert_eq!(script("# ansar-component: 2", 3), Kind::Component(2));
        assert_eq!(script("# ansar-component: 1", 15), Kind::Script);
        for line in ["echo '# ansar-component: 1'", "# ansar-component: x", ""] {
            assert_eq!(script(line, 0), Kind::Script, "{line}");
        }
        assert_eq!(found(b"# ansar-component: 1\n"), Kind::Other);
    }

    proptest! {
        #[test]
        fn no_file_is_answered_by_a_panic(bytes: Vec<u8>) {
            let _ = found(&bytes);
            for magic in [&b"\x7fELF\x02\x01"[..], b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"#!"] {
                let _ = found(&[magic, &bytes].concat());
            }
        }

        #[test]
        fn a_damaged_file_is_answered_without_a_panic(
            at in 0_usize..700,
            bytes in proptest::collection::vec(any::<u8>(), 1..9),
            cut in 0_usize..700,
        ) {
            let note = words(&NOTE);
            for mut file in [elf_file(true, &note), elf_file(false, &note), mach_file(&note)] {
                put(&mut file, at, &bytes);
                let _ = found(&file);
                file.truncate(cut);
                let _ = found(&file);
            }
        }
    }
}
