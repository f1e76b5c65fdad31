//! What can be done with a cache on disk. Every call blocks.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use super::cipher::Cipher;
use super::folder::Folder;
use super::format::{self, Damage, Owner, Saved};
use super::keeper::Outcome;
use super::shelf::{Boots, Generation, Trust, boot_order, superseded};
use super::{CacheError, Skipped};
use crate::seal::SealError;

/// One handle's cache.
#[derive(Debug)]
pub(crate) struct CacheStore {
    folder: Folder,
    owner: Owner,
    cipher: Cipher,
    keep: usize,
    /// What was not tried yet, in the order in which it is to be.
    untried: VecDeque<Generation>,
    /// The newest generation that is known to be good, and what it holds.
    newest: Option<(Generation, [u8; 32])>,
    /// The start that was written down, as long as nothing is served from it.
    begun: Option<u64>,
}

/// A start that was given up, or came to something else, says nothing about the generation: it is as if it had not been.
/// This is dropped by whoever ends up with it, also when that is the write itself, which nobody waits for any more. A process
/// that unwinds may do so for the very state.
impl Drop for CacheStore {
    fn drop(&mut self) {
        if let Some(number) = self.begun.take_if(|_| !std::thread::panicking())
            && let Err(error) = self.withdraw(number)
        {
            tracing::warn!(folder = %self.folder.path().display(), %error, "the cache is not kept");
        }
    }
}

/// A generation that can be read.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) generation: Generation,
    pub(crate) saved: Saved,
}

/// What was saved, or found saved.
#[derive(Debug)]
pub(super) enum SaveResult {
    Saved(Generation),
    /// Another process writes here.
    Elsewhere,
}

impl SaveResult {
    pub(super) const fn outcome(&self) -> Outcome {
        match self {
            Self::Saved(Generation { number, trust: Trust::Candidate }) => Outcome::Candidate(*number),
            Self::Saved(_) => Outcome::Trusted,
            Self::Elsewhere => Outcome::Elsewhere,
        }
    }
}

