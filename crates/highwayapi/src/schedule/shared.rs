//! A budget of requests that several programs share, wherever it is kept.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

/// What [`SharedBudget::turn`] returns.
pub type SharedTurn<'a> = Pin<Box<dyn Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send + 'a>>;

/// Says when a request may be sent, to all who use one account; see [`crate::ClientBuilder::shared_budget`].
pub trait SharedBudget: fmt::Debug + Send + Sync + 'static {
    /// Returns when one request may be sent. Whoever drops this needs none.
    ///
    /// # Errors
    ///
    /// When it cannot be found out: then the request is not sent, as if the service could not be reached.
    fn turn(&self) -> SharedTurn<'_>;

    /// The service asked for this pause: nobody who shares the budget is to have a turn before it is over. Returns at once.
    /// By default this does nothing.
    fn leave_alone(&self, _pause: Duration) {}
}
