//! Hears every event and span of `tracing` and every record of `log`, at every level.

use std::fmt::{Debug, Write};
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on; the result tells what was heard so far. Can be called once in a process.
pub(crate) fn everything() -> impl Fn() -> Vec<String> {
    tracing::subscriber::set_global_default(Listener).expect("no other subscriber");
    log::set_logger(&Listener).expect("no other logger");
    log::set_max_level(log::LevelFilter::Trace);
    || HEARD.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn heard(line: String) {
    HEARD.lock().unwrap_or_else(PoisonError::into_inner).push(line);
}

struct Listener;

/// All fields of an event or span in one line.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).expect("writes");
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut line = Line(attributes.metadata().name().to_owned());
        attributes.record(&mut line);
        heard(line.0);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        heard(line.0);
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().target().to_owned());
        event.record(&mut line);
        heard(line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl log::Log for Listener {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        heard(format!("{} {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}
