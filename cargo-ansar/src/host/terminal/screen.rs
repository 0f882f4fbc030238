//! A program on the whole screen of the terminal: its input, its drawing, and
//! the modes of the terminal.
//!
//! Two processes share this: one draws, and its parent, the keeper, waits for
//! it. If the first is killed, the keeper restores the terminal; if the keeper
//! is killed, the first ends and restores it. A panic restores it before its
//! message is printed.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{
    self, DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
    EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen,
};
use crossterm::{cursor, execute, queue, terminal};
use futures_core::Stream as _;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, raise};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getppid};
use ratatui_core::buffer::{Buffer, Cell};
use ratatui_core::layout::Rect;
use ratatui_core::style::Color;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use crate::host::environment;
use crate::host::process::Exit;
use crate::host::process::interrupts::Interrupt;
use crate::host::terminal::editor;
use crate::model::input::{Input, Key};

/// Signals that the keeper handles.
const HANDLED: [Signal; 7] = [
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGTSTP,
    Signal::SIGCONT,
    Signal::SIGCHLD,
];

/// The modes of the terminal before this program changed them.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Returns true if stdin and stdout are a terminal that a program can draw on.
pub fn is_possible() -> bool {
    let is_dumb = environment::variable("TERM").is_some_and(|term| term == "dumb");
    io::stdin().is_terminal() && rustix::termios::isatty(rustix::stdio::stdout()) && !is_dumb
}

fn open() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}

fn before() -> std::sync::MutexGuard<'static, Option<Termios>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forks this process into the keeper and the process that draws. Returns
/// `None` in the latter, and in the keeper the exit code of the latter when it
/// has ended.
///
/// Must be called while the process has a single thread.
pub fn split() -> io::Result<Option<u8>> {
    *before() = Some(tcgetattr(open()?)?);
    let handled: SigSet = HANDLED.into_iter().collect();
    let mask = handled.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let keeper = Pid::this();
    #[expect(unsafe_code, reason = "there is no other way to fork")]
    // SAFETY: the caller guarantees that this process has a single thread, so
    // no lock is held by a thread that the child lacks.
    let forked = unsafe { fork() }.map_err(|error| io::Error::other(format!("fork: {error}")))?;
    match forked {
        ForkResult::Child => {
            mask.thread_set_mask()?;
            // It restores the terminal even if the shell has taken it back.
            // Blocked rather than ignored: children get the default.
            SigSet::from(Signal::SIGTTOU).thread_block()?;
            #[cfg(target_os = "linux")]
            nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
            if getppid() != keeper {
                return Err(io::Error::other("the parent is gone already"));
            }
            Ok(None)
        }
        ForkResult::Parent { child } => Ok(Some(keep(child, handled))),
    }
}

/// Waits for the process that draws, and restores the terminal if it does not.
fn keep(child: Pid, handled: SigSet) -> u8 {
    // Once the other process is gone, the shell may have taken the foreground.
    let _ = SigSet::from(Signal::SIGTTOU).thread_block();
    loop {
        match handled.wait() {
            Ok(Signal::SIGCHLD) => {
                let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED;
                match waitpid(child, Some(flags)) {
                    Ok(WaitStatus::Exited(_, code)) => {
                        restore();
                        return u8::try_from(code).unwrap_or(1);
                    }
                    Ok(WaitStatus::Signaled(_, signal, _)) => {
                        restore();
                        return 128 + u8::try_from(signal as i32).unwrap_or(0);
                    }
                    Ok(WaitStatus::Stopped(..)) => {
                        restore();
                        let _ = raise(Signal::SIGSTOP);
                        let _ = kill(child, Signal::SIGCONT);
                    }
                    _ => {}
                }
            }
            // Typed keys are not signals here, except to the editor.
            Ok(Signal::SIGINT | Signal::SIGQUIT) | Err(_) => {}
            Ok(signal) => {
                let _ = kill(child, signal);
                if signal != Signal::SIGTSTP {
                    let _ = kill(child, Signal::SIGCONT);
                }
            }
        }
    }
}

/// Restores the terminal if its modes are not those of before. They are changed
/// first and restored last, so that nothing else is changed then either.
fn restore() {
    let Some(before) = before().clone() else {
        return;
    };
    let Ok(mut terminal) = open() else {
        return;
    };
    if tcgetattr(&terminal).is_ok_and(|now| now == before) {
        return;
    }
    // The terminal may be gone.
    let _ = leave(&mut terminal);
    let _ = tcsetattr(&terminal, SetArg::TCSANOW, &before);
}

fn leave(to: &mut impl Write) -> io::Result<()> {
    execute!(
        to,
        EndSynchronizedUpdate,
        DisableBracketedPaste,
        DisableMouseCapture,
        LeaveAlternateScreen,
        cursor::Show
    )
}

/// The terminal's whole screen. Dropping it restores the terminal.
pub struct Screen {
    output: BufWriter<File>,
    /// Content of the terminal; its cells are empty if it has to be cleared.
    shown: Drawing,
    /// Unset while another program has the terminal.
    input: Option<EventStream>,
    signals: Signals,
}

