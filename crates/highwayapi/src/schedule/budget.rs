//! Who may send a request, and when: one line for all polls and submits of a client. Pure: the time comes from outside.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A second more than the minute that is promised: what leaves evenly may arrive closer.
const WINDOW: Duration = Duration::from_secs(61);
/// So far apart, after a pause that the service asked for, where there is no budget that says so.
const APART: Duration = Duration::from_millis(20);
/// Where the first one has not come for so long, somebody else may go: futures that nobody polls must not hold up others.
const GRACE: Duration = Duration::from_secs(1);
/// Submits go before polls; but where a poll has been due for so long, they take turns. Or a large batch would leave its
/// tasks unasked until the last one is submitted.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place in the line: whether it is a poll, since when it could have gone, and a number.
pub(crate) type Place = (bool, Duration, u64);

/// What it is about, and since when it could have gone.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    Submit(Duration),
    Poll(Duration),
}

/// All that want to send a request. Times are those since the client was made.
pub(crate) struct Line<T> {
    /// How many may go in a minute.
    limit: Option<usize>,
    /// When the last so many went.
    went: VecDeque<Duration>,
    waiting: BTreeMap<Place, T>,
    entered: u64,
    submit_went_last: bool,
    /// Nobody goes before that: the service asked for it.
    closed_until: Duration,
    /// Nor before that: somebody else went just now.
    next: Duration,
}

/// Whether it is one's turn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Go,
    /// As soon as it is this time.
    At(Duration),
    /// Others are first, unless they have not come by this time.
    Later(Duration),
}

impl<T> Line<T> {
    pub(crate) fn new(limit: Option<u32>) -> Self {
        let limit = limit.map(|limit| limit.max(1) as usize);
        Self {
            limit,
            went: VecDeque::new(),
            waiting: BTreeMap::new(),
            entered: 0,
            submit_went_last: false,
            closed_until: Duration::ZERO,
            next: Duration::ZERO,
        }
    }

    /// Goes at once where nobody waits and there is room (`None`), or takes a place.
    pub(crate) fn enter(&mut self, wish: Wish, now: Duration, who: impl FnOnce() -> T) -> Option<Place> {
        if self.waiting.is_empty() && self.opens() <= now {
            self.went(now, matches!(wish, Wish::Submit(_)));
            return None;
        }
        self.entered += 1;
        let place = match wish {
            Wish::Submit(since) => (false, since, self.entered),
            Wish::Poll(due) => (true, due, self.entered),
        };
        self.waiting.insert(place, who());
        Some(place)
    }

    /// Whether whoever has this place may go; then the place is gone.
    pub(crate) fn turn(&mut self, place: Place, now: Duration) -> Turn {
        let is_first = self.first(now).is_none_or(|(first, _)| first == place);
        match self.opens() {
            at if !is_first && at + GRACE > now => Turn::Later(at.max(now) + GRACE),
            at if at > now => Turn::At(at),
            _ => {
                self.waiting.remove(&place);
                self.went(now, !place.0);
                // Those that had to wait leave one by one, not together at the end of a minute or of a pause.
                self.next = now + self.apart();
                Turn::Go
            }
        }
    }

    /// Gives a place up.
    pub(crate) fn leave(&mut self, place: Place) {
        self.waiting.remove(&place);
    }

    /// Who is first.
    pub(crate) fn first(&self, now: Duration) -> Option<(Place, &T)> {
        let (mut polls, first) = (self.waiting.range((true, Duration::ZERO, 0)..), self.waiting.first_key_value());
        let late = polls.next().filter(|((_, due, _), _)| self.submit_went_last && *due + PATIENCE <= now);
        late.or(first).map(|(&place, who)| (place, who))
    }

