"""How long survey keeps what it knows of people: the promise in a manifest, and when it falls due."""

import re
from datetime import datetime, timedelta

from services.protocol.manifest import instant

RETENTION_DAYS = 90
"""What a new cycle promises."""
_FORM = re.compile(r"erased ([0-9]{1,4}) days after the latest close")


def retention(days: int = RETENTION_DAYS) -> str:
    """Return the promise that a manifest carries.

    Parameters
    ----------
    days : int
        How long after the latest close the roster may stay [days].

    Returns
    -------
    str
        A sentence from which :func:`erased_from` reads the days back.

    Notes
    -----
    Privacy: exact and public; says nothing of anybody.
    Source: system.md, section 4 (manifest).

    Examples
    --------
    >>> retention(30)[:63]
    'Roster and sealed sheets are erased 30 days after the latest cl'
    """
    return (
        f"Roster and sealed sheets are erased {days} days after the latest close at the latest. "
        "The keys that open sheets are destroyed at the release."
    )


def erased_from(promise: str, latest_close: str) -> datetime | None:
    """Return from when on a cycle's roster and sheets may no longer be kept.

    Parameters
    ----------
    promise : str
        The manifest's ``retention``.
    latest_close : str
        Its latest close, as the wire writes it.

    Returns
    -------
    datetime or None
        In UTC; None if the promise names no number of days.

    Raises
    ------
    InvalidManifest
        If the close is not a time of the wire.

    Notes
    -----
    Privacy: exact and public; who knows the manifest knows this moment.
    Source: system.md, sections 4 and 5.

    Examples
    --------
    >>> erased_from(retention(30), "2026-03-01T12:00:00Z")
    datetime.datetime(2026, 3, 31, 12, 0, tzinfo=datetime.timezone.utc)
    >>> erased_from("As long as needed.", "2026-03-01T12:00:00Z") is None
    True
    """
    found = _FORM.search(promise)
    return None if found is None else instant(latest_close) + timedelta(days=int(found[1]))
