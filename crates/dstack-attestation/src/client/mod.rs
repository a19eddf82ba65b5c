//! Fetching evidence: the guest agent's client, the VMM's guest proxy, `/quote.json`-like URLs, a PCCS, and what a TLS
//! server shows. Feature `client`.
//!
//! Everything else in this crate works on what was fetched, by this module or by any other means.
