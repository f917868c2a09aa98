"""Versions of survey's database, oldest first; each file is one step and never changes."""
