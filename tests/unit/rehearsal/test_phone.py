"""The Python phone against services that answer, fail, and lie."""

import asyncio
import copy
from itertools import pairwise
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.protocol import commitments, envelope, manifest, plan
from services.protocol.encoding import b64, canonical, unb64
from services.protocol.scoring import HIGH, LOW
from services.protocol.sheet import MISSING, blank
from services.rehearsal.phone import (
    COUNTER_STEP_UP_TO,
    FIRST_COUNTER_BELOW,
    Declined,
    Line,
    OutOfOrder,
    Phone,
    PinnedKeys,
    Refused,
    Response,
    Unreachable,
)
from tests.unit.rehearsal.fake_survey import (
    AGGREGATE,
    CODE,
    GROUPS,
    LIVE,
    PLAN,
    SURVEY,
    Change,
    FakeServices,
    counter,
    make_manifest,
    raw,
    secret,
)

ANSWERS = {
    f"{letter}{i}": choice for letter, choice in zip("CAMS", (5, 3, 2, 1), strict=True) for i in range(1, 5)
}
RESPONSE = Response(ANSWERS, flag=7)


async def finished() -> tuple[FakeServices, Phone]:
    fake = FakeServices()
    phone = await fake.phone()
    await phone.take_part(RESPONSE)
    return fake, phone


def contents(fake: FakeServices) -> dict[str, int]:
    return {name: opened.fields[0] for name, (_, opened) in fake.open_box().items()}


# The honest journey


def test_every_sheet_arrives_with_its_band_and_its_certified_value() -> None:
    fake, phone = asyncio.run(finished())

    assert contents(fake) == {
        plan.SUPPORT_RESULT: LOW,
        plan.SUPPORT_ACTIVITY: LOW,
        plan.CAPABILITY_RESULT: HIGH,
        plan.ALIGNMENT_RESULT: 1,
        plan.MOTIVATION_RESULT: LOW,
        plan.SUPPORT_GROUP: LOW,
        plan.FLAG_RESULT: 7,
    }
    for name, (kind, opened) in fake.open_box().items():
        value = LIVE[plan.CATALOGUE[name].context][-1]
        assert kind == envelope.ANSWERS
        assert opened.value == commitments.encode_value(value)
        assert opened.secret == secret(name, value)
    assert set(phone.receipts) == set(PLAN.sheets)
    assert asyncio.run(phone.check_receipts()) == dict.fromkeys(PLAN.sheets, True)


def test_a_missing_answer_record_or_consent_makes_a_blank_of_the_same_length() -> None:
    async def journey() -> FakeServices:
        fake = FakeServices()
        fake.values[plan.SUPPORT_ACTIVITY] = None
        phone = await fake.phone()
        answers = {item: choice for item, choice in ANSWERS.items() if item not in ("C1", "C2")}
        await phone.take_part(Response(answers), leave_out={plan.SUPPORT_GROUP})
        return fake

    fake = asyncio.run(journey())

    blanks = {plan.SUPPORT_ACTIVITY, plan.CAPABILITY_RESULT, plan.SUPPORT_GROUP, plan.FLAG_RESULT}
    assert {name for name, field in contents(fake).items() if field == MISSING} == blanks
    assert all(fake.open_box()[name][1] == blank(1) for name in blanks)
    assert {len(data) for data in fake.box.values()} == {fake.manifest.envelope_length}


def test_an_answer_outside_the_instrument_is_not_sealed() -> None:
    async def prepared() -> Phone:
        phone = await FakeServices().phone()
        await phone.session()
        return phone

    phone = asyncio.run(prepared())
    for response in (Response({"S1": 6}), Response({"S1": 0}), Response({}, flag=11), Response({}, flag=-1)):
        with pytest.raises(ValueError, match="one of"):
            phone.answer(response)


def test_nothing_that_names_the_rep_goes_with_an_envelope() -> None:
    fake, _ = asyncio.run(finished())

    assert len(fake.sent("envelopes")) == len(PLAN.sheets)
    for request in fake.sent("envelopes"):
        assert request.headers["content-type"] == "application/octet-stream"
        assert CODE.encode() not in request.content
        assert CODE not in str(request.url)
    assert not any("cookie" in request.headers for request in fake.requests)
    assert not any("authorization" in request.headers for request in fake.requests)


