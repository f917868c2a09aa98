"""The ends of the companies' chains of releases: what a backup holds, and what has to be the newest."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection, Table, select

from services.operation.label import Chain, Label
from services.operation.rooms import METADATA
from services.protocol.problems import Problem
from services.protocol.signed import Service

NONE = "none"
"""What stands for the head of a company that has no release."""
WHERE = (
    "It stands as 'Release (SHA-256)' among the exact parameters of the newest report, on the page about "
    "its method."
)
OLDER = {
    "aggregate": (
        "This backup of aggregate (made on {created}) does not hold the release {head}: it is older. "
        "Use a newer backup: an older one would forget budget that is spent."
    ),
    "report": (
        "This backup of report (made on {created}) does not hold the release {head}: it is older. "
        "If aggregate still has that release, say --behind: aggregate hands on what is missing."
    ),
}
NEWER = (
    "The release {head} is not the newest in this backup of {service}. Give the newest chain head there is: "
    "the newest report has it."
)


def chains_of(connection: Connection, service: Service) -> tuple[Chain, ...]:
    """Return the end of every company's chain in a database of aggregate or report; survey has none."""
    if service == "survey":
        return ()
    tables = METADATA[service].tables
    known = tables["cycle"] if service == "aggregate" else tables["manifest"]
    companies = (
        connection.execute(select(known.c.company).distinct().order_by(known.c.company)).scalars().all()
    )
    return tuple(_end(connection, tables["release"], company) for company in companies)


def _end(connection: Connection, releases: Table, company: str) -> Chain:
    at = releases.c
    # A dry run has no place in the chain.
    query = select(at.hash, at.sequence).where(at.company == company, at.sequence.is_not(None))
    newest = connection.execute(query.order_by(at.sequence.desc()).limit(1)).first()
    return Chain(company=company, head=newest and newest.hash, length=newest.sequence if newest else 0)


def check_heads(label: Label, hashes: Sequence[str], given: Sequence[str], *, behind: bool = False) -> None:
    """Refuse a backup unless ``given`` are the newest chain heads of exactly the companies in it.

    ``hashes`` are all releases in the backup; with ``behind``, a head it doesn't hold is taken. What the
    backup's own head is, is never said: it has to come from outside.
    """
    wanted = Counter(chain.head or NONE for chain in label.chains) or Counter([NONE])
    heads = Counter(head.strip().lower() for head in given)
    for head in sorted(heads.keys() - wanted.keys()):
        if head in hashes:
            raise Problem("conflict", NEWER.format(service=label.service, head=head))
        if head != NONE and not behind:
            sentence = OLDER[label.service]
            raise Problem("conflict", sentence.format(created=label.created, head=head))
    if not given or (heads != wanted and not behind):
        raise Problem("input" if not given else "conflict", _what_to_give(label))


def _what_to_give(label: Label) -> str:
    with_head = [f"'{chain.company}'" for chain in label.chains if chain.head is not None]
    without = [f"'{chain.company}'" for chain in label.chains if chain.head is None]
    said = [f"Restoring {label.service} needs --chain-head once for each company, so that no older backup"]
    said.append("can bring spent budget back.")
    if with_head:
        said.append(f"Give the newest release of {', '.join(with_head)}. {WHERE}")
    if without:
        said.append(f"Say --chain-head {NONE} for {', '.join(without)}: this backup knows no release of it.")
    if not label.chains:
        said.append(f"This backup knows no company; say --chain-head {NONE} if none was ever surveyed.")
    return " ".join(said)
