//! A subscription: what a consumer delivers, and the signs of life in between.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use async_nats::message::OutboundMessage;
use async_nats::{
    Client, HeaderMap, Message, Statistics, StatusCode, Subject, Subscriber, connection::State,
};
use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt};
use futures_util::{Sink, SinkExt};
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use super::NatsStore;
use super::config::Info;
use super::consumer::{Consumer, Purpose};
use super::error::Failure;
use super::message::{Delivered, Place, Stored, detached, headers, stored, time};
use super::stream::kept_revisions;
use crate::store::{Delivery, Start, Subscription, Told};
use crate::{Fault, Filter, ReadError, Revision};

/// How often the connection and the silence are looked at.
const TICK: Duration = Duration::from_millis(500);

/// After how many ticks without any message a subscription is given up: three heartbeats.
const SILENT_TICKS: u32 = 6;

/// The last delivery, on a heartbeat.
const LAST_CONSUMER: &str = "Nats-Last-Consumer";
/// Where to answer, on a heartbeat of a consumer that waits for flow control.
const STALLED: &str = "Nats-Consumer-Stalled";

impl NatsStore {
    pub(super) async fn open_subscription(
        &self,
        filters: &[Filter],
        start: Start,
    ) -> Result<Subscription, ReadError> {
        // What a mirror does not have before it is asked for a consumer may well be missing from what that one delivers.
        let lacked = if self.known.is_a_mirror() { self.info_if_permitted().await } else { None };
        let lacked = lacked.and_then(|info| info.ok()?.origin());
        // The consumer is asked for first: a bucket that is created again in between is then noticed, because the
        // consumer of the former one falls silent.
        let promised = async {
            let can_ask = self.known.has_replicas() && self.known.message_get.is_worth_a_trial();
            if can_ask { self.newest_at_leader(filters).await } else { Ok(Revision::ZERO) }
        };
        let (deliveries, info, promised) =
            tokio::join!(self.source(filters, start), self.info_if_permitted(), promised);
        let source = deliveries.map_err(|failure| failure.read(&self.bucket, "a subscription"))?;
        let (pending, clock, deliveries) = source;
        // Only here: during an outage nothing is answered, and that says nothing about permissions. Once taken for
        // forbidden, a bucket that is made again would be noticed by lower revisions only.
        let note = |failure: &Failure| {
            if failure.may_be_denial() {
                self.known.info.failed(failure);
            }
        };
        let info = info.and_then(|info| info.inspect_err(note).ok());
        if let Some(info) = &info {
            // An administrator may have changed it since: more copies, say, mean that the leader has to be asked.
            self.known.learn(&info.config);
        }
        let alone = info.as_ref().and_then(|info| info.require_quorum().err());
        if let Some(failure) = alone {
            return Err(failure.read(&self.bucket, "a subscription"));
        }
        let promised = self.promised(promised)?;
        let incarnation = info.as_ref().and_then(|info| time(&info.created));
        let history = info.as_ref().map(|info| kept_revisions(&info.config));
        let last = info.as_ref().map(Info::last_revision);
        let origin = match &info {
            Some(info) => self.origin_of(info).await,
            None => None,
        };
        let (origin, told) = (origin.or(lacked), Told::Now);
        Ok(Subscription { pending, incarnation, history, told, clock, promised, last, origin, deliveries })
    }

    /// As [`Self::open_subscription`], for the first load of a watch: the bucket is taken for the one that it was when it was
    /// opened, and asked about itself only when the load is there.
    ///
    /// To answer costs a server a quarter of a millisecond of a processor, which it then lacks for the consumer: where it
    /// looks for 20 keys in a bucket of 200 000, a start took a fifth longer (2.15).
    pub(super) async fn open_first_subscription(
        &self,
        filters: &[Filter],
    ) -> Result<Subscription, ReadError> {
        // Whether a leader is alone, what it has, and whether it hears of what it copies, counts from the first state on.
        let says_more = self.known.has_replicas() || self.known.is_a_copy();
        let incarnation = self.known.created().filter(|_| !says_more);
        if incarnation.is_none() {
            return self.open_subscription(filters, Start::Last).await;
        }
        let source = self.source(filters, Start::Last).await;
        let (pending, clock, deliveries) =
            source.map_err(|failure| failure.read(&self.bucket, "a subscription"))?;
        let (history, told, promised, last, origin) = (None, Told::Before, Revision::ZERO, None, None);
        Ok(Subscription { pending, incarnation, history, told, clock, promised, last, origin, deliveries })
    }

