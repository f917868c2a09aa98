"""P1, P2 and P5 by search: 200 reps with unique ids, mails, links and answers go through happy and failing
journeys on real services; then every file the services left, and every byte they answered, is searched."""

import asyncio
import csv
import io
import json
import secrets
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from services.protocol.manifest import written
from services.protocol.problems import Problem
from services.protocol.sheet import encode
from services.rehearsal.answers import parse_answers
from services.rehearsal.hr import Hr
from services.rehearsal.links import Link, links_of
from services.rehearsal.phone import Declined, Line, Phone, Response, fetch_manifest
from services.rehearsal.stage import Stage, running_stage
from services.rehearsal.workforce import make_workforce
from services.survey.core.draft import Options

REPS = 200


@dataclass
class Canaries:
    """What must not be found where it doesn't belong, and what the services answered to phones."""

    ids: list[str]
    mails: list[str]
    credited: list[str]
    codes: list[str] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    plaintexts: list[bytes] = field(default_factory=list)
    tokens: list[bytes] = field(default_factory=list)
    opening_keys: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)


class Recorder(httpx.AsyncBaseTransport):
    """Keeps every address asked and every body answered."""

    def __init__(self, heard: list[bytes]) -> None:
        self._heard, self._wire = heard, httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on and keep the answer."""
        answer = await self._wire.handle_async_request(request)
        body = await answer.aread()
        self._heard += [str(request.url).encode(), str(answer.headers).encode(), body]
        return httpx.Response(answer.status_code, headers=answer.headers, content=body)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._wire.aclose()


def marked_files(canaries: Canaries) -> dict[str, bytes]:
    """Return a composite company's files with every id, mail and amount replaced by a canary."""
    made = make_workforce(reps=REPS, world="seeds", seed=5, response=1.0)
    names = [row["employee_id"] for row in parsed(made.roster_csv)]
    marks = dict(zip(names, zip(canaries.ids, canaries.mails, canaries.credited, strict=True), strict=True))
    files = {}
    for name, data in (
        ("roster", made.roster_csv),
        ("results", made.results_csv),
        ("answers", made.answers_csv),
    ):
        rows = parsed(data)
        for row in rows:
            identity, mail, amount = marks[row["employee_id"]]
            row["employee_id"] = identity
            for column, value in (
                ("email", mail),
                ("manager_email", canaries.mails[0]),
                ("credited", amount),
            ):
                if column in row:
                    row[column] = value
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        files[name] = text.getvalue().encode()
    return files


def parsed(data: bytes) -> list[dict[str, str]]:
    """Return the rows of CSV bytes."""
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def spellings(response: Response) -> list[bytes]:
    """Return the ways a response of 18 answers could be written down."""
    answers = [response.answers[item] for item in sorted(response.answers)]
    if len(answers) < 18:
        return []
    given = list(response.answers.values())
    ways = []
    for order in (answers, given):
        text = [str(choice) for choice in order]
        ways += ["".join(text), ",".join(text), ", ".join(text), json.dumps(dict(response.answers))]
    return [way.encode() for way in ways] + [bytes(given), bytes(answers)]


async def journeys(canaries: Canaries, stage: Stage, links: list[Link], said: dict[str, Response]) -> None:
    """Let every rep take part, and some of them do what must be refused."""
    async with httpx.AsyncClient(transport=Recorder(canaries.bodies), timeout=60.0) as client:
        line, first = Line(client), links[0]
        view = await fetch_manifest(
            line, survey=first.survey, aggregate=first.aggregate, cycle=first.cycle, pinned=first.pinned
        )
        length = view.manifest.plaintext_length
        phones = []
        for link in links:
            phone = Phone(line, view, link.code)
            await phone.session()
            sheets = phone.answer(said[link.employee_id])
            await phone.take_tokens()
            canaries.tokens += list(phone._tokens.values())
            canaries.plaintexts += [encode(s, length=length) for s in sheets.values() if not s.blank]
            phone.seal()
            await phone.send()
            phones.append(phone)
        await phones[1].replace(said[links[2].employee_id])
        await phones[3].withdraw()
        await phones[4].check_receipts()
        await refused(client, view.address(""), canaries, phones[5])
        with pytest.raises(Declined):
            await Phone(line, view, links[6].code).take_part(said[links[6].employee_id])
        with pytest.raises(Declined):
            await Phone(line, view, secrets.token_urlsafe(16)).session()


