//! What a call costs, from a mark that is set just before it.

use std::time::Instant;

use nix::sys::resource::UsageWho;

use super::{Cost, Said};
use crate::{Result, machine};

pub(super) struct Mark {
    idle_kib: u64,
    cpu: std::time::Duration,
    began: Instant,
}

impl Mark {
    pub(super) fn set() -> Result<Self> {
        machine::reset_peak()?;
        let idle_kib = machine::status_kib("self", "VmHWM")?;
        Ok(Self { idle_kib, cpu: machine::cpu(UsageWho::RUSAGE_SELF)?, began: Instant::now() })
    }

    pub(super) fn cost(&self, version: &str) -> Result<Cost> {
        let wall_s = self.began.elapsed().as_secs_f64();
        let cpu = machine::cpu(UsageWho::RUSAGE_SELF)? - self.cpu;
        let peak_kib = machine::status_kib("self", "VmHWM")?;
        let version = version.to_owned();
        Ok(Cost { version, idle_kib: self.idle_kib, peak_kib, cpu_s: cpu.as_secs_f64(), wall_s, polled: None })
    }

    pub(super) fn said(&self, version: &str) -> Result<Said> {
        self.cost(version).map(Said::Cost)
    }
}