/// Content to draw on the screen.
#[derive(Debug, Default)]
pub struct Drawing {
    /// The cells, whose area is the screen.
    pub cells: Buffer,
    /// Links, none of which overlap.
    pub links: Vec<Link>,
}

/// Text that the terminal opens when the user clicks it (OSC 8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The place of the text.
    pub area: Rect,
    /// The file.
    pub file: PathBuf,
}

/// Something that happens to the terminal or to this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// Input of the user.
    Input(Input),
    /// The terminal has another size.
    Resized,
    /// A request to end.
    End(Interrupt),
    /// A request to suspend this program.
    Suspend,
    /// This process was continued: the screen must be drawn again.
    Continued,
}

/// Signals to the process that draws.
#[derive(Debug)]
struct Signals {
    terminate: Stream,
    hang_up: Stream,
    interrupt: Stream,
    quit: Stream,
    suspend: Stream,
    proceed: Stream,
    resize: Stream,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let of = |number: Signal| signal(SignalKind::from_raw(number as i32));
        Ok(Self {
            terminate: of(Signal::SIGTERM)?,
            hang_up: of(Signal::SIGHUP)?,
            interrupt: of(Signal::SIGINT)?,
            quit: of(Signal::SIGQUIT)?,
            suspend: of(Signal::SIGTSTP)?,
            proceed: of(Signal::SIGCONT)?,
            resize: of(Signal::SIGWINCH)?,
        })
    }

    async fn next(&mut self) -> Happening {
        tokio::select! {
            _ = self.resize.recv() => Happening::Resized,
            _ = self.terminate.recv() => Happening::End(Interrupt::Terminate),
            _ = self.hang_up.recv() => Happening::End(Interrupt::HangUp),
            _ = self.interrupt.recv() => Happening::End(Interrupt::Interrupt),
            _ = self.quit.recv() => Happening::End(Interrupt::Quit),
            _ = self.suspend.recv() => Happening::Suspend,
            _ = self.proceed.recv() => Happening::Continued,
        }
    }
}

impl Screen {
    /// Takes the whole screen. Must be called within the runtime.
    pub fn enter() -> io::Result<Self> {
        let signals = Signals::listen()?;
        let output = BufWriter::with_capacity(64 << 10, open()?);
        before().get_or_insert(tcgetattr(open()?)?);
        restore_on_panic();
        let mut screen = Self {
            output,
            shown: Drawing::default(),
            input: None,
            signals,
        };
        screen.resume()?;
        Ok(screen)
    }

    /// Takes the screen again after [`Screen::release`].
    fn resume(&mut self) -> io::Result<()> {
        terminal::enable_raw_mode()?;
        execute!(
            self.output,
            EnterAlternateScreen,
            EnableMouseCapture,
            EnableBracketedPaste,
            cursor::Hide
        )?;
        self.clear();
        self.input = Some(EventStream::new());
        Ok(())
    }

    /// Restores the terminal for another program.
    fn release(&mut self) -> io::Result<()> {
        self.input = None;
        leave(&mut self.output)?;
        terminal::disable_raw_mode()
    }

    /// Returns the number of columns and rows.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        terminal::size()
    }

    /// Shows a drawing: writes what has changed since the last call.
    pub fn show(&mut self, drawing: Drawing) -> io::Result<()> {
        queue!(self.output, BeginSynchronizedUpdate)?;
        let shown = &mut self.shown.cells;
        if shown.area != drawing.cells.area {
            queue!(self.output, Clear(ClearType::All))?;
            *shown = Buffer::empty(drawing.cells.area);
        } else if self.shown.links != drawing.links {
            // Text is written again with its link, or without.
            for link in self.shown.links.iter().chain(&drawing.links) {
                for place in link.area.intersection(shown.area).positions() {
                    shown[place].set_symbol("\0");
                }
            }
        }
        let changed = shown.diff_iter(&drawing.cells);
        write_cells(&mut self.output, changed, &drawing.links)?;
        execute!(self.output, EndSynchronizedUpdate)?;
        self.shown = drawing;
        Ok(())
    }

    /// Lets the next call of [`Screen::show`] write everything.
    pub fn clear(&mut self) {
        self.shown = Drawing::default();
    }

    /// Waits for the next event. Cancel safe.
    pub async fn next(&mut self) -> io::Result<Happening> {
        loop {
            let event = tokio::select! {
                biased;
                happening = self.signals.next() => {
                    if happening == Happening::Continued {
                        // The keeper has restored the terminal meanwhile.
                        self.resume()?;
                    }
                    return Ok(happening);
                }
                event = next_event(&mut self.input) => event,
            };
            match event {
                Some(Ok(event)) => {
                    if let Some(input) = input(event) {
                        return Ok(Happening::Input(input));
                    }
                }
                Some(Err(error)) => return Err(error),
                // The terminal is gone.
                None => return Ok(Happening::End(Interrupt::HangUp)),
            }
        }
    }

    /// Restores the terminal, suspends this program, and takes the screen again
    /// when it is continued.
    pub fn suspend(&mut self) -> io::Result<()> {
        self.release()?;
        // The keeper sees it and does the same.
        raise(Signal::SIGSTOP)?;
        self.resume()
    }

    /// Lends the terminal to the user's editor, at a line of a file. Returns
    /// the exit of the editor.
    pub async fn edit(&mut self, file: &Path, line: u32) -> io::Result<Exit> {
        self.release()?;
        let exit = editor::edit_at(&editor::chosen(), file, line).await;
        self.resume()?;
        exit
    }

    /// Copies text to the clipboard, if the terminal permits it (OSC 52).
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        let copy = CopyToClipboard::to_clipboard_from(text);
        execute!(self.output, copy)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.input = None;
        // The terminal may be gone.
        let _ = self.output.flush();
        restore();
    }
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Screen")
    }
}

