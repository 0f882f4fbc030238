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
    fn first_of_equally_similar_words_is_suggested() {
        assert_eq!(did_you_mean("wirt", ["wire", "wirs"]), Some("wire"));
    }
}
