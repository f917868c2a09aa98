"""Exports of a report: the same numbers as its pages, as files."""
