//! Both ends of a conversation: frames that are read from a stream, and those
//! that wait to be written to one.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::host::process::Pipe;
use crate::host::process::stream::Writer;
use crate::remote::frames::{self, Decoder, Frame};

/// Number of signs of life in a lease.
pub const BEATS: u32 = 5;

/// Number of pieces of files that wait to be written.
const PIECES: usize = 16;

/// Queue of bytes for a stream. The stream ends when it is dropped.
#[derive(Debug)]
pub struct Outbox {
    frames: mpsc::UnboundedSender<Vec<u8>>,
    pieces: Pieces,
}

/// Pieces of files that are to be written to a stream, while there are no
/// messages. They do not keep it open.
#[derive(Debug, Clone)]
pub struct Pieces(mpsc::Sender<Vec<u8>>);

/// The other side of an [`Outbox`].
#[derive(Debug)]
pub struct Outgoing {
    frames: mpsc::UnboundedReceiver<Vec<u8>>,
    pieces: mpsc::Receiver<Vec<u8>>,
}

/// An [`Outbox`] that does not keep the stream open.
#[derive(Debug, Clone)]
pub struct WeakOutbox(mpsc::WeakUnboundedSender<Vec<u8>>);

/// Returns both sides of an outbox.
pub fn outbox() -> (Outbox, Outgoing) {
    let (frames, waiting) = mpsc::unbounded_channel();
    let (pieces, waiting_pieces) = mpsc::channel(PIECES);
    let outgoing = Outgoing {
        frames: waiting,
        pieces: waiting_pieces,
    };
    let pieces = Pieces(pieces);
    (Outbox { frames, pieces }, outgoing)
}

impl Outbox {
    /// Adds a message. The end of the stream is noticed by its reader.
    pub fn send<M: Serialize>(&self, message: &M) {
        send(&self.frames, message);
    }

    /// Returns the pieces of files.
    pub fn pieces(&self) -> Pieces {
        self.pieces.clone()
    }

    /// Returns an outbox that does not keep the stream open.
    pub fn downgrade(&self) -> WeakOutbox {
        WeakOutbox(self.frames.downgrade())
    }
}

impl Pieces {
    /// Adds a piece of a file. Pieces are written in order; waits while many of
    /// them wait. Returns false if the stream has ended.
    pub async fn send<M: Serialize>(&self, message: &M, bytes: &[u8]) -> bool {
        match frames::encode(message, bytes) {
            Ok(frame) => self.0.send(frame).await.is_ok(),
            Err(_) => false,
        }
    }
}

impl WeakOutbox {
    /// Adds a message. Returns false if the stream was closed.
    pub fn send<M: Serialize>(&self, message: &M) -> bool {
        let frames = self.0.upgrade();
        frames.is_some_and(|frames| send(&frames, message))
    }
}

fn send<M: Serialize>(frames: &mpsc::UnboundedSender<Vec<u8>>, message: &M) -> bool {
    let frame = frames::encode(message, &[]);
    frame.is_ok_and(|frame| frames.send(frame).is_ok())
}

/// Writes messages, and pieces of files while there are no messages. Ends when all
/// messages were written and no more can follow, or when the reader is gone.
pub async fn write(stream: Writer, mut outgoing: Outgoing) {
    let Outgoing { frames, pieces } = &mut outgoing;
    loop {
        let bytes = tokio::select! {
            biased;
            frame = frames.recv() => match frame {
                Some(frame) => frame,
                None => return,
            },
            Some(piece) = pieces.recv() => piece,
        };
        if stream.write(&bytes).await.is_err() {
            return;
        }
    }
}

/// Returns the next frame of a stream, or `None` at its end. Calls `heard`
/// whenever bytes have arrived.
pub async fn next<M: DeserializeOwned>(
    stream: &Pipe,
    decoder: &mut Decoder,
    heard: impl Fn(),
) -> io::Result<Option<Frame<M>>> {
    loop {
        if let Some(frame) = decoder.decode().map_err(io::Error::other)? {
            return Ok(Some(frame));
        }
        if !stream.read_more(decoder.buffer()).await? {
            decoder.finish().map_err(io::Error::other)?;
            return Ok(None);
        }
        heard();
    }
}
