//! Two pictures and a prompt become a video, over the Highway API.
