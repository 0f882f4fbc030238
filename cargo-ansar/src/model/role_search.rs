//! Selection of roles by regular expressions over whole role names, by
//! executable, and by inversion.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::model::did_you_mean::{did_you_mean, similar_role};
use crate::model::name::{ExecutableName, RoleName, is_tag};
use crate::model::quoted::{escaped, quoted_list};

/// An error about an invalid pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// The pattern is not a regular expression.
    #[error("`{}` is no regular expression: {reason}", escaped(pattern))]
    Pattern {
        /// The pattern.
        pattern: String,
        /// The error of the regex parser, in one line.
        reason: String,
    },
}

/// A regular expression that must match a whole role name: `server` matches one
/// role, `server-.*` all roles with that prefix.
///
/// Names are ASCII; `\w` and `(?i)` are ASCII-only, too.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RolePattern {
    text: String,
    matcher: Matcher,
}

/// The compiled form of a pattern. Most patterns are a name or a prefix, which
/// need no regular expression.
#[derive(Debug, Clone)]
enum Matcher {
    Name(String),
    Beginning(String),
    Regex(Regex),
    /// The roles with a tag: none until [`RoleSearch::with_tags`] adds them.
    Tagged(BTreeSet<String>),
}

impl Matcher {
    /// Returns a matcher for a literal text or a literal prefix before `.*`;
    /// `None` for other patterns.
    fn plain(text: &str) -> Option<Self> {
        let (plain, matcher): (_, fn(String) -> Self) = match text.strip_suffix(".*") {
            Some(beginning) => (beginning, Self::Beginning),
            None => (text, Self::Name),
        };
        let means_itself = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        plain
            .bytes()
            .all(means_itself)
            .then(|| matcher(plain.to_owned()))
    }

    fn is_match(&self, name: &str) -> bool {
        match self {
            Self::Name(all) => name == all,
            Self::Beginning(beginning) => name.starts_with(beginning),
            Self::Regex(regex) => regex.is_match(name.as_bytes()),
            Self::Tagged(names) => names.contains(name),
        }
    }
}

impl From<RolePattern> for String {
    fn from(pattern: RolePattern) -> Self {
        pattern.text
    }
}

impl TryFrom<String> for RolePattern {
    type Error = SearchError;

    fn try_from(text: String) -> Result<Self, SearchError> {
        Self::parse(&text)
    }
}

impl PartialEq for RolePattern {
    /// Compares the texts of the patterns.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl RolePattern {
    /// Parses a pattern.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        if let Some(matcher) = Matcher::plain(text) {
            let text = text.to_owned();
            return Ok(Self { text, matcher });
        }
        let pattern = |error: &regex::Error| SearchError::Pattern {
            pattern: text.to_owned(),
            reason: reason(error),
        };
        let alone = || compile(text).map_err(|error| pattern(&error));
        // `a)|(b` would be valid only inside the parentheses added below.
        if text.contains(')') {
            alone()?;
        }
        let regex = match compile(&format!(r"\A(?:{text})\z")) {
            Ok(regex) => regex,
            Err(_) => {
                // Errors must show the original text.
                alone()?;
                // In `(?x)`, a comment at the end hides the closing
                // parenthesis, so a line break is needed before it. In other
                // modes the line break would be a literal.
                compile(&format!("\\A(?:{text}\n)\\z")).map_err(|error| pattern(&error))?
            }
        };
        Ok(Self {
            text: text.to_owned(),
            matcher: Matcher::Regex(regex),
        })
    }

    /// Returns true if the whole name matches.
    pub fn matches(&self, role: &RoleName) -> bool {
        self.matches_name(role.as_str())
    }

    fn matches_name(&self, name: &str) -> bool {
        self.matcher.is_match(name)
    }

    /// Returns the tag that the pattern stands for.
    fn tag(&self) -> Option<&str> {
        match self.matcher {
            Matcher::Tagged(_) => self.text.strip_prefix('@'),
            _ => None,
        }
    }

    /// The text of the pattern.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// A selection of roles.
///
/// A role is selected if it runs the given executable, if any, and if a pattern
/// matches its name; without patterns, every name matches. `invert` inverts the
/// match of the patterns, but not of the executable: `--executable server -i
/// server-0` selects the roles of `server` other than `server-0`, and an
/// inverted search without patterns selects none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RoleSearch {
    patterns: Vec<RolePattern>,
    executable: Option<ExecutableName>,
    invert: bool,
}

