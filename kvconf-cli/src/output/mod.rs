//! How everything looks: for people on a terminal, as JSON for programs.
//!
//! `style` has colours, `time` says when, `value` shows what stands in a bucket, `table` aligns. This file knows where the
//! output goes; the others are pure.

mod progress;
mod record;
mod style;
mod table;
mod time;
mod value;
mod whole;

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::SystemTime;

use kvconf::settings::Schemas;
use serde::Serialize;
use serde_json::json;
use terminal_size::{Height, Width, terminal_size_of};

use crate::arguments::{Color, OutputArgs};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::secrecy::Secrecy;

pub(crate) use progress::{Progress, bar, patiently, waiting, watched};
pub(crate) use record::Record;
pub(crate) use style::{Style, Tone};
pub(crate) use table::{Column, Frame, Table};
pub(crate) use time::{about, ago, rfc3339};
pub(crate) use value::{Shown, cut, shown, tame_lines};
pub(crate) use whole::{Unwritten, Whole};

/// What the output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    People,
    Json,
}

/// Where the output goes.
pub(crate) struct Output {
    stdout: BufWriter<Box<dyn Write + Send>>,
    stderr: Box<dyn Write + Send>,
    form: Form,
    /// Errors are JSON only where that was asked for in words: a person may sit behind a pipe's other end.
    json_errors: bool,
    is_terminal: bool,
    /// For standard output.
    style: Style,
    stderr_style: Style,
    quiet: bool,
    reveal: bool,
    /// What programs have published, once a bucket was opened: for as long as the process lives, so that it is copied
    /// with every question what may be shown.
    schemas: Option<&'static Schemas>,
    now: SystemTime,
}

