"""The numbers that fail a run. Speeds are ratios of two figures of the same run."""

FAILED_REQUESTS = 0
"""Not one read, close or release may fail."""

READS_UNDER_RELEASE_RATIO = 8.0
"""Median read of a report while a release runs, against the median read while nothing else runs."""

LEAST_IDLE_READS = 50
LEAST_READS_UNDER_RELEASE = 50
"""With fewer reads than this, a ratio says nothing and the run fails."""
