//! The Highway API served locally, with real MP4s.