impl CacheStore {
    /// Looks at what there is. A folder that cannot be written may well be read: the error says what is wrong with it.
    pub(super) fn open(
        root: &Path,
        owner: Owner,
        cipher: Cipher,
        keep: usize,
    ) -> (Self, Result<bool, CacheError>) {
        let mut folder = Folder::new(root, &owner);
        let claimed = folder.claim().map_err(|error| failed("claim", &folder, &error));
        let boots = folder.boots();
        let (listed, claimed) = match folder.list() {
            Ok(listed) => (listed, claimed),
            Err(error) => (Vec::new(), claimed.and(Err(failed("list", &folder, &error)))),
        };
        let untried = boot_order(&listed, &boots).into();
        (Self { folder, owner, cipher, keep, untried, newest: None, begun: None }, claimed)
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the cache of one handle is. Asks nobody.
    pub(super) fn path_of(root: &Path, owner: &Owner) -> PathBuf {
        Folder::new(root, owner).path().to_owned()
    }

    /// The next generation to start from; `None` when there is no other.
    pub(crate) fn next(&mut self) -> Option<Result<Loaded, Skipped>> {
        let generation = self.untried.pop_front()?;
        Some(match self.load(generation) {
            Ok((saved, content)) => {
                if self.newest.is_none_or(|(known, _)| known.number < generation.number) {
                    self.newest = Some((generation, content));
                }
                Ok(Loaded { generation, saved })
            }
            Err(damage) => Err(Skipped { file: generation.file_name(), damage }),
        })
    }

    /// A state, and what its file holds.
    fn load(&self, generation: Generation) -> Result<(Saved, [u8; 32]), Damage> {
        let file = self.folder.read(generation)?;
        let (saved, sealed_by) = format::decode(&file, &self.owner, &self.cipher)?;
        let content = format::content(&saved, sealed_by.as_deref());
        Ok((saved, content))
    }

    /// Writes down that a start from this generation begins. Nothing where another process writes. Until it is said that the
    /// generation is served, dropping this takes it back.
    pub(super) fn begin_boot(&mut self, number: u64) -> Result<(), CacheError> {
        let noted = self.note_boot(|boots| boots.begin(number))?;
        self.begun = noted.then_some(number);
        Ok(())
    }

    /// The generation is served: from now on a process that ends without a word has failed with it.
    pub(super) const fn serves(&mut self) {
        self.begun = None;
    }

    pub(super) fn succeeded(&mut self, number: u64) -> Result<(), CacheError> {
        self.note_boot(|boots| boots.succeeded(number)).map(|_| ())
    }

    pub(super) fn withdraw(&mut self, number: u64) -> Result<(), CacheError> {
        self.begun = None;
        self.note_boot(|boots| boots.withdraw(number)).map(|_| ())
    }

    /// Whether this process is the one that writes.
    fn note_boot(&mut self, note: impl FnOnce(&mut Boots)) -> Result<bool, CacheError> {
        if !self.claim()? {
            return Ok(false);
        }
        let mut boots = self.folder.boots();
        let before = boots.clone();
        note(&mut boots);
        if boots != before {
            self.folder.write_boots(&boots).map_err(|error| failed("write", &self.folder, &error))?;
        }
        Ok(true)
    }

    fn claim(&mut self) -> Result<bool, CacheError> {
        self.folder.claim().map_err(|error| failed("claim", &self.folder, &error))
    }

    /// Saves a state, unless the newest generation holds just that.
    pub(super) fn save(&mut self, saved: &Saved) -> Result<SaveResult, CacheError> {
        if !self.claim()? {
            return Ok(SaveResult::Elsewhere);
        }
        let fails = |error: io::Error| failed("write", &self.folder, &error);
        let listed = self.folder.list().map_err(fails)?;
        let content = format::content(saved, self.cipher.id());
        let newest = listed.iter().max_by_key(|generation| generation.number).copied();
        if let Some(newest) = newest
            && self.holds(newest, content)
        {
            self.newest = Some((newest, content));
            return Ok(SaveResult::Saved(newest));
        }
        let bytes = format::encode(saved, &self.cipher).map_err(CacheError::Seal)?;
        let number = newest.map_or(1, |newest| newest.number.saturating_add(1));
        let generation = Generation::new(number, Trust::Candidate);
        self.folder.write(generation, &bytes).map_err(fails)?;
        self.newest = Some((generation, content));
        self.tidy()?;
        Ok(SaveResult::Saved(generation))
    }

    /// Whether a file holds this state, and can be read.
    fn holds(&self, generation: Generation, content: [u8; 32]) -> bool {
        match self.newest {
            Some((known, held)) if known == generation => held == content,
            _ => self.load(generation).is_ok_and(|(_, held)| held == content),
        }
    }

    pub(super) fn promote(&mut self, number: u64) -> Result<(), CacheError> {
        self.folder.promote(number).map_err(|error| failed("promote", &self.folder, &error))?;
        if let Some((generation, _)) = &mut self.newest
            && generation.number == number
        {
            generation.trust = Trust::Trusted;
        }
        self.tidy()
    }

    /// Removes what is kept no longer.
    fn tidy(&self) -> Result<(), CacheError> {
        let fails = |error: io::Error| failed("tidy", &self.folder, &error);
        let mut listed = self.folder.list().map_err(fails)?;
        let removed = superseded(&listed, self.keep);
        for generation in &removed {
            self.folder.remove(*generation).map_err(fails)?;
        }
        listed.retain(|generation| !removed.contains(generation));
        let mut boots = self.folder.boots();
        let before = boots.clone();
        boots.retain(&listed);
        if boots == before { Ok(()) } else { self.folder.write_boots(&boots).map_err(fails) }
    }
}

fn failed(doing: &'static str, folder: &Folder, error: &io::Error) -> CacheError {
    CacheError::Io { doing, folder: folder.path().to_owned(), kind: error.kind() }
}

impl From<SealError> for CacheError {
    fn from(error: SealError) -> Self {
        Self::Seal(error)
    }
}
