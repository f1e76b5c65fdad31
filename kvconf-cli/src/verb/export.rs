//! `kvconf export`: keys with their values, to be read again by `import` or `apply`.

use std::io::Write;
use std::path::Path;

use clap::{Args, ValueEnum};
use kvconf::{Filter, KeyError, Prefix};

use crate::document::{self, Leaf, Tree};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Progress, Shown, Unwritten, Whole, shown};
use crate::record::Line;
use crate::session::Session;
use crate::stream::Stream;

const EXAMPLE: &str = "\
Examples:
    kvconf export > prod.jsonl                  one key a line, any number of them
    kvconf export checkout --format toml        as a document, to be edited and applied
    kvconf export --reveal -o backup.jsonl      with secrets";

/// Write out keys with their values, as of one revision
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Export {
    /// Only keys under these prefixes
    #[arg(value_name = "PREFIX", value_parser = prefix)]
    prefixes: Vec<Prefix>,
    /// The form [default: by the name of the file, else lines]
    #[arg(short, long, value_enum, value_name = "FORM")]
    format: Option<Format>,
    /// A file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,
}

/// A form of files with keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line for each key
    Lines,
    /// A TOML document
    Toml,
    /// A JSON document
    Json,
}

impl Format {
    /// By the end of a file's name.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        let (_, end) = path.rsplit_once('.')?;
        match end.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            "jsonl" | "ndjson" => Some(Self::Lines),
            _ => None,
        }
    }

    /// As a document; `None` for lines.
    pub(crate) const fn document(self) -> Option<document::Form> {
        match self {
            Self::Lines => None,
            Self::Toml => Some(document::Form::Toml),
            Self::Json => Some(document::Form::Json),
        }
    }
}

impl Export {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let format = self.format.or_else(|| Format::of_path(self.output.as_deref()?)).unwrap_or(Format::Lines);
        let bucket = session.bucket().await?;
        let mut stream = Stream::open(&bucket, filters(&self.prefixes)).await?;
        let mut file = match &self.output {
            None => None,
            Some(path) => Some(Whole::create(Path::new(path)).map_err(|cause| unwritten(path, cause))?),
        };
        // A file that is on the way is to be taken away.
        let interrupt = session.interrupts.attend().await;
        let secrecy = session.out.secrecy();
        let mut masked = 0;
        // Lines that come are progress enough, and one between them would take part of one away.
        let is_seen = format == Format::Lines && self.output.is_none() && session.out.is_terminal();
        let mut progress = Progress::new(None, session.out.is_quiet() || is_seen);
        let mut tree = Tree::default();
        loop {
            let entry = tokio::select! {
                biased;
                entry = stream.next() => entry?,
                () = interrupt.wait() => return Err(Failure::new(Exit::Interrupted, "interrupted")),
            };
            let Some(entry) = entry else { break };
            progress.add(1);
            if format.document().is_some() {
                let leaf = match shown(secrecy, entry.key(), entry.value()) {
                    Shown::Masked => Leaf::Masked,
                    _ => Leaf::Stored(entry.value().to_vec()),
                };
                masked += usize::from(leaf == Leaf::Masked);
                tree.insert(entry.key(), leaf);
                continue;
            }
            let line = Line::new(&entry, secrecy);
            masked += usize::from(line.is_masked());
            match &mut file {
                None => session.out.json(&line)?,
                Some(file) => {
                    serde_json::to_writer(&mut *file, &line).map_err(std::io::Error::from)?;
                    file.write_all(b"\n")?;
                }
            }
        }
        drop(progress);
        if let Some(form) = format.document() {
            let text = document::write(&tree, form);
            match &mut file {
                None => session.out.bytes(text.as_bytes())?,
                Some(file) => file.write_all(text.as_bytes())?,
            }
        }
        if let (Some(file), Some(path)) = (file, &self.output) {
            file.finish().map_err(|cause| unwritten(path, cause))?;
        }
        if let Some(left_out) = stream.left_out() {
            session.out.note(left_out)?;
        }
        tell(session, masked, stream.moment().map(kvconf::Revision::get))
    }
}

fn unwritten(path: &str, cause: std::io::Error) -> Failure {
    Failure::new(Exit::Failed, Unwritten { path: path.to_owned(), cause })
}

fn tell(session: &mut Session, masked: usize, moment: Option<u64>) -> Outcome {
    if let Some(revision) = moment {
        session.out.note(format!("as of revision {revision}"))?;
    }
    if masked > 0 {
        let values = crate::change::counted(masked, "secret");
        session.out.note(format!("{values} left out; --reveal writes them"))?;
    }
    Ok(())
}

pub(crate) fn prefix(text: &str) -> Result<Prefix, KeyError> {
    Prefix::new(text)
}

/// Everything, or what is under the prefixes.
pub(crate) fn filters(prefixes: &[Prefix]) -> Vec<Filter> {
    if prefixes.is_empty() { vec![Filter::all()] } else { prefixes.iter().map(Filter::from).collect() }
}
