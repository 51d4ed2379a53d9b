//! Two pictures become a real MP4.