    /// All who wait.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.waiting.values()
    }

    /// Lets nobody go until then. `chance`, from 0 to 1, keeps several programs from coming back together.
    pub(crate) fn close(&mut self, until: Duration, chance: f64) {
        self.closed_until = self.closed_until.max(until + self.apart().mul_f64(chance));
    }

    /// When it is closed no more.
    pub(crate) fn closed_until(&self) -> Duration {
        self.closed_until
    }

    fn apart(&self) -> Duration {
        self.limit.map_or(APART, |limit| WINDOW / limit as u32)
    }

    /// When the next one may go; it may have been some time ago.
    fn opens(&self) -> Duration {
        let room = match (self.limit, self.went.front()) {
            (Some(limit), Some(&first)) if self.went.len() == limit => first + WINDOW,
            _ => Duration::ZERO,
        };
        room.max(self.closed_until).max(self.next)
    }

    fn went(&mut self, now: Duration, submit: bool) {
        self.submit_went_last = submit;
        let Some(limit) = self.limit else { return };
        if self.went.len() == limit {
            self.went.pop_front();
        }
        self.went.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// When those that wait go, in their order.
    fn drain<T: Clone>(line: &mut Line<T>, mut now: Duration) -> Vec<(Duration, T)> {
        let mut gone = Vec::new();
        while let Some((place, who)) = line.first(now) {
            let who = who.clone();
            match line.turn(place, now) {
                Turn::Go => gone.push((now, who)),
                Turn::At(at) => now = at,
                Turn::Later(_) => unreachable!("it is the first"),
            }
        }
        gone
    }

    #[test]
    fn a_minutes_budget_may_go_at_once_and_the_rest_one_by_one() {
        let mut line = Line::new(Some(50));
        let now = seconds(7);
        let waiting = (0..100).filter(|&who| line.enter(Wish::Poll(now), now, || who).is_some()).count();
        assert_eq!(waiting, 50);
        let gone = drain(&mut line, now);
        assert_eq!((gone[0].0, gone.len()), (now + WINDOW, 50));
        assert!(gone.windows(2).all(|pair| pair[1].0 - pair[0].0 >= WINDOW / 50));
    }

    #[test]
    fn submits_go_first_but_take_turns_with_polls_that_have_waited_for_a_minute() {
        let mut line = Line::new(Some(1));
        let now = seconds(100);
        assert_eq!(line.enter(Wish::Poll(now), now, || "nobody waits"), None);
        for (wish, who) in [
            (Wish::Poll(seconds(90)), "a poll"),
            (Wish::Poll(seconds(30)), "a poll that is late"),
            (Wish::Submit(now), "a submit"),
            (Wish::Submit(now), "another"),
            (Wish::Poll(seconds(80)), "an earlier poll"),
        ] {
            assert!(line.enter(wish, now, || who).is_some());
        }
        let order: Vec<_> = drain(&mut line, now).into_iter().map(|(_, who)| who).collect();
        assert_eq!(order, ["a submit", "a poll that is late", "another", "an earlier poll", "a poll"]);
    }

    #[test]
    fn nobody_goes_while_it_is_closed_and_then_not_all_together() {
        for limit in [None, Some(600)] {
            let mut line = Line::new(limit);
            line.close(seconds(30), 0.5);
            for who in 0..20 {
                assert!(line.enter(Wish::Submit(seconds(1)), seconds(1), || who).is_some());
            }
            let gone = drain(&mut line, seconds(1));
            assert!(gone[0].0 > seconds(30), "{gone:?}");
            assert!(gone.windows(2).all(|pair| pair[1].0 >= pair[0].0 + APART), "{gone:?}");
        }
    }

    #[test]
    fn whoever_leaves_makes_room() {
        let mut line = Line::new(Some(1));
        assert_eq!(line.enter(Wish::Poll(seconds(0)), seconds(0), || 0), None);
        let first = line.enter(Wish::Poll(seconds(0)), seconds(0), || 1).expect("a place");
        let second = line.enter(Wish::Poll(seconds(0)), seconds(0), || 2).expect("a place");
        assert_eq!(line.turn(second, WINDOW), Turn::Later(WINDOW + GRACE));
        line.leave(first);
        assert_eq!(line.turn(second, WINDOW), Turn::Go);
    }

    #[test]
    fn whoever_does_not_come_holds_nobody_up() {
        let mut line = Line::new(Some(1));
        assert_eq!(line.enter(Wish::Poll(seconds(0)), seconds(0), || 0), None);
        line.enter(Wish::Submit(seconds(0)), seconds(0), || 1).expect("a place");
        let second = line.enter(Wish::Poll(seconds(0)), seconds(0), || 2).expect("a place");
        assert_eq!(line.turn(second, seconds(0)), Turn::Later(WINDOW + GRACE));
        assert_eq!(line.turn(second, WINDOW + GRACE), Turn::Go);
    }
}
