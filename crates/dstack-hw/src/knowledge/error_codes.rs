//! Error codes of the quote stack, the TDX module and the registration agent.