async def refused(client: httpx.AsyncClient, base: str, canaries: Canaries, phone: Phone) -> None:
    """Send broken calls that carry canaries."""
    answers = canaries.answers[0].decode()
    for path, body in (
        ("session", json.dumps({"code": canaries.codes[7], "answers": answers})),
        ("session", json.dumps({"code": [canaries.codes[7]]})),
        ("session", f'{{"code": "{canaries.codes[7]}", '),
        ("tokens", json.dumps({"code": canaries.codes[8], "blinded": {answers: answers}})),
        ("tokens", json.dumps({"code": canaries.codes[8], "blinded": float("nan")})),
        ("envelopes", canaries.plaintexts[0]),
        ("envelopes", b"x" * 5000 + canaries.codes[9].encode()),
        (f"receipts/{canaries.codes[9]}", None),
        (f"unknown/{canaries.codes[9]}", None),
    ):
        method = "GET" if body is None else "POST"
        answer = await client.request(method, f"{base}{path}", content=body)
        assert answer.status_code >= 400


def hr_mistakes(hr: Hr, files: dict[str, bytes], options: Options) -> list[bytes]:
    """Make mistakes at HR's door; return what it answered."""
    broken = files["results"].replace(b"USD", b"EUR", 1)
    heard = []
    for roster, results in ((files["roster"], broken), (b"\xff\xff" + files["roster"], files["results"])):
        with pytest.raises(Problem) as problem:
            hr.draft(("roster.csv", roster), ("results.csv", results), options)
        heard.append(problem.value.detail.encode())
    return heard


