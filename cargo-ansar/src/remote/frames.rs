//! Frames: lines of JSON, each followed by as many raw bytes as its field
//! `bytes` says.
//!
//! Pure: bytes go in as they arrive, and frames come out. A peer that sends
//! something else is answered with an error, and never makes the decoder keep
//! more than one frame of the largest size.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Largest size of a line, in bytes: a line may hold the result of a role.
pub const LONGEST_LINE: usize = 128 << 20;
/// Largest number of raw bytes after a line. More are sent in several frames, so
/// that other messages can be sent in between.
pub const MOST_BYTES: usize = 64 << 10;

/// Bytes that are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A line is too long.
    #[error("a line is longer than {LONGEST_LINE} bytes")]
    Line,
    /// A line announces too many raw bytes.
    #[error("a frame has {0} bytes, at most {MOST_BYTES} are allowed")]
    Bytes(u64),
    /// A line is no message.
    #[error("invalid message: {0}")]
    Message(String),
    /// The stream ended within a frame.
    #[error("the stream ended within a message")]
    Torn,
}

/// A message and the raw bytes that follow its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<M> {
    /// The message.
    pub message: M,
    /// The raw bytes; mostly none.
    pub bytes: Vec<u8>,
}

impl<M> Frame<M> {
    /// Returns a frame without raw bytes.
    pub fn of(message: M) -> Self {
        Self {
            message,
            bytes: Vec::new(),
        }
    }
}

/// A line as it is sent: a message and the number of its raw bytes.
#[derive(Serialize)]
struct Line<'m, M> {
    #[serde(flatten)]
    message: &'m M,
    #[serde(skip_serializing_if = "is_zero")]
    bytes: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The part of a line that is read first.
#[derive(Deserialize)]
struct Announced {
    #[serde(default)]
    bytes: u64,
}

/// Returns a frame as it is sent.
///
/// # Errors
///
/// Returns an error if it has more raw bytes than a frame may have.
pub fn encode<M: Serialize>(message: &M, bytes: &[u8]) -> Result<Vec<u8>, FrameError> {
    if bytes.len() > MOST_BYTES {
        return Err(FrameError::Bytes(bytes.len() as u64));
    }
    let line = Line {
        message,
        bytes: bytes.len(),
    };
    let mut encoded = serde_json::to_vec(&line).map_err(invalid)?;
    if encoded.len() > LONGEST_LINE {
        return Err(FrameError::Line);
    }
    encoded.push(b'\n');
    encoded.extend_from_slice(bytes);
    Ok(encoded)
}

fn invalid(error: impl fmt::Display) -> FrameError {
    FrameError::Message(error.to_string())
}

/// Decodes frames from bytes that arrive in pieces of any size.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Number of bytes at the beginning of the buffer that were decoded.
    done: usize,
    /// Number of bytes after `done` that are known to hold no line break.
    searched: usize,
}

