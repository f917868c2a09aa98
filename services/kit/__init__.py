"""Plumbing that all three services share: no word of it knows what a survey is."""
