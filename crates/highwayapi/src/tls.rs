//! Telling a refused certificate from a network that fails: by the type of the cause, never by its text.

use std::error::Error as StdError;
use std::io;

/// Whether no connection came about because of TLS. Once there is one, what breaks it is the network's doing.
pub(crate) fn is_why(error: &reqwest::Error) -> bool {
    if !error.is_connect() {
        return false;
    }
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if is_tls(error) {
            return true;
        }
        // What an io::Error is made of is not its source but stands before it.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

#[cfg_attr(not(any(feature = "rustls", feature = "native-tls")), allow(unused_variables))]
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    #[cfg(feature = "rustls")]
    if error.is::<rustls::Error>() {
        return true;
    }
    #[cfg(feature = "native-tls")]
    if error.is::<native_tls::Error>() {
        return true;
    }
    false
}
