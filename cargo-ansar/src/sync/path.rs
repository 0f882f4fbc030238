//! Relative paths that stay inside a tree.
//!
//! Defines their validation, order and JSON form. A path read from a file is
//! validated like any other, so that no record can name a file outside.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A path below a root: one or more plain names.
///
/// Sorts a folder directly before its contents, and siblings by the bytes of
/// their names. In JSON it is a string in which `%XX` stands for a byte that is
/// not valid UTF-8, and `%25` for `%`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RelPath(PathBuf);

/// A text or path that is not a valid [`RelPath`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is empty, absolute, or has an empty, `.` or `..` component.
    #[error("expected a path of plain names below a folder, got `{path}`")]
    NotPlain {
        /// The path.
        path: PathBuf,
    },
    /// A `%` without two hexadecimal digits.
    #[error("expected two hexadecimal digits after each `%` in `{text}`")]
    Escape {
        /// The text.
        text: String,
    },
}

impl RelPath {
    /// Validates a path.
    pub fn parse(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && !part.contains(&0);
        let bytes = path.as_os_str().as_bytes();
        if bytes.split(|byte| *byte == b'/').all(plain) {
            Ok(Self(path))
        } else {
            Err(Error::NotPlain { path })
        }
    }

    /// Returns the relative path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Returns the path below `root`.
    pub fn under(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }

    /// Returns the folder that contains it; `None` directly below the root.
    pub fn folder(&self) -> Option<Self> {
        let folder = self.0.parent()?;
        (!folder.as_os_str().is_empty()).then(|| Self(folder.to_owned()))
    }

    /// Returns the number of folders above it.
    pub fn depth(&self) -> usize {
        self.0.components().count() - 1
    }

    /// Returns true if it is inside `folder`, at any depth.
    pub fn is_below(&self, folder: &Self) -> bool {
        self.bytes()
            .strip_prefix(folder.bytes())
            .is_some_and(|rest| rest.first() == Some(&b'/'))
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_os_str().as_bytes()
    }
}

impl Ord for RelPath {
    fn cmp(&self, other: &Self) -> Ordering {
        // Sort separators before every byte of a name, as no name contains 0.
        let key = |byte: u8| if byte == b'/' { 0 } else { byte };
        let (one, two) = (self.bytes(), other.bytes());
        match one.iter().zip(two).find(|(a, b)| a != b) {
            Some((a, b)) => key(*a).cmp(&key(*b)),
            None => one.len().cmp(&two.len()),
        }
    }
}

impl PartialOrd for RelPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for RelPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        escaped::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(escaped::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// For `#[serde(with = "…")]`: any path, escaped like a [`RelPath`] and not
/// validated.
pub(crate) mod escaped {
    use crate::sync::path::{
        Deserialize, Deserializer, Path, PathBuf, Serializer, de, escape, unescape,
    };

    pub(in crate::sync) fn serialize<S: Serializer>(
        path: &Path,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&escape(path.as_os_str()))
    }

    pub(in crate::sync) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<PathBuf, D::Error> {
        let text = String::deserialize(deserializer)?;
        if !text.contains('%') {
            return Ok(text.into());
        }
        unescape(&text)
            .map(PathBuf::from)
            .map_err(de::Error::custom)
    }
}

fn escape(name: &OsStr) -> Cow<'_, str> {
    if let Some(text) = name.to_str().filter(|text| !text.contains('%')) {
        return Cow::Borrowed(text);
    }
    let mut text = String::new();
    for chunk in name.as_bytes().utf8_chunks() {
        text.push_str(&chunk.valid().replace('%', "%25"));
        for byte in chunk.invalid() {
            text.extend(['%', digit(byte >> 4), digit(byte & 0xf)]);
        }
    }
    Cow::Owned(text)
}

fn digit(four_bits: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(four_bits)])
}

fn unescape(text: &str) -> Result<OsString, Error> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part
            .get(..2)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let Some(byte) = byte else {
            return Err(Error::Escape {
                text: text.to_owned(),
            });
        };
        bytes.push(byte);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    Ok(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).unwrap()
    }

    #[test]
    fn parse_refuses_what_is_not_plain() {
        for text in ["", "/a", "a/", "a//b", ".", "a/./b", "..", "a/../b", "a\0b"] {
            assert!(RelPath::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(path("a/b").folder(), Some(path("a")));
        assert_eq!(path("a").folder(), None);
    }

    #[test]
    fn hostile_json_is_refused() {
        for json in [
            r#""../x""#,
            r#""%2E%2E/x""#,
            r#""a%2F..%2Fb""#,
            r#""/x""#,
            r#""a%""#,
            r#""%+1""#,
            r#""%0g""#,
        ] {
            assert!(serde_json::from_str::<RelPath>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn folder_sorts_directly_before_its_contents() {
        let mut paths = ["a.b", "a/b", "a", "a!", "a/b/c"].map(path);
        paths.sort();
        assert_eq!(paths, ["a", "a/b", "a/b/c", "a!", "a.b"].map(path));
        assert!(path("a/b/c").is_below(&path("a")));
        assert!(!path("a.b").is_below(&path("a")));
    }

    proptest! {
        #[test]
        fn any_name_survives_json(bytes in proptest::collection::vec(1_u8.., 1..20)) {
            if let Ok(path) = RelPath::parse(OsString::from_vec(bytes)) {
                let json = serde_json::to_string(&path).unwrap();
                prop_assert_eq!(serde_json::from_str::<RelPath>(&json).unwrap(), path);
            }
        }

        #[test]
        fn order_is_that_of_components(one in "[a!./]{1,6}", two in "[a!./]{1,6}") {
            if let (Ok(one), Ok(two)) = (RelPath::parse(one), RelPath::parse(two)) {
                prop_assert_eq!(one.cmp(&two), one.as_path().cmp(two.as_path()));
            }
        }
    }
}
