//! Cutting of texts.

/// Returns the largest character boundary of a text that is at most `offset`.
pub(crate) fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let mut boundary = offset.min(text.len());
    while !text.is_char_boundary(boundary) {
        boundary -= 1;
    }
    boundary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_cut() {
        let boundaries = (0..6).map(|offset| floor_char_boundary("aé€", offset));
        assert_eq!(boundaries.collect::<Vec<_>>(), [0, 1, 1, 3, 3, 3]);
        assert_eq!(floor_char_boundary("aé€", 6), 6);
        assert_eq!(floor_char_boundary("aé€", 100), 6);
    }
}
