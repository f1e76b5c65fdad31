//! The task that answers for an instance: one for each bucket, shared by its handles, asleep until somebody asks.

use std::collections::HashMap;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use derive_more::Display;
use futures_util::future::{AbortHandle, BoxFuture, join_all};
use futures_util::stream::{BoxStream, FuturesUnordered, SelectAll};
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::desk::{self, Decision, Task, Work};
use super::identity::Instance;
use super::member::{MAX_HANDLES, Member};
use super::scope::{self, Scope};
use super::wire::{Refusal, Said, Told, VERSION};
use super::{Participant, when};
use crate::key::escape_segment;
use crate::store::exchange::{Answer, Card, Counts, Exchange, Heard, Question, Reply};

/// The most questions whose answers wait at one time.
const MAX_HELD: usize = 64;

/// The most that one answer has, in bytes, if the server takes as much.
const MAX_ANSWER: usize = 256 << 10;

/// How long the last answers of an instance that leaves may take.
const LEAVES_WITHIN: Duration = Duration::from_secs(1);

/// Whether an instance can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Display)]
#[non_exhaustive]
pub enum Presence {
    /// It listens.
    #[display("listening")]
    Listening,
    /// The server does not let it listen. Only told where the connection learns of missing permissions.
    #[display("not permitted: {subject}")]
    NotPermitted {
        /// The subject that the client's user may not subscribe to.
        subject: String,
    },
    /// The client is at its end.
    #[display("the client has ended")]
    Ended,
}

enum Command {
    Join { id: u64, participant: Arc<dyn Participant>, listens: oneshot::Sender<()> },
    Leave { id: u64 },
}

/// Where the handles of one bucket find the task of their instance.
#[derive(Default)]
pub(crate) struct Endpoints {
    /// By the instance's id. Unbounded: two commands at most for every handle there is.
    running: Arc<Mutex<HashMap<Arc<str>, Running>>>,
    ids: AtomicU64,
}

#[derive(Clone)]
struct Running {
    commands: UnboundedSender<Command>,
    shared: Arc<Shared>,
}

/// A handle's share in its instance's answers. Dropping it ends the share, and the last one ends the task.
pub(crate) struct Membership {
    id: u64,
    running: Running,
}

