//! The marker by which the tool recognises a component without running it.
//!
//! An executable has it exactly if [`main`](super::main) is part of it. `main` is generic: its
//! code is generated in the crate that calls it, and an assembler directive in that code puts
//! the note beside it. The note is linked to the function that holds the directive
//! (`SHF_LINK_ORDER`), so a linker that leaves out the function leaves out the note. A program
//! that shares a library with a component, but calls no `main` of it, has none. A `static`
//! would be linked into it: the linker takes whole object files.

use std::marker::PhantomData;

use ansar_contract::marker::{NOTE, READINESS_NOTE, WRAPPED_NOTE};

/// A note that is linked.
trait Note {
    const NOTE: [u32; 6];
}

/// The note of `main`, whose types are `P` and `C`.
struct OfMain<P, C>(PhantomData<fn(P, C)>);

/// The note of `wrap`, whose types are `F` and `R`.
struct OfWrap<F, R>(PhantomData<fn(F, R)>);

/// The note of `ready`.
struct OfReady;

impl<P, C> Note for OfMain<P, C> {
    const NOTE: [u32; 6] = NOTE;
}

impl<F, R> Note for OfWrap<F, R> {
    const NOTE: [u32; 6] = WRAPPED_NOTE;
}

impl Note for OfReady {
    const NOTE: [u32; 6] = READINESS_NOTE;
}

/// Marks the executable that calls this function as a component. `P` and `C` are those of
/// `main`.
pub(super) fn mark<P, C>() {
    link::<OfMain<P, C>>();
}

/// Marks the executable that calls this function as one that wraps its own `main`. `F` and
/// `R` are those of `wrap`.
pub(super) fn mark_wrapped<F, R>() {
    link::<OfWrap<F, R>>();
}

/// Marks the executable that calls this function as one that announces its readiness. It is
/// generated in the crate that calls it, as generic functions are.
#[inline]
pub(super) fn mark_announcing() {
    link::<OfReady>();
}

/// Links a note to the code that calls this function.
#[cfg(all(
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
fn link<N: Note>() {
    // SAFETY: these are directives. They emit no instruction and touch neither registers nor
    // memory, and `.popsection` returns to the section of the function. The other section holds
    // nothing but notes of this form, as linkers expect of its name.
    unsafe {
        std::arch::asm!(
            ".pushsection .note.ansar,\"ao\",@note,{function}",
            ".balign 4",
            ".4byte {0}, {1}, {2}, {3}, {4}, {5}",
            ".popsection",
            const N::NOTE[0],
            const N::NOTE[1],
            const N::NOTE[2],
            const N::NOTE[3],
            const N::NOTE[4],
            const N::NOTE[5],
            function = sym link::<N>,
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// Links a note to the code that calls this function. The object file of a generic function
/// is that of the crate that calls it, so the note is linked only where it is called.
#[cfg(target_vendor = "apple")]
#[inline(never)]
#[expect(
    unsafe_code,
    reason = "only assembler directives are emitted with their function"
)]
fn link<N: Note>() {
    // SAFETY: these are directives. They emit no instruction and touch neither registers nor
    // memory, and `.popsection` returns to the section of the function. The other section holds
    // nothing but notes of this form.
    unsafe {
        std::arch::asm!(
            ".pushsection __DATA,__ansar,regular,no_dead_strip",
            ".p2align 2",
            ".long {0}, {1}, {2}, {3}, {4}, {5}",
            ".popsection",
            const N::NOTE[0],
            const N::NOTE[1],
            const N::NOTE[2],
            const N::NOTE[3],
            const N::NOTE[4],
            const N::NOTE[5],
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// Links no note: on this platform, the manifest says `component = true`.
#[cfg(not(any(
    target_vendor = "apple",
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64",
    target_arch = "loongarch64",
    target_arch = "s390x",
)))]
fn link<N: Note>() {
    let _ = N::NOTE;
}
