"""A phone by hand: makes tokens and envelopes for survey in process, so that tests can break them."""

from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric import ec

from services.protocol import envelope, token
from services.protocol.encoding import b64, unb64
from services.protocol.manifest import Manifest
from services.protocol.sheet import blank, encode
from services.rehearsal import blinding
from services.rehearsal.cycleview import make_issuers
from services.rehearsal.phone import Pass, make_pass, sign
from tests.flow.survey.ring import Ring


@dataclass
class Hand:
    """One rep's passes and tokens, taken by hand."""

    ring: Ring
    cycle: str
    code: str
    manifest: Manifest
    passes: dict[str, Pass]
    tokens: dict[str, bytes]

    @property
    def blinded(self) -> dict[str, str]:
        """The blinded messages as they travel."""
        return {name: b64(held.blinding.blinded) for name, held in self.passes.items()}

    def seal(
        self, sheet: str, *, counter: int = 5, kind: int = 0, opens: Manifest | None = None
    ) -> envelope.Envelope:
        """Return a good envelope with a blank sheet."""
        cycle, held = opens or self.manifest, self.passes[sheet]
        unsigned = envelope.Envelope(
            suite=1,
            kind=kind,
            counter=counter,
            token=self.tokens[sheet],
            public_key=held.public_key,
            signature=b"",
            sealed=envelope.seal(
                encode(blank(1), length=cycle.plaintext_length),
                public_key=unb64(cycle.sheet(sheet).opening_key),
                suite=1,
                manifest_hash=cycle.hash(),
                sheet=sheet,
                nonce=envelope.nonce(held.public_key),
            ),
        )
        return self.signed(unsigned, held.private_key)

    def signed(self, unsigned: envelope.Envelope, key: ec.EllipticCurvePrivateKey) -> envelope.Envelope:
        """Return an envelope signed by ``key``."""
        return replace(unsigned, signature=sign(key, unsigned.signed_bytes()))

    def post(self, data: bytes) -> tuple[int, str]:
        """Send bytes; return the status and the kind of problem."""
        answer = self.ring.client.post(f"/api/cycles/{self.cycle}/envelopes", content=data)
        return answer.status_code, str(answer.json().get("type", "")).removeprefix("urn:fairpatch:problem:")


def hand_of(ring: Ring, cycle: str, code: str) -> Hand:
    """Return a rep who has taken the passes of a cycle."""
    manifest = Manifest.model_validate(ring.client.get(f"/api/cycles/{cycle}/manifest").json()["document"])
    issuers = make_issuers(manifest)
    passes = {name: make_pass(issuer) for name, issuer in issuers.items()}
    hand = Hand(ring, cycle, code, manifest, passes, {})
    body = {"code": code, "blinded": hand.blinded}
    answer = ring.client.post(f"/api/cycles/{cycle}/tokens", json=body)
    assert answer.status_code == 200, answer.text
    for name, held in passes.items():
        signature = unb64(answer.json()["signatures"][name])
        authenticator = blinding.finalize(signature, issuers[name].public_key, held.blinding)
        hand.tokens[name] = held.message + authenticator
        spec = manifest.sheet(name)
        token.verify(hand.tokens[name], spki=spec.spki, challenge=issuers[name].challenge)
    return hand