/// Restores the terminal before the message of a panic is printed.
fn restore_on_panic() {
    let former = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        former(info);
    }));
}

/// Writes cells at their places, those of links with their files.
fn write_cells<'c>(
    to: &mut impl Write,
    cells: impl Iterator<Item = (u16, u16, &'c Cell)>,
    links: &[Link],
) -> io::Result<()> {
    let mut style = anstyle::Style::new();
    let mut next = None;
    let mut link: Option<&Link> = None;
    for (x, y, cell) in cells {
        if next != Some((x, y)) {
            queue!(to, cursor::MoveTo(x, y))?;
        }
        next = Some((x + 1, y));
        let wanted = links.iter().find(|it| it.area.contains((x, y).into()));
        if wanted != link {
            write!(to, "\x1b]8;;{}\x1b\\", wanted.map(url).unwrap_or_default())?;
            link = wanted;
        }
        let wanted = style_of(cell);
        if wanted != style {
            write!(to, "{style:#}{wanted}")?;
            style = wanted;
        }
        to.write_all(cell.symbol().as_bytes())?;
    }
    if link.is_some() {
        write!(to, "\x1b]8;;\x1b\\")?;
    }
    write!(to, "{style:#}")
}

/// Returns the URL of a link's file.
fn url(link: &Link) -> String {
    use std::fmt::Write as _;

    let mut url = "file://".to_owned();
    for byte in link.file.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => url.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => url.push(char::from(*byte)),
            byte => {
                let _ = write!(url, "%{byte:02X}");
            }
        }
    }
    url
}

/// Returns the style of a cell.
pub fn style_of(cell: &Cell) -> anstyle::Style {
    let color = |color: Color| (color != Color::Reset).then(|| anstyle::Color::from(color));
    anstyle::Style::new()
        .effects(cell.modifier.into())
        .fg_color(color(cell.fg))
        .bg_color(color(cell.bg))
}

async fn next_event(input: &mut Option<EventStream>) -> Option<io::Result<event::Event>> {
    match input {
        Some(stream) => poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await,
        None => std::future::pending().await,
    }
}

/// Returns the input that an event stands for, if there is one.
fn input(event: event::Event) -> Option<Input> {
    match event {
        event::Event::Key(key) if key.kind != KeyEventKind::Release => {
            self::key(key).map(Input::Key)
        }
        event::Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => Some(Input::Click(mouse.column, mouse.row)),
            MouseEventKind::ScrollUp => Some(Input::Wheel(mouse.column, mouse.row, true)),
            MouseEventKind::ScrollDown => Some(Input::Wheel(mouse.column, mouse.row, false)),
            _ => None,
        },
        event::Event::Paste(text) => Some(Input::Paste(text)),
        // Also changes of the size: `Screen` listens to the signal itself.
        _ => None,
    }
}

fn key(key: KeyEvent) -> Option<Key> {
    Some(match key.code {
        KeyCode::Char(c) if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Control(c),
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace => Key::Backspace,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use ratatui_core::style::Style;

    use super::*;

    #[test]
    fn cells_are_written_with_their_styles_and_links() {
        let area = Rect::new(0, 0, 8, 2);
        let mut cells = Buffer::empty(area);
        cells.set_string(0, 0, "日b", Style::new().fg(Color::Red));
        cells.set_string(2, 1, "a.rs", Style::new());
        let links = [Link {
            area: Rect::new(2, 1, 4, 1),
            file: "/ws/a b/ä.rs".into(),
        }];
        let mut written = Vec::new();
        let blank = Buffer::empty(area);
        write_cells(&mut written, blank.diff_iter(&cells), &links).unwrap();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "\x1b[1;1H\x1b[31m日\x1b[1;3Hb\
             \x1b[2;3H\x1b]8;;file:///ws/a%20b/%C3%A4.rs\x1b\\\x1b[0ma.rs\x1b]8;;\x1b\\"
        );
    }
}
