//! The contract, tested from outside: see `it/`.