def test_credentials_of_a_shared_client_are_left_out() -> None:
    async def journey() -> FakeServices:
        fake = FakeServices()
        client = httpx.AsyncClient(
            transport=httpx.MockTransport(fake.handle), auth=("someone", "word"), cookies={"follow": "me"}
        )
        await Phone(Line(client), await fake.view(), CODE).take_part(RESPONSE)
        return fake

    assert not any({"cookie", "authorization"} & set(r.headers) for r in asyncio.run(journey()).requests)


def test_sheets_share_no_key_and_leave_in_random_order_with_random_counters() -> None:
    async def journeys() -> list[tuple[list[str], list[int]]]:
        seen = []
        for _ in range(6):
            fake = FakeServices()
            phone = await fake.phone()
            await phone.take_part(RESPONSE)
            sent = [request.content for request in fake.sent("envelopes")]
            parsed = [envelope.parse(d, length=fake.manifest.envelope_length, suite=1) for d in sent]
            assert len({p.public_key for p in parsed}) == len({p.token for p in parsed}) == len(PLAN.sheets)
            seen.append(([fake.sheet_of(p) for p in parsed], [p.counter for p in parsed]))
        return seen

    seen = asyncio.run(journeys())
    counters = [c for _, drawn in seen for c in drawn]

    # Six equal orders of seven sheets by chance: below 1 in 10^18.
    assert len({tuple(order) for order, _ in seen}) > 1
    assert len(set(counters)) >= len(counters) - 1
    assert max(counters) < FIRST_COUNTER_BELOW
    assert max(counters) > FIRST_COUNTER_BELOW // 16


def test_one_checked_manifest_serves_many_phones() -> None:
    async def journey() -> FakeServices:
        fake = FakeServices()
        view = await fake.view()
        for _ in range(3):
            await Phone(fake.line(), view, CODE).session()
        return fake

    assert len(asyncio.run(journey()).sent("manifest")) == 2


# Replace and withdraw


def test_a_replacement_overwrites_under_the_same_tokens_with_a_higher_counter() -> None:
    async def journey() -> tuple[FakeServices, dict[bytes, bytes], Phone]:
        fake, phone = await finished()
        before = dict(fake.box)
        await phone.replace(Response({f"S{i}": 5 for i in range(1, 7)}))
        return fake, before, phone

    fake, before, phone = asyncio.run(journey())

    assert set(fake.box) == set(before)
    for nonce, data in fake.box.items():
        assert 0 < counter(data) - counter(before[nonce]) <= COUNTER_STEP_UP_TO
    assert contents(fake)[plan.SUPPORT_RESULT] == HIGH
    assert contents(fake)[plan.FLAG_RESULT] == MISSING
    assert len(fake.sent("tokens")) == 1
    assert asyncio.run(phone.check_receipts()) == dict.fromkeys(PLAN.sheets, True)


def test_a_withdrawal_takes_every_sheet_back_and_looks_like_an_answer() -> None:
    async def journey() -> FakeServices:
        fake, phone = await finished()
        await phone.withdraw()
        return fake

    fake = asyncio.run(journey())

    assert {(kind, opened) for kind, opened in fake.open_box().values()} == {(envelope.WITHDRAWAL, blank(1))}
    assert {len(data) for data in fake.box.values()} == {fake.manifest.envelope_length}


def test_a_lost_envelope_is_noticed() -> None:
    async def journey() -> dict[str, bool]:
        fake, phone = await finished()
        fake.box.popitem()
        return await phone.check_receipts()

    assert sorted(asyncio.run(journey()).values()) == [False] + [True] * (len(PLAN.sheets) - 1)


def test_steps_out_of_order_are_refused() -> None:
    async def journey() -> None:
        phone = await FakeServices().phone()
        with pytest.raises(OutOfOrder):
            phone.answer(RESPONSE)
        with pytest.raises(OutOfOrder):
            phone.seal()
        await phone.session()
        phone.answer(RESPONSE)
        with pytest.raises(OutOfOrder):
            phone.seal()
        with pytest.raises(OutOfOrder):
            await phone.withdraw()

    asyncio.run(journey())


# Faults


def test_a_lost_reply_is_answered_with_the_same_bytes() -> None:
    async def journey() -> FakeServices:
        fake = FakeServices()
        phone = await fake.phone()
        await phone.session()
        phone.answer(RESPONSE)
        fake.faults = ["reply lost", "busy", "lost"]
        await phone.take_tokens()
        phone.seal()
        fake.faults = ["reply lost", "reply lost"]
        await phone.send()
        return fake

    fake = asyncio.run(journey())

    assert len(fake.sent("tokens")) == 4
    assert len({request.content for request in fake.sent("tokens")}) == 1
    assert len({request.content for request in fake.sent("envelopes")[:3]}) == 1
    assert len(fake.box) == len(PLAN.sheets)
    assert contents(fake)[plan.FLAG_RESULT] == 7


