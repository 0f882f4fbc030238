//! Which roles are meant: regular expressions over whole role names.
//!
//! Owns how patterns, executable and inversion go together. Does not know
//! which roles there are.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

use crate::model::did_you_mean::did_you_mean;
use crate::model::name::{ExecutableName, RoleName};
use crate::model::quoted::{escaped, quoted_list};

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// Not a regular expression.
    #[error("`{}` is no regular expression: {reason}", escaped(pattern))]
    Pattern {
        /// What was given.
        pattern: String,
        /// What the regex parser found, in one line.
        reason: String,
    },
}

/// A regular expression that a role name matches as a whole or not at all:
/// `server` is one role, `server-.*` all those of that beginning.
///
/// Names are ASCII, and so is the expression: `\w` and `(?i)` mean ASCII.
#[derive(Debug, Clone)]
pub struct RolePattern {
    text: String,
    matcher: Matcher,
}

/// How a pattern is matched: most are a name or how names begin, for which an
/// expression need not be compiled.
#[derive(Debug, Clone)]
enum Matcher {
    Name(String),
    Beginning(String),
    Regex(Regex),
}

impl Matcher {
    /// For a text that means itself, as it stands or before `.*`.
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
        }
    }
}

impl PartialEq for RolePattern {
    /// Patterns are the same where their texts are.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl RolePattern {
    /// Parses the expression as its author wrote it.
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
        // `a)|(b` becomes an expression only between our own parentheses.
        if text.contains(')') {
            alone()?;
        }
        let regex = match compile(&format!(r"\A(?:{text})\z")) {
            Ok(regex) => regex,
            Err(_) => {
                // An error shows the author's text.
                alone()?;
                // In `(?x)` a comment at the end swallows our parenthesis, so a
                // line end follows it there; elsewhere that would be a literal.
                compile(&format!("\\A(?:{text}\n)\\z")).map_err(|error| pattern(&error))?
            }
        };
        Ok(Self {
            text: text.to_owned(),
            matcher: Matcher::Regex(regex),
        })
    }

    /// Whether the whole name matches.
    pub fn matches(&self, role: &RoleName) -> bool {
        self.matches_name(role.as_str())
    }

    fn matches_name(&self, name: &str) -> bool {
        self.matcher.is_match(name)
    }

    /// The expression as its author wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// A choice of roles.
///
/// A role is chosen if its executable is the one asked for (where one is), and
/// if any pattern matches its name; no pattern at all matches every name.
/// `invert` turns round the answer of the patterns, never that of the
/// executable: `--executable server -i server-0` chooses the roles of `server`
/// other than `server-0`, and an inverted search without patterns is empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RoleSearch {
    patterns: Vec<RolePattern>,
    executable: Option<ExecutableName>,
    invert: bool,
}

impl fmt::Display for RoleSearch {
    /// As a person says it: `` `a.*`, `b` of executable `x` ``.
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
    /// Parses the patterns; the first bad one is the error.
    pub fn new<T: AsRef<str>>(
        patterns: impl IntoIterator<Item = T>,
        executable: Option<ExecutableName>,
        invert: bool,
    ) -> Result<Self, SearchError> {
        let patterns = patterns
            .into_iter()
            .map(|pattern| RolePattern::parse(pattern.as_ref()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            patterns,
            executable,
            invert,
        })
    }

    /// Every role.
    pub fn all() -> Self {
        Self::default()
    }

    /// Whether every role is chosen because nothing was asked for.
    pub fn is_all(&self) -> bool {
        self.patterns.is_empty() && self.executable.is_none() && !self.invert
    }

    /// Returns the terms that match none of `roles`, as a search of their own:
    /// the executable, if no role runs it, or else the patterns that match no
    /// role of that executable. Inverting the search changes nothing here: a
    /// misspelt exception is a mistake, too.
    pub fn unmatched<'r, R>(&self, roles: &R) -> Option<Self>
    where
        R: IntoIterator<Item = (&'r str, &'r ExecutableName)> + Clone,
    {
        let narrowed = |(_, executable): &(&str, &ExecutableName)| {
            let wanted = self.executable.as_ref();
            wanted.is_none_or(|wanted| wanted == *executable)
        };
        let of = |patterns| Self {
            patterns,
            executable: self.executable.clone(),
            invert: false,
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

    /// Returns true if none of the terms matches, where `unmatched` are those
    /// that do not.
    pub fn is_unmatched(&self, unmatched: &Self) -> bool {
        unmatched.patterns.is_empty() || unmatched.patterns.len() == self.patterns.len()
    }

    /// Returns the names among `roles` that the terms probably stand for: of
    /// each term the nearest, if one is near.
    pub fn did_you_mean<'r, R>(&self, roles: &R) -> Vec<String>
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
            // The beginning of a name is as near as it is written.
            let text = pattern.as_str().trim_end_matches(".*");
            did_you_mean(text, all.map(|(role, _)| role))
        });
        let mut names: Vec<String> = executable
            .into_iter()
            .chain(near)
            .map(str::to_owned)
            .collect();
        names.dedup();
        names
    }

    /// Whether this role of this executable is chosen.
    pub fn matches(&self, role: &RoleName, executable: &ExecutableName) -> bool {
        self.matches_name(role.as_str(), executable)
    }

    /// Whether what goes by this name, which need not be a role's, is chosen.
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

/// The reason without the drawing that stands above it.
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
    fn a_bad_pattern_says_why_in_one_line() {
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
    fn executable_narrows_and_invert_turns_the_patterns_round() {
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
            (vec!["nobody"], Some(&client), true, "client-0"),
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
    fn every_term_that_matches_nothing_is_named() {
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
            let told = unmatched.as_ref().map(ToString::to_string);
            assert_eq!(told.unwrap_or_default(), expected);
            let near = unmatched.map(|unmatched| unmatched.did_you_mean(&roles));
            assert_eq!(near.unwrap_or_default().join(" "), meant);
        }
    }

    #[test]
    fn a_search_is_told_as_a_person_says_it() {
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
        fn what_is_no_expression_alone_is_no_pattern(
            parts in vec(select(&["a", "(", ")", "|", "[", "]", "{2", "}", "*", "\\", "(?x)", "(?", "#", "\n"][..]), 0..8),
        ) {
            let text = parts.concat();
            prop_assert_eq!(RolePattern::parse(&text).is_ok(), compile(&text).is_ok(), "{}", text);
        }

        #[test]
        fn a_plain_pattern_matches_what_its_expression_does(
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
        fn a_name_is_the_pattern_of_itself_alone(name in "[a-z0-9_-]{1,20}", other in "[a-z0-9_-]{1,20}") {
            let pattern = RolePattern::parse(&name).unwrap();
            prop_assert!(pattern.matches(&role(&name)));
            prop_assert_eq!(pattern.matches(&role(&other)), name == other);
        }
    }
}
