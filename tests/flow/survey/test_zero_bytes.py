"""A zero byte in an address: no text column of PostgreSQL can hold it, and no fault of ours comes of it."""

import pytest

from tests.flow.survey.ring import Ring


@pytest.mark.parametrize(
    "path",
    [
        "/api/cycles/%00/manifest",
        f"/api/cycles/%00/receipts/{'00' * 32}",
        "/hr/cycles/a%00b",
        "/s/%00",
    ],
)
def test_a_zero_byte_opens_nothing(ring: Ring, path: str) -> None:
    answer = ring.client.get(path, headers=ring.hr)
    assert answer.status_code < 500
    assert ring.client.get("/s/nothing").status_code == 200


def test_a_sheet_sent_to_such_a_cycle_is_refused(ring: Ring) -> None:
    assert ring.client.post("/api/cycles/%00/envelopes", content=bytes(600)).status_code in (404, 422)
