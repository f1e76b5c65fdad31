//! When a consumer has delivered all that it was made for. Pure.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::store::Delivery;
use crate::{Entry, Fault, ReadError, Revision};

/// What is read by consumers, for those who are told that it failed.
pub(super) const BY_CONSUMER: &str = "a read by consumer";

/// A read by a consumer under way.
pub(super) struct Drain {
    /// The last revision that is asked for.
    until: Option<Revision>,
    /// How many messages stood before the consumer when it was made.
    expected: u64,
    received: u64,
    /// What a first sign of idleness said.
    idle: Option<u64>,
}

impl Drain {
    pub(super) const fn new(expected: u64, until: Option<Revision>) -> Self {
        Self { until, expected, received: 0, idle: None }
    }

    /// Takes what the consumer says next, and hands on the entry in it; breaks when that was all.
    pub(super) fn take(
        &mut self,
        delivery: Delivery,
        each: &mut (dyn FnMut(Entry) + Send),
    ) -> Result<ControlFlow<()>, ReadError> {
        let (sequence, pending) = match &delivery {
            Delivery::Entry { sequence, pending, .. } | Delivery::Unreadable { sequence, pending, .. } => {
                self.received += 1;
                (*sequence, *pending)
            }
            Delivery::Idle { sequence } => (*sequence, 0),
            Delivery::Fault(Fault::Silent { after }) => {
                return Err(ReadError::Timeout { what: BY_CONSUMER, after: *after });
            }
            Delivery::Fault(fault @ Fault::Stalled { .. }) => {
                return Err(ReadError::Answer { what: BY_CONSUMER, found: fault.to_string() });
            }
            Delivery::Fault(_) => return Err(ReadError::Disconnected),
        };
        // The client drops what it has no room for: what is missing would pass for what is not there.
        if sequence > self.received {
            return Err(ReadError::Dropped { what: BY_CONSUMER });
        }
        Ok(match delivery {
            // What was still expected has vanished from the bucket. Said twice, lest a heartbeat from before the first delivery
            // counts.
            Delivery::Idle { .. } => {
                let said_before = self.idle.replace(sequence) == Some(sequence);
                if said_before { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
            Delivery::Entry { entry, .. } if self.until.is_some_and(|until| entry.revision > until) => {
                ControlFlow::Break(())
            }
            delivery => {
                if let Delivery::Entry { entry, .. } = delivery {
                    each(Arc::unwrap_or_clone(entry));
                }
                // Whichever comes first: writers who never pause would keep it from being caught up.
                let is_last = pending == 0 || sequence >= self.expected;
                if is_last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sequence: u64, pending: u64) -> Delivery {
        Delivery::Unreadable { subject: String::new(), revision: Revision::new(sequence), sequence, pending }
    }

    fn idle(sequence: u64) -> Delivery {
        Delivery::Idle { sequence }
    }

    /// After which delivery it was over, or what was wrong.
    fn drain(expected: u64, deliveries: impl IntoIterator<Item = Delivery>) -> Result<Option<usize>, String> {
        let mut drain = Drain::new(expected, None);
        for (delivery, number) in deliveries.into_iter().zip(1..) {
            if drain.take(delivery, &mut |_| {}).map_err(|error| error.to_string())?.is_break() {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    // P8: a state of the past, or a log, without them would look as whole as one with them.
    #[test]
    fn what_the_client_dropped_is_missed() {
        let dropped =
            Err("the client dropped messages of a read by consumer: it could not keep up".to_owned());
        assert_eq!(drain(3, [message(1, 2), message(3, 0)]), dropped);
        assert_eq!(drain(3, [message(1, 2), idle(3)]), dropped);
        assert_eq!(drain(3, [message(1, 2), message(2, 1), message(3, 0)]), Ok(Some(3)));
    }

    #[test]
    fn it_is_over_when_all_is_there_or_gone() {
        assert_eq!(drain(2, [message(1, 5), message(2, 4)]), Ok(Some(2)), "the rest came later");
        assert_eq!(drain(3, [message(1, 2), idle(1)]), Ok(None));
        assert_eq!(drain(3, [message(1, 2), idle(1), idle(1)]), Ok(Some(3)), "the rest has vanished");
        assert_eq!(drain(3, [idle(0), message(1, 2), idle(1)]), Ok(None), "one was from before");
    }

    #[test]
    fn a_fault_ends_it() {
        let silent = Fault::Silent { after: std::time::Duration::from_secs(3) };
        let said = "no answer within 3s to a read by consumer".to_owned();
        assert_eq!(drain(3, [message(1, 2), Delivery::Fault(silent)]), Err(said));
        assert_eq!(drain(3, [Delivery::Fault(Fault::Ended)]), Err("not connected to the server".to_owned()));
    }
}
