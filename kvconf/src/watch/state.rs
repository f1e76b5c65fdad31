//! How the watch is, as users see it.

use std::time::Duration;

use derive_more::Display;

/// How a bucket's watch is.
#[derive(Debug, Clone, PartialEq, Eq, Display)]
#[non_exhaustive]
pub enum WatchState {
    /// It reads the bucket's state for the first time.
    #[display("loading")]
    Loading,
    /// It is connected and delivers.
    #[display("live")]
    Live,
    /// It delivers, and has more to do than it can keep up with; or the bucket copies another one, and lacks so much of it,
    /// or of a change of several keys.
    #[display("lagging, {pending} {} behind", if *pending == 1 { "entry" } else { "entries" })]
    Lagging {
        /// How many entries are waiting.
        pending: u64,
    },
    /// It delivers, and what it delivers was on its way for long: the connection takes less than is written.
    #[display("late by {by:?}")]
    Late {
        /// By how much, against the fastest delivery so far.
        by: Duration,
    },
    /// Something made it doubtful; it reads the state again.
    #[display("reading the bucket again: {cause}")]
    Resyncing {
        /// What happened.
        cause: String,
    },
    /// The connection is down.
    #[display("disconnected")]
    Disconnected,
    /// The client has ended: it was drained, or has tried to connect as often as its `max_reconnects` says. It never connects
    /// again; the program has to be started again, or to open the bucket on another client.
    #[display("the client has ended and connects no more")]
    ClientEnded,
    /// There is no such bucket, or its servers are electing a leader: the server answers the same to both.
    #[display("the bucket is missing")]
    BucketMissing,
    /// The server refuses the watch.
    #[display("not permitted: {subject}")]
    NotPermitted {
        /// The subject that the client's user may not use.
        subject: String,
    },
    /// The bucket answered with less than it held before and said nothing of a removal; or it is a mirror that has a change of
    /// several keys in part, and no more what stood there before. The last good state is kept until that is confirmed, or the
    /// rest is there.
    #[display("suspect answer: {what}")]
    Suspect {
        /// What is odd.
        what: &'static str,
    },
    /// The bucket is a mirror of another one, or copies one by its sources, and has not heard of it for seconds: it serves
    /// what it has, and nobody knows what the other one has by now. What a mirror gets when it hears of it again is served once it
    /// has all of it, or after ten seconds.
    #[display("nothing is heard of bucket {origin}, which this one copies{}", because(cause.as_deref()))]
    OriginAway {
        /// The bucket that is copied.
        origin: String,
        /// Why, where the server says it.
        cause: Option<String>,
    },
    /// The bucket is a mirror, and the bucket that it copies is not the one whose entries it holds: that was deleted and created
    /// again, or lost its newest writes. The mirror has no state that the other one ever had, and nothing mends it but to make it
    /// anew. Told where the client may ask for the settings of both.
    #[display(
        "bucket {origin}, which this one copies, is not the one whose entries are here: make this one anew"
    )]
    OriginReplaced {
        /// The bucket that is copied.
        origin: String,
    },
    /// The watch's task has not run for seconds: the program keeps its runtime busy, or was suspended. Told to whoever asks
    /// for the health; nobody is woken by it.
    #[display("the watch does not get to run")]
    Starved,
    /// The watch was stopped.
    #[display("stopped")]
    Stopped,
}

fn because(cause: Option<&str>) -> String {
    cause.map_or_else(String::new, |cause| format!(": {cause}"))
}

impl WatchState {
    /// Whether what readers see can be out of date without a bound.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        !matches!(self, Self::Live | Self::Lagging { .. } | Self::Late { .. })
    }
}
