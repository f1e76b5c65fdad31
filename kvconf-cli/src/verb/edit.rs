//! `kvconf edit`: a part of the bucket as text in an editor.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use clap::Args;
use kvconf::{Bucket, Key, Prefix};

use crate::change::{WriteArgs, make};
use crate::document::{self, DocumentError, Knows, Leaf, Position, Wanted, Wish};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Shown, shown};
use crate::schemas::Rules;
use crate::session::Session;
use crate::verb::apply::wishes;
use crate::verb::export::{filters, prefix};
use crate::verb::set::FileError;

const EXAMPLE: &str = "\
Examples:
    kvconf edit checkout -m 'longer timeouts'
    EDITOR='code --wait' kvconf edit checkout.payment

The editor is KVCONF_EDITOR, VISUAL or EDITOR, else vi. A line that is deleted deletes its key. What is not changed in \
the text is left alone, whatever others do with it meanwhile.";

/// Lines that this command puts above the text begin so.
const MARK: &str = "#! ";

/// Edit keys as TOML in an editor; what was changed is planned, shown and written
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Edit {
    /// Keys under these prefixes; all without any
    #[arg(value_name = "PREFIX", value_parser = prefix)]
    prefixes: Vec<Prefix>,
    #[command(flatten)]
    write: WriteArgs,
}

impl Edit {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        let bucket = session.bucket().await?;
        let rules = Rules::of(&bucket, &self.write.layers).await?;
        let before = self.text(session, &bucket).await?;
        let mut draft = Draft::new(&before)?;
        let outcome = self.change(session, &bucket, (&before, &rules), &mut draft).await;
        match outcome {
            Ok(()) => draft.remove(),
            Err(failure) if draft.is_untouched => {
                draft.remove();
                return Err(failure);
            }
            // Whoever has written something gets it back.
            Err(failure) => return Err(failure.hint(format!("your text is kept in {}", draft.path.display()))),
        }
        Ok(())
    }

    async fn text(&self, session: &Session, bucket: &Bucket) -> Outcome<String> {
        let secrecy = session.out.secrecy();
        let reading = bucket.read(filters(&self.prefixes)).await?;
        let own = reading.live().filter(|entry| !entry.key().is_reserved());
        let leaf = |entry: &kvconf::Entry| match shown(secrecy, entry.key(), entry.value()) {
            Shown::Masked => Leaf::Masked,
            _ => Leaf::Stored(entry.value().to_vec()),
        };
        let tree = own.map(|entry| (entry.key().clone(), leaf(entry))).collect();
        Ok(document::write(&tree, document::Form::Toml))
    }

    async fn change(
        &self,
        session: &mut Session,
        bucket: &Bucket,
        (before, rules): (&str, &Rules),
        draft: &mut Draft,
    ) -> Outcome {
        let wanted = loop {
            draft.open(session).await?;
            match self.read(draft.body(), rules) {
                Ok(wanted) => break wanted,
                Err(mistake) => {
                    if draft.is_unchanged_since_opened() {
                        return Err(Failure::new(Exit::Invalid, mistake.below(draft.marked())));
                    }
                    draft.explain(&mistake)?;
                }
            }
        };
        let wanted = what_was_changed(before, wanted, &|key| rules.kind(key));
        if wanted.is_empty() {
            draft.is_untouched = true;
            return session.out.line("nothing was changed");
        }
        make(session, bucket, &self.write, |bucket| wishes(bucket.edit(), &wanted)).await?;
        Ok(())
    }

    fn read(&self, text: &str, rules: &Rules) -> Result<Vec<Wanted>, EditError> {
        let wanted = document::read(text, document::Form::Toml, &|key| rules.kind(key))?;
        let is_here = |key: &Key| self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| key.under(prefix).is_some());
        match wanted.iter().find(|wanted| !is_here(&wanted.key)) {
            Some(Wanted { key, at, .. }) => Err(EditError::Elsewhere { key: key.clone(), line: at.line }),
            None => Ok(wanted),
        }
    }
}

/// Why a text cannot be taken.
#[derive(Debug, derive_more::Display, derive_more::Error, derive_more::From)]
enum EditError {
    #[display("{_0}")]
    Document(#[error(not(source))] DocumentError),
    #[display("line {line}: {key} stands outside of what is edited")]
    #[from(ignore)]
    Elsewhere {
        #[error(not(source))]
        key: Key,
        line: usize,
    },
}

impl EditError {
    /// With lines counted from further above.
    fn below(&self, lines: usize) -> String {
        let text = self.to_string();
        let Some((number, rest)) =
            text.strip_prefix("line ").and_then(|rest| rest.split_at_checked(rest.find([',', ':'])?))
        else {
            return text;
        };
        number.parse::<usize>().map_or(text.clone(), |number| format!("line {}{rest}", number + lines))
    }
}

/// The keys whose value is another one in the text than it was, and those that are gone from it.
fn what_was_changed(before: &str, after: Vec<Wanted>, knows: Knows<'_>) -> Vec<Wanted> {
    // It was written here, so it can be read.
    let before = document::read(before, document::Form::Toml, knows).unwrap_or_default();
    let mut before: BTreeMap<Key, Wish> = before.into_iter().map(|wanted| (wanted.key, wanted.wish)).collect();
    let mut changed: Vec<Wanted> =
        after.into_iter().filter(|wanted| before.remove(&wanted.key).as_ref() != Some(&wanted.wish)).collect();
    changed.extend(before.into_keys().map(|key| Wanted { key, wish: Wish::Unset, at: Position::default() }));
    changed
}

/// The file that the editor gets.
struct Draft {
    folder: PathBuf,
    path: PathBuf,
    /// What the file held when the editor was opened last, and holds now.
    opened: String,
    text: String,
    /// Whether there is nothing in it that somebody would miss.
    is_untouched: bool,
}

impl Draft {
    fn new(body: &str) -> Outcome<Self> {
        let folder = private_folder()?;
        let path = folder.join("edit.toml");
        let text = format!("{MARK}A line that is deleted deletes its key. Without any change nothing is written.\n{body}");
        let draft = Self { folder, path, opened: String::new(), text, is_untouched: true };
        draft.save()?;
        Ok(draft)
    }

