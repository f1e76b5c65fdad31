//! Questions among those who share a bucket in memory, with a server's habits: everybody who listens hears, nobody's
//! absence is told at once.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt};
use futures_util::{FutureExt, stream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::store::ReadError;
use crate::store::exchange::{Answer, Card, Exchange, Gathering, Heard, Question, Said};

/// A server's own limit, unless it is told otherwise.
const MAX_PAYLOAD: usize = 1 << 20;

/// One subscription. Its channel is unbounded, as is what a client buffers for one that is read: questions come from
/// people.
#[derive(Debug)]
struct Listener {
    id: u64,
    topic: String,
    questions: UnboundedSender<Question>,
}

#[derive(Debug, Default)]
struct Room {
    ids: u64,
    listeners: Vec<Listener>,
}

/// Where those who use one bucket find each other. Clones are the same place.
#[derive(Debug, Clone, Default)]
pub(super) struct MemoryExchange(Arc<Mutex<Room>>);

impl MemoryExchange {
    fn room(&self) -> MutexGuard<'_, Room> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question").field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// A place in the room, given up when dropped.
struct Seat {
    exchange: MemoryExchange,
    id: u64,
    questions: UnboundedReceiver<Question>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.exchange.room().listeners.retain(|listener| listener.id != self.id);
    }
}

impl Exchange for MemoryExchange {
    fn listen<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<BoxStream<'static, Heard>, ReadError>> {
        let (sender, questions) = unbounded_channel();
        let mut room = self.room();
        room.ids += 1;
        let id = room.ids;
        room.listeners.push(Listener { id, topic: topic.to_owned(), questions: sender });
        drop(room);
        let seat = Seat { exchange: self.clone(), id, questions };
        let heard = stream::unfold(seat, |mut seat| async {
            seat.questions.recv().await.map(|question| (Heard::Question(question), seat))
        });
        async { Ok(heard.boxed()) }.boxed()
    }

    fn gather(&self) -> BoxFuture<'_, Result<Box<dyn Gathering>, ReadError>> {
        let (said, answers) = unbounded_channel();
        let gathering = MemoryGathering { exchange: self.clone(), said, answers, asked: 0 };
        async { Ok(Box::new(gathering) as Box<dyn Gathering>) }.boxed()
    }

    fn max_payload(&self) -> usize {
        MAX_PAYLOAD
    }

    fn present(&self, _: Arc<dyn Card>) -> BoxFuture<'static, ()> {
        pending().boxed()
    }
}

struct MemoryGathering {
    exchange: MemoryExchange,
    said: UnboundedSender<Said>,
    answers: UnboundedReceiver<Said>,
    asked: usize,
}

impl Gathering for MemoryGathering {
    fn ask<'a>(&'a mut self, topic: &'a str, payload: Bytes) -> BoxFuture<'a, Result<usize, ReadError>> {
        let question = self.asked;
        self.asked += 1;
        let room = self.exchange.room();
        let mut heard = false;
        for listener in room.listeners.iter().filter(|listener| matches(&listener.topic, topic)) {
            let said = self.said.clone();
            let reply = move |answer: Answer| {
                // Whoever asked may have gone.
                let _ = said.send(Said::Answer { question, payload: answer.payload });
                async {}.boxed()
            };
            let put =
                Question { topic: topic.to_owned(), payload: payload.clone(), reply: Some(Box::new(reply)) };
            heard |= listener.questions.send(put).is_ok();
        }
        drop(room);
        if !heard {
            let _ = self.said.send(Said::Nobody { question });
        }
        async move { Ok(question) }.boxed()
    }

    fn next(&mut self) -> BoxFuture<'_, Said> {
        async { self.answers.recv().await.unwrap_or(Said::Over) }.boxed()
    }
}

/// As subjects match; the only wildcard that is used here is `*`.
fn matches(pattern: &str, topic: &str) -> bool {
    let (mut pattern, mut topic) = (pattern.split('.'), topic.split('.'));
    loop {
        match (pattern.next(), topic.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(ours), Some(theirs)) if ours == theirs => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_listens_hears_and_answers_are_told_by_question() {
        let exchange = MemoryExchange::default();
        let mut ears = exchange.listen("*.app").await.unwrap();
        let mut gathering = exchange.gather().await.unwrap();
        assert_eq!(gathering.ask("who.other", Bytes::new()).await.unwrap(), 0);
        assert_eq!(gathering.ask("who.app", Bytes::from("q")).await.unwrap(), 1);
        assert!(matches!(gathering.next().await, Said::Nobody { question: 0 }));
        let Some(Heard::Question(question)) = ears.next().await else { panic!("nothing was heard") };
        assert_eq!((question.topic.as_str(), &*question.payload), ("who.app", &b"q"[..]));
        question.reply.unwrap()(Answer { payload: Bytes::from("a"), error: None }).await;
        let Said::Answer { question: 1, payload } = gathering.next().await else { panic!("no answer") };
        assert_eq!(payload, "a");

        // Whoever stops listening is not asked any more.
        drop(ears);
        assert_eq!(gathering.ask("who.app", Bytes::new()).await.unwrap(), 2);
        assert!(matches!(gathering.next().await, Said::Nobody { question: 2 }));
    }
}
