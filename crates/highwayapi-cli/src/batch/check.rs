//! `highway batch check`: what is known before a cent is spent. Needs no key.

use crate::args::batch::Check;
use crate::batch::prepare::prepare;
use crate::exit::Failure;
use crate::{say, service};

pub(super) async fn check(args: Check) -> Result<(), Failure> {
    let service = service::base_url(&args.service)?;
    let ledger = service::ledger().await?;
    let prepared = prepare(&args.source, &args.means, &ledger, &service).await?;
    prepared.tell(args.json, true, say::out);
    prepared.tell_totals(args.json, service::requests_per_minute(&args.service, &service));
    prepared.is_sound()
}
