//! Figures for the `metrics` facade. Without the feature `metrics` there are none.

#[cfg(feature = "metrics")]
mod recorded {
    use std::time::Duration;

    use metrics::{Counter, Gauge, Histogram, Label};

    use super::Took;
    use crate::schema::KvConfig;
    use crate::view::View;
    use crate::{Basis, WatchState};

    /// One handle's figures. The names are public; `guide::outages` has them with their units.
    pub(crate) struct Meter {
        applied: Gauge,
        seen: Gauge,
        contact_age: Gauge,
        following: Gauge,
        from_bucket: Gauge,
        rejected: Gauge,
        snapshots: Counter,
        rejections: Counter,
        resyncs: Counter,
        decode: Histogram,
    }

    /// The gauges take floats; revisions below 2^53 are exact.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    const fn number(value: u64) -> f64 {
        value as f64
    }

    fn flag(value: bool) -> f64 {
        if value { 1.0 } else { 0.0 }
    }

    /// What an exporter shows beside the figures.
    fn describe() {
        use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

        describe_gauge!("kvconf_applied_revision", "The revision that readers get");
        describe_gauge!(
            "kvconf_seen_revision",
            "The newest revision that was looked at, rejected ones included"
        );
        describe_gauge!(
            "kvconf_last_contact_age_seconds",
            Unit::Seconds,
            "How long ago the bucket was last heard of; infinite where it never was"
        );
        describe_gauge!("kvconf_following", "1 while the watch delivers, else 0");
        describe_gauge!("kvconf_served_from_bucket", "1, or 0 while the cache or the defaults stand in");
        describe_gauge!("kvconf_rejected", "Change sets that readers do not see");
        describe_counter!("kvconf_snapshots_total", Unit::Count, "States that readers were given");
        describe_counter!("kvconf_rejections_total", Unit::Count, "Change sets that were rejected");
        describe_counter!("kvconf_resyncs_total", Unit::Count, "How often the bucket was read again");
        describe_histogram!("kvconf_decode_seconds", Unit::Seconds, "Decoding and checking one update");
    }

    impl Meter {
        pub(crate) fn new<T: KvConfig>(view: &View<T>, state: &WatchState) -> Self {
            let labels = vec![
                Label::new("bucket", view.bucket.clone()),
                Label::new("prefix", view.layers().to_string()),
                Label::from_static_parts("struct", view.table.name),
            ];
            let meter = Self::labelled(labels);
            meter.show(view);
            meter.following.set(flag(!state.is_stale()));
            meter
        }

        fn labelled(labels: Vec<Label>) -> Self {
            describe();
            Self {
                applied: metrics::gauge!("kvconf_applied_revision", labels.clone()),
                seen: metrics::gauge!("kvconf_seen_revision", labels.clone()),
                contact_age: metrics::gauge!("kvconf_last_contact_age_seconds", labels.clone()),
                following: metrics::gauge!("kvconf_following", labels.clone()),
                from_bucket: metrics::gauge!("kvconf_served_from_bucket", labels.clone()),
                rejected: metrics::gauge!("kvconf_rejected", labels.clone()),
                snapshots: metrics::counter!("kvconf_snapshots_total", labels.clone()),
                rejections: metrics::counter!("kvconf_rejections_total", labels.clone()),
                resyncs: metrics::counter!("kvconf_resyncs_total", labels.clone()),
                decode: metrics::histogram!("kvconf_decode_seconds", labels),
            }
        }

        fn show<T: KvConfig>(&self, view: &View<T>) {
            self.applied.set(number(view.snapshot.revision().get()));
            self.seen.set(number(view.seen.get()));
            self.from_bucket.set(flag(view.snapshot.basis() == Basis::Bucket));
            self.rejected.set(number(view.rejected.len() as u64));
        }

        /// The view took an update, within this time.
        pub(crate) fn took<T: KvConfig>(&self, within: Duration, view: &View<T>, outcome: Took) {
            self.decode.record(within.as_secs_f64());
            self.snapshots.increment(u64::from(outcome.published));
            self.rejections.increment(outcome.newly_rejected as u64);
            self.show(view);
        }

        /// The watch's state changed.
        pub(crate) fn entered(&self, state: &WatchState) {
            self.following.set(flag(!state.is_stale()));
            self.resyncs.increment(u64::from(matches!(state, WatchState::Resyncing { .. })));
        }

        /// The age of the last contact; `None` where there was none.
        pub(crate) fn contact(&self, age: Option<Duration>) {
            self.contact_age.set(age.map_or(f64::INFINITY, |age| age.as_secs_f64()));
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod absent {
    use std::time::Duration;

    use super::Took;
    use crate::WatchState;
    use crate::schema::KvConfig;
    use crate::view::View;

    /// Nothing.
    pub(crate) struct Meter;

    #[expect(clippy::unused_self, reason = "as with the feature `metrics`")]
    impl Meter {
        pub(crate) fn new<T: KvConfig>(_: &View<T>, _: &WatchState) -> Self {
            Self
        }

        pub(crate) fn took<T: KvConfig>(&self, _: Duration, _: &View<T>, _: Took) {}

        pub(crate) fn entered(&self, _: &WatchState) {}
    }
}

/// What became of an update.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "read by the feature `metrics`"))]
pub(super) struct Took {
    /// Whether readers got another snapshot.
    pub(super) published: bool,
    /// How many change sets are rejected that were not before.
    pub(super) newly_rejected: usize,
}

#[cfg(not(feature = "metrics"))]
pub(super) use absent::Meter;
#[cfg(feature = "metrics")]
pub(super) use recorded::Meter;

#[cfg(feature = "metrics")]
mod contact {
    use std::sync::Arc;
    use std::time::Duration;

    use crate::live::Shared;
    use crate::live::task::spawn;
    use crate::schema::KvConfig;

    /// How often an age is told that nothing else tells.
    const EVERY: Duration = Duration::from_secs(5);

    /// Tells the age of the last contact now and then. Must be called inside a tokio runtime.
    pub(in crate::live) fn tell_contact<T: KvConfig>(shared: &Arc<Shared<T>>) {
        let weak = Arc::downgrade(shared);
        let ended = shared.ended.clone();
        spawn(Box::pin(async move {
            let mut tick = tokio::time::interval(EVERY);
            loop {
                tokio::select! {
                    _ = tick.tick() => {}
                    () = ended.cancelled() => return,
                }
                let Some(shared) = weak.upgrade() else { return };
                shared.meter.contact(shared.condition.borrow().contact_age());
            }
        }));
    }
}

#[cfg(feature = "metrics")]
pub(super) use contact::tell_contact;