impl Decoder {
    /// Returns the buffer, to which arriving bytes are appended.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.buffer.drain(..std::mem::take(&mut self.done));
        &mut self.buffer
    }

    /// Returns the next frame; `None` if it has not arrived yet.
    pub fn decode<M: DeserializeOwned>(&mut self) -> Result<Option<Frame<M>>, FrameError> {
        let rest = &self.buffer[self.done..];
        let Some(end) = memchr::memchr(b'\n', &rest[self.searched..]) else {
            self.searched = rest.len();
            return if rest.len() > LONGEST_LINE {
                Err(FrameError::Line)
            } else {
                Ok(None)
            };
        };
        let end = self.searched + end;
        self.searched = end;
        if end > LONGEST_LINE {
            return Err(FrameError::Line);
        }
        let (line, rest) = (&rest[..end], &rest[end + 1..]);
        let announced: Announced = serde_json::from_slice(line).map_err(invalid)?;
        let size = usize::try_from(announced.bytes).unwrap_or(usize::MAX);
        if size > MOST_BYTES {
            return Err(FrameError::Bytes(announced.bytes));
        }
        let Some(bytes) = rest.get(..size) else {
            return Ok(None);
        };
        let message = serde_json::from_slice(line).map_err(invalid)?;
        let bytes = bytes.to_vec();
        self.done += end + 1 + size;
        self.searched = 0;
        Ok(Some(Frame { message, bytes }))
    }

    /// Checks that the stream did not end within a frame.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.done == self.buffer.len() {
            Ok(())
        } else {
            Err(FrameError::Torn)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::remote::messages::{FromAgent, ToAgent};

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    struct Text {
        text: String,
    }

    fn frames() -> impl Strategy<Value = Vec<Frame<Text>>> {
        let text = "[a-z\"\\n ]{0,20}".prop_map(|text| Text { text });
        let bytes = proptest::collection::vec(any::<u8>(), 0..300);
        let frame = (text, bytes).prop_map(|(message, bytes)| Frame { message, bytes });
        proptest::collection::vec(frame, 0..8)
    }

    fn sent(frames: &[Frame<Text>]) -> Vec<u8> {
        let encoded = frames.iter();
        let encoded = encoded.map(|frame| encode(&frame.message, &frame.bytes).unwrap());
        encoded.collect::<Vec<_>>().concat()
    }

    /// Returns the frames of a stream that arrives in pieces of this size.
    fn received<M: DeserializeOwned>(
        stream: &[u8],
        piece: usize,
    ) -> (Vec<Frame<M>>, Result<(), FrameError>) {
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        for piece in stream.chunks(piece.max(1)) {
            decoder.buffer().extend_from_slice(piece);
            loop {
                match decoder.decode() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => return (frames, Err(error)),
                }
            }
        }
        (frames, decoder.finish())
    }

    proptest! {
        #[test]
        fn frames_arrive_as_they_were_sent(frames in frames(), piece in 1_usize..500) {
            let stream = sent(&frames);
            prop_assert_eq!(received(&stream, piece), (frames, Ok(())));
        }

        #[test]
        fn a_torn_stream_is_no_whole_one(frames in frames(), cut in 0_usize..2000, piece in 1_usize..99) {
            let stream = sent(&frames);
            let end = cut.min(stream.len());
            let (seen, finished) = received::<Text>(&stream[..end], piece);
            prop_assert_eq!(&frames[..seen.len()], &seen[..]);
            prop_assert_eq!(finished.is_ok(), sent(&seen).len() == end);
        }

        #[test]
        fn noise_is_refused_without_a_panic(noise in proptest::collection::vec(any::<u8>(), 0..400), piece in 1_usize..99) {
            let _ = received::<ToAgent>(&noise, piece);
            let _ = received::<FromAgent>(&noise, piece);
        }
    }

    #[test]
    fn sizes_are_bounded() {
        let too_many = format!("{{\"text\":\"x\",\"bytes\":{}}}\n", MOST_BYTES + 1);
        let error = received::<Text>(too_many.as_bytes(), 7).1.unwrap_err();
        assert_eq!(error, FrameError::Bytes(MOST_BYTES as u64 + 1));
        for invalid in [
            "{\"text\":\"x\",\"bytes\":-1}\n",
            "{\"bytes\":1e99}\n",
            "[]\n",
            "\n",
            "x\n",
        ] {
            let error = received::<Text>(invalid.as_bytes(), 7).1.unwrap_err();
            assert!(matches!(error, FrameError::Message(_)), "{invalid}");
        }
        let text = Text {
            text: String::new(),
        };
        assert!(encode(&text, &vec![0; MOST_BYTES]).is_ok());
        let refused = encode(&text, &vec![0; MOST_BYTES + 1]);
        assert_eq!(refused, Err(FrameError::Bytes(MOST_BYTES as u64 + 1)));
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let mut decoder = Decoder::default();
        decoder.buffer().resize(LONGEST_LINE + 1, b'x');
        assert_eq!(decoder.decode::<Text>(), Err(FrameError::Line));
    }
}
