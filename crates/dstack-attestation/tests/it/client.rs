//! Fetching evidence from real programs, and from servers that do what they should not.

mod agents;
mod hostile;
mod pccs;
mod play;
mod public;
mod services;
mod tls;
mod words;