    /// What delivers: one consumer, or one for each filter, where the user may not have one with several.
    async fn source(&self, filters: &[Filter], start: Start) -> Result<Source, Failure> {
        let mut denied = None;
        if filters.len() == 1 || self.known.filters.is_worth_a_trial() {
            match self.deliveries(filters, start).await {
                Ok(one) => {
                    let (pending, clock) = (one.consumer.pending, one.consumer.clock);
                    return Ok((pending, clock, one.boxed()));
                }
                Err(failure) if filters.len() > 1 && failure.may_be_denial() => denied = Some(failure),
                Err(failure) => return Err(failure),
            }
        }
        let several = self.deliveries_of_each(filters, start).await?;
        if let Some(failure) = denied {
            self.known.filters.failed(&failure);
        }
        let pending = several.lanes.iter().map(|lane| lane.consumer.pending).sum();
        let clock = several.lanes.iter().filter_map(|lane| lane.consumer.clock).min();
        Ok((pending, clock, several.boxed()))
    }

    /// What the leader promised. Where it does not answer, nobody knows whether the copy that delivers is up to date: then
    /// the subscription has failed, unless the client is known not to be permitted to ask.
    fn promised(&self, asked: Result<Revision, Failure>) -> Result<Revision, ReadError> {
        asked.or_else(|failure| {
            self.known.message_get.failed(&failure);
            if self.known.message_get.is_open() {
                return Err(failure.read(&self.bucket, "the bucket's leader"));
            }
            Ok(Revision::ZERO)
        })
    }

    /// Makes the consumer first and subscribes then. Nothing is missed: the server delivers to nobody until somebody
    /// listens.
    ///
    /// The other order saves a round trip, which is a twentieth of what 20 keys take (0.98 instead of 1.03 ms), and costs
    /// more where there is much to load: a server that finds a listener while it makes the consumer takes a seventh longer
    /// for 10 000 keys (2.15; 19.0 instead of 16.6 ms until the last one), also when a client takes what comes meanwhile.
    pub(super) async fn deliveries(&self, filters: &[Filter], start: Start) -> Result<Deliveries, Failure> {
        self.deliveries_of(filters, start, Content::Whole).await
    }

    /// As [`Self::deliveries`], whole or without the values.
    pub(super) async fn deliveries_of(
        &self,
        filters: &[Filter],
        start: Start,
        content: Content,
    ) -> Result<Deliveries, Failure> {
        let client = self.connection.client();
        let inbox = client.new_inbox();
        let statistics = client.statistics();
        // Before the consumer is made: a connection that is replaced in between is noticed.
        let connects = statistics.connects.load(Ordering::Relaxed);
        let purpose = match content {
            Content::Whole => Purpose::Deliver(&inbox),
            Content::Heads => Purpose::DeliverHeads(&inbox),
        };
        let consumer = self.consumer(filters, start, purpose).await?;
        if filters.len() > 1 {
            self.known.filters.worked();
        }
        let subscriber = client.subscribe(inbox).await.map_err(Failure::client)?;
        let mut tick = interval_at(tokio::time::Instant::now() + TICK, TICK);
        // A task that did not run for a while has not heard the server, and the server may well have spoken.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Deliveries {
            subscriber,
            consumer,
            client: client.clone(),
            prefix: self.read_prefix.clone(),
            replies: VecDeque::new(),
            tick,
            life: Life { statistics, connects, connected: true, silent_ticks: 0, stalled_ticks: None },
            stalled_on: String::new(),
            over: false,
        })
    }
}

/// What of an entry is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Whole,
    /// Everything but the value.
    Heads,
}

