//! Captures: the readings of a host in one redacted, versioned file.
