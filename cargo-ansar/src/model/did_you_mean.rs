//! Suggestions for misspelt words, for `did you mean` hints.

/// Longest word that is compared, in bytes; comparing takes quadratic time.
const LONGEST: usize = 128;

/// Returns the candidate most similar to `word`; `None` if all differ by more
/// than one edit per three characters. Ignores ASCII case.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&word, &candidate.to_ascii_lowercase());
            (distance, candidate)
        })
        // A short candidate may share no character with the word.
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns the role that was probably meant by `word`: a similar name, or else
/// the shortest name of which the word is a part, as `api` is of `test-api`.
pub fn similar_role<'a>(
    word: &str,
    roles: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let is_part = |role: &&str| {
        let is_one = |part: &str| part.eq_ignore_ascii_case(word);
        !word.is_empty()
            && (is_one(
                role.trim_end_matches(|c: char| c.is_ascii_digit())
                    .trim_end_matches('-'),
            ) || role.split('-').any(is_one))
    };
    did_you_mean(word, roles.clone()).or_else(|| {
        let roles = roles.into_iter().filter(is_part);
        roles.min_by_key(|role| role.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_similar_words_are_suggested() {
        let words = ["executable", "package", "env", "after"];
        for (word, expected) in [
            ("executble", Some("executable")),
            ("Executable", Some("executable")),
            ("pakcage", Some("package")),
            ("en", Some("env")),
            ("restart", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(word, words), expected, "{word}");
        }
    }

    #[test]
    fn roles_are_found_by_a_part_of_their_names() {
        let roles = ["api-0", "order-api-12", "test-api", "db-0"];
        for (word, expected) in [
            ("api", Some("api-0")),
            ("order-api", Some("order-api-12")),
            ("test", Some("test-api")),
            ("tets-api", Some("test-api")),
            ("ap", None),
            ("", None),
        ] {
            assert_eq!(similar_role(word, roles), expected, "{word}");
        }
    }

    #[test]
    fn first_of_equally_similar_words_is_suggested() {
        assert_eq!(did_you_mean("wirt", ["wire", "wirs"]), Some("wire"));
    }
}