impl Membership {
    pub(crate) fn presence(&self) -> Presence {
        lock(&self.running.shared.presence).clone()
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        // A task that is gone needs no word.
        let _ = self.running.commands.send(Command::Leave { id: self.id });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that could panic runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Endpoints {
    /// Lets a handle answer as part of an instance; returns when it does. Must be called inside a tokio runtime.
    pub(crate) async fn join(
        &self,
        bucket: &str,
        exchange: impl FnOnce() -> Arc<dyn Exchange>,
        instance: &Instance,
        participant: Arc<dyn Participant>,
    ) -> Membership {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let (listens, listening) = oneshot::channel();
        let running = self.running(bucket, exchange, instance, |running| {
            // The lock is held, so the task cannot have ended in between.
            let _ = running.commands.send(Command::Join { id, participant, listens });
        });
        // Made before it is waited for: a start that is given up leaves nothing behind.
        let membership = Membership { id, running };
        let _ = listening.await;
        membership
    }

    /// The task of an instance, begun where there is none; `join` is called before it can end.
    fn running(
        &self,
        bucket: &str,
        exchange: impl FnOnce() -> Arc<dyn Exchange>,
        instance: &Instance,
        join: impl FnOnce(&Running),
    ) -> Running {
        let mut all = lock(&self.running);
        let running = match all.get(&instance.id) {
            Some(running) if !running.commands.is_closed() => running.clone(),
            _ => {
                let (commands, receiver) = unbounded_channel();
                let shared = Arc::new(Shared {
                    instance: instance.clone(),
                    bucket: bucket.to_owned(),
                    topics: Mutex::default(),
                    counts: Mutex::default(),
                    presence: Mutex::new(Presence::Listening),
                });
                let endpoint = Endpoint {
                    exchange: exchange(),
                    shared: Arc::clone(&shared),
                    receiver,
                    all: Arc::clone(&self.running),
                    participants: Vec::new(),
                    ears: SelectAll::new(),
                    scopes: HashMap::new(),
                    held: FuturesUnordered::new(),
                    leaving: CancellationToken::new(),
                };
                tokio::spawn(endpoint.run());
                let running = Running { commands, shared };
                all.insert(Arc::clone(&instance.id), running.clone());
                running
            }
        };
        join(&running);
        running
    }
}

/// What the task shares with those who ask about it.
struct Shared {
    instance: Instance,
    bucket: String,
    topics: Mutex<Vec<String>>,
    counts: Mutex<Counts>,
    presence: Mutex<Presence>,
}

impl Shared {
    fn told(&self, said: Said) -> Told {
        let Instance { name, id, version, host, .. } = &self.instance;
        let text = |text: &Arc<str>| text.to_string();
        Told { v: VERSION, id: text(id), name: text(name), version: text(version), host: text(host), said }
    }

    fn member(&self) -> Member {
        let Instance { name, id, version, host, started } = &self.instance;
        Member {
            id: id.to_string(),
            name: name.to_string(),
            version: version.to_string(),
            host: host.to_string(),
            started: *started,
            kvconf: env!("CARGO_PKG_VERSION").to_owned(),
            handles: Vec::new(),
            more_handles: 0,
        }
    }

    /// What is sent, and how it counts.
    fn answer(&self, said: Said, busy: Duration, max: usize) -> Answer {
        let (payload, refusal) = desk::bytes(self.told(said), max);
        let mut counts = lock(&self.counts);
        counts.requests += 1;
        counts.busy += busy;
        let error = refusal.map(|refusal| (refusal.code, refusal.message));
        if let Some((_, message)) = &error {
            counts.errors += 1;
            counts.last_error = Some(message.clone());
        }
        Answer { payload: payload.into(), error }
    }
}

impl Card for Shared {
    fn id(&self) -> String {
        escape_segment(&self.instance.id)
    }

    fn version(&self) -> String {
        self.instance.version.to_string()
    }

    fn description(&self) -> String {
        format!("settings of {} from bucket {}", self.instance, self.bucket)
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        let Instance { name, id, version, host, .. } = &self.instance;
        let text = |text: &Arc<str>| text.to_string();
        vec![
            ("bucket", self.bucket.clone()),
            ("name", text(name)),
            ("id", text(id)),
            ("version", text(version)),
            ("host", text(host)),
            ("kvconf", env!("CARGO_PKG_VERSION").to_owned()),
        ]
    }

    fn started(&self) -> String {
        when::text(self.instance.started).unwrap_or_default()
    }

    fn endpoints(&self) -> Vec<(String, String)> {
        let name = |topic: &String| (topic.trim_start_matches("*.").to_owned(), topic.clone());
        lock(&self.topics).iter().map(name).collect()
    }

    fn counts(&self) -> Counts {
        lock(&self.counts).clone()
    }
}

struct Endpoint {
    exchange: Arc<dyn Exchange>,
    shared: Arc<Shared>,
    receiver: UnboundedReceiver<Command>,
    all: Arc<Mutex<HashMap<Arc<str>, Running>>>,
    participants: Vec<(u64, Scope, Arc<dyn Participant>)>,
    ears: SelectAll<BoxStream<'static, Heard>>,
    /// What is listened to, and what ends it.
    scopes: HashMap<Scope, AbortHandle>,
    /// Answers on their way.
    held: FuturesUnordered<BoxFuture<'static, ()>>,
    leaving: CancellationToken,
}

impl Endpoint {
    async fn run(mut self) {
        let mut presented = self.exchange.present(Arc::clone(&self.shared) as Arc<dyn Card>);
        self.listen(&scope::everybody()).await;
        loop {
            tokio::select! {
                biased;
                command = self.receiver.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => break,
                },
                Some(()) = self.held.next(), if !self.held.is_empty() => {}
                Some(heard) = self.ears.next(), if !self.ears.is_empty() => self.heard(heard),
                () = &mut presented => presented = pending().boxed(),
            }
            if self.participants.is_empty() && self.ends() {
                break;
            }
        }
        // Whoever waits for an answer is told at once that this instance is no longer one to wait for.
        self.leaving.cancel();
        let Self { held, .. } = self;
        let _ = timeout(LEAVES_WITHIN, held.for_each(|()| async {})).await;
    }

    /// Gives the instance's place free, unless somebody has just asked to join.
    fn ends(&self) -> bool {
        let mut all = lock(&self.all);
        if !self.receiver.is_empty() {
            return false;
        }
        all.remove(&self.shared.instance.id);
        true
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Join { id, participant, listens } => {
                let scope = Scope::of(participant.prefixes());
                self.participants.push((id, scope.clone(), participant));
                if !self.scopes.contains_key(&scope)
                    && let Some(end) = self.listen(&scope.pattern()).await
                {
                    self.scopes.insert(scope, end);
                }
                // Whoever waited may have given up.
                let _ = listens.send(());
            }
            Command::Leave { id } => {
                let Some(at) = self.participants.iter().position(|(other, ..)| *other == id) else { return };
                let (_, scope, _) = self.participants.swap_remove(at);
                if self.participants.iter().all(|(_, other, _)| *other != scope)
                    && let Some(end) = self.scopes.remove(&scope)
                {
                    end.abort();
                    lock(&self.shared.topics).retain(|topic| *topic != scope.pattern());
                }
            }
        }
    }