/// How many entries stand before it is caught up, what the server's clock said, and what delivers.
type Source = (u64, Option<SystemTime>, BoxStream<'static, Delivery>);

/// What a push consumer delivers.
pub(super) struct Deliveries {
    // Before the consumer: fields are dropped in order, and nobody should listen when it is deleted.
    subscriber: Subscriber,
    pub(super) consumer: Consumer,
    client: Client,
    prefix: Arc<str>,
    /// Answers to flow control that wait for room in the client's queue.
    replies: VecDeque<Subject>,
    tick: Interval,
    life: Life,
    /// What answers to a consumer that waits for them have in common; empty where it never waited.
    stalled_on: String,
    over: bool,
}

impl Stream for Deliveries {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        this.send_replies(cx);
        // Messages before ticks: what has arrived is a sign of life, however long ago this was polled.
        while let Poll::Ready(message) = this.subscriber.poll_next_unpin(cx) {
            let Some(message) = message else { return this.end(Fault::Ended) };
            this.life.silent_ticks = 0;
            match this.take(message) {
                Taken::Delivery(delivery) => return Poll::Ready(Some(delivery)),
                Taken::End => return this.end(Fault::Ended),
                Taken::Nothing => this.send_replies(cx),
            }
        }
        while this.tick.poll_tick(cx).is_ready() {
            let fault = this.life.tick(this.client.connection_state() == State::Connected);
            if this.life.is_stalled() {
                let subject = std::mem::take(&mut this.stalled_on);
                return this.end(Fault::Stalled { subject });
            }
            match fault {
                Some(fault) if fault.ends() => return this.end(fault),
                Some(fault) => return Poll::Ready(Some(Delivery::Fault(fault))),
                None => {}
            }
        }
        Poll::Pending
    }
}

/// What one message came to.
enum Taken {
    Delivery(Delivery),
    Nothing,
    End,
}

impl Deliveries {
    fn end(&mut self, fault: Fault) -> Poll<Option<Delivery>> {
        self.over = true;
        Poll::Ready(Some(Delivery::Fault(fault)))
    }

    fn take(&mut self, message: Message) -> Taken {
        if let Some(status) = message.status {
            return self.take_status(status, message);
        }
        let Some(delivered) = message.reply.as_deref().and_then(Delivered::parse) else {
            // Not from the consumer: somebody publishes on our inbox.
            return Taken::Nothing;
        };
        let place = Place { revision: Revision::new(delivered.stream_sequence), created: delivered.created };
        let headers = headers(message.headers.as_ref());
        let (sequence, pending) = (delivered.consumer_sequence, delivered.pending);
        self.life.stalled_ticks = None;
        // Of what the server delivers in one go nearly all is kept, and little of a buffer is anything else.
        let is_news = sequence > self.consumer.pending;
        let value = if is_news { detached(message.payload) } else { message.payload };
        Taken::Delivery(match stored(&self.prefix, &message.subject, place, headers, value) {
            Stored::Entry(entry) => Delivery::Entry { entry: Arc::new(entry), sequence, pending },
            Stored::Other { subject, revision } => {
                Delivery::Unreadable { subject, revision, sequence, pending }
            }
        })
    }

    fn take_status(&mut self, status: StatusCode, message: Message) -> Taken {
        if status != StatusCode::IDLE_HEARTBEAT {
            return Taken::End;
        }
        if let Some(reply) = message.reply {
            // Answered only now, when everything before it was taken: that is what limits what the server sends ahead.
            self.replies.push_back(reply);
            return Taken::Nothing;
        }
        let Some(headers) = message.headers else { return Taken::Nothing };
        if let Some(stalled) = value(&headers, STALLED) {
            // It has more and waits for this answer, so it is not idle: a reader that was slow for a second would else take
            // the part that it has for everything (seen with 15 000 of 100 000 keys).
            self.replies.push_back(stalled.into());
            self.life.stalled_ticks.get_or_insert(0);
            if self.stalled_on.is_empty() {
                // The rest names the consumer.
                let shared: Vec<&str> = stalled.split('.').take(3).collect();
                self.stalled_on = format!("{}.>", shared.join("."));
            }
            return Taken::Nothing;
        }
        self.life.stalled_ticks = None;
        match value(&headers, LAST_CONSUMER).and_then(|sequence| sequence.parse().ok()) {
            Some(sequence) => Taken::Delivery(Delivery::Idle { sequence }),
            None => Taken::Nothing,
        }
    }

