//! VMMs on this machine, from the files they and the upstream installer leave.
