#[derive(Clone)]
pub(crate) struct Injected(pub(crate) String);
