//! `kvconf import`: what `export` has written, any number of keys.
//!
//! The file is read twice: first to the end, so that nothing is written where a line is bad, with what differs counted;
//! then to write it. Of the bucket, each key's revision and a digest of its value are kept in memory, and no values. In between
//! published schemas judge what differs as a whole; only values of keys that one of them concerns are kept for that.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use kvconf::{Bucket, Entry, Filter, Key, Revision, WriteError};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::change::{
    MOST_AT_ONCE, WriteArgs, author, counted, hold_against_schemas, keys_were, make, make_of_file, problems_json, refused, tell_unchecked, with,
};
use crate::document::{Wanted, Wish};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::fleet::wait::wait_for_keys;
use crate::interrupt::Interrupt;
use crate::output::Progress;
use crate::record;
use crate::schemas::{Change, Judged, Rules};
use crate::session::Session;
use crate::stream::Stream;
use crate::verb::apply::{InFile, Source, wishes};
use crate::verb::export::Format;
use crate::verb::set::FileError;

const EXAMPLE: &str = "\
Examples:
    kvconf import prod.jsonl --dry-run
    kvconf import prod.jsonl -b staging -m 'copy of prod' --yes
    kvconf export -b prod --reveal | kvconf import - -b staging --yes

Up to 1 000 keys that differ are one change set; more are written 1 000 at a time, each key on condition that nobody \
has changed it meanwhile, after published schemas have judged them all. Of so many no instance is asked beforehand, and \
--or-rollback is not to be had; --wait is. Keys that the file does not have are left alone.";

/// The most bytes of values in one change set.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Read keys with their values from a file that export has written
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Import {
    /// The file; `-` is standard input
    #[arg(value_name = "FILE")]
    file: String,
    /// The form [default: by the name of the file, else lines]
    #[arg(short, long, value_enum, value_name = "FORM")]
    format: Option<Format>,
    #[command(flatten)]
    write: WriteArgs,
}

/// What is known of a key in the bucket: its newest revision, and a digest of its value.
struct Known {
    revision: Revision,
    digest: Option<[u8; 16]>,
}

