//! The environment of an app: reading it, sealing it, and checking the key it is sealed to.