@pytest.fixture(scope="module")
def canaries(tmp_path_factory: pytest.TempPathFactory) -> Canaries:
    """Run all journeys and read everything the services left behind."""
    found = Canaries(
        ids=[f"EMP-{secrets.token_hex(6)}" for _ in range(REPS)],
        mails=[f"name.{secrets.token_hex(6)}@canary.example" for _ in range(REPS)],
        credited=[f"{secrets.randbelow(10**8) / 1000 + 150_000:.3f}" for _ in range(REPS)],
    )
    files = marked_files(found)
    now, folder = datetime.now(UTC), tmp_path_factory.mktemp("canary") / "stage"
    options = Options(
        company="Canary",
        title="Canary",
        plan="stronger",
        response=1.0,
        opens=written(now),
        closes=written(now + timedelta(days=1)),
        latest_close=written(now + timedelta(days=1)),
        rehearsal=True,
    )
    said = parse_answers(files["answers"], file="answers.csv", employee_ids=found.ids)
    found.answers = [way for response in said.values() for way in spellings(response)]
    with running_stage(folder) as stage:
        hr = Hr(stage)
        found.bodies += hr_mistakes(hr, files, options)
        drafted = hr.draft(("roster.csv", files["roster"]), ("results.csv", files["results"]), options)
        links = links_of(hr.open(drafted.cycle), stage)
        found.codes = [link.code for link in links]
        key_files = list((folder / "aggregate" / "opening-keys").rglob("*"))
        found.opening_keys = [path.read_bytes() for path in key_files if path.is_file()]
        asyncio.run(journeys(found, stage, links, said))
        hr.close(drafted.cycle)
        hr.release(drafted.cycle, lambda words: None)
        hr.leave()
        found.bodies += public_pages(stage, drafted.cycle)
    found.files = {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    return found


def public_pages(stage: Stage, cycle: str) -> list[bytes]:
    """Return what anybody can read after the release."""
    pages = [
        f"{stage.report}/reports/{cycle}/{tab}" for tab in ("", "teams", "drivers", "method", "report.html")
    ]
    pages += [f"{stage.report}/reports/{cycle}/release.json", f"{stage.survey}/s/{cycle}"]
    pages += [f"{stage.aggregate}/api/cycles/{cycle}/{what}" for what in ("manifest", "receipts")]
    answers = []
    for _ in range(50):
        answers = [httpx.get(page, trust_env=False) for page in pages]
        if all(answer.is_success for answer in answers):
            return [answer.content for answer in answers]
    raise AssertionError([(answer.url.path, answer.status_code) for answer in answers])


def where(needles: Iterable[bytes], places: dict[str, bytes]) -> set[str]:
    """Return the places in which any needle stands."""
    needles = list(needles)
    return {name for name, data in places.items() if any(needle in data for needle in needles)}


def texts(words: Iterable[str]) -> list[bytes]:
    """Return words as bytes."""
    return [word.encode() for word in words]


def heard(canaries: Canaries) -> dict[str, bytes]:
    """Return all bodies as places."""
    return {f"answer {index}": body for index, body in enumerate(canaries.bodies)}


def test_the_search_sees(canaries: Canaries) -> None:
    assert len(canaries.answers) >= 100
    assert len(canaries.plaintexts) > 3 * REPS
    assert len(canaries.opening_keys) == 4
    assert len(canaries.bodies) > 10 * REPS
    assert "survey/survey.db" in where(texts(canaries.mails), canaries.files)
    assert where(canaries.tokens, canaries.files) == {"survey/survey.db"}
    assert {name.split("/")[0] for name in canaries.files} == {
        "survey",
        "aggregate",
        "report",
        "services.log",
    }


def test_answers_and_opened_sheets_are_nowhere(canaries: Canaries) -> None:
    assert where(canaries.answers, canaries.files) == set()
    assert where(canaries.plaintexts, canaries.files) == set()
    assert where([*canaries.answers, *canaries.plaintexts], heard(canaries)) == set()


def test_opening_keys_are_gone_after_the_release(canaries: Canaries) -> None:
    assert where(canaries.opening_keys, canaries.files) == set()
    assert not [name for name in canaries.files if "opening-keys" in name]


def test_link_codes_are_stored_nowhere(canaries: Canaries) -> None:
    assert where(texts(canaries.codes), canaries.files) == set()
    answered = {name: body for name, body in heard(canaries).items() if not body.startswith(b"http")}
    assert where(texts(canaries.codes), answered) == set()


def test_ids_and_mails_stay_in_survey(canaries: Canaries) -> None:
    named = where(texts([*canaries.ids, *canaries.mails]), canaries.files)
    assert named <= {"survey/survey.db", "survey/survey.db-wal"}
    assert where(texts([*canaries.ids, *canaries.mails]), heard(canaries)) == set()


def test_exact_results_are_stored_nowhere(canaries: Canaries) -> None:
    binary = [struct.pack(order, float(amount)) for amount in canaries.credited for order in (">d", "<d")]
    assert where([*texts(canaries.credited), *binary], canaries.files) == set()
    assert where(texts(canaries.credited), heard(canaries)) == set()


def test_aggregate_and_report_keep_no_token(canaries: Canaries) -> None:
    nonces = [token[2:34] for token in canaries.tokens]
    others = {name: data for name, data in canaries.files.items() if not name.startswith("survey/")}
    assert where([*canaries.tokens, *nonces], others) == set()


def test_the_log_has_no_line_about_a_request(canaries: Canaries) -> None:
    log = canaries.files["services.log"]
    for word in (b"/api/", b"/s/", b"envelopes", b"session", b"127.0.0.1:", b"POST", b"GET"):
        assert word not in log


def test_no_answer_to_a_phone_sets_a_cookie(canaries: Canaries) -> None:
    assert not any(b"set-cookie" in body.lower() for body in canaries.bodies)


def test_the_stage_left_only_known_files(canaries: Canaries) -> None:
    known = {
        "settings.json",
        "identity.key",
        "hr.key",
        "services.log",
        "survey.db",
        "aggregate.db",
        "report.db",
    }
    names = {Path(name).name for name in canaries.files}
    keys = {Path(name).name for name in canaries.files if name.startswith("survey/issuer-keys/")}
    assert names - known - keys <= {
        f"{name}.db-{kind}" for name in ("survey", "aggregate", "report") for kind in ("wal", "shm")
    }
