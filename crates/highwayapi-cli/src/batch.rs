//! `highway batch`: many clips from one manifest.

mod check;
mod live;
mod prepare;
mod report;
mod run;
mod status;

use crate::args::batch::BatchCommand;
use crate::exit::Failure;

pub(crate) use run::work;

pub(crate) async fn batch(command: BatchCommand) -> Result<(), Failure> {
    match command {
        BatchCommand::Check(args) => check::check(args).await,
        BatchCommand::Run(args) => run::run(args).await,
        BatchCommand::Resume(args) => run::resume(args).await,
        BatchCommand::RetryFailed(args) => run::retry_failed(args).await,
        BatchCommand::Status(args) => status::status(args).await,
        BatchCommand::Cancel(args) => status::cancel(args).await,
        BatchCommand::Report(args) => report::report(args).await,
    }
}
