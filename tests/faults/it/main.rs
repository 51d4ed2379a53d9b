//! The table holds, and the page that stands in `docs` is the one that it prints.

#![cfg(unix)]

mod kills;
mod table;
