//! One run of the command: what a verb works with, from the first connection to the exit code.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use kvconf::Bucket;
use kvconf::nats::Connection;

use crate::arguments::{Common, Invocation};
use crate::connect::{self, ConnectError, Settings, Surroundings};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// What a verb works with.
pub(crate) struct Session {
    pub(crate) common: Common,
    pub(crate) out: Output,
    connection: Option<Connection>,
}

/// Runs a verb to its end and tells of a failure.
pub(crate) async fn run(invocation: Invocation) -> ExitCode {
    let Invocation { common, verb } = invocation;
    let mut session = Session::new(common);
    let outcome = verb.run(&mut session).await;
    let outcome = outcome.and_then(|()| Ok(session.out.flush()?));
    let Err(failure) = outcome else { return Exit::Ok.into() };
    session.out.failure(&failure);
    failure.exit.into()
}

/// When not even a runtime can be had: no more threads, no more files.
pub(crate) fn without_runtime(error: &io::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "error: this process cannot be set up: {error}");
    Exit::Failed.into()
}

impl Session {
    /// With the process's own output, and no connection yet.
    pub(crate) fn new(common: Common) -> Self {
        Self { out: Output::of_process(&common.output), common, connection: None }
    }

    /// What to connect to, from flags, the environment and stored contexts.
    pub(crate) fn settings(&self) -> Result<Settings, ConnectError> {
        let around = Surroundings {
            variable: &|name| std::env::var(name).ok(),
            read: &|path| std::fs::read_to_string(path),
            names: &names_of_contexts,
        };
        connect::resolve(&self.common.connect, &around)
    }

    /// The connection; the first call makes it.
    pub(crate) async fn connection(&mut self) -> Outcome<Connection> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let connection = connect::connect(&self.settings()?).await?;
        self.connection = Some(connection.clone());
        Ok(connection)
    }

    /// The bucket's name, as it is given.
    pub(crate) fn bucket_name(&self) -> Outcome<String> {
        let given = self.common.connect.bucket.clone().filter(|name| !name.is_empty());
        let name = given.or_else(|| std::env::var("KVCONF_BUCKET").ok().filter(|name| !name.is_empty()));
        let name = name.ok_or(ConnectError::NoBucket)?;
        kvconf::check_bucket_name(&name)?;
        Ok(name)
    }

    /// The bucket that is named, opened.
    pub(crate) async fn bucket(&mut self) -> Outcome<Bucket> {
        let name = self.bucket_name()?;
        let connection = self.connection().await?;
        let bucket = Bucket::open(connection, &name).await?;
        if !self.common.output.reveal && !self.out.knows_schemas() {
            let schemas = crate::schemas::for_showing(&bucket).await;
            self.out.learn(schemas);
        }
        Ok(bucket)
    }

    /// Whether somebody is there who can answer a question.
    pub(crate) fn is_attended(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Whether standard input is something that ends by itself: a file or a pipe.
    pub(crate) fn has_input(&self) -> bool {
        !io::stdin().is_terminal()
    }

    /// Asks for a yes. `flag` is what answers it beforehand. Nobody there to answer is a refusal: nothing ever waits for
    /// input that cannot come.
    pub(crate) async fn confirm(&mut self, question: &str, flag: &str) -> Outcome {
        if !self.is_attended() {
            let failure = Failure::new(Exit::Declined, "there is nobody to ask: this is not a terminal");
            return Err(failure.hint(format!("{flag} answers beforehand")));
        }
        match self.ask(&format!("{question} [y/N] ")).await?.to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::new(Exit::Declined, "not confirmed, nothing was written")),
        }
    }

    /// Asks a person for a line; empty at the end of input.
    pub(crate) async fn ask(&mut self, question: &str) -> Outcome<String> {
        self.out.flush()?;
        self.out.prompt(question)?;
        // In a thread, for the connection has to be served while somebody thinks.
        let line = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            io::stdin().read_line(&mut line).map(|_| line)
        });
        // Once something was written here, Ctrl-C does not end the process by itself any more.
        tokio::select! {
            line = line => match line {
                Ok(line) => Ok(line?.trim().to_owned()),
                Err(error) => Err(Failure::new(Exit::Failed, error)),
            },
            _ = tokio::signal::ctrl_c() => {
                // The cursor stands behind the question.
                self.out.prompt("\n")?;
                Err(Failure::new(Exit::Interrupted, "interrupted, nothing was written"))
            }
        }
    }
}

fn names_of_contexts(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".json")?.to_owned())).collect();
    names.sort_unstable();
    names
}
