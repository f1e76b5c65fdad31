//! Feeds the state machines: what they wait for, the timers, and the handles that come and go.

use std::cmp::Reverse;
use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::Remembered;
use super::machine::{Machine, Tuning};
use super::merging::{MOST, QUIET, WANTED, smallest};
use super::observer::{Attached, Observer, Standing};
use super::strand::{Event, Strand};
use crate::store::{Given, Seen, Store};
use crate::{Prefix, Revision};

/// How often the watch's task runs at least.
const BEAT: Duration = Duration::from_secs(1);

/// For how long it may not have run before what it last said counts for nothing.
const STARVED_AFTER: Duration = Duration::from_secs(4);

enum Command {
    Attach { id: u64, prefixes: Vec<Prefix>, observer: Box<dyn Observer>, remembered: Option<Remembered> },
    Detach { id: u64 },
}

/// When the watch's task last ran: a program that blocks its runtime stops the watch without the watch noticing.
struct Pulse {
    origin: Instant,
    /// Milliseconds since then.
    last: AtomicU64,
}

impl Pulse {
    fn new() -> Self {
        Self { origin: Instant::now(), last: AtomicU64::new(0) }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn beat(&self) {
        self.last.store(self.millis(), Ordering::Relaxed);
    }

    fn still_for(&self) -> Duration {
        Duration::from_millis(self.millis().saturating_sub(self.last.load(Ordering::Relaxed)))
    }
}

/// The place where the handles of one bucket find their common watch.
pub(crate) struct Hub {
    store: Arc<dyn Store>,
    pulse: Arc<Pulse>,
    /// Where the running driver takes commands. Unbounded: two commands at most for every handle there is.
    commands: Arc<Mutex<Option<UnboundedSender<Command>>>>,
    ids: AtomicU64,
}

/// A handle's share in the watch. Dropping it ends the share, and the last one ends the watch.
pub(crate) struct Attachment {
    id: u64,
    commands: UnboundedSender<Command>,
    pulse: Arc<Pulse>,
}

impl Attachment {
    /// For how long the watch has not run, when that is too long.
    pub(crate) fn starved_for(&self) -> Option<Duration> {
        Some(self.pulse.still_for()).filter(|still| *still > STARVED_AFTER)
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // A driver that is gone needs no word.
        let _ = self.commands.send(Command::Detach { id: self.id });
    }
}

impl Hub {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, pulse: Arc::new(Pulse::new()), commands: Arc::default(), ids: AtomicU64::new(1) }
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Joins the watch, or begins it. Must be called inside a tokio runtime.
    #[cfg(test)]
    pub(crate) fn attach(&self, prefix: Prefix, observer: Box<dyn Observer>) -> Attachment {
        self.attach_remembering(vec![prefix], observer, None)
    }

    /// Joins the watch, or begins it, with what an earlier process knew of the bucket. Must be called inside a tokio
    /// runtime.
    pub(crate) fn attach_remembering(
        &self,
        prefixes: Vec<Prefix>,
        observer: Box<dyn Observer>,
        remembered: Option<Remembered>,
    ) -> Attachment {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let attach = Command::Attach { id, prefixes, observer, remembered };
        let mut slot = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(commands) = slot.as_ref().filter(|commands| !commands.is_closed()).cloned() {
            // The lock is held, so the driver cannot have ended in between.
            let _ = commands.send(attach);
            return Attachment { id, commands, pulse: Arc::clone(&self.pulse) };
        }
        let (commands, receiver) = unbounded_channel();
        let _ = commands.send(attach);
        *slot = Some(commands.clone());
        drop(slot);
        self.pulse.beat();
        let driver = Driver {
            store: Arc::clone(&self.store),
            pulse: Arc::clone(&self.pulse),
            strands: Vec::new(),
            turn: 0,
            numbers: 0,
            queue: Vec::new(),
            one_at: None,
            wanted: None,
            given: self.store.given().cloned(),
            seen: Seen::default(),
            is_contradicted: false,
            receiver,
            slot: Arc::clone(&self.commands),
        };
        let mut run = Box::pin(driver.run());
        // The server is asked from here: for a worker of the runtime to wake up takes a twentieth of what it takes to load a few
        // keys.
        if (&mut run).now_or_never().is_none() {
            tokio::spawn(run);
        }
        Attachment { id, commands, pulse: Arc::clone(&self.pulse) }
    }
}

