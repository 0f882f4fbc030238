//! The word that somebody probably meant, for `did you mean` hints.
//!
//! Owns the measure of likeness. Does not know what the words stand for.

/// Longer words are no typing errors, and comparing them costs their product.
const LONGEST: usize = 128;

/// The candidate that is most like `word`, if one is like it at all: at most
/// one edit in three characters, upper and lower case being the same.
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
        // A word that shares nothing is no suggestion, however short it is.
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likely_words_are_found_and_others_are_not() {
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
    fn the_first_of_two_equally_near_words_is_taken() {
        assert_eq!(did_you_mean("wirt", ["wire", "wirs"]), Some("wire"));
    }
}
