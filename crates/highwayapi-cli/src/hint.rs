//! Commands that are offered as a way out, so that they work as they stand there.

use std::sync::OnceLock;

static SERVICE: OnceLock<String> = OnceLock::new();
static STORE: OnceLock<String> = OnceLock::new();

/// What every command that is offered must repeat to reach the same service and the same record.
pub(crate) fn set_flags(service: String, store: Option<&str>) {
    let _ = SERVICE.set(service);
    let _ = STORE.set(store.map(|store| format!(" --store {store}")).unwrap_or_default());
}

/// `highway` with these arguments, for the service and the record that were typed.
pub(crate) fn highway(args: impl std::fmt::Display) -> String {
    format!("{}{}", in_record(args), flags(&SERVICE))
}

/// The same for what asks no service.
pub(crate) fn in_record(args: impl std::fmt::Display) -> String {
    format!("highway {args}{}", flags(&STORE))
}

fn flags(which: &'static OnceLock<String>) -> &'static str {
    which.get().map(String::as_str).unwrap_or_default()
}
