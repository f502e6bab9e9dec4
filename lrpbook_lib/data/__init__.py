"""Patients on disk to slices in memory."""