/// The terms of a search that match no role.
#[derive(Debug)]
pub struct Unmatched {
    /// A search of these terms alone.
    pub search: RoleSearch,
    /// True if no role runs the executable, or none of its roles matches a pattern.
    pub matches_none: bool,
    /// The most similar name of a role or an executable for each term, if there is one.
    pub meant: Vec<String>,
}

impl fmt::Display for RoleSearch {
    /// Formats the search for a message: `` `a.*`, `b` of executable `x` ``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("the search");
        }
        if self.invert {
            f.write_str("other than ")?;
        }
        if self.patterns.is_empty() && self.invert {
            f.write_str("all")?;
        }
        f.write_str(&quoted_list(self.patterns.iter().map(RolePattern::as_str)))?;
        match &self.executable {
            None => Ok(()),
            Some(name) if self.patterns.is_empty() && !self.invert => {
                write!(f, "executable `{name}`")
            }
            Some(name) => write!(f, " of executable `{name}`"),
        }
    }
}

impl RoleSearch {
    /// Parses the patterns; returns the error of the first invalid one.
    pub fn new<T: AsRef<str>>(
        patterns: impl IntoIterator<Item = T>,
        executable: Option<ExecutableName>,
        invert: bool,
    ) -> Result<Self, SearchError> {
        let term = |text: &str| match text.strip_prefix('@') {
            Some(tag) if is_tag(tag) => Ok(RolePattern {
                text: text.to_owned(),
                matcher: Matcher::Tagged(BTreeSet::new()),
            }),
            _ => RolePattern::parse(text),
        };
        let patterns = patterns
            .into_iter()
            .map(|pattern| term(pattern.as_ref()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            patterns,
            executable,
            invert,
        })
    }

    /// Returns true if a term is a tag, in the form `@TAG`.
    pub fn has_tags(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.tag().is_some())
    }

    /// Returns the search for roles with these tags, by tag. No role has any
    /// other tag.
    #[must_use]
    pub fn with_tags(mut self, tags: &BTreeMap<String, BTreeSet<String>>) -> Self {
        for pattern in &mut self.patterns {
            if let Some(tag) = pattern.tag() {
                let names = tags.get(tag).cloned().unwrap_or_default();
                pattern.matcher = Matcher::Tagged(names);
            }
        }
        self
    }

    /// Returns a search that selects every role.
    pub fn all() -> Self {
        Self::default()
    }

    /// Returns true if the search has no terms, so that it selects every role.
    pub fn is_all(&self) -> bool {
        self.patterns.is_empty() && self.executable.is_none() && !self.invert
    }

    /// Returns the terms that match none of `roles`, if there are any: the
    /// executable, if no role runs it, or else the patterns that match no role
    /// of that executable. Patterns of an inverted search are checked in the
    /// same way, since they may be misspelt, too.
    pub fn unmatched<'r, R>(&self, roles: &R) -> Option<Unmatched>
    where
        R: IntoIterator<Item = (&'r str, &'r ExecutableName)> + Clone,
    {
        let narrowed = |(_, executable): &(&str, &ExecutableName)| {
            let wanted = self.executable.as_ref();
            wanted.is_none_or(|wanted| wanted == *executable)
        };
        let of = |patterns: Vec<RolePattern>| {
            let matches_none = patterns.is_empty() || patterns.len() == self.patterns.len();
            let search = Self {
                patterns,
                executable: self.executable.clone(),
                invert: false,
            };
            Unmatched {
                meant: search.did_you_mean(roles),
                matches_none,
                search,
            }
        };
        if self.executable.is_some() && !roles.clone().into_iter().any(|role| narrowed(&role)) {
            return Some(of(Vec::new()));
        }
        let is_unmatched = |pattern: &&RolePattern| {
            let mut all = roles.clone().into_iter();
            !all.any(|role| narrowed(&role) && pattern.matches_name(role.0))
        };
        let patterns: Vec<_> = self.patterns.iter().filter(is_unmatched).cloned().collect();
        (!patterns.is_empty()).then(|| of(patterns))
    }

    /// Returns the most similar name among `roles` for each term, if there is
    /// one.
    fn did_you_mean<'r, R>(&self, roles: &R) -> Vec<String>
    where
        R: IntoIterator<Item = (&'r str, &'r ExecutableName)> + Clone,
    {
        let executable = self
            .executable
            .as_ref()
            .filter(|_| self.patterns.is_empty());
        let executable = executable.and_then(|term| {
            let all = roles.clone().into_iter();
            did_you_mean(
                term.as_str(),
                all.map(|(_, executable)| executable.as_str()),
            )
        });
        let near = self.patterns.iter().filter_map(|pattern| {
            let all = roles.clone().into_iter();
            // Compare a prefix pattern like a name.
            let text = pattern.as_str().trim_end_matches(".*");
            let all: Vec<&str> = all.map(|(role, _)| role).collect();
            similar_role(text, all)
        });
        let mut names: Vec<String> = executable
            .into_iter()
            .chain(near)
            .map(str::to_owned)
            .collect();
        names.dedup();
        names
    }

    /// Returns the only term if it is a word that may be part of the name of a
    /// test.
    pub fn only_word(&self) -> Option<&str> {
        let is_alone = self.executable.is_none() && !self.invert;
        let [only] = self.patterns.as_slice() else {
            return None;
        };
        let text = only.as_str();
        let is_word = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        (is_alone && is_word).then_some(text)
    }

    /// Returns true if a role with this executable is selected.
    pub fn matches(&self, role: &RoleName, executable: &ExecutableName) -> bool {
        self.matches_name(role.as_str(), executable)
    }

    /// Like [`Self::matches`], for a name that need not be a valid role name.
    pub fn matches_name(&self, name: &str, executable: &ExecutableName) -> bool {
        let narrowed = self
            .executable
            .as_ref()
            .is_none_or(|wanted| wanted == executable);
        let named = self.patterns.is_empty() || self.patterns.iter().any(|p| p.matches_name(name));
        narrowed && named != self.invert
    }
}