    /// Answers flow control as far as the client's queue has room.
    fn send_replies(&mut self, cx: &mut Context<'_>) {
        while !self.replies.is_empty() {
            match Pin::new(&mut self.client).poll_ready(cx) {
                Poll::Ready(Ok(())) => {}
                // The client has ended: so does the subscription, and nobody waits for an answer.
                Poll::Ready(Err(_)) => return self.replies.clear(),
                Poll::Pending => return,
            }
            if let Some(subject) = self.replies.pop_front() {
                let reply = OutboundMessage { subject, reply: None, payload: Bytes::new(), headers: None };
                let _ = self.client.start_send_unpin(reply);
            }
        }
    }
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.as_str())
}

/// What is known of the connection and of the server's last sign of life.
struct Life {
    statistics: Arc<Statistics>,
    /// How often the client had connected when it was last looked at.
    connects: u64,
    connected: bool,
    silent_ticks: u32,
    /// How many ticks ago the server first said that it waits for flow control, if it has delivered nothing since. Ticks and
    /// not messages: a program that did not run for a while finds several at once, and has not answered the first yet.
    stalled_ticks: Option<u32>,
}

impl Life {
    /// Looks at the connection, [`TICK`] after the last time.
    fn tick(&mut self, connected: bool) -> Option<Fault> {
        let connects = self.statistics.connects.load(Ordering::Relaxed);
        if !connected {
            // Silence has its reason: it is counted from the return of the connection.
            (self.silent_ticks, self.stalled_ticks) = (0, None);
            return std::mem::replace(&mut self.connected, false).then_some(Fault::Disconnected);
        }
        if std::mem::replace(&mut self.connects, connects) != connects || !self.connected {
            // Also when it broke and came back between two ticks.
            self.connected = true;
            (self.silent_ticks, self.stalled_ticks) = (0, None);
            return Some(Fault::Reconnected);
        }
        self.stalled_ticks = self.stalled_ticks.map(|ticks| ticks + 1);
        self.silent_ticks += 1;
        (self.silent_ticks >= SILENT_TICKS).then_some(Fault::Silent { after: TICK * SILENT_TICKS })
    }

    /// Whether the server has waited for flow control for as long as silence is borne. What it has is not delivered then,
    /// and its heartbeats go on: to take them for signs of life alone, a reader without the permission to answer stood still
    /// after 2 MB of changes, and said that it was live.
    fn is_stalled(&self) -> bool {
        self.stalled_ticks.is_some_and(|ticks| ticks >= SILENT_TICKS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life() -> Life {
        let (connects, connected, silent_ticks) = (0, true, 0);
        Life { statistics: Arc::default(), connects, connected, silent_ticks, stalled_ticks: None }
    }

    #[test]
    fn a_server_that_waits_for_three_seconds_is_stalled_and_one_that_delivers_again_is_not() {
        let mut life = life();
        life.stalled_ticks.get_or_insert(0);
        for _ in 1..SILENT_TICKS {
            life.silent_ticks = 0;
            assert_eq!((life.tick(true), life.is_stalled()), (None, false));
        }
        life.silent_ticks = 0;
        assert_eq!((life.tick(true), life.is_stalled()), (None, true));
        life.stalled_ticks = None;
        assert!(!life.is_stalled());
    }

    #[test]
    fn three_missed_heartbeats_end_a_subscription() {
        let mut life = life();
        for _ in 1..SILENT_TICKS {
            assert_eq!(life.tick(true), None);
        }
        assert_eq!(life.tick(true), Some(Fault::Silent { after: Duration::from_secs(3) }));
    }

    #[test]
    fn a_broken_connection_is_told_once_and_is_not_silence() {
        let mut life = life();
        assert_eq!(life.tick(false), Some(Fault::Disconnected));
        for _ in 0..SILENT_TICKS * 2 {
            assert_eq!(life.tick(false), None);
        }
        life.statistics.connects.store(1, Ordering::Relaxed);
        assert_eq!(life.tick(true), Some(Fault::Reconnected));
        assert_eq!(life.tick(true), None);
    }

    #[test]
    fn a_connection_that_was_replaced_between_two_ticks_is_told() {
        let mut life = life();
        life.statistics.connects.store(1, Ordering::Relaxed);
        assert_eq!(life.tick(true), Some(Fault::Reconnected));
        assert_eq!(life.tick(true), None);
    }
}