    /// Listens to a topic from now on, until it is ended.
    async fn listen(&mut self, topic: &str) -> Option<AbortHandle> {
        match self.exchange.listen(topic).await {
            Ok(heard) => {
                lock(&self.shared.topics).push(topic.to_owned());
                let (heard, end) = stream::abortable(heard);
                self.ears.push(heard.boxed());
                Some(end)
            }
            Err(error) => {
                tracing::warn!(bucket = self.shared.bucket, topic, %error, "the fleet cannot ask this instance");
                *lock(&self.shared.presence) = Presence::Ended;
                None
            }
        }
    }

    fn heard(&mut self, heard: Heard) {
        let Question { topic, payload, reply } = match heard {
            Heard::Question(question) => question,
            Heard::NotPermitted { subject } => {
                let bucket = &self.shared.bucket;
                tracing::warn!(bucket, subject, "the fleet cannot ask this instance: not permitted");
                *lock(&self.shared.presence) = Presence::NotPermitted { subject };
                return;
            }
        };
        *lock(&self.shared.presence) = Presence::Listening;
        let Some(reply) = reply else { return };
        let said = match desk::decide(&topic, &payload, &self.shared.instance.id, rand::random()) {
            Decision::Silence => return,
            Decision::Refuse(refusal) => Said::Error(refusal),
            Decision::Answer(_) if self.held.len() >= MAX_HELD => Said::Error(Refusal::busy()),
            Decision::Answer(task) => return self.hold(task, reply),
        };
        let answer = self.shared.answer(said, Duration::ZERO, self.max_answer());
        self.held.push(reply(answer));
    }

    fn max_answer(&self) -> usize {
        self.exchange.max_payload().min(MAX_ANSWER)
    }

    /// Answers as soon as it can be answered, and it is time.
    fn hold(&self, task: Task, reply: Reply) {
        let asked =
            self.participants.iter().filter(|(_, scope, _)| task.scope.as_ref().is_none_or(|s| s == scope));
        let participants: Vec<Arc<dyn Participant>> = asked.map(|(.., one)| Arc::clone(one)).collect();
        if participants.is_empty() {
            return;
        }
        let (shared, leaving, max) = (Arc::clone(&self.shared), self.leaving.clone(), self.max_answer());
        let answer = async move {
            let waited = async {
                wait(&task, &participants).await;
                sleep(task.delay).await;
            };
            tokio::select! {
                biased;
                () = leaving.cancelled() => {
                    reply(shared.answer(Said::Error(Refusal::leaving()), Duration::ZERO, max)).await;
                }
                () = waited => {
                    let begun = Instant::now();
                    let said = say(&shared, &task.work, &participants);
                    reply(shared.answer(said, begun.elapsed(), max)).await;
                }
            }
        };
        self.held.push(answer.boxed());
    }
}

/// Waits until the handles have seen what is asked about, or for as long as may be waited.
async fn wait(task: &Task, participants: &[Arc<dyn Participant>]) {
    let reached = |until: &dyn Fn(&dyn Participant) -> crate::Revision| {
        join_all(participants.iter().map(|one| one.reached(until(&**one))).collect::<Vec<_>>())
    };
    let reached = match &task.work {
        Work::Who => return,
        Work::Settled(revision) => reached(&|_| *revision),
        // A handle that has not seen what the author saw would judge something else.
        Work::Preflight(candidates) => reached(&|one| {
            let mine = candidates.iter().filter(|c| one.prefixes().iter().any(|p| c.key.under(p).is_some()));
            mine.map(|candidate| candidate.expected).max().unwrap_or_default()
        }),
    };
    let _ = timeout(task.hold, reached).await;
}

/// What there is to say now.
fn say(shared: &Shared, work: &Work, participants: &[Arc<dyn Participant>]) -> Said {
    let said = match work {
        Work::Who => {
            let mut member = shared.member();
            member.handles = participants.iter().filter_map(|one| one.describe()).collect();
            member.handles.sort_by(|a, b| (&a.prefixes, &a.structure).cmp(&(&b.prefixes, &b.structure)));
            member.more_handles = member.handles.len().saturating_sub(MAX_HANDLES);
            member.handles.truncate(MAX_HANDLES);
            Said::Who(Box::new(member))
        }
        Work::Preflight(candidates) => {
            Said::Preflight(participants.iter().filter_map(|one| one.judge(candidates)).collect())
        }
        Work::Settled(revision) => {
            Said::Settled(participants.iter().filter_map(|one| one.settled(*revision)).collect())
        }
    };
    match said {
        Said::Who(member) if member.handles.is_empty() => Said::Error(Refusal::leaving()),
        Said::Preflight(all) if all.is_empty() => Said::Error(Refusal::leaving()),
        Said::Settled(all) if all.is_empty() => Said::Error(Refusal::leaving()),
        said => said,
    }
}
