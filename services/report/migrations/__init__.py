"""Versions of report's database, oldest first; each file is one step and never changes."""
