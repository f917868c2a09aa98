"""Many phones at once: every rep with a response takes part through HTTP."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import httpx

from services.protocol.problems import Problem
from services.rehearsal.links import Link
from services.rehearsal.phone import (
    CycleView,
    Declined,
    Line,
    Phone,
    Refused,
    Response,
    Unreachable,
    fetch_manifest,
)

AT_ONCE = 8
Advance = Callable[[int, int], None]


async def collect(links: Sequence[Link], responses: Mapping[str, Response], advance: Advance) -> int:
    """Have each rep with a response take part; return how many did.

    Raises
    ------
    Problem
        If a phone refused or was refused: says how many and why, never whose.
    """
    asked = [link for link in links if link.employee_id in responses]
    if not asked:
        return 0
    limits = httpx.Limits(max_connections=AT_ONCE * 2)
    async with httpx.AsyncClient(timeout=60.0, limits=limits, trust_env=False) as client:
        line = Line(client)
        view = await _view(line, asked[0])
        waiting = asyncio.Semaphore(AT_ONCE)
        done = 0

        async def one(link: Link) -> str | None:
            nonlocal done
            async with waiting:
                fault = await _take_part(Phone(line, view, link.code), responses[link.employee_id])
            done += 1
            advance(done, len(asked))
            return fault

        faults = [fault for fault in await asyncio.gather(*(one(link) for link in asked)) if fault]
    if faults:
        raise Problem("internal", f"{len(faults)} of {len(asked)} phones did not get through. {faults[0]}")
    return len(asked)


async def _view(line: Line, link: Link) -> CycleView:
    try:
        return await fetch_manifest(
            line,
            survey=link.survey,
            aggregate=link.aggregate,
            cycle=link.cycle,
            pinned=link.pinned,
            fingerprint=link.fingerprint,
        )
    except (Refused, Declined, Unreachable) as error:
        raise Problem("not-ready", str(error)) from None


async def _take_part(phone: Phone, response: Response) -> str | None:
    try:
        await phone.take_part(response)
    except (Refused, Declined, Unreachable) as error:
        return str(error)
    return None
