//! A subscription of several prefixes for a user who may read each of them and no more: a consumer for each.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, Stream, StreamExt};
use futures_util::{FutureExt, future};

use super::NatsStore;
use super::connection::{ANSWER_WITHIN, Connection};
use super::error::Failure;
use super::merge::Merge;
use super::message::direct;
use super::subscribe::Deliveries;
use crate::store::{Delivery, Start};
use crate::{Fault, Filter, Revision};

/// The status of an answer that there is no such message.
const NOT_FOUND: u16 = 404;

impl NatsStore {
    /// One consumer for each filter.
    pub(super) async fn deliveries_of_each(
        &self,
        filters: &[Filter],
        start: Start,
    ) -> Result<Several, Failure> {
        let each = filters.iter().map(|filter| self.deliveries(std::slice::from_ref(filter), start));
        let lanes: Vec<Deliveries> = future::try_join_all(each).await?;
        let subject =
            |filter| self.connection.api(&format!("DIRECT.GET.{}.{}", self.stream, self.subject(filter)));
        Ok(Several {
            merge: Merge::new(lanes.iter().map(|lane| lane.consumer.pending)),
            lanes,
            subjects: filters.iter().map(subject).collect(),
            connection: self.connection.clone(),
            prefix: Arc::clone(&self.read_prefix),
            questions: FuturesUnordered::new(),
            over: false,
        })
    }
}

/// What one question came to: the consumer that it is about, up to where it tells, and the newest entry of its prefix.
type Answer = (usize, Revision, Result<Revision, Failure>);

/// What several consumers deliver, as one.
pub(super) struct Several {
    pub(super) lanes: Vec<Deliveries>,
    merge: Merge,
    /// Where to ask for the newest entry of each.
    subjects: Vec<String>,
    connection: Connection,
    prefix: Arc<str>,
    questions: FuturesUnordered<BoxFuture<'static, Answer>>,
    over: bool,
}

impl Several {
    fn ask(&self, at: usize, upto: Revision) -> Option<BoxFuture<'static, Answer>> {
        let (connection, subject) = (self.connection.clone(), self.subjects.get(at)?.clone());
        let prefix = Arc::clone(&self.prefix);
        Some(async move { (at, upto, newest(&connection, subject, &prefix).await) }.boxed())
    }

    fn end(&mut self, fault: Fault) -> Poll<Option<Delivery>> {
        self.over |= fault.ends();
        Poll::Ready(Some(Delivery::Fault(fault)))
    }
}

/// The newest entry that a subject with a wildcard matches. A direct get of the last message takes one (measured with
/// 2.15.1), and permissions on the subject hold for it.
async fn newest(connection: &Connection, subject: String, prefix: &str) -> Result<Revision, Failure> {
    let message = connection.request(subject, None, Bytes::new(), ANSWER_WITHIN).await?;
    if message.status.is_some_and(|status| status.as_u16() == NOT_FOUND) {
        return Ok(Revision::ZERO);
    }
    match direct(prefix, message) {
        Some(found) => Ok(found.revision()),
        None => Err(Failure::Unexpected("a message without its place".to_owned())),
    }
}

impl Stream for Several {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        loop {
            if let Some(next) = this.merge.next() {
                return Poll::Ready(Some(next));
            }
            let mut heard = false;
            for at in 0..this.lanes.len() {
                let Some(lane) = this.lanes.get_mut(at) else { continue };
                if let Poll::Ready(delivery) = lane.poll_next_unpin(cx) {
                    heard = true;
                    let delivery = delivery.unwrap_or(Delivery::Fault(Fault::Ended));
                    if let Some(fault) = this.merge.take(at, delivery) {
                        return this.end(fault);
                    }
                }
            }
            for (at, upto) in this.merge.ask() {
                if let Some(question) = this.ask(at, upto) {
                    this.questions.push(question);
                }
            }
            if let Poll::Ready(Some((at, upto, answer))) = this.questions.poll_next_unpin(cx) {
                heard = true;
                match answer {
                    Ok(newest) => this.merge.answered(at, upto, newest),
                    Err(Failure::NotPermitted(subject)) => return this.end(Fault::NotPermitted { subject }),
                    Err(_) => return this.end(Fault::Silent { after: ANSWER_WITHIN }),
                }
            }
            if !heard {
                return Poll::Pending;
            }
        }
    }
}
