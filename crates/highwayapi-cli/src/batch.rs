//! `highway batch`: many clips from one manifest.

mod check;
mod prepare;
mod report;
mod status;

use crate::args::batch::BatchCommand;
use crate::exit::Failure;

pub(crate) async fn batch(command: BatchCommand) -> Result<(), Failure> {
    match command {
        BatchCommand::Check(args) => check::check(args).await,
        BatchCommand::Run(_) | BatchCommand::Resume(_) | BatchCommand::RetryFailed(_) => {
            Err(Failure::bad_input("not there yet"))
        }
        BatchCommand::Status(args) => status::status(args).await,
        BatchCommand::Cancel(args) => status::cancel(args).await,
        BatchCommand::Report(args) => report::report(args).await,
    }
}