impl Import {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        if self.file == "-" && !self.write.yes && !self.write.dry_run {
            let failure = Failure::new(Exit::Usage, "the file is standard input, which cannot answer questions too");
            return Err(failure.hint("--yes answers beforehand, --dry-run only shows the plan"));
        }
        let format = self.format.or_else(|| Format::of_path(&self.file)).unwrap_or(Format::Lines);
        if format.document().is_some() {
            let source = Source::open(&self.file, Some(format))?;
            let bucket = session.bucket().await?;
            let wanted = source.wanted(None, &Rules::of(&bucket, &self.write.layers).await?)?;
            let edit = |bucket: &Bucket| wishes(bucket.edit(), &wanted);
            make_of_file(session, &bucket, &self.write, edit, &|key| source.place(&wanted, key)).await?;
            return Ok(());
        }
        let mut lines = Lines::open(&self.file)?;
        let bucket = session.bucket().await?;
        let known = known(session, &bucket).await?;
        let found = survey(&mut lines, &known)?;
        if found.kept > 0 {
            let values = counted(found.kept, "secret");
            session.out.note(format!("{values} of the file masked: what stands there stays"))?;
        }
        match found.few {
            Some(wanted) => {
                make(session, &bucket, &self.write, |bucket| wishes(bucket.edit(), &wanted)).await?;
                Ok(())
            }
            None => self.many(session, &bucket, lines, known, &found.count).await,
        }
    }

    /// More keys than one change set takes.
    async fn many(
        &self,
        session: &mut Session,
        bucket: &Bucket,
        mut lines: Lines,
        known: HashMap<Key, Known>,
        count: &Count,
    ) -> Outcome {
        self.refuse_what_several_cannot()?;
        let judged =
            hold_against_schemas(session, bucket, &self.write, |rules| concerned(&mut lines, &known, rules)).await?;
        if !session.out.is_json() || self.write.dry_run {
            count.tell(session, &judged)?;
        }
        self.judge(session, &judged)?;
        if self.write.dry_run {
            return Ok(());
        }
        if !self.write.yes {
            let question = format!("Write {} in several change sets?", counted(count.differing(), "key"));
            session.confirm(&question, "--yes").await?;
        }
        let mut writer = Writer {
            bucket,
            author: author(self.write.author.as_deref()),
            reason: self.write.reason.clone(),
            written: 0,
            newest: Revision::ZERO,
            waits_for: self.write.fleet.wait.map(|_| Vec::new()),
            interrupt: Arc::new(session.interrupts.attend().await),
        };
        let mut progress = Progress::new(Some(count.differing() as u64), session.out.is_quiet());
        let mut part: Vec<(Wanted, Revision)> = Vec::new();
        let mut bytes = 0;
        lines.rewind()?;
        while let Some(wanted) = lines.next()? {
            let Some(revision) = differs(&wanted, &known) else { continue };
            let size = if let Wish::Set(value) = &wanted.wish { value.len() } else { 0 };
            if part.len() == MOST_AT_ONCE || (bytes + size > MOST_BYTES && !part.is_empty()) {
                writer.attend(std::mem::take(&mut part)).await?;
                progress.set(writer.written as u64);
                bytes = 0;
            }
            bytes += size;
            part.push((wanted, revision));
        }
        writer.attend(part).await?;
        drop(progress);
        self.settle(session, writer, count, &judged).await
    }

    /// Tells what was written, and waits for the fleet if that was asked for: in JSON it is one document.
    async fn settle(&self, session: &mut Session, mut writer: Writer<'_>, count: &Count, judged: &Judged) -> Outcome {
        let (bucket, fleet) = (writer.bucket, &self.write.fleet);
        let Some(written) = writer.waits_for.take() else { return writer.tell(session, count, judged, None) };
        let failure = if session.out.is_json() {
            let waited = wait_for_keys(session, bucket, written, fleet).await;
            writer.tell(session, count, judged, waited.document)?;
            waited.failure
        } else {
            writer.tell(session, count, judged, None)?;
            wait_for_keys(session, bucket, written, fleet).await.failure
        };
        failure.map_or(Ok(()), Err)
    }

    /// More than one change set is not taken back as one, and no instance is asked about them beforehand.
    fn refuse_what_several_cannot(&self) -> Outcome {
        if self.write.fleet.or_rollback {
            let words = format!("more than {MOST_AT_ONCE} keys are several change sets, which --or-rollback cannot take back");
            return Err(Failure::new(Exit::Usage, words).hint("--wait alone waits; kvconf rollback PREFIX --to REVISION takes them back"));
        }
        if self.write.fleet.expect.is_some() && self.write.fleet.wait.is_none() {
            let words = format!("no instance is asked about more than {MOST_AT_ONCE} keys before they are written");
            return Err(Failure::new(Exit::Usage, words).hint("--wait all --expect COUNT waits for so many afterwards"));
        }
        Ok(())
    }

    /// What keeps it from being written, whoever agrees.
    fn judge(&self, session: &mut Session, judged: &Judged) -> Outcome {
        let refusal = judged.reports.iter().find(|report| report.is_fatal()).filter(|_| !self.write.force);
        if !session.out.is_json() {
            // The one that keeps it from being written is told as the reason.
            for report in judged.reports.iter().filter(|report| Some(*report) != refusal) {
                session.out.line(report)?;
            }
        }
        refusal.map_or(Ok(()), |report| Err(refused(report)))?;
        tell_unchecked(session, judged)
    }
}

/// What differs of the keys that schemas concern: the file is read once more, to its end.
fn concerned(lines: &mut Lines, known: &HashMap<Key, Known>, rules: &Rules) -> Outcome<Vec<Change>> {
    let mut changes = Vec::new();
    if rules.schemas.published.is_empty() {
        return Ok(changes);
    }
    lines.rewind()?;
    while let Some(wanted) = lines.next()? {
        if rules.concern(&wanted.key) && differs(&wanted, known).is_some() {
            let value = if let Wish::Set(value) = &wanted.wish { Some(value.to_vec()) } else { None };
            changes.push((wanted.key.to_string(), value));
        }
    }
    Ok(changes)
}

/// The keys of the bucket, without their values.
async fn known(session: &Session, bucket: &Bucket) -> Outcome<HashMap<Key, Known>> {
    let mut known = HashMap::new();
    let mut progress = Progress::new(None, session.out.is_quiet());
    let mut stream = Stream::open(bucket, vec![Filter::all()]).await?.with_removals();
    while let Some(entry) = stream.next().await? {
        progress.add(1);
        known.insert(entry.key().clone(), Known::of(&entry));
    }
    Ok(known)
}

impl Known {
    fn of(entry: &Entry) -> Self {
        Self { revision: entry.revision(), digest: entry.put_value().map(digest) }
    }
}

