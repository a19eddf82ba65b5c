//! A tree of files with recorded readings beside it.
