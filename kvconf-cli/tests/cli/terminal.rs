//! A pseudo-terminal: somebody who types and looks.

use std::io::{Read as _, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kvconf_tests::wait_until;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::command::Kvconf;

const BOUND: Duration = Duration::from_secs(60);

/// A running command in a terminal of its own.
pub(crate) struct Terminal {
    /// Kept, for the terminal ends with it.
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    written: Arc<Mutex<Vec<u8>>>,
}

/// What a run in a terminal left behind: the exit code and all that was written, without escapes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: u32,
    pub(crate) text: String,
}

impl Kvconf {
    /// Starts it with these words, split at blanks, in a terminal of so many columns.
    pub(crate) fn in_terminal(&self, words: &str, columns: u16) -> Terminal {
        self.in_terminal_with(
            env!("CARGO_BIN_EXE_kvconf"),
            &words.split_whitespace().collect::<Vec<_>>(),
            columns,
        )
    }

    /// Starts another program in the same surroundings.
    pub(crate) fn in_terminal_with(&self, program: &str, arguments: &[&str], columns: u16) -> Terminal {
        let pair = native_pty_system().openpty(size(columns)).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env_clear();
        // The home folder of the tests is none that anybody could be in.
        command.cwd(env!("CARGO_MANIFEST_DIR"));
        command.env("TERM", "xterm-256color");
        self.variables().for_each(|(name, value)| command.env(name, value));
        let child = pair.slave.spawn_command(command).unwrap();
        let written = Arc::new(Mutex::new(Vec::new()));
        let mut screen = pair.master.try_clone_reader().unwrap();
        let kept = Arc::clone(&written);
        // Ends with the terminal.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                kept.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes.iter().take(count));
            }
        });
        let keyboard = pair.master.take_writer().unwrap();
        Terminal { master: pair.master, keyboard, child, written }
    }
}

impl Terminal {
    /// All that was written so far, escapes included.
    pub(crate) fn raw(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// All that was written so far, as it is read.
    pub(crate) fn text(&self) -> String {
        plain(&self.raw())
    }

    /// Waits until this is written, so many times.
    pub(crate) async fn sees(&self, expected: &str, times: usize) {
        let until = tokio::time::Instant::now() + BOUND;
        while self.text().matches(expected).count() < times {
            assert!(tokio::time::Instant::now() < until, "{expected:?} is not written:\n{}", self.text());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Types a line, with the key that ends it.
    pub(crate) fn types(&mut self, line: &str) {
        self.presses(format!("{line}\r").as_bytes());
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupts(&mut self) {
        self.presses(b"\x03");
    }

    /// Presses Ctrl-D: there will be no more input.
    pub(crate) fn ends_input(&mut self) {
        self.presses(b"\x04");
    }

    /// Makes the window so many columns wide.
    pub(crate) fn resizes(&self, columns: u16) {
        self.master.resize(size(columns)).unwrap();
    }

    /// Presses these keys.
    pub(crate) fn presses(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn ends(mut self) -> Ended {
        let mut code = None;
        wait_until("the command ends", BOUND, async || {
            code = self.child.try_wait().unwrap().map(|status| status.exit_code());
            code.is_some()
        })
        .await;
        // What it wrote last may still be on its way.
        let mut before = String::new();
        wait_until("all is read", BOUND, async || {
            let now = self.text();
            tokio::time::sleep(Duration::from_millis(20)).await;
            std::mem::replace(&mut before, now) == self.text()
        })
        .await;
        Ended { code: code.unwrap(), text: self.text() }
    }
}

fn size(columns: u16) -> PtySize {
    PtySize { rows: 40, cols: columns, pixel_width: 0, pixel_height: 0 }
}

/// Without escapes and carriage returns.
fn plain(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\r' => {}
            '\u{1b}' => {
                // An escape of this kind ends with a letter.
                let _ = rest.by_ref().find(|character| character.is_ascii_alphabetic());
            }
            _ => shown.push(character),
        }
    }
    shown
}

#[test]
fn escapes_are_not_part_of_the_text() {
    assert_eq!(plain("\u{1b}[1;31merror:\u{1b}[0m no\r\n"), "error: no\n");
}
