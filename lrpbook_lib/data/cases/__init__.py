"""Patients on disk: finding, checking and reading them, whatever the release."""
