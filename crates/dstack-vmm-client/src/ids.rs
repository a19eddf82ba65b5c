//! App id, instance id and MAC addresses.
