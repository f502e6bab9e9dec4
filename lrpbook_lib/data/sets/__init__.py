"""Real sets that come as one file, and how files are fetched."""
