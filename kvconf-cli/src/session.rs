//! One run of the command: what a verb works with, from the first connection to the exit code.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use kvconf::nats::Connection;
use kvconf::{Bucket, ReadError};

use crate::arguments::{Common, Invocation};
use crate::connect::{self, ConnectError, Settings, Surroundings};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupts;
use crate::output::{Output, about, patiently};
use crate::suggest::nearest;

/// A difference of clocks that nobody notices in what is told here.
const CLOCKS_AGREE_WITHIN: Duration = Duration::from_secs(2);

/// How long the end of a run may take: without a connection nothing can be said any more.
const LEAVE_WITHIN: Duration = Duration::from_millis(200);

/// How long the names of other buckets are waited for.
const OTHERS_WITHIN: Duration = Duration::from_secs(1);

/// What a verb works with.
pub(crate) struct Session {
    pub(crate) common: Common,
    pub(crate) out: Output,
    pub(crate) interrupts: Interrupts,
    connection: Option<Connection>,
}

/// Runs a verb to its end and tells of a failure.
pub(crate) async fn run(invocation: Invocation) -> ExitCode {
    let Invocation { common, verb } = invocation;
    let mut session = Session::new(common);
    let interrupts = session.interrupts.clone();
    let outcome = tokio::select! {
        outcome = verb.run(&mut session) => outcome,
        () = interrupts.unattended() => Err(Failure::new(Exit::Interrupted, "interrupted")),
    };
    let outcome = outcome.and_then(|()| Ok(session.out.flush()?));
    session.leave().await;
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
        let out = Output::of_process(&common.output);
        Self { out, common, interrupts: Interrupts::default(), connection: None }
    }

    /// Has what was left to say reach the server, such as that a consumer is no longer needed. Without it the server would
    /// count it for ten seconds more against the most that a bucket may have.
    async fn leave(&self) {
        if let Some(connection) = &self.connection {
            let _ = tokio::time::timeout(LEAVE_WITHIN, connection.client().flush()).await;
        }
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
        let settings = self.settings()?;
        let words = format!("connecting to {}", settings.shown_servers());
        let connection = patiently(&words, &self.out, connect::connect(&settings)).await?;
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
        let bucket = patiently("asking for the bucket", &self.out, Bucket::open(connection, &name)).await;
        let bucket = match bucket {
            Ok(bucket) => bucket,
            Err(error) => return Err(self.unopened(error).await),
        };
        if !self.common.output.reveal && !self.out.knows_schemas() {
            let schemas = crate::schemas::for_showing(&bucket).await;
            self.out.learn(schemas);
        }
        Ok(bucket)
    }

    /// Why a bucket cannot be opened. Where another JetStream was asked for than that of the server, it may not be there.
    async fn unopened(&self, error: ReadError) -> Failure {
        if let ReadError::BucketNotFound { bucket } = &error {
            let others = self.other_buckets(bucket).await;
            let mut failure = Failure::from(error);
            failure.hints.splice(0..0, others);
            return failure;
        }
        let is_nobody = matches!(error, ReadError::Server { code: 503, .. });
        let failure = Failure::from(error);
        let settings = self.settings().ok().filter(|_| is_nobody);
        match settings.map(|settings| (settings.js_api_prefix, settings.js_domain)) {
            Some((Some(prefix), _)) => failure.hint(format!("is {prefix} where JetStream answers?")),
            Some((None, Some(domain))) => {
                failure.hint(format!("is {domain} the name of a JetStream domain?"))
            }
            _ => failure,
        }
    }

    /// Which buckets there are instead, as far as the server says it at once.
    async fn other_buckets(&self, missing: &str) -> Option<String> {
        const MOST: usize = 5;
        let names = Bucket::names(self.connection.clone()?);
        let names = tokio::time::timeout(OTHERS_WITHIN, names).await.ok()?.ok()?;
        if let Some(near) = nearest(missing, names.iter().map(String::as_str)) {
            return Some(format!("did you mean {near}?"));
        }
        let more = if names.len() > MOST { " and others" } else { "" };
        let names: Vec<&str> = names.iter().take(MOST).map(String::as_str).collect();
        (!names.is_empty()).then(|| format!("the server has {}{more}", names.join(", ")))
    }

    /// Takes the time from the bucket's clock, which has stamped its entries: `10m` ago is to mean the same on every machine,
    /// also on one whose own clock is off. Where the bucket does not say, this machine's has to do.
    pub(crate) async fn take_time_from(&mut self, bucket: &Bucket) -> Outcome {
        let began = SystemTime::now();
        let Some(theirs) = bucket.status().await.ok().and_then(|status| status.time) else { return Ok(()) };
        // It answered at some moment in between.
        let ours = began..=SystemTime::now();
        let off = match (ours.start().duration_since(theirs), theirs.duration_since(*ours.end())) {
            (Ok(ahead), _) => Some(("ahead of", ahead)),
            (_, Ok(behind)) => Some(("behind", behind)),
            _ => None,
        };
        let Some((side, by)) = off.filter(|(_, by)| *by > CLOCKS_AGREE_WITHIN) else { return Ok(()) };
        self.out.set_now(theirs);
        let by = about(by);
        self.out.note(format!("this machine's clock is {by} {side} the server's, whose times are meant here"))
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
        // Before anybody can see the question and leave it.
        let interrupt = self.interrupts.attend().await;
        self.out.prompt(question)?;
        // In a thread, for the connection has to be served while somebody thinks.
        let line = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            io::stdin().read_line(&mut line).map(|_| line)
        });
        tokio::select! {
            line = line => match line {
                Ok(line) => Ok(line?.trim().to_owned()),
                Err(error) => Err(Failure::new(Exit::Failed, error)),
            },
            () = interrupt.wait() => {
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
