"""Phones that forge: good tokens, and sheets that survey can't see through and aggregate must not count."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.protocol.commitments import encode_value
from services.protocol.envelope import Envelope, nonce, seal
from services.protocol.plan import (
    ALIGNMENT_RESULT,
    CAPABILITY_RESULT,
    FLAG_RESULT,
    MOTIVATION_RESULT,
    SUPPORT_ACTIVITY,
    SUPPORT_GROUP,
    SUPPORT_RESULT,
)
from services.protocol.sheet import Sheet, encode
from services.rehearsal.phone import Phone, sign

Sheets = Mapping[str, Sheet]


@dataclass(frozen=True)
class Forgery:
    """A bad sheet under a good token: what is in it, or for whom and for what it is sealed."""

    sheet: str
    reason: str
    content: Callable[[Sheets], Sheet] | None = None
    key_of: str = ""
    info_of: str = ""
    manifest_hash: bytes = b""
    token_nonce: bytes = b""


def changed(name: str, **changes: object) -> Callable[[Sheets], Sheet]:
    """Return a change to one honest sheet."""
    return lambda honest: dataclasses.replace(honest[name], **changes)  # type: ignore[arg-type]


FORGERIES = {
    "a made-up secret": Forgery(SUPPORT_GROUP, "commitment", changed(SUPPORT_GROUP, secret=bytes(32))),
    "the secret of another sheet": Forgery(
        MOTIVATION_RESULT,
        "commitment",
        lambda honest: dataclasses.replace(honest[MOTIVATION_RESULT], secret=honest[SUPPORT_RESULT].secret),
    ),
    "a group that does not exist": Forgery(
        SUPPORT_GROUP, "value", changed(SUPPORT_GROUP, value=encode_value(9))
    ),
    "a band that does not exist": Forgery(SUPPORT_RESULT, "range", changed(SUPPORT_RESULT, fields=(3,))),
    "a reason that does not exist": Forgery(FLAG_RESULT, "range", changed(FLAG_RESULT, fields=(11,))),
    "a blank with a value": Forgery(ALIGNMENT_RESULT, "range", changed(ALIGNMENT_RESULT, fields=(255,))),
    "the key of another sheet": Forgery(SUPPORT_ACTIVITY, "sealing", key_of=SUPPORT_RESULT),
    "the name of another sheet": Forgery(SUPPORT_ACTIVITY, "sealing", info_of=SUPPORT_RESULT),
    "another manifest": Forgery(CAPABILITY_RESULT, "sealing", manifest_hash=bytes(32)),
    # What a copy of another rep's sealed sheet looks like: it was sealed for that rep's token.
    "another rep's sealed sheet": Forgery(FLAG_RESULT, "sealing", token_nonce=bytes(32)),
}


class HostilePhone(Phone):
    """A phone that seals what it likes; its tokens are good."""

    def forge(self, forgery: Forgery) -> None:
        """Put a forged envelope in the place of an honest one."""
        name, view = forgery.sheet, self.view
        content = self._sheets[name] if forgery.content is None else forgery.content(self._sheets)
        held = self._passes[name]
        unsigned = Envelope(
            suite=view.manifest.suite,
            kind=0,
            counter=held.next_counter(),
            token=self._tokens[name],
            public_key=held.public_key,
            signature=b"",
            sealed=seal(
                encode(content, length=view.manifest.plaintext_length),
                public_key=view.issuers[forgery.key_of or name].opening_key,
                suite=view.manifest.suite,
                manifest_hash=forgery.manifest_hash or view.manifest_hash,
                sheet=forgery.info_of or name,
                nonce=forgery.token_nonce or nonce(held.public_key),
            ),
        )
        signature = sign(held.private_key, unsigned.signed_bytes())
        self._sealed[name] = dataclasses.replace(unsigned, signature=signature).encode()

    @property
    def sealed(self) -> dict[str, bytes]:
        """The envelopes last sealed, by sheet."""
        return dict(self._sealed)

    def says_something(self, name: str) -> bool:
        """Return whether the sheet last sealed is not a blank."""
        return not self._sheets[name].blank