def test_pauses_grow_and_end() -> None:
    async def journey() -> FakeServices:
        fake = FakeServices()
        phone = await fake.phone()
        fake.faults = ["lost"] * 7
        with pytest.raises(Unreachable):
            await phone.session()
        assert fake.faults == []
        return fake

    pauses_seconds = asyncio.run(journey()).pauses_seconds
    assert len(pauses_seconds) == 6
    assert all(longer > shorter for shorter, longer in pairwise(pauses_seconds))
    assert pauses_seconds[-1] <= 12.0


def test_a_step_may_be_taken_again_after_the_signal_was_lost() -> None:
    async def journey() -> FakeServices:
        fake = FakeServices()
        phone = Phone(fake.line(pauses_seconds=()), await fake.view(), CODE)
        await phone.session()
        phone.answer(RESPONSE)
        fake.faults = ["reply lost"]
        with pytest.raises(Unreachable):
            await phone.take_tokens()
        await phone.take_tokens()
        phone.seal()
        fake.faults = ["", "", "reply lost"]
        with pytest.raises(Unreachable):
            await phone.send()
        await phone.send()
        return fake

    fake = asyncio.run(journey())
    assert len({request.content for request in fake.sent("tokens")}) == 1
    assert len({request.content for request in fake.sent("envelopes")}) == len(PLAN.sheets)
    assert len(fake.box) == len(PLAN.sheets)


def test_a_problem_is_named_and_not_repeated() -> None:
    async def declined(code: str, before: bool) -> tuple[Declined, FakeServices]:
        fake = FakeServices()
        view = await fake.view()
        if before:
            await Phone(fake.line(), view, CODE).take_part(RESPONSE)
        with pytest.raises(Declined) as caught:
            await Phone(fake.line(), view, code).take_part(RESPONSE)
        assert fake.pauses_seconds == []
        return caught.value, fake

    wrong_link, _ = asyncio.run(declined("code-of-nobody", before=False))
    second_phone, fake = asyncio.run(declined(CODE, before=True))

    assert (wrong_link.kind, wrong_link.status) == ("link", 403)
    assert "code-of-nobody" not in str(wrong_link)
    assert (second_phone.kind, second_phone.status) == ("pass-used", 409)
    assert len(fake.box) == len(PLAN.sheets)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"type": "urn:fairpatch:problem:made-up"}', b"\xff"])
def test_a_problem_without_a_known_name_is_still_a_refusal(body: bytes) -> None:
    line = Line(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(500, content=body))))
    with pytest.raises(Declined) as caught:
        asyncio.run(line.call("GET", SURVEY))
    assert (caught.value.kind, caught.value.status) == ("unknown", 500)


# Lies about the manifest


async def refused_view(fake: FakeServices, **options: Any) -> None:
    with pytest.raises(Refused):
        await fake.view(**options)
    assert fake.requests
    assert fake.sent("session") == []


@pytest.mark.parametrize("host", [SURVEY, AGGREGATE])
def test_two_different_manifests_stop_the_phone(host: str) -> None:
    fake = FakeServices()
    fake.documents[host] = make_manifest(title="Another").model_dump(mode="json")
    asyncio.run(refused_view(fake))


@pytest.mark.parametrize("service", ["survey", "aggregate"])
def test_a_manifest_signed_by_another_key_stops_the_phone(service: str) -> None:
    fake = FakeServices()
    keys = {"survey": fake.pinned.survey, "aggregate": fake.pinned.aggregate}
    other = PinnedKeys(**(keys | {service: raw(Ed25519PrivateKey.generate())}))
    asyncio.run(refused_view(fake, pinned=other))


@pytest.mark.parametrize("service", ["survey", "aggregate"])
def test_a_missing_signature_stops_the_phone(service: str) -> None:
    fake = FakeServices()
    fake.changes["manifest"] = lambda reply: reply["signatures"].pop(service)
    asyncio.run(refused_view(fake))


