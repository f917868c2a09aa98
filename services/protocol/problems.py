"""What can go wrong on the wire, by name (RFC 9457); the one table from problem to status."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of problem: its HTTP status and its fixed title."""

    status: int
    title: str


KINDS: dict[str, Kind] = {
    "malformed": Kind(422, "The request does not have the expected form."),
    "too-large": Kind(413, "The request is larger than this call allows."),
    "not-found": Kind(404, "There is nothing at this address."),
    "method": Kind(405, "This address does not take this method."),
    "host": Kind(421, "This service does not answer under this name."),
    "link": Kind(403, "This link does not open the survey."),
    "pass-used": Kind(409, "The pass of this link was already taken with other bytes."),
    "envelope-format": Kind(422, "The envelope does not have the form of this cycle."),
    "envelope-token": Kind(403, "The envelope's token is not valid for this cycle."),
    "envelope-signature": Kind(403, "The envelope is not signed by the key that its token names."),
    "envelope-stale": Kind(409, "A newer envelope is stored under this token."),
    "envelope-conflict": Kind(409, "Another envelope with this counter is stored under this token."),
    "cycle-state": Kind(409, "The cycle is not in a state that allows this."),
    "conflict": Kind(409, "Something else is already recorded here."),
    "budget": Kind(409, "The privacy budget of this year does not allow this."),
    "input": Kind(422, "The given file or value cannot be used."),
    "unauthorized": Kind(401, "The call is not signed by a known peer, or its time is over."),
    "busy": Kind(503, "The service is busy. Send the same bytes again."),
    "not-ready": Kind(503, "A part this service needs does not answer yet."),
    "internal": Kind(500, "Something went wrong here. Nothing was half done."),
}


class Problem(Exception):
    """A refusal that its caller may read; it never repeats answers, tokens, keys or codes."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(detail or KINDS[kind].title)
        self.kind = kind
        self.detail = detail

    @property
    def status(self) -> int:
        """The HTTP status of this kind."""
        return KINDS[self.kind].status

    def document(self) -> dict[str, str | int]:
        """Return the problem document (RFC 9457, section 3)."""
        document: dict[str, str | int] = {
            "type": f"urn:fairpatch:problem:{self.kind}",
            "title": KINDS[self.kind].title,
            "status": self.status,
        }
        if self.detail:
            document["detail"] = self.detail
        return document
