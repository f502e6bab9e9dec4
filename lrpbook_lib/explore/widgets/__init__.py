"""Widgets that live on a page without a kernel."""
