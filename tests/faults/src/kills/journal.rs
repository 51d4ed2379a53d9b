//! What the service saw, and when.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

/// A submit.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) arrived: SystemTime,
    /// Once all of it has come.
    pub(super) prompt: Option<String>,
    /// When the service had accepted it.
    pub(super) accepted: Option<SystemTime>,
    /// When the last byte of the answer was on its way.
    pub(super) answered: Option<SystemTime>,
}

/// How often something has begun or happened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) posts: usize,
    pub(super) answers: usize,
    pub(super) fetches: usize,
    /// Submits of which is still to be seen what comes of them.
    pub(super) open: usize,
}

pub(super) struct Journal {
    posts: Mutex<Vec<Post>>,
    signatures: Mutex<Vec<String>>,
    pub(super) counts: watch::Sender<Counts>,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self { posts: Mutex::default(), signatures: Mutex::default(), counts: watch::Sender::default() }
    }

    /// A submit begins; its place.
    pub(super) fn arrived(&self) -> usize {
        let mut posts = lock(&self.posts);
        posts.push(Post { arrived: SystemTime::now(), prompt: None, accepted: None, answered: None });
        self.counts.send_modify(|counts| (counts.posts, counts.open) = (counts.posts + 1, counts.open + 1));
        posts.len() - 1
    }

    pub(super) fn came_whole(&self, post: usize, prompt: Option<String>) {
        lock(&self.posts)[post].prompt = prompt;
    }

    pub(super) fn accepted(&self, post: usize) {
        lock(&self.posts)[post].accepted = Some(SystemTime::now());
    }

    pub(super) fn answered(&self, post: usize) {
        lock(&self.posts)[post].answered = Some(SystemTime::now());
        self.counts.send_modify(|counts| counts.answers += 1);
    }

    /// Nothing more comes of a submit.
    pub(super) fn ended(&self) {
        self.counts.send_modify(|counts| counts.open -= 1);
    }

    pub(super) fn fetch(&self) {
        self.counts.send_modify(|counts| counts.fetches += 1);
    }

    pub(super) fn signed(&self, signatures: impl IntoIterator<Item = String>) {
        lock(&self.signatures).extend(signatures);
    }

    pub(super) fn posts(&self) -> Vec<Post> {
        lock(&self.posts).clone()
    }

    /// The newest of the signatures in links.
    pub(super) fn signatures(&self, most: usize) -> Vec<String> {
        lock(&self.signatures).iter().rev().take(most).cloned().collect()
    }

    /// Waits until nothing is under way any more, also of those who are gone.
    pub(super) async fn idle(&self) {
        let mut counts = self.counts.subscribe();
        // The sender is this.
        let _ = counts.wait_for(|counts| counts.open == 0).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
