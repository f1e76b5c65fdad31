//! What changes outside the bucket, by the same trial as a change set of the bucket.

use std::time::SystemTime;

#[cfg(feature = "files")]
use super::groups;
use super::overlay::{Layered, Overlay};
use super::{Group, Outcome, View};
use crate::schema::{Kind, KvConfig, Path};
use crate::source::{Content, Sheet, Source};
use crate::{Origin, Problem, Report};

impl<T: KvConfig> View<T> {
    /// The state that readers have.
    pub(super) fn taken(&self) -> Layered<'_> {
        static NOTHING: std::sync::LazyLock<Overlay> = std::sync::LazyLock::new(Overlay::default);
        Layered::new(&self.table, &self.raw, &NOTHING)
    }

    /// What a source outside the bucket says.
    pub(crate) fn sheet(&self, source: Source) -> Sheet {
        self.raw.given.sheet(source).cloned().unwrap_or_default()
    }

    /// Takes the next content of a source, or keeps it for later: it waits until it is valid, or until the source says
    /// something else. A content that cannot be read at all leaves the source's last good one as it is.
    pub(crate) fn renew(&mut self, source: Source, content: Content) -> Outcome<T> {
        let Content { sheet, problems, warnings } = content;
        self.outside.insert(source, warnings);
        self.rejected.retain(|group| group.source != Some(source));
        let mut given = self.raw.given.leading_to(source, &sheet);
        if !problems.is_empty() {
            // What the problems are about is not in the sheet; it was not taken out.
            given = given.without_removals();
        }
        let alters = self.raw.given.differ_by(&given);
        let group =
            Group { changes: Overlay::of_given(given), revision: self.seen, source: Some(source), problems };
        let mut trial = std::mem::take(&mut self.rejected);
        if !group.is_empty() {
            trial.push(group);
        }
        let alone = trial.len() <= 1;
        let named = self.snapshot.rejected().len();
        let scratch = self.scratch();
        let (accepted, found) = self.select_contained(&trial, scratch);
        let snapshot = self.settle(trial, accepted, self.seen, self.snapshot.basis());
        let report_changed = self.renew_report(found);
        // A value that only stands in another line now is nothing for readers.
        let news = alters || !alone || named > 0;
        Outcome { snapshot: snapshot.filter(|_| news), report_changed }
    }

    /// Takes the next content of a source at once, or leaves everything as it is and says what is wrong.
    pub(crate) fn require(&mut self, source: Source, sheet: &Sheet) -> Result<Outcome<T>, Report> {
        let given = self.raw.given.leading_to(source, sheet);
        let changes = Overlay::of_given(given);
        let mut trial = self.rejected.clone();
        trial.retain(|group| group.source != Some(source));
        trial.push(Group {
            changes: changes.clone(),
            revision: self.seen,
            source: Some(source),
            problems: Vec::new(),
        });
        let (accepted, found) = self.select(&trial, self.copy());
        if accepted.as_ref().is_none_or(|(_, taken)| taken.last() != Some(&true)) {
            let problems = self.evaluate(&changes, self.copy()).err();
            return Err(self.refusal(problems.unwrap_or_default()));
        }
        self.rejected.clear();
        let snapshot = self.settle(trial, accepted, self.seen, self.snapshot.basis());
        let report_changed = self.renew_report(found);
        Ok(Outcome { snapshot, report_changed })
    }

    /// What is wrong with something that was tried and not taken: no revision of the bucket has it.
    pub(crate) fn refusal(&self, problems: Vec<Problem>) -> Report {
        Report {
            name: self.table.name.into(),
            bucket: self.bucket.clone(),
            revision: None,
            serving: Some(self.snapshot.revision()),
            at: SystemTime::now(),
            problems,
        }
    }

    /// Notes that files are looked at in intervals only, and why; `None` when that is over. Says whether that is news.
    #[cfg(feature = "files")]
    pub(crate) fn set_polled(&mut self, polled: Option<Problem>) -> bool {
        self.polled = polled;
        self.renew_report(groups::fatal(self.report.as_deref()))
    }

    /// Where a field's value comes from; `None` for a map of entries, and for a path that leads to no field.
    pub(crate) fn origin(&self, path: Path) -> Option<Origin> {
        let (_, slot) = self.table.slot_at(path)?;
        (slot.kind == Kind::Leaf).then(|| self.taken().origin_of(slot))
    }
}
