"""Signed internal calls: every call between services is bound to its body, its receiver and a moment.

The signed text is the length-prefixed list of sender, receiver, method, path with query, second of
creation, a random nonce and the SHA-256 of the body. A call is valid for 60 seconds, once.
"""

import secrets
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from services.kit.clock import Clock
from services.kit.keys import Identity
from services.protocol.encoding import InvalidEncoding, sha256, unb64
from services.protocol.problems import Problem
from services.protocol.signed import InvalidSignedDocument, Service, check

HEADER = "fairpatch-call"
LIFETIME_SECONDS = 60


def signed_text(
    sender: str, receiver: str, method: str, target: str, created: int, nonce: str, body: bytes
) -> bytes:
    """Return the bytes a call's signature covers."""
    parts = [part.encode("utf-8") for part in (sender, receiver, method, target, str(created), nonce)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in [*parts, sha256(body)])


class CallSigner(httpx.Auth):
    """Signs outgoing calls to one receiver."""

    requires_request_body = True

    def __init__(self, identity: Identity, sender: Service, receiver: Service, clock: Clock) -> None:
        self._identity, self._sender, self._receiver, self._clock = identity, sender, receiver, clock

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the signature header."""
        created, nonce = int(self._clock().timestamp()), secrets.token_urlsafe(16)
        target = request.url.raw_path.decode("ascii")
        text = signed_text(
            self._sender, self._receiver, request.method, target, created, nonce, request.content
        )
        signature = self._identity.sign("call", text)
        request.headers[HEADER] = f"{self._sender} {created} {nonce} {signature}"
        yield request


@dataclass
class CallVerifier:
    """Checks incoming calls: known peer, fresh, for this service, with this body, not seen before."""

    receiver: Service
    peers: dict[Service, bytes]
    clock: Clock
    started: datetime = field(init=False)
    _seen: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def check(self, header: str | None, *, method: str, target: str, body: bytes) -> Service:
        """Return the peer that signed the call.

        Raises
        ------
        Problem
            ``unauthorized``, with one text for every cause.
        """
        refusal = Problem("unauthorized")
        try:
            sender, created_text, nonce, signature = (header or "").split(" ")
            created = int(created_text)
            unb64(nonce, length=16)
        except (ValueError, InvalidEncoding):
            raise refusal from None
        now = int(self.clock().timestamp())
        # Nothing remembers the nonces of an earlier run, so calls made before this one are not taken.
        fresh = abs(now - created) <= LIFETIME_SECONDS and created >= int(self.started.timestamp())
        if sender not in self.peers or not fresh:
            raise refusal
        peer: Service = sender
        text = signed_text(sender, self.receiver, method, target, created, nonce, body)
        try:
            check(self.peers[peer], "call", text, signature)
        except InvalidSignedDocument:
            raise refusal from None
        self._remember(nonce, now, refusal)
        return peer

    def _remember(self, nonce: str, now: int, refusal: Problem) -> None:
        self._seen = {seen: at for seen, at in self._seen.items() if now - at <= 2 * LIFETIME_SECONDS}
        if nonce in self._seen:
            raise refusal
        self._seen[nonce] = now
