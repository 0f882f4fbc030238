//! The node of a shard: the command that places its agent, and the stream to it.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::host::fs::{Action, Error as FilesError, Hash, Reading};
use crate::host::process::stream::{Streamed, Writer};
use crate::host::process::{End, Exit, Pipe, Program, signal};
use crate::remote::boot;
use crate::remote::conversation::{self, Outbox, Outgoing};
use crate::remote::frames::{Decoder, Frame, MOST_BYTES};
use crate::remote::messages::{FromAgent, ToAgent};
use crate::testing::driver_command::answer_of;

/// Time that a command gets to end by itself, and again after SIGTERM.
const RELEASE: Duration = Duration::from_secs(2);
/// Time in which a command usually exits after its stream has ended.
const EXIT: Duration = Duration::from_millis(500);
/// Time in which an agent must have cleaned up after a killed one, before its command
/// is released.
const CLEANUP: Duration = Duration::from_secs(2);
/// Longest line of a command that is repeated, in bytes.
const LONGEST_LINE: usize = 300;

/// A message of an agent, or the end of its stream.
pub(super) enum StreamEvent {
    /// A frame.
    Frame(Box<Frame<FromAgent>>),
    /// Bytes that are not a whole frame yet.
    Bytes,
    /// The end of the stream.
    Closed {
        /// The reason.
        reason: String,
        /// True if the node has the program and cannot run it.
        is_foreign: bool,
    },
}

/// The program of the agents: this one.
pub(super) struct AgentProgram {
    /// Its file.
    pub(super) path: PathBuf,
    /// The hash of its bytes.
    pub(super) hash: Hash,
    /// Its size in bytes.
    pub(super) size: u64,
}

/// A node on which an agent runs.
#[derive(Default)]
pub(super) struct Node {
    /// The messages to the agent, until the node is released.
    pub(super) outbox: Option<Outbox>,
    /// The last line that the command has printed.
    said: Rc<RefCell<String>>,
    /// Ends when the command has ended.
    released: Option<oneshot::Receiver<()>>,
}

impl Node {
    /// Starts the command that places the agent of a shard. `heard` receives its
    /// messages. Dropping the outbox releases the node.
    ///
    /// Returns the task that serves the stream until the command has ended.
    pub(super) fn place(
        &mut self,
        shard: usize,
        words: &[String],
        program: &Rc<AgentProgram>,
        heard: mpsc::UnboundedSender<(usize, StreamEvent)>,
    ) -> Result<impl Future<Output = ()> + 'static, String> {
        let command = command(words);
        let started = Streamed::start(&command);
        let streamed = started.map_err(|error| command.refusal(&error))?;
        let (outbox, outgoing) = conversation::outbox();
        self.outbox = Some(outbox);
        let (program, said) = (program.clone(), self.said.clone());
        let (is_released, released) = oneshot::channel();
        self.released = Some(released);
        Ok(async move {
            let _until_released = is_released;
            let Streamed {
                stdout,
                stdin,
                stderr,
                mut end,
            } = streamed;
            let listening = listen(&stderr, &said);
            let serving = async {
                let hear = |message| {
                    // The launcher may have gone on without this shard.
                    let _ = heard.send((shard, message));
                };
                let talked = talk(&stdout, stdin, outgoing, &program, &hear).await;
                let exit = timeout(EXIT, end.wait()).await;
                let exit = exit.ok().and_then(Result::ok);
                // What it has printed until now explains the end.
                tokio::task::yield_now().await;
                hear(closed(talked, exit, &said.borrow()));
                release(&mut end, &stdout).await;
            };
            tokio::select! {
                biased;
                () = listening => {}
                () = serving => {}
            }
        })
    }

    /// Returns the last line that the command has printed.
    pub(super) fn said(&self) -> String {
        self.said.borrow().clone()
    }

    /// Returns the task that cleans up after an agent that was lost, with a command
    /// that runs another one on its node.
    ///
    /// An agent removes its files, and so does its guardian after its kill. But the
    /// engine of a cluster may kill both at once. The other agent removes what they
    /// have left, and does nothing else.
    ///
    /// `cancel` gives the place back first. A frozen agent needs that: its stream stays
    /// open although its command was killed.
    pub(super) fn clean_up(
        &mut self,
        cancel: Vec<String>,
        words: Vec<String>,
        program: &Rc<AgentProgram>,
    ) -> impl Future<Output = ()> + 'static {
        let (released, program) = (self.released.take(), program.clone());
        async move {
            answer_of(&cancel).await;
            if let Some(released) = released {
                // The sender is dropped.
                let _ = released.await;
            }
            let Ok(mut streamed) = Streamed::start(&command(&words)) else {
                return;
            };
            let (outbox, outgoing) = conversation::outbox();
            outbox.send(&ToAgent::Bye);
            drop(outbox);
            let (stdout, stdin) = (&streamed.stdout, streamed.stdin);
            let talking = talk(stdout, stdin, outgoing, &program, &|_| {});
            // The node may be out of reach.
            let _ = timeout(CLEANUP, talking).await;
            release(&mut streamed.end, stdout).await;
        }
    }
}

fn command(words: &[String]) -> Program {
    let mut words = words.iter();
    Program {
        path: words.next().map(PathBuf::from).unwrap_or_default(),
        arguments: words.map(Into::into).collect(),
        environment: None,
        folder: None,
        stdin: None,
    }
}

