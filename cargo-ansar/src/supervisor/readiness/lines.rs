//! Log probes: the lines of one start of a role, matched against patterns.

use std::cell::RefCell;
use std::fmt;

use regex::bytes::Regex;

/// Number of bytes of the last line that are kept for messages.
const KEPT: usize = 400;

/// The log probes of one start of a role. Lines of earlier starts are unknown
/// to it.
pub struct Lines {
    state: RefCell<State>,
    /// Called once for each probe that is met.
    met: Box<dyn Fn(usize)>,
}

#[derive(Debug)]
struct State {
    /// The probes that are not met, by their index.
    waiting: Vec<(usize, Regex)>,
    count: u64,
    /// The beginning of the last line.
    last: Vec<u8>,
}

impl Lines {
    /// Returns probes with these indices; `met` is called with the index of
    /// each that is met.
    pub(crate) fn new(waiting: Vec<(usize, Regex)>, met: impl Fn(usize) + 'static) -> Self {
        Self {
            state: RefCell::new(State {
                waiting,
                count: 0,
                last: Vec::new(),
            }),
            met: Box::new(met),
        }
    }

    /// Takes the text of a line, without its end. Returns false once all probes
    /// are met, so that no further line is needed.
    pub fn line(&self, text: &[u8]) -> bool {
        let mut state = self.state.borrow_mut();
        if state.waiting.is_empty() {
            return false;
        }
        state.count += 1;
        state.last.clear();
        state.last.extend_from_slice(&text[..text.len().min(KEPT)]);
        state.waiting.retain(|(index, pattern)| {
            let is_met = pattern.is_match(text);
            if is_met {
                (self.met)(*index);
            }
            !is_met
        });
        !state.waiting.is_empty()
    }

    /// Returns the number of lines and the last of them, in words.
    pub(crate) fn summary(&self) -> String {
        let state = self.state.borrow();
        let last = String::from_utf8_lossy(&state.last);
        match state.count {
            0 => "no lines".to_owned(),
            1 => format!("1 line: {}", last.trim()),
            count => format!("{count} lines, last: {}", last.trim()),
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.borrow().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn each_pattern_is_met_once() {
        let met = Rc::new(RefCell::new(Vec::new()));
        let patterns = ["ready to accept", "^up$"];
        let patterns = patterns.map(|pattern| Regex::new(pattern).unwrap());
        let waiting = (3..).zip(patterns).collect();
        let heard = met.clone();
        let lines = Lines::new(waiting, move |index| heard.borrow_mut().push(index));
        assert_eq!(lines.summary(), "no lines");
        assert!(lines.line(b"starting up"));
        assert_eq!(lines.summary(), "1 line: starting up");
        assert!(lines.line(b"it is \xff ready to accept connections"));
        assert!(lines.line(b"ready to accept"));
        assert_eq!(lines.summary(), "3 lines, last: ready to accept");
        assert!(!lines.line(b"up"));
        assert!(!lines.line(b"up"));
        assert_eq!(*met.borrow(), [3, 4]);
    }
}
