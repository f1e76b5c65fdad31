//! Which of several watches of one bucket become one.
//!
//! A handle that joins begins a watch beside those that there are, so it waits for its own keys only. A consumer for each
//! handle is more than a server should bear, and to load everything again for each handle is quadratic. So watches become
//! one by one load when all is quiet; and when there are too many before that, those of about the same size do, as in a
//! log-structured store: each key is then loaded again a number of times that grows with the logarithm of the handles.

use std::time::Duration;

/// How long nobody may have joined before all watches become one.
pub(super) const QUIET: Duration = Duration::from_secs(1);

/// How long somebody may wait for a revision that one of the watches does not see. A change set can stand under the prefixes of
/// several; what its last key gets is waited for by readers of each.
pub(super) const WANTED: Duration = Duration::from_millis(20);

/// How many watches of a bucket a process has at most beside each other.
pub(super) const MOST: usize = 8;

/// What to load nothing costs, in keys.
const NOTHING: usize = 64;

/// Which watches to make one, where each has so many keys: the smallest, and others as long as they are not much larger than
/// all before them together. At least two, where there are two.
pub(super) fn smallest(keys: &[usize]) -> Vec<usize> {
    let mut order: Vec<(usize, usize)> =
        keys.iter().enumerate().map(|(at, keys)| (keys + NOTHING, at)).collect();
    order.sort_unstable();
    let mut together = 0;
    let mut chosen = Vec::new();
    for (weight, at) in order {
        if chosen.len() >= 2 && weight > together * 2 {
            break;
        }
        together += weight;
        chosen.push(at);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_watch_is_left_alone_while_there_are_small_ones() {
        assert_eq!(smallest(&[10_000, 5, 5, 0, 7]), [3, 1, 2, 4]);
        assert_eq!(smallest(&[10_000, 5]), [1, 0]);
        assert_eq!(smallest(&[3]), [0]);
    }

    #[test]
    fn keys_are_loaded_again_a_few_times_and_not_once_for_each_handle_that_joins() {
        for each in [0, 5, 500] {
            let (mut watches, mut loaded): (Vec<usize>, usize) = (vec![10_000], 10_000);
            for _ in 0..1_000 {
                watches.push(each);
                loaded += each;
                if watches.len() > MOST {
                    let chosen = smallest(&watches);
                    let together: usize = chosen.iter().map(|at| watches[*at]).sum();
                    let left = watches.iter().enumerate().filter(|(at, _)| !chosen.contains(at));
                    watches = left.map(|(_, keys)| *keys).chain([together]).collect();
                    loaded += together;
                }
                assert!(watches.len() <= MOST);
            }
            let all = 10_000 + 1_000 * each;
            assert!(loaded <= all * 8, "{loaded} keys were loaded for {all}");
        }
    }
}
