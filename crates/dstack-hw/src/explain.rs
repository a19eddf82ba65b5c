//! What a code or a message from a log means: the error tables, searched.