/// Remembers the last line of a stream. Never returns.
async fn listen(stderr: &Pipe, said: &RefCell<String>) {
    let mut bytes = Vec::new();
    while let Ok(true) = stderr.read_more(&mut bytes).await {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mut lines = text.lines().rev().map(str::trim);
        if let Some(last) = lines.find(|line| !line.is_empty()) {
            *said.borrow_mut() = last.chars().take(LONGEST_LINE).collect();
        }
        let keep = bytes.iter().rposition(|byte| *byte == b'\n');
        bytes.drain(..keep.map_or(0, |end| end + 1));
        if bytes.len() > LONGEST_LINE {
            bytes.clear();
        }
    }
    std::future::pending::<()>().await;
}

/// The progress of a conversation when it ended.
struct Talked {
    /// True if the node has the program.
    has_program: bool,
    result: io::Result<()>,
}

/// Gives the node the program, and then passes messages on in both directions
/// until the stream ends or the node is released.
async fn talk(
    stdout: &Pipe,
    stdin: Writer,
    outgoing: Outgoing,
    program: &AgentProgram,
    hear: &impl Fn(StreamEvent),
) -> Talked {
    let mut decoder = Decoder::default();
    let booted = boot_up(stdout, &stdin, &mut decoder, program).await;
    if booted.is_err() {
        return Talked {
            has_program: false,
            result: booted,
        };
    }
    let reading = async {
        let told = || hear(StreamEvent::Bytes);
        while let Some(frame) = conversation::next(stdout, &mut decoder, told).await? {
            hear(StreamEvent::Frame(Box::new(frame)));
        }
        Ok(())
    };
    let result = tokio::select! {
        read = reading => read,
        () = conversation::write(stdin, outgoing) => Ok(()),
    };
    Talked {
        has_program: true,
        result,
    }
}

/// Returns the end of a stream, with its reason.
fn closed(talked: Talked, exit: Option<Exit>, said: &str) -> StreamEvent {
    let mut is_foreign = false;
    let exit = match exit {
        Some(Exit::Code(0)) | None => String::new(),
        Some(Exit::Code(code)) => {
            is_foreign = talked.has_program && boot::NOT_EXECUTABLE.contains(&code);
            format!(" (exit code {code})")
        }
        Some(Exit::Signal(number)) => format!(" ({})", signal::name(number)),
    };
    let why = match talked.result {
        _ if !said.is_empty() => format!(": {said}"),
        Err(error) => format!(": {error}"),
        Ok(()) => String::new(),
    };
    let reason = format!("its stream ended{exit}{why}");
    StreamEvent::Closed { reason, is_foreign }
}

/// Waits until a command has ended, whose stdin is closed. Asks it to after a
/// while; dropping `end` kills it.
async fn release(end: &mut End, stdout: &Pipe) {
    for is_late in [false, true] {
        if is_late {
            let _ = signal::send_to_group(end.pid(), signal::Signal::TERMINATE);
        }
        let ending = async {
            let mut rest = Vec::new();
            while let Ok(true) = stdout.read_more(&mut rest).await {
                rest.clear();
            }
            end.wait().await
        };
        if timeout(RELEASE, ending).await.is_ok() {
            return;
        }
    }
}

/// Gives the node the program, if it does not have it.
async fn boot_up(
    stdout: &Pipe,
    stdin: &Writer,
    decoder: &mut Decoder,
    program: &AgentProgram,
) -> io::Result<()> {
    let answer = line(stdout, decoder).await?;
    if answer == boot::HAVE {
        return Ok(());
    }
    if answer != boot::WANT {
        return Err(unexpected(&answer));
    }
    send_program(stdin, program).await?;
    let answer = line(stdout, decoder).await?;
    if answer == boot::GOT {
        Ok(())
    } else {
        Err(unexpected(&answer))
    }
}

async fn send_program(stdin: &Writer, program: &AgentProgram) -> io::Result<()> {
    let failed = |error: FilesError| io::Error::other(error);
    let file = open(&program.path).map_err(failed)?;
    let (mut offset, mut piece) = (0, vec![0; MOST_BYTES]);
    while offset < program.size {
        let length = file.read_at(&mut piece, offset).map_err(failed)?;
        if length == 0 {
            return Err(io::Error::other("this program was replaced"));
        }
        stdin.write(&piece[..length]).await?;
        offset += length as u64;
    }
    Ok(())
}

/// Opens a file that must exist.
pub(super) fn open(path: &Path) -> Result<Reading, FilesError> {
    let missing = || Action::Read.on(path)(io::ErrorKind::NotFound.into());
    Reading::open(path)?.ok_or_else(missing)
}

/// Longest answer of the script, in bytes.
const ANSWER: usize = 5;

/// Returns the next answer of the script.
async fn line(stdout: &Pipe, decoder: &mut Decoder) -> io::Result<Vec<u8>> {
    loop {
        let buffer = decoder.buffer();
        if let Some(end) = memchr::memchr(b'\n', buffer) {
            return Ok(buffer.drain(..=end).collect());
        }
        if buffer.len() > ANSWER || !stdout.read_more(buffer).await? {
            return Ok(std::mem::take(buffer));
        }
    }
}

fn unexpected(answer: &[u8]) -> io::Error {
    if answer.is_empty() {
        return io::ErrorKind::UnexpectedEof.into();
    }
    let answer = String::from_utf8_lossy(answer);
    let answer: String = answer.trim_end().chars().take(LONGEST_LINE).collect();
    io::Error::other(format!("the shell on the node answered `{answer}`"))
}
