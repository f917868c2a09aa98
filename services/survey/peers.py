"""The calls that survey makes: to aggregate and report, signed."""

import httpx

from services.kit.http import call
from services.protocol.encoding import canonical
from services.protocol.messages import (
    LedgerReply,
    ManifestUpload,
    Proposal,
    ProposalReply,
    ReleaseState,
)
from services.protocol.signed import SignedDocument


class Peers:
    """The two other services, as survey sees them."""

    def __init__(self, aggregate: httpx.Client, report: httpx.Client) -> None:
        self._aggregate, self._report = aggregate, report

    def propose(self, proposal: Proposal) -> ProposalReply:
        """Reserve the budget of a cycle and get its opening keys."""
        body = canonical(proposal.model_dump(mode="json"))
        return ProposalReply.model_validate(
            call(self._aggregate, "POST", "/internal/cycles", json=body).json()
        )

    def countersign(self, cycle_id: str, upload: ManifestUpload) -> SignedDocument:
        """Have aggregate check and sign the manifest; return it with both signatures."""
        body = canonical(upload.model_dump(mode="json"))
        answer = call(self._aggregate, "PUT", f"/internal/cycles/{cycle_id}/manifest", json=body)
        return SignedDocument.model_validate(answer.json())

    def show_manifest(self, cycle_id: str, signed: SignedDocument) -> None:
        """Hand the signed manifest to report."""
        body = canonical(signed.model_dump(mode="json"))
        call(self._report, "PUT", f"/internal/cycles/{cycle_id}/manifest", json=body)

    def release(self, cycle_id: str) -> ReleaseState:
        """Ask aggregate to release a closed cycle."""
        answer = call(self._aggregate, "POST", f"/internal/cycles/{cycle_id}/release")
        return ReleaseState.model_validate(answer.json())

    def release_state(self, cycle_id: str) -> ReleaseState:
        """Ask aggregate how far a release is."""
        return ReleaseState.model_validate(
            call(self._aggregate, "GET", f"/internal/cycles/{cycle_id}").json()
        )

    def void(self, cycle_id: str, reason: str) -> None:
        """Give up a cycle's reservation; its keys are destroyed."""
        call(self._aggregate, "POST", f"/internal/cycles/{cycle_id}/void", json=canonical({"reason": reason}))

    def ledger(self, company: str, year: int) -> LedgerReply:
        """Ask aggregate for a company's budget of a year."""
        params = httpx.QueryParams(company=company, year=year)
        answer = call(self._aggregate, "GET", f"/internal/ledger?{params}")
        return LedgerReply.model_validate(answer.json())

    def close(self) -> None:
        """Close the connections."""
        self._aggregate.close()
        self._report.close()
