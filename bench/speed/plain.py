"""The plain app to compare with: FastAPI and SQLModel as people write them, a session per request.

It checks the same sheets with the same code, keeps the same table and gives the same receipts. With
asynchronous sessions, or with plain ones in the event loop, it was slower in a run of all three.
"""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Body, Depends, FastAPI, HTTPException
from sqlalchemy import BigInteger
from sqlalchemy.orm import registry
from sqlmodel import Field, Session, SQLModel, create_engine

from services.kit.keys import Identity
from services.protocol.messages import ReceiptReply
from services.protocol.problems import Problem
from services.survey.flow import OpenCycle, check_envelope

POOLS = (5, 64)
"""Connections: the library's default (with ten more at need), and one for every caller."""
DURABLE = "-c synchronous_commit=on"


class Row(SQLModel, registry=registry()):
    """Base of the plain app's tables."""


class Cycle(Row, table=True):
    """A cycle and its state."""

    id: str = Field(primary_key=True)
    state: str


class Box(Row, table=True):
    """The newest envelope under one token."""

    cycle: str = Field(primary_key=True)
    sheet: str = Field(primary_key=True)
    nonce: bytes = Field(primary_key=True)
    counter: int = Field(sa_type=BigInteger)
    envelope_hash: bytes = Field(index=True)
    envelope: bytes


def build_plain(url: str, opened: OpenCycle, identity: Identity, *, pool: int) -> FastAPI:
    """Return the plain app on a database in which it makes its tables."""
    engine = create_engine(url, pool_size=pool, connect_args={"options": DURABLE})
    Row.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Cycle(id=opened.manifest.cycle, state="open"))
        session.commit()
    app = FastAPI()

    def get_session() -> Iterator[Session]:
        with Session(engine) as session:
            yield session

    @app.post("/api/cycles/{cycle}/envelopes", status_code=201)
    def envelopes(
        cycle: str,
        data: Annotated[bytes, Body(media_type="application/octet-stream")],
        session: Annotated[Session, Depends(get_session)],
    ) -> ReceiptReply:
        """Check a sheet, store it, sign a receipt."""
        known = session.get(Cycle, cycle)
        if known is None or known.state != "open":
            raise HTTPException(409)
        try:
            arrival = check_envelope(opened, data)
        except Problem as problem:
            raise HTTPException(problem.status) from None
        stored = session.get(Box, (arrival.cycle, arrival.sheet, arrival.nonce))
        if stored is None:
            session.add(Box(**arrival._asdict()))
        elif stored.envelope_hash != arrival.envelope_hash:
            if stored.counter >= arrival.counter:
                raise HTTPException(409)
            stored.counter, stored.envelope = arrival.counter, arrival.envelope
            stored.envelope_hash = arrival.envelope_hash
        session.commit()
        signature = identity.sign("receipt", arrival.envelope_hash)
        return ReceiptReply(hash=arrival.envelope_hash.hex(), signature=signature)

    return app