def test_a_manifest_changed_after_signing_stops_the_phone() -> None:
    fake = FakeServices()
    fake.changes["manifest"] = lambda reply: reply.update(document=reply["document"] | {"k": 9})
    asyncio.run(refused_view(fake))


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(instrument_hash="00" * 32),
        lambda document: document["sheets"].pop(),
        lambda document: document["sheets"][0]["commitments"].pop(),
        lambda document: document["sheets"][0]["commitments"].append(b64(bytes(32))),
        lambda document: document["sheets"][0].update(issuer_key=b64(b"no key")),
        lambda document: document["sheets"][0].update(opening_key=b64(bytes(64))),
        lambda document: document.update(extra=True),
        lambda document: document.pop("format"),
        lambda document: document.update(cycle="autumn-24"),
        lambda document: document.update(mode="linked", outcome_date="2026-04-01"),
    ],
)
def test_a_signed_manifest_that_breaks_its_rules_stops_the_phone(change: Change) -> None:
    fake = FakeServices()
    document = copy.deepcopy(fake.documents[SURVEY])
    change(document)
    fake.documents = dict.fromkeys((SURVEY, AGGREGATE), document)
    asyncio.run(refused_view(fake))


def test_the_fingerprint_of_the_invitation_must_fit() -> None:
    fake = FakeServices()
    printed = fake.manifest.fingerprint()
    assert asyncio.run(fake.view(fingerprint=printed.upper())).manifest_hash == fake.manifest.hash()
    asyncio.run(refused_view(fake, fingerprint="0" + printed[:7]))
    asyncio.run(refused_view(fake, fingerprint=printed[:4]))


def test_a_reply_that_is_no_manifest_stops_the_phone() -> None:
    fake = FakeServices()
    fake.changes["manifest"] = lambda reply: reply.pop("document")
    asyncio.run(refused_view(fake))


# Lies about values, tokens and receipts


def openings(change: Change) -> Change:
    return lambda reply: change(reply["openings"])


def flip(text: str) -> str:
    data = bytearray(unb64(text))
    data[-1] ^= 1
    return b64(bytes(data))


@pytest.mark.parametrize(
    "change",
    [
        lambda given: given[plan.SUPPORT_RESULT].update(secret=flip(given[plan.SUPPORT_RESULT]["secret"])),
        lambda given: given[plan.SUPPORT_RESULT].update(value=0),
        # Column 2 was merged away: nobody can have it.
        lambda given: given[plan.SUPPORT_RESULT].update(value=2),
        lambda given: given[plan.SUPPORT_RESULT].update(value=-1),
        lambda given: given[plan.SUPPORT_RESULT].update(value=2**130),
        lambda given: given[plan.SUPPORT_RESULT].update(secret=b64(bytes(31))),
        lambda given: given.update({plan.SUPPORT_RESULT: given[plan.CAPABILITY_RESULT]}),
        lambda given: given[plan.SUPPORT_GROUP].update(path=None),
        lambda given: given[plan.SUPPORT_GROUP].update(path=given[plan.SUPPORT_GROUP]["path"][:-1]),
        lambda given: given[plan.SUPPORT_GROUP]["path"].append(b64(bytes(32))),
        lambda given: given[plan.SUPPORT_GROUP]["path"].__setitem__(0, b64(bytes(32))),
        lambda given: given[plan.SUPPORT_GROUP].update(value=0),
        lambda given: given.pop(plan.FLAG_RESULT),
        lambda given: given.update(extra=None),
    ],
)
def test_a_value_that_is_not_certified_stops_the_phone(change: Change) -> None:
    async def journey() -> None:
        fake = FakeServices()
        phone = await fake.phone()
        fake.changes["session"] = openings(change)
        with pytest.raises(Refused):
            await phone.take_part(RESPONSE)
        assert fake.sent("tokens") == []
        assert fake.box == {}

    asyncio.run(journey())


def of_results(context: str) -> list[str]:
    return [name for name in PLAN.sheets if plan.CATALOGUE[name].context == context]


async def refused_session(fake: FakeServices, words: str) -> None:
    phone = await fake.phone()
    with pytest.raises(Refused, match=words):
        await phone.take_part(RESPONSE)
    assert fake.sent("tokens") == []
    assert fake.box == {}


def test_a_value_that_everybody_has_can_not_be_withheld() -> None:
    fake = FakeServices()
    fake.values[plan.SUPPORT_GROUP] = None
    asyncio.run(refused_session(fake, "withheld a value that everybody has"))


