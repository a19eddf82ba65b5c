//! The app-compose: the document that says what a CVM runs, and whose bytes are its identity.
