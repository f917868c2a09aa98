"""What a phone does in a cycle, at random and patiently: answer, replace, withdraw, resend, look.

Nobody here knows of kills. A call without an answer is repeated until there is one.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from services.protocol.messages import ReceiptState
from services.rehearsal.cycleview import read
from services.rehearsal.phone import Declined, Phone, Response, Unreachable
from tests.e2e.journal import Journal, NotingLine

T = TypeVar("T")
BYTES = "application/octet-stream"
PATIENCE_SECONDS = 180.0


async def journey(line: NotingLine, journal: Journal, code: str, said: Response, dice: random.Random) -> None:
    """Be one phone until it has done what it wanted to, or the cycle is closed."""
    with suppress(Declined):
        await asyncio.sleep(dice.uniform(0.0, 1.5))
        phone = await first_of_two(line, journal, code, dice)
        phone.answer(said)
        await again(phone.take_tokens)
        phone.seal()
        await again(phone.send)
        for _ in range(dice.randrange(4)):
            await asyncio.sleep(dice.uniform(0.0, 0.5))
            await dice.choice(ACTS)(phone, said, dice)
        await look_at_receipts(phone, journal)


async def first_of_two(line: NotingLine, journal: Journal, code: str, dice: random.Random) -> Phone:
    """Return a phone with passes; sometimes a second one tries to get passes of its own at the same time."""
    phones = [Phone(line, journal.opened, code) for _ in range(2 if dice.random() < 0.15 else 1)]
    for phone in phones:
        await again(phone.session)
    took = await asyncio.gather(*(again(phone.take_tokens) for phone in phones), return_exceptions=True)
    others = [outcome for outcome in took if outcome is not None]
    if len(others) == len(phones) or any(not isinstance(each, Declined) for each in others):
        raise others[0]
    return phones[took.index(None)]


async def replace(phone: Phone, said: Response, dice: random.Random) -> None:
    """Overwrite all sheets; if no reply comes, sometimes give up on these bytes and seal newer ones."""
    phone.answer(Response(dict(said.answers), flag=dice.randrange(11)))
    phone.seal()
    if dice.random() < 0.3:
        with suppress(Unreachable):
            await phone.send()
            return
        phone.seal()
    await again(phone.send)


async def withdraw(phone: Phone, said: Response, dice: random.Random) -> None:
    """Take all sheets back, or come back after having done so."""
    await again(phone.withdraw)
    if dice.random() < 0.5:
        await replace(phone, said, dice)


async def resend(phone: Phone, said: Response, dice: random.Random) -> None:
    """Send the same bytes once more, also after asking for the passes once more."""
    if dice.random() < 0.5:
        await again(phone.take_tokens)
    await again(phone.send)


async def send_older(phone: Phone, said: Response, dice: random.Random) -> None:
    """Replace, then let the older envelopes arrive late."""
    older = dict(phone._sealed)
    await replace(phone, said, dice)
    for data in older.values():
        with suppress(Declined):
            await again(partial(phone.line.call, "POST", phone.view.address("envelopes"), data, BYTES))


ACTS: tuple[Callable[[Phone, Response, random.Random], Awaitable[None]], ...] = (
    replace,
    withdraw,
    resend,
    send_older,
)


async def look_at_receipts(phone: Phone, journal: Journal) -> None:
    """Ask for every sheet last sent; all of them were acknowledged."""
    for sheet, stored in (await again(phone.check_receipts)).items():
        if not stored:
            journal.faults.append(f"an acknowledged sheet is not in the box: {sheet}")


async def is_stored(line: NotingLine, journal: Journal, envelope_hash: bytes) -> bool:
    """Ask whether survey still holds one envelope."""
    address = journal.opened.address(f"receipts/{envelope_hash.hex()}")
    return read(ReceiptState, await again(lambda: line.call("GET", address))).stored


async def again(step: Callable[[], Awaitable[T]]) -> T:
    """Take a step until it gets an answer."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await step()
        except Unreachable:
            if time.monotonic() > deadline:
                raise
