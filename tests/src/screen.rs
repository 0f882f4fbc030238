//! A program in a terminal of its own, whose screen can be read.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};

use nix::libc;
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{Termios, tcgetattr};

use crate::deadline::eventually;
use crate::program::Program;
use crate::running::Running;

/// Runs the program below a shell of a session of its own, which outlives it: its
/// end would hang up the terminal. While there is a file `hold`, it does not tell
/// the end of the program.
const SCRIPT: &str = r#"exec setsid --ctty --wait sh -c '
"$0" "$@"; code=$?
while [ -e hold ]; do sleep 0.05; done
echo; echo "ended $code."; read x' "$0" "$@""#;

/// A program in a terminal of its own.
pub struct Screen<'s> {
    running: Running<'s>,
    /// Our side of the terminal: what is written is typed.
    keyboard: File,
    /// The program's side of the terminal.
    terminal: File,
    before: Termios,
    parser: Arc<Mutex<vt100::Parser>>,
}

impl<'s> Screen<'s> {
    /// Starts a program in a terminal of this number of columns and rows. `make`
    /// returns a shell for a script whose arguments are the program.
    #[track_caller]
    pub fn start(make: impl FnOnce(&str) -> Program<'s>, (columns, rows): (u16, u16)) -> Self {
        let pty = openpty(&size(columns, rows), None).expect("there is a terminal");
        let (keyboard, terminal) = (File::from(pty.master), File::from(pty.slave));
        let end = || terminal.try_clone().expect("it is open");
        let before = tcgetattr(&terminal).expect("it is a terminal");
        let parser = Arc::new(Mutex::new(vt100::Parser::new(some(rows), some(columns), 0)));
        let mut output = keyboard.try_clone().expect("it is open");
        let shown = parser.clone();
        std::thread::spawn(move || {
            let mut piece = vec![0; 1 << 16];
            // Fails once the terminal is closed.
            while let Ok(length @ 1..) = output.read(&mut piece) {
                let mut parser = shown.lock().unwrap_or_else(PoisonError::into_inner);
                parser.process(&piece[..length]);
            }
        });
        let program = make(SCRIPT);
        let program = program.env("TERM", "xterm-256color");
        let running = program
            .stdin_from(end())
            .stdout(end())
            .stderr(end())
            .start();
        Self {
            running,
            keyboard,
            terminal,
            before,
            parser,
        }
    }

    /// Types keys, as a terminal sends them.
    #[track_caller]
    pub fn types(&mut self, keys: &str) {
        let typed = self.keyboard.write_all(keys.as_bytes());
        typed.expect("the terminal is open");
    }

    /// Returns the text on the screen.
    pub fn text(&self) -> String {
        let parser = self.parser.lock().unwrap_or_else(PoisonError::into_inner);
        parser.screen().contents()
    }

    /// Returns true if the program has taken the whole screen.
    pub fn is_taken(&self) -> bool {
        let parser = self.parser.lock().unwrap_or_else(PoisonError::into_inner);
        parser.screen().alternate_screen()
    }

    /// Waits until the text on the screen satisfies `condition`, and returns it.
    #[track_caller]
    pub fn wait_until(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let found = eventually(|| Some(self.text()).filter(|text| condition(text)));
        found.unwrap_or_else(|| panic!("no {what} on the screen:\n{}", self.text()))
    }

    /// Waits until the screen has a text, and returns all text on it.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_until(&format!("`{text}`"), |shown| shown.contains(text))
    }

    /// Changes the size of the terminal.
    #[track_caller]
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let size = size(columns, rows);
        // What the program draws for the new size is read with the new size.
        let mut parser = self.parser.lock().unwrap_or_else(PoisonError::into_inner);
        #[expect(unsafe_code, reason = "there is no safe way to set the size")]
        // SAFETY: the descriptor is open, and the argument is a size.
        let set = unsafe {
            use std::os::fd::AsRawFd;
            libc::ioctl(self.terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size)
        };
        assert_eq!(set, 0, "the size is set");
        parser.screen_mut().set_size(some(rows), some(columns));
    }

    /// Waits for the end of the program, and returns its exit code; asserts that
    /// it has left the terminal as it was.
    #[track_caller]
    pub fn wait(mut self) -> i32 {
        let end = |text: &str| {
            let mut codes = text.lines().filter_map(|line| {
                let code = line.strip_prefix("ended ")?.trim_end();
                code.strip_suffix('.')?.parse().ok()
            });
            codes.next()
        };
        let text = self.wait_until("end", |text| end(text).is_some());
        let now = tcgetattr(&self.terminal).expect("it is a terminal");
        assert_eq!(now, self.before, "the modes of the terminal");
        {
            let parser = self.parser.lock().unwrap_or_else(PoisonError::into_inner);
            let screen = parser.screen();
            let is_taken = screen.alternate_screen()
                || screen.hide_cursor()
                || screen.bracketed_paste()
                || screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None;
            assert!(!is_taken, "the screen is not given back: {text}");
        }
        self.types("\n");
        self.running.wait();
        end(&text).unwrap_or_default()
    }
}

/// Returns a number of rows or columns.
fn some(number: u16) -> NonZero<u16> {
    NonZero::new(number).expect("a terminal has rows and columns")
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
