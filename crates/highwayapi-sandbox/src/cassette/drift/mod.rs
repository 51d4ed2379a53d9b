//! Where a recorded service differs from the contract and from the sandbox, and which questions it settles.

mod contract;
mod evidence;
mod questions;
mod report;
mod sandbox;
mod seen;
pub(crate) mod stand_in;
mod states;

use crate::cassette::Cassette;
use crate::cassette::drift::report::Findings;
use crate::cassette::drift::seen::Seen;
use crate::error::Error;

pub use questions::Settled;
pub use report::{Finding, Kind, Report};

/// Compares a cassette with the contract, and with what a sandbox in this process answers to the same requests.
///
/// # Errors
///
/// When no sandbox can be started here.
pub async fn drift(cassette: &Cassette) -> Result<Report, Error> {
    let seen = Seen::of(cassette);
    let mut findings = Findings::default();
    contract::Contract::load()?.check(&seen, &mut findings);
    states::check(&seen, &mut findings);
    sandbox::check(&seen, &mut findings).await?;
    Ok(Report {
        upstream: cassette.head.upstream.clone(),
        requests: seen.calls.len(),
        accepted: seen.accepted().count(),
        cut: cassette.cut,
        findings: findings.into_list(),
        questions: questions::settle(&seen),
    })
}
