"""Slices of patients: chosen, cut, kept on disk, and served as samples."""
