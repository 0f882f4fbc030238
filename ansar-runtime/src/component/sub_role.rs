//! Sub-roles: the names of called processes in the home of their caller.

/// The separator between a role and its sub-role. Names of roles do not have it.
pub(crate) const DOT: char = '.';

/// Returns true if a role is a sub-role.
pub(crate) fn is_sub_role(role: &str) -> bool {
    role.contains(DOT)
}

#[cfg(feature = "main")]
pub(crate) use calls::SubRoles;

#[cfg(feature = "main")]
mod calls;
