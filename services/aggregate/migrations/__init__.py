"""Versions of aggregate's database, oldest first; each file is one step and never changes."""
