"""From source notebooks to the book on disk."""