impl Output {
    /// The process's own.
    pub(crate) fn of_process(args: &OutputArgs) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let colours = |is_terminal: bool| match args.color.unwrap_or(Color::Auto) {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                is_terminal && !is_dumb && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        };
        Self {
            stdout: BufWriter::with_capacity(64 * 1024, Box::new(io::stdout())),
            stderr: Box::new(io::stderr()),
            form: if args.json || (!is_terminal && !args.text) { Form::Json } else { Form::People },
            json_errors: args.json,
            is_terminal,
            style: Style::new(colours(is_terminal)),
            stderr_style: Style::new(colours(io::stderr().is_terminal())),
            quiet: args.quiet,
            reveal: args.reveal,
            schemas: None,
            now: SystemTime::now(),
        }
    }

    /// Whether records are written as JSON.
    pub(crate) const fn is_json(&self) -> bool {
        matches!(self.form, Form::Json)
    }

    /// Whether JSON was asked for in words, and not only because the output is piped.
    pub(crate) const fn is_json_asked(&self) -> bool {
        self.json_errors
    }

    /// Whether a terminal shows the output, which takes no arbitrary bytes.
    pub(crate) const fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Whether only what was asked for is wanted.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// The colours of standard output.
    pub(crate) const fn style(&self) -> Style {
        self.style
    }

    /// When this run began; by the bucket's clock, once that was asked.
    pub(crate) const fn now(&self) -> SystemTime {
        self.now
    }

    /// Takes another clock's word for it.
    pub(crate) const fn set_now(&mut self, now: SystemTime) {
        self.now = now;
    }

    /// What may be shown of secrets.
    pub(crate) const fn secrecy(&self) -> Secrecy {
        Secrecy { reveal: self.reveal, masks_all: false, schemas: self.schemas }
    }

    /// Whether it is known what programs have published.
    pub(crate) const fn knows_schemas(&self) -> bool {
        self.schemas.is_some()
    }

    /// Takes in what programs have published: it says which keys are secrets.
    pub(crate) fn learn(&mut self, schemas: Option<Schemas>) {
        self.schemas = schemas.map(|schemas| &*Box::leak(Box::new(schemas)));
    }

    /// A line of the form for people.
    pub(crate) fn line(&mut self, text: impl Display) -> Outcome {
        Ok(writeln!(self.stdout, "{text}")?)
    }

    /// One JSON document on one line.
    pub(crate) fn json(&mut self, record: &impl Serialize) -> Outcome {
        serde_json::to_writer(&mut self.stdout, record).map_err(io::Error::from)?;
        Ok(self.stdout.write_all(b"\n")?)
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Outcome {
        Ok(self.stdout.write_all(bytes)?)
    }

    /// A table of the form for people.
    pub(crate) fn table(&mut self, table: &Table) -> Outcome {
        let text = table.render(self.style, columns(terminal_size_of(io::stdout())));
        Ok(self.stdout.write_all(text.as_bytes())?)
    }

    /// The widths of columns on this output, for [`Self::row`].
    pub(crate) fn fitted(&self, frame: &Frame) -> Vec<usize> {
        frame.fit(columns(terminal_size_of(io::stdout())))
    }

    /// One row of what would be too long to be kept as a table.
    pub(crate) fn row(&mut self, frame: &Frame, widths: &[usize], row: &[String]) -> Outcome {
        let mut text = String::new();
        frame.push(&mut text, self.style, widths, row);
        Ok(self.stdout.write_all(text.as_bytes())?)
    }

    /// Something worth knowing besides what was asked for, on standard error.
    pub(crate) fn note(&mut self, text: impl Display) -> Outcome {
        if self.quiet || self.json_errors {
            return Ok(());
        }
        self.stdout.flush()?;
        let word = self.stderr_style.paint(Tone::Dim, "note:");
        Ok(writeln!(self.stderr, "{word} {text}")?)
    }

    /// A table for the person at the terminal while the output goes elsewhere.
    pub(crate) fn aside(&mut self, table: &Table) -> Outcome {
        let text = table.render(self.stderr_style, columns(terminal_size_of(io::stderr())));
        Ok(self.stderr.write_all(text.as_bytes())?)
    }

    /// A question, on standard error.
    pub(crate) fn prompt(&mut self, question: &str) -> Outcome {
        self.stderr.write_all(question.as_bytes())?;
        Ok(self.stderr.flush()?)
    }

    /// Lets everything out that was written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }

    /// Tells why a run failed. Errors of this have nowhere to go.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        // What was found before it failed is worth having.
        let flushed = self.flush();
        if failure.is_silent
            || failure.exit == Exit::Pipe
            || flushed.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        {
            return;
        }
        let text = if self.json_errors {
            let chain = failure.chain();
            let (message, causes) = chain.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
            let error = json!({
                "kind": failure.exit.word(), "exit": failure.exit.code(), "message": message,
                "causes": causes, "help": failure.hints,
            });
            json!({ "error": error }).to_string() + "\n"
        } else {
            failure_for_people(failure, self.stderr_style)
        };
        let _ = self.stderr.write_all(text.as_bytes());
        let _ = self.stderr.flush();
    }
}

/// How many columns the terminal has now: somebody may have made it wider since. `None` where there is none and nothing is cut.
fn columns(size: Option<(Width, Height)>) -> Option<usize> {
    let (Width(columns), _) = size?;
    // 0 is what a terminal says that does not know.
    Some(usize::from(columns)).filter(|columns| *columns > 0)
}

fn failure_for_people(failure: &Failure, style: Style) -> String {
    let mut text = String::new();
    for (at, words) in failure.chain().iter().enumerate() {
        if at == 0 {
            // A report says so itself.
            let words = words.strip_prefix("error: ").unwrap_or(words);
            text += &format!("{} {words}\n", style.paint(Tone::Bad, "error:"));
        } else {
            text += &format!("  because {words}\n");
        }
    }
    for hint in &failure.hints {
        text += &format!("  {} {hint}\n", style.paint(Tone::Good, "help:"));
    }
    text
}