def test_nobody_lacks_results_where_everybody_has_them() -> None:
    everybody = make_manifest(
        frame=2010,
        sheets=tuple(
            spec.model_copy(update={"invited": shares})
            if (shares := {"attainment": (670,) * 3, "hit": (1005,) * 2}.get(spec.context))
            else spec
            for spec in make_manifest().sheets
        ),
    )
    for context in ("attainment", "hit"):
        fake = FakeServices(everybody)
        fake.values.update(dict.fromkeys(of_results(context)))
        asyncio.run(refused_session(fake, "withheld a value that everybody has"))


@pytest.mark.parametrize("value", [None, 0])
@pytest.mark.parametrize("name", [plan.SUPPORT_RESULT, plan.MOTIVATION_RESULT])
def test_one_record_has_one_value_on_all_its_sheets(name: str, value: int | None) -> None:
    fake = FakeServices()
    fake.values[name] = value
    asyncio.run(refused_session(fake, "two values of one record"))


@pytest.mark.parametrize("context", ["attainment", "hit"])
def test_who_has_results_has_both_values_of_them(context: str) -> None:
    fake = FakeServices()
    fake.values.update(dict.fromkeys(of_results(context)))
    asyncio.run(refused_session(fake, "withheld a value that everybody with results has"))


def test_a_rep_without_results_sends_blanks_for_all_of_them() -> None:
    async def journey() -> FakeServices:
        fake = FakeServices()
        fake.values.update(dict.fromkeys([*of_results("attainment"), *of_results("hit")]))
        await (await fake.phone()).take_part(RESPONSE)
        return fake

    said = {name for name, field in contents(asyncio.run(journey())).items() if field != MISSING}
    assert said == {plan.SUPPORT_ACTIVITY, plan.SUPPORT_GROUP}


@pytest.mark.parametrize("group", [0, 1, 100, len(GROUPS) - 1])
def test_every_certified_value_is_accepted(group: int) -> None:
    async def journey() -> FakeServices:
        fake = FakeServices()
        fake.values[plan.SUPPORT_GROUP] = group
        await (await fake.phone()).take_part(RESPONSE)
        return fake

    opened = asyncio.run(journey()).open_box()[plan.SUPPORT_GROUP][1]
    assert opened.value == commitments.encode_value(group)


@pytest.mark.parametrize(
    "change",
    [
        lambda signatures: signatures.update({plan.FLAG_RESULT: flip(signatures[plan.FLAG_RESULT])}),
        lambda signatures: signatures.update({plan.FLAG_RESULT: signatures[plan.SUPPORT_RESULT]}),
        lambda signatures: signatures.update({plan.FLAG_RESULT: ""}),
        lambda signatures: signatures.pop(plan.FLAG_RESULT),
        lambda signatures: signatures.update(extra=signatures[plan.FLAG_RESULT]),
    ],
)
def test_a_token_that_is_not_signed_by_the_manifest_key_stops_the_phone(change: Change) -> None:
    async def journey() -> None:
        fake = FakeServices()
        phone = await fake.phone()
        fake.changes["tokens"] = lambda reply: change(reply["signatures"])
        with pytest.raises(Refused):
            await phone.take_part(RESPONSE)
        assert fake.sent("envelopes") == []

    asyncio.run(journey())


@pytest.mark.parametrize(
    "change",
    [
        lambda reply: reply.update(signature=flip(reply["signature"])),
        lambda reply: reply.update(hash="00" * 32),
        lambda reply: reply.update(signature=""),
    ],
)
def test_a_receipt_that_survey_did_not_sign_is_refused(change: Change) -> None:
    async def journey() -> None:
        fake = FakeServices()
        phone = await fake.phone()
        fake.changes["envelopes"] = change
        with pytest.raises(Refused):
            await phone.take_part(RESPONSE)
        assert phone.receipts == {}

    asyncio.run(journey())


@pytest.mark.parametrize("code", ["", "short", "code with a blank", "x" * 65])
def test_an_incomplete_link_is_not_posted_and_not_repeated(code: str) -> None:
    async def journey() -> None:
        fake = FakeServices()
        with pytest.raises(Refused) as caught:
            await Phone(fake.line(), await fake.view(), code).session()
        assert fake.sent("session") == []
        assert caught.value.__cause__ is None
        assert not code or code not in str(caught.value)

    asyncio.run(journey())


def test_codes_answers_and_keys_are_not_printed() -> None:
    _, phone = asyncio.run(finished())
    assert CODE not in repr(phone)
    assert "S1" not in repr(RESPONSE)


def test_the_fake_serves_what_it_hashes() -> None:
    fake = FakeServices()
    parsed = manifest.parse(fake.documents[SURVEY])
    assert parsed.encode() == canonical(fake.documents[SURVEY])
