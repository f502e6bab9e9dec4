"""The experiments of the book: a module a stamped result."""