struct Driver {
    store: Arc<dyn Store>,
    pulse: Arc<Pulse>,
    /// The watches beside each other; one, when nobody has joined for a while.
    strands: Vec<Strand>,
    /// Which of them is looked at first: none keeps the others waiting.
    turn: usize,
    /// How many strands there have been.
    numbers: u64,
    /// Who came while handles that came before are being loaded. They share the next load: beginning that one again for each
    /// of them would keep all of them waiting for as long as others keep coming.
    queue: Vec<Attached>,
    /// When all strands become one.
    one_at: Option<Instant>,
    /// The revision that somebody waits for, and until when it is left to come by itself.
    wanted: Option<(Revision, Instant)>,
    /// What those who write are told, and tell.
    given: Option<Arc<Given>>,
    seen: Seen,
    /// Whether a write has shown that an epoch is over, and the strands have to look.
    is_contradicted: bool,
    receiver: UnboundedReceiver<Command>,
    slot: Arc<Mutex<Option<UnboundedSender<Command>>>>,
}

/// What the first strand that has something has, from one of them on.
fn poll_each(strands: &mut [Strand], from: usize, cx: &mut Context<'_>) -> Poll<(usize, Event)> {
    for step in 0..strands.len() {
        let at = (from + step) % strands.len();
        if let Some(strand) = strands.get_mut(at)
            && let Poll::Ready(event) = strand.poll(cx)
        {
            return Poll::Ready((at, event));
        }
    }
    Poll::Pending
}

/// The next epoch that a write has shown to be over.
async fn next_doubt(doubted: &mut Option<watch::Receiver<Option<u64>>>) -> u64 {
    if let Some(doubted) = doubted {
        while doubted.changed().await.is_ok() {
            if let Some(epoch) = *doubted.borrow_and_update() {
                return epoch;
            }
        }
    }
    pending().await
}

