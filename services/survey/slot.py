"""The slot of the box: takes a sealed sheet off the network with as little as possible in between.

All sheets of a cycle come through this one call, and the framework's routing, dependencies and models cost
more than checking the sheet. So it is answered ahead of them, inside the same layers of safety.
"""

from fastapi import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.kit.edge import problem_response
from services.protocol.problems import Problem
from services.survey.flow import PhoneFlow

MAX_ENVELOPE_BYTES = 4096


class Slot:
    """Answers ``POST /api/cycles/{cycle}/envelopes``; passes every other call on to the app."""

    def __init__(self, app: ASGIApp, flow: PhoneFlow) -> None:
        self._app, self._flow = app, flow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call, or pass it on."""
        match scope["path"].split("/") if scope["type"] == "http" and scope["method"] == "POST" else ():
            case ["", "api", "cycles", cycle, "envelopes"] if cycle:
                answer = await take(self._flow, cycle, receive)
                await answer(scope, receive, send)
            case _:
                await self._app(scope, receive, send)


async def take(flow: PhoneFlow, cycle: str, receive: Receive) -> Response:
    """Return the receipt for one sealed sheet, once the sheet is safe; or the problem with it."""
    try:
        receipt = await flow.accept(cycle, await _body(receive))
    except Problem as problem:
        return problem_response(problem)
    return Response(receipt.model_dump_json(), status_code=201, media_type="application/json")


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem("malformed")
        body += message.get("body", b"")
        if len(body) > MAX_ENVELOPE_BYTES:
            raise Problem("too-large")
        if not message.get("more_body", False):
            return bytes(body)