/// Half of SHA-256 tells values apart.
fn digest(value: &Bytes) -> [u8; 16] {
    let mut half = [0; 16];
    half.iter_mut().zip(Sha256::digest(value)).for_each(|(half, byte)| *half = byte);
    half
}

/// The revision that a wish is based on; `None` where it stands so already.
fn differs(wanted: &Wanted, known: &HashMap<Key, Known>) -> Option<Revision> {
    let now = known.get(&wanted.key);
    let digest_now = now.and_then(|now| now.digest);
    let wished = match &wanted.wish {
        Wish::Keep => return None,
        Wish::Unset => None,
        Wish::Set(value) => Some(digest(value)),
    };
    (wished != digest_now).then(|| now.map_or(Revision::ZERO, |now| now.revision))
}

/// How much would be written.
#[derive(Debug, Default)]
struct Count {
    new: usize,
    changed: usize,
    removed: usize,
    same: usize,
}

impl Count {
    const fn differing(&self) -> usize {
        self.new + self.changed + self.removed
    }

    fn tell(&self, session: &mut Session, judged: &Judged) -> Outcome {
        if session.out.is_json() {
            return session.out.json(&self.json(judged));
        }
        let Self { new, changed, removed, same } = self;
        session.out.line(format!("{new} new, {changed} changed, {removed} removed, {same} as they are"))
    }

    fn json(&self, judged: &Judged) -> Value {
        let Self { new, changed, removed, same } = self;
        let document = json!({ "new": new, "changed": changed, "removed": removed, "unchanged": same });
        let problems = problems_json(&judged.reports);
        with(document, "problems", (!problems.is_empty()).then(|| problems.into()))
    }
}

/// What the first reading of the file found.
struct Survey {
    count: Count,
    /// What differs, where it fits into one change set.
    few: Option<Vec<Wanted>>,
    kept: usize,
}

fn survey(lines: &mut Lines, known: &HashMap<Key, Known>) -> Outcome<Survey> {
    let mut survey = Survey { count: Count::default(), few: Some(Vec::new()), kept: 0 };
    let mut seen: HashMap<Key, usize> = HashMap::new();
    let mut bytes = 0;
    while let Some(wanted) = lines.next()? {
        if let Some(first) = seen.insert(wanted.key.clone(), wanted.at.line) {
            let words = format!("line {}: {} stands there twice, first in line {first}", wanted.at.line, wanted.key);
            return Err(lines.mistake(&words));
        }
        if wanted.key.is_reserved() {
            let words = format!("line {}: {} belongs to kvconf, as all keys below _kvconf", wanted.at.line, wanted.key);
            return Err(lines.mistake(&words));
        }
        survey.kept += usize::from(wanted.wish == Wish::Keep);
        let count = &mut survey.count;
        let has_value = known.get(&wanted.key).is_some_and(|known| known.digest.is_some());
        match (differs(&wanted, known), &wanted.wish) {
            (None, _) => count.same += 1,
            (Some(_), Wish::Unset) => count.removed += 1,
            (Some(_), _) if has_value => count.changed += 1,
            (Some(_), _) => count.new += 1,
        }
        if differs(&wanted, known).is_some() {
            bytes += if let Wish::Set(value) = &wanted.wish { value.len() } else { 0 };
            match &mut survey.few {
                Some(few) if few.len() < MOST_AT_ONCE && bytes <= MOST_BYTES => few.push(wanted),
                few => *few = None,
            }
        }
    }
    Ok(survey)
}

/// The lines of the file, which can be read again.
struct Lines {
    name: String,
    file: BufReader<File>,
    line: usize,
}

impl Lines {
    /// Standard input is put into a file, for it has to be read twice.
    fn open(path: &str) -> Outcome<Self> {
        let failed = |exit, cause| Failure::new(exit, FileError { path: path.to_owned(), cause });
        if path != "-" {
            let file = File::open(path).map_err(|cause| failed(Exit::NotFound, cause))?;
            return Ok(Self { name: path.to_owned(), file: BufReader::new(file), line: 0 });
        }
        let mut file = tempfile::tempfile().map_err(|cause| failed(Exit::Failed, cause))?;
        std::io::copy(&mut std::io::stdin().lock(), &mut file)?;
        file.flush()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { name: "standard input".to_owned(), file: BufReader::new(file), line: 0 })
    }

    fn rewind(&mut self) -> Outcome {
        self.line = 0;
        Ok(self.file.seek(SeekFrom::Start(0)).map(|_| ())?)
    }

    fn next(&mut self) -> Outcome<Option<Wanted>> {
        loop {
            let mut text = Vec::new();
            // Longer than any value that a server takes, with all of it escaped.
            const MOST: u64 = 512 * 1024 * 1024;
            let read = (&mut self.file).take(MOST).read_until(b'\n', &mut text)?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            match record::read(&text, self.line) {
                Ok(None) => {}
                Ok(wanted) => return Ok(wanted),
                Err(cause) => {
                    return Err(Failure::new(Exit::Invalid, InFile { name: self.name.clone(), cause }));
                }
            }
        }
    }

    fn mistake(&self, words: &str) -> Failure {
        Failure::new(Exit::Invalid, format!("{}: {words}", self.name))
    }
}