/// The next revision that somebody waits for.
async fn next_wanted(wanted: &mut Option<watch::Receiver<Revision>>) -> Revision {
    if let Some(wanted) = wanted
        && wanted.changed().await.is_ok()
    {
        return *wanted.borrow_and_update();
    }
    pending().await
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

impl Driver {
    async fn run(mut self) {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let given = self.given.clone();
        let (mut doubted, mut wanted) = given.as_ref().map_or((None, None), |given| {
            given.see(self.seen);
            given.settle();
            (Some(given.doubted()), Some(given.wanted()))
        });
        loop {
            self.pulse.beat();
            let deadline = self.deadline();
            let (strands, turn) = (&mut self.strands, self.turn);
            tokio::select! {
                biased;
                command = self.receiver.recv() => match command {
                    Some(command) => self.command(command),
                    None => return,
                },
                (at, event) = poll_fn(|cx| poll_each(strands, turn, cx)) => {
                    self.turn = at + 1;
                    if let Some(strand) = self.strands.get_mut(at)
                        && strand.take(event)
                    {
                        // Whoever was woken by it comes before what is left to do here.
                        yield_now().await;
                    }
                }
                epoch = next_doubt(&mut doubted) => {
                    self.is_contradicted = true;
                    self.strands.iter_mut().for_each(|strand| strand.contradict(epoch));
                }
                revision = next_wanted(&mut wanted) => {
                    self.wanted = Some((revision, Instant::now() + WANTED));
                }
                () = until(deadline) => {
                    let now = Instant::now();
                    self.strands.iter_mut().for_each(|strand| strand.deadline_passed(now));
                }
                _ = beat.tick() => {}
            }
            self.place_newcomers();
            self.make_fewer();
            self.tell_writers();
            if self.strands.is_empty() && self.queue.is_empty() && self.ends() {
                return;
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let strands = self.strands.iter().filter_map(|strand| strand.machine().deadline());
        // With one strand there is nothing to be done about it.
        let wanted = self.wanted.filter(|_| self.strands.len() > 1).map(|(_, at)| at);
        strands.chain(self.one_at).chain(wanted).min()
    }

    /// Tells those who write what was seen, and that nothing contradicts it any more.
    fn tell_writers(&mut self) {
        let Some(given) = &self.given else { return };
        let applied = self.strands.iter().filter_map(|strand| strand.machine().applied());
        let seen = applied.map(|(newest, epoch)| Seen { epoch, newest }).max().unwrap_or_default();
        if seen != self.seen {
            self.seen = seen;
            given.see(seen);
        }
        if self.is_contradicted && self.strands.iter().all(|strand| strand.machine().is_settled()) {
            self.is_contradicted = false;
            given.settle();
        }
    }

    /// Gives the place in the hub free, unless somebody has just asked to join.
    fn ends(&self) -> bool {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.receiver.is_empty() {
            return false;
        }
        *slot = None;
        true
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Attach { id, prefixes, observer, remembered } => {
                let standing = Standing::New;
                self.queue.push(Attached { id, prefixes, observer, remembered, standing });
            }
            Command::Detach { id } => {
                self.queue.retain(|attached| attached.id != id);
                self.strands.iter_mut().any(|strand| strand.detach(id));
                self.strands.retain(|strand| !strand.is_empty());
            }
        }
    }

    /// Gives all handles that are waiting to join a strand of their own, or the one that has no state either.
    fn place_newcomers(&mut self) {
        if self.queue.is_empty() || self.strands.iter().any(Strand::loads_for_newcomers) {
            return;
        }
        while let Ok(command) = self.receiver.try_recv() {
            self.command(command);
        }
        let newcomers = std::mem::take(&mut self.queue);
        if newcomers.is_empty() {
            return;
        }
        if let Some(strand) = self.strands.iter_mut().find(|strand| strand.takes_newcomers()) {
            return strand.join(newcomers);
        }
        let with_state = self.strands.iter().find(|strand| strand.machine().applied().is_some());
        let machine = match with_state.or(self.strands.first()) {
            Some(other) => other.machine().beside(),
            None => Machine::new(Tuning::default().jittered(rand::random())),
        };
        self.numbers += 1;
        let mut strand = Strand::new(self.numbers, Arc::clone(&self.store), machine);
        strand.join(newcomers);
        self.strands.push(strand);
    }

    /// Makes one of several strands, when it is time.
    fn make_fewer(&mut self) {
        let now = Instant::now();
        // Each is asked.
        let loaded = self.strands.iter_mut().fold(false, |loaded, strand| strand.take_loaded() | loaded);
        if self.strands.len() < 2 {
            self.one_at = None;
            return;
        }
        if loaded {
            self.one_at = Some(now + QUIET);
        }
        let settled = self.strands.iter().enumerate().filter(|(_, strand)| strand.machine().is_settled());
        let settled: Vec<usize> = settled.map(|(at, _)| at).collect();
        let wanted = self.wanted.take_if(|(_, at)| *at <= now).map(|(revision, _)| revision);
        let lacks = |at: &usize| {
            let applied = self.strands.get(*at).and_then(|strand| strand.machine().applied());
            applied.zip(wanted).is_some_and(|((applied, _), wanted)| applied < wanted)
        };
        if self.one_at.is_some_and(|at| at <= now) || settled.iter().any(lacks) {
            self.one_at = None;
            self.unite(&settled);
        } else if settled.len() >= MOST {
            let size = |at: &usize| self.strands.get(*at).map_or(0, |strand| strand.machine().size());
            let chosen = smallest(&settled.iter().map(size).collect::<Vec<_>>());
            let chosen: Vec<usize> = chosen.iter().filter_map(|at| settled.get(*at).copied()).collect();
            self.unite(&chosen);
        } else if let Some(crowded_out) = self.strands.iter().position(Strand::is_crowded_out)
            && let Some(other) = self.strands.iter().position(|strand| strand.machine().applied().is_some())
        {
            self.unite(&[other, crowded_out]);
        }
    }

    /// Makes one of these strands: the one with the most keys takes in the others.
    fn unite(&mut self, chosen: &[usize]) {
        let mut parts = Vec::new();
        let mut others = Vec::new();
        for (at, strand) in std::mem::take(&mut self.strands).into_iter().enumerate() {
            if chosen.contains(&at) { parts.push(strand) } else { others.push(strand) }
        }
        self.strands = others;
        // One that has a state before one that has none.
        parts.sort_by_key(|strand| {
            let machine = strand.machine();
            (machine.applied().is_none(), Reverse(machine.size()))
        });
        let mut parts = parts.into_iter();
        let Some(mut first) = parts.next() else { return };
        let rest: Vec<Strand> = parts.collect();
        if !rest.is_empty() {
            first.absorb(rest);
        }
        self.strands.push(first);
    }
}