    fn save(&self) -> Outcome {
        fs::write(&self.path, &self.text).map_err(|cause| self.failed(cause))
    }

    fn failed(&self, cause: std::io::Error) -> Failure {
        Failure::new(Exit::Failed, FileError { path: self.path.display().to_string(), cause })
    }

    /// Lets somebody edit it.
    async fn open(&mut self, session: &mut Session) -> Outcome {
        session.out.flush()?;
        self.opened.clone_from(&self.text);
        let path = self.path.clone();
        // Ctrl-C is for the editor: without this, it would end the command behind the editor's back.
        let interrupt = session.interrupts.attend().await;
        // In a thread: the connection has to be served while somebody writes.
        let status = tokio::task::spawn_blocking(move || run_editor(&path)).await;
        interrupt.end().await;
        let status = status.map_err(|error| Failure::new(Exit::Failed, error))??;
        self.text = fs::read_to_string(&self.path).map_err(|cause| self.failed(cause))?;
        self.is_untouched = self.is_untouched && self.is_unchanged_since_opened();
        if status.success() {
            return Ok(());
        }
        Err(Failure::new(Exit::Declined, format!("the editor ended with {status}; nothing was written")))
    }

    fn is_unchanged_since_opened(&self) -> bool {
        self.text == self.opened
    }

    /// The lines at the top that this command has written.
    fn marked(&self) -> usize {
        self.text.lines().take_while(|line| line.starts_with(MARK)).count()
    }

    fn body(&self) -> &str {
        let mut rest = self.text.as_str();
        while rest.starts_with(MARK) {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        }
        rest
    }

    /// Writes above the text what is wrong with it, with the lines as the editor counts them then.
    fn explain(&mut self, mistake: &EditError) -> Outcome {
        let hint = format!("{MARK}Mend it and save; leave it as it is to give up, the text is kept.\n");
        self.text = format!("{MARK}error: {}\n{hint}{}", mistake.below(2), self.body());
        debug_assert!(self.marked() >= 2);
        self.save()
    }

    fn remove(&self) {
        // What cannot be removed stays where only this user can read it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A new folder that nobody else can look into, for there may be secrets.
fn private_folder() -> Outcome<PathBuf> {
    let folder = std::env::temp_dir();
    let unique = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let path = folder.join(format!("kvconf-edit-{}-{unique}", std::process::id()));
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(&path)
        .map_err(|cause| Failure::new(Exit::Failed, FileError { path: path.display().to_string(), cause }))?;
    Ok(path)
}

fn run_editor(path: &Path) -> Outcome<ExitStatus> {
    let variables = ["KVCONF_EDITOR", "VISUAL", "EDITOR"];
    let set = variables.into_iter().find_map(|name| std::env::var(name).ok().filter(|text| !text.trim().is_empty()));
    let editor = set.unwrap_or_else(|| "vi".to_owned());
    let status = if cfg!(unix) {
        // As git does it: the editor may have arguments and quotes. A Ctrl-C that the editor has taken must not end the
        // shell behind it, which some do when their child is done; ignoring it would be inherited by the editor.
        Command::new("sh").arg("-c").arg(format!("trap : INT; {editor} \"$1\"")).arg("sh").arg(path).status()
    } else {
        let mut words = editor.split_whitespace();
        Command::new(words.next().unwrap_or("notepad")).args(words).arg(path).status()
    };
    status.map_err(|cause| {
        Failure::new(Exit::Failed, FileError { path: editor, cause }).hint("EDITOR names an editor")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::nobody_knows;

    fn changed(before: &str, after: &str) -> String {
        let after = document::read(after, document::Form::Toml, &nobody_knows).unwrap();
        let told = |wanted: &Wanted| format!("{} {:?}", wanted.key, wanted.wish);
        what_was_changed(before, after, &nobody_knows).iter().map(told).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn only_what_was_changed_in_the_text_is_wanted() {
        let before = "[a]\nx = 1\ny = 2\ns = { \"$masked\" = true }\n";
        assert_eq!(changed(before, before), "");
        assert_eq!(
            changed(before, "[a]\nx = 1\ny = 3\nz = true\n"),
            "a.y Set(b\"3\"); a.z Set(b\"true\"); a.s Unset"
        );
    }

    #[test]
    fn a_mistake_is_told_with_the_line_that_the_editor_shows() {
        let edit = Edit { prefixes: vec![Prefix::new("a").unwrap()], write: WriteArgs::default() };
        let told = |text: &str| edit.read(text, &Rules::default()).unwrap_err().below(2);
        assert_eq!(told("[a]\nx = = 1\n"), "line 4, column 5: extra `=`, expected nothing");
        assert_eq!(told("[b]\nx = 1\n"), "line 4: b.x stands outside of what is edited");
    }
}