/// Writes one part after the other.
struct Writer<'a> {
    bucket: &'a Bucket,
    author: String,
    reason: Option<String>,
    written: usize,
    newest: Revision,
    /// Every key with its revision, where the fleet is waited for.
    waits_for: Option<Vec<(Key, Revision)>>,
    interrupt: Arc<Interrupt>,
}

/// How long an answer is waited for after Ctrl-C.
const LAST_WORD_WITHIN: Duration = Duration::from_secs(2);

impl Writer<'_> {
    /// Writes a part; after Ctrl-C this is the last one.
    async fn attend(&mut self, part: Vec<(Wanted, Revision)>) -> Outcome {
        if part.is_empty() {
            return Ok(());
        }
        let keys = part.len();
        let before = self.written;
        let interrupt = Arc::clone(&self.interrupt);
        let mut writing = Box::pin(self.write(part));
        tokio::select! {
            biased;
            outcome = &mut writing => return outcome,
            () = interrupt.wait() => {}
        }
        Err(match tokio::time::timeout(LAST_WORD_WITHIN, writing).await {
            Ok(Ok(())) => Failure::new(Exit::Interrupted, format!("interrupted; {} written", keys_were(before + keys))),
            Ok(Err(failure)) => failure.exiting(Exit::Interrupted),
            Err(_) => Failure::new(
                Exit::Interrupted,
                format!("interrupted; {} written, and {keys} more or none of them", keys_were(before)),
            ),
        }
        .hint("run this again: it goes on where it stopped"))
    }

    async fn write(&mut self, part: Vec<(Wanted, Revision)>) -> Outcome {
        let keys = part.len();
        let change = format!("{:024x}", rand::random::<u128>() >> 32);
        let mut batch = self.bucket.batch();
        let named: Vec<Key> = if self.waits_for.is_some() { part.iter().map(|(wanted, _)| wanted.key.clone()).collect() } else { Vec::new() };
        for (wanted, revision) in part {
            batch = match wanted.wish {
                Wish::Set(value) => batch.put(wanted.key, value),
                Wish::Unset | Wish::Keep => batch.delete(wanted.key),
            };
            batch = batch.expect(revision).header("Kvconf-Author", &self.author).header("Kvconf-Change", &change);
            if let Some(reason) = &self.reason {
                batch = batch.header("Kvconf-Reason", reason);
            }
        }
        match batch.commit().await {
            Ok(revision) => {
                self.written += keys;
                self.newest = revision;
                if let Some(all) = &mut self.waits_for {
                    // The entries of a batch stand next to each other.
                    let first = revision.get().saturating_sub(keys as u64);
                    all.extend(named.into_iter().zip(first + 1..).map(|(key, at)| (key, Revision::new(at))));
                }
                Ok(())
            }
            Err(error) => {
                let is_conflict = matches!(error, WriteError::Conflict { .. });
                let mut failure = Failure::from(error);
                if is_conflict {
                    failure.hints.clear();
                    failure = failure.hint("somebody writes to these keys; run this again: it goes on where it stopped");
                }
                Err(if self.written > 0 {
                    failure.hint(format!("{} written, up to revision {}", keys_were(self.written), self.newest))
                } else {
                    failure
                })
            }
        }
    }

    fn tell(&self, session: &mut Session, count: &Count, judged: &Judged, settled: Option<Value>) -> Outcome {
        if session.out.is_json() {
            let revision = self.newest.get().into();
            let document = with(count.json(judged), "revision", Some(revision));
            return session.out.json(&with(document, "settled", settled));
        }
        let (keys, bucket) = (counted(self.written, "key"), self.bucket.name());
        session.out.line(format!("{keys} written to {bucket}, revision {}", self.newest))
    }
}
