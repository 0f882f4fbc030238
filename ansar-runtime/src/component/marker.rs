//! The marker by which the tool recognises a component without running it.
//!
//! An executable has it exactly if [`main`](super::main) is part of it. `main` is generic: its
//! code is generated in the crate that calls it, and an assembler directive in that code puts
//! the note beside it. The note is linked to the function that holds the directive
//! (`SHF_LINK_ORDER`), so a linker that leaves out the function leaves out the note. A program
//! that shares a library with a component, but calls no `main` of it, has none. A `static`
//! would be linked into it: the linker takes whole object files.

/// Marks the executable that calls this function. `P` and `C` are those of `main`.
#[cfg(all(
    unix,
    not(target_vendor = "apple"),
    any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "loongarch64",
        target_arch = "s390x",
    ),
))]
#[inline(never)]
#[expect(
    unsafe_code,
    reason = "only assembler directives are emitted with their function"
)]
pub(super) fn mark<P, C>() {
    use ansar_contract::marker::NOTE;

    // SAFETY: these are directives. They emit no instruction and touch neither registers nor
    // memory, and `.popsection` returns to the section of the function. The other section holds
    // nothing but notes of this form, as linkers expect of its name.
    unsafe {
        std::arch::asm!(
            ".pushsection .note.ansar,\"ao\",@note,{function}",
            ".balign 4",
            ".4byte {0}, {1}, {2}, {3}, {4}, {5}",
            ".popsection",
            const NOTE[0],
            const NOTE[1],
            const NOTE[2],
            const NOTE[3],
            const NOTE[4],
            const NOTE[5],
            function = sym mark::<P, C>,
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// Marks the executable. Here the marker is a static: a program that only uses this crate's
/// types may have it as well.
#[cfg(not(all(
    unix,
    not(target_vendor = "apple"),
    any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "loongarch64",
        target_arch = "s390x",
    ),
)))]
pub(super) fn mark<P, C>() {
    #[used]
    #[expect(unsafe_code, reason = "a section is chosen by an unsafe attribute")]
    // SAFETY: the section holds nothing but notes of this form, as linkers expect of its name.
    #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".note.ansar"))]
    // SAFETY: no other code uses the section, and its contents are constant data.
    #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__ansar"))]
    static MARKER: [u32; 6] = ansar_contract::marker::NOTE;

    std::hint::black_box(&MARKER);
}