fn compile(expression: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(expression).unicode(false).build()
}

/// Returns the message of a regex error, without the drawing above it.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("error: "))
        .or_else(|| text.lines().next())
        .unwrap_or_default();
    let line = line.trim().trim_end_matches('.');
    let mut chars = line.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    #[test]
    fn tags_select_the_roles_that_have_them() {
        let tags = BTreeMap::from([("storage".to_owned(), BTreeSet::from(["db-0".to_owned()]))]);
        let executable: ExecutableName = "x".parse().unwrap();
        let selected = |terms: &[&str], name: &str| {
            let search = RoleSearch::new(terms, None, false).unwrap();
            assert!(search.has_tags());
            search.with_tags(&tags).matches(&role(name), &executable)
        };
        assert!(selected(&["@storage"], "db-0"));
        assert!(!selected(&["@storage"], "api-0"));
        assert!(selected(&["@storage", "api-.*"], "api-0"));
        assert!(!selected(&["@storag"], "db-0"));
        let search = RoleSearch::new(["@storag"], None, false).unwrap();
        assert_eq!(search.to_string(), "`@storag`");
        let roles = [("db-0", &executable)];
        let unmatched = search.with_tags(&tags).unmatched(&roles);
        assert_eq!(unmatched.unwrap().search.to_string(), "`@storag`");
    }

    fn role(name: &str) -> RoleName {
        name.parse().unwrap()
    }

    #[test]
    fn a_pattern_matches_the_whole_name() {
        for (pattern, name, expected) in [
            ("server", "server", true),
            ("server", "server-0", false),
            ("server", "my-server", false),
            ("a|ab", "ab", true),
            ("ab|a", "a", true),
            ("test-.*", "test-", true),
            ("(?i)TEST-.*", "test-1", true),
            ("(?x) a b # c", "ab", true),
            ("(?x) a b # c)", "ab", true),
            ("(?m)^a$", "a", true),
            (r"a#\d", "a", false),
            ("[^a]+", "bc", true),
            ("", "a", false),
        ] {
            let parsed = RolePattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(&role(name)), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn errors_of_invalid_patterns() {
        for (pattern, message) in [
            ("a(b", "`a(b` is no regular expression: unclosed group"),
            ("a)|(b", "`a)|(b` is no regular expression: unopened group"),
            (
                "*",
                "`*` is no regular expression: repetition operator missing expression",
            ),
            (
                "a{1000}{1000}{1000}",
                "`a{1000}{1000}{1000}` is no regular expression: compiled regex exceeds size limit of 10485760 bytes",
            ),
        ] {
            let error = RoleSearch::new([pattern], None, false).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn executable_narrows_and_invert_inverts_patterns() {
        let server: ExecutableName = "server".parse().unwrap();
        let client: ExecutableName = "client".parse().unwrap();
        let roles = [
            (role("server-0"), &server),
            (role("server-1"), &server),
            (role("client-0"), &client),
        ];
        for (patterns, executable, invert, expected) in [
            (vec![], None, false, "server-0 server-1 client-0"),
            (vec![], None, true, ""),
            (vec![".*-0"], None, false, "server-0 client-0"),
            (vec![".*-0"], None, true, "server-1"),
            (
                vec!["server-0", "client-0"],
                None,
                false,
                "server-0 client-0",
            ),
            (vec![], Some(&server), false, "server-0 server-1"),
            (vec!["server-0"], Some(&server), true, "server-1"),
            (vec!["none"], Some(&client), true, "client-0"),
        ] {
            let search = RoleSearch::new(&patterns, executable.cloned(), invert).unwrap();
            let found: Vec<&str> = roles
                .iter()
                .filter(|(role, executable)| search.matches(role, executable))
                .map(|(role, _)| role.as_str())
                .collect();
            assert_eq!(found.join(" "), expected, "{patterns:?} {executable:?}");
        }
        assert!(RoleSearch::all().is_all());
    }

    #[test]
    fn unmatched_terms_are_named() {
        let server: ExecutableName = "server".parse().unwrap();
        let client: ExecutableName = "client".parse().unwrap();
        let none: ExecutableName = "servre".parse().unwrap();
        let roles = [
            ("server-0", &server),
            ("server-1", &server),
            ("client-0", &client),
        ];
        for (patterns, executable, invert, expected, meant) in [
            (vec![], None, false, "", ""),
            (vec!["server-.*", "client-0"], None, false, "", ""),
            (
                vec!["server-0", "sever-1", "x", "clinet-0"],
                None,
                false,
                "`sever-1`, `x`, `clinet-0`",
                "server-1 client-0",
            ),
            (vec!["sever-.*"], None, true, "`sever-.*`", "server-0"),
            (
                vec!["client-0"],
                Some(&server),
                false,
                "`client-0` of executable `server`",
                "client-0",
            ),
            (
                vec!["server-0"],
                Some(&none),
                true,
                "executable `servre`",
                "server",
            ),
            (vec![], Some(&client), false, "", ""),
        ] {
            let search = RoleSearch::new(&patterns, executable.cloned(), invert).unwrap();
            let unmatched = search.unmatched(&roles);
            let text = unmatched.as_ref().map(|it| it.search.to_string());
            assert_eq!(text.unwrap_or_default(), expected);
            let near = unmatched.map(|it| it.meant);
            assert_eq!(near.unwrap_or_default().join(" "), meant);
        }
    }

    #[test]
    fn searches_are_formatted_for_messages() {
        let server: ExecutableName = "server".parse().unwrap();
        for (patterns, executable, invert, expected) in [
            (vec![], None, false, "the search"),
            (vec!["a.*", "b"], None, false, "`a.*`, `b`"),
            (vec!["a"], None, true, "other than `a`"),
            (vec![], None, true, "other than all"),
            (vec![], Some(&server), false, "executable `server`"),
            (
                vec!["a"],
                Some(&server),
                true,
                "other than `a` of executable `server`",
            ),
        ] {
            let search = RoleSearch::new(&patterns, executable.cloned(), invert).unwrap();
            assert_eq!(search.to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_pattern_or_an_error_of_one_line(text in any::<String>()) {
            match RolePattern::parse(&text) {
                Ok(pattern) => prop_assert_eq!(pattern.as_str(), text),
                Err(error) => prop_assert_eq!(error.to_string().lines().count(), 1),
            }
        }

        #[test]
        fn only_valid_expressions_are_patterns(
            parts in vec(select(&["a", "(", ")", "|", "[", "]", "{2", "}", "*", "\\", "(?x)", "(?", "#", "\n"][..]), 0..8),
        ) {
            let text = parts.concat();
            prop_assert_eq!(RolePattern::parse(&text).is_ok(), compile(&text).is_ok(), "{}", text);
        }

        #[test]
        fn literal_matchers_agree_with_regex(
            text in "[a-zA-Z0-9_-]{0,3}(\\.\\*)?",
            rest in "[a-zA-Z0-9_-]{0,3}",
        ) {
            let plain = Matcher::plain(&text).expect("it is plain");
            let regex = Matcher::Regex(compile(&format!(r"\A(?:{text})\z")).unwrap());
            let beginning = text.trim_end_matches(".*");
            for name in [beginning, &rest, &format!("{beginning}{rest}"), &format!("{rest}{beginning}")] {
                prop_assert_eq!(plain.is_match(name), regex.is_match(name), "{} {}", text, name);
            }
        }

        #[test]
        fn a_name_matches_only_itself(name in "[a-z0-9_-]{1,20}", other in "[a-z0-9_-]{1,20}") {
            let pattern = RolePattern::parse(&name).unwrap();
            prop_assert!(pattern.matches(&role(&name)));
            prop_assert_eq!(pattern.matches(&role(&other)), name == other);
        }
    }
}
