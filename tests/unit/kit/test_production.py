"""Before a start: each thing that is wrong is named, all at once, and nothing secret is repeated."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from services.folder import KINDS, init_folder
from services.kit.keys import write_secret
from services.kit.production import (
    WELL_KNOWN,
    Found,
    check_start,
    complaints,
    database_hosts,
    is_loopback,
    look,
)
from services.kit.settings import FILE, ServiceSettings, load_settings
from services.protocol.problems import Problem
from services.survey.settings import SurveySettings

CANARY = "CANARY-66e0"
GOOD_KEY = "h" * 43
POSTGRES = "postgresql+psycopg://fairpatch_survey@"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as ``fairpatch init`` leaves it."""
    init_folder(tmp_path / "stage")
    return tmp_path / "stage"


def changed(folder: Path, service: str = "survey", **changes: Any) -> ServiceSettings:
    """Return a service's settings in production with some of them changed."""
    path = folder / service / FILE
    given = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**given, "deployment": "production", "url": "https://s.example", **changes}))
    return load_settings(KINDS[service], folder / service)  # type: ignore[index]


def said(settings: ServiceSettings) -> list[str]:
    """Return what is wrong, after looking at the files."""
    return complaints(settings, look(settings))


def test_a_fresh_folder_starts_locally_and_with_https_also_in_production(folder: Path) -> None:
    for service, kind in KINDS.items():
        assert said(load_settings(kind, folder / service)) == []
        settings = changed(folder, service)
        assert said(settings) == []
        check_start(settings)


def test_local_is_the_default(folder: Path) -> None:
    assert load_settings(SurveySettings, folder / "survey").deployment == "local"


def test_production_needs_https(folder: Path) -> None:
    assert said(changed(folder, url="http://s.example")) == ["its url is not https"]
    assert said(changed(folder, url="http://s.example", deployment="local")) == []


@pytest.mark.parametrize("deployment", ["local", "production"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "survey.example", ""])
def test_nothing_listens_outside_loopback(folder: Path, host: str, deployment: str) -> None:
    settings = changed(folder, host=host, deployment=deployment)
    assert said(settings) == ["it may listen on loopback only until accounts exist"]


@pytest.mark.parametrize("given", ["tls_certificate", "tls_key"])
def test_certificate_and_key_go_together(folder: Path, given: str) -> None:
    (folder / "survey" / "one").write_bytes(b"x" * 100)
    (folder / "survey" / "one").chmod(0o600)
    for deployment in ("local", "production"):
        settings = changed(folder, deployment=deployment, **{given: "one"})
        assert said(settings) == ["tls_certificate and tls_key go together, and only one of them is given"]


@pytest.mark.parametrize("name", ["identity.key", "hr.key"])
@pytest.mark.parametrize("deployment", ["local", "production"])
def test_a_secret_file_that_is_missing_or_of_a_wrong_size_is_named(
    folder: Path, name: str, deployment: str
) -> None:
    settings, path = changed(folder, deployment=deployment), folder / "survey" / name
    for content in (b"", b"short", b"x" * 1000):
        path.write_bytes(content)
        assert said(settings)[0].endswith(f"({name}) does not have the size of one")
    path.unlink()
    (sentence,) = said(settings)
    assert sentence.endswith(f"({name}) is missing or can't be read")
    path.mkdir()
    assert said(settings) == [sentence]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o660, 0o644, 0o777])
def test_a_secret_file_that_others_may_touch_is_named_in_production(folder: Path, mode: int) -> None:
    (folder / "survey" / "identity.key").chmod(mode)
    expected = "the identity key (identity.key) can be read by others than its owner (chmod 600)"
    assert said(changed(folder)) == [expected]
    assert said(changed(folder, deployment="local")) == []


def test_the_tls_key_and_the_password_file_are_secret_files_too(folder: Path) -> None:
    (folder / "survey" / "tls.pem").write_bytes(b"public")
    settings = changed(
        folder,
        tls_certificate="tls.pem",
        tls_key="tls.key",
        database=f"{POSTGRES}/survey?host=/run/postgresql&passfile={folder / 'pgpass'}",
    )
    assert sorted(said(settings)) == [
        "the TLS key (tls.key) is missing or can't be read",
        "the password file (pgpass) is missing or can't be read",
    ]
    write_secret(folder / "survey" / "tls.key", b"k" * 200)
    write_secret(folder / "pgpass", f"*:*:survey:fairpatch_survey:{CANARY}\n".encode())
    assert said(settings) == []
    (folder / "pgpass").chmod(0o640)
    assert len(said(settings)) == 1


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://survey:{CANARY}@127.0.0.1/survey",
        f"postgresql+psycopg://survey@/survey?host=/run/postgresql&password={CANARY}",
        f"postgresql+psycopg://survey@h/survey?sslpassword={CANARY}",
    ],
)
@pytest.mark.parametrize("deployment", ["local", "production"])
def test_a_password_in_the_database_url_is_refused_when_settings_are_read(
    folder: Path, url: str, deployment: str
) -> None:
    with pytest.raises(Problem) as caught:
        changed(folder, database=url, deployment=deployment)
    assert caught.value.detail.endswith(
        "Put the database password into a file and name it in the URL with passfile=."
    )
    assert CANARY not in caught.value.detail
    # And before a start, whoever made the settings.
    path = folder / "survey"
    settings = load_settings(SurveySettings, _without_database(path)).model_copy(update={"database": url})
    assert any("passfile=" in sentence for sentence in said(settings))
    assert CANARY not in str(said(settings))


def _without_database(folder: Path) -> Path:
    given = json.loads((folder / FILE).read_text("utf-8"))
    (folder / FILE).write_text(json.dumps({**given, "database": ""}))
    return folder


def test_a_user_without_a_password_is_fine(folder: Path) -> None:
    assert said(changed(folder, database=f"{POSTGRES}/survey?host=/run/postgresql")) == []


@pytest.mark.parametrize("password", ["changeme", "ChangeMe", "fairpatch", "postgres", "password", "", " "])
def test_a_well_known_database_password_is_refused(folder: Path, password: str) -> None:
    write_secret(folder / "pgpass", f"# comment\n\nhost:5432:survey:fairpatch_survey:{password}\n".encode())
    database = f"{POSTGRES}/survey?host=/run/postgresql&passfile={folder / 'pgpass'}"
    expected = ["the password file holds no password, or a well-known default"]
    assert said(changed(folder, database=database)) == expected
    assert said(changed(folder, database=database, deployment="local")) == []


@pytest.mark.parametrize(
    ("line", "fine"),
    [
        (rf"h:5432:d:u:{CANARY}\:with\\colons", True),
        (r"h:5432:d:u:change\me", False),
        ("h:5432:d:u:own-name", False),
        ("h:5432:d:u", False),
        ("no such form", False),
        ("# h:5432:d:u:good", False),
        (f"h:5432:d:u:{CANARY}\nh:5432:d:u:postgres", False),
    ],
)
def test_a_password_file_is_read_as_the_database_s_library_reads_it(
    folder: Path, line: str, fine: bool
) -> None:
    write_secret(folder / "pgpass", (line + "\n").encode())
    database = f"postgresql+psycopg://own-name@/d?host=/run/postgresql&passfile={folder / 'pgpass'}"
    assert (said(changed(folder, database=database)) == []) is fine


def test_a_well_known_hr_key_is_refused_whatever_its_size(folder: Path) -> None:
    settings = changed(folder)
    files = look(settings)
    for default in sorted(WELL_KNOWN):
        files["HR key"] = Found(43, False, default.upper() + "\n")
        assert complaints(settings, files) == ["the HR key is a well-known default"]
    files["HR key"] = Found(43, False, GOOD_KEY)
    assert complaints(settings, files) == []


def test_peers_on_other_hosts_are_called_by_https(folder: Path) -> None:
    given = json.loads((folder / "survey" / FILE).read_text("utf-8"))["peers"]
    for url, fine in (
        ("http://aggregate.example:8142", False),
        ("http://10.0.0.8:8142", False),
        ("https://aggregate.example", True),
        ("http://127.0.0.1:1", True),
        ("http://[::1]:1", True),
    ):
        peers = {**given, "aggregate": {**given["aggregate"], "url": url}}
        expected = [] if fine else ["aggregate is called over plain http on another host"]
        assert said(changed(folder, peers=peers)) == expected
        assert said(changed(folder, peers=peers, deployment="local")) == []


@pytest.mark.parametrize(
    ("rest", "fine"),
    [
        ("/survey?host=/run/postgresql", True),
        ("127.0.0.1/survey", True),
        ("localhost:5433/survey", True),
        ("[::1]/survey", True),
        ("db.example/survey", False),
        ("db.example/survey?sslmode=require", False),
        ("db.example/survey?sslmode=verify-ca", False),
        ("db.example/survey?sslmode=verify-full", True),
        ("/survey?host=db.example", False),
        ("/survey?host=127.0.0.1,db.example", False),
        ("/survey?host=127.0.0.1:5432&host=db.example:5432", False),
        ("127.0.0.1/survey?hostaddr=10.0.0.5", False),
        ("/survey?host=/run/postgresql,db.example&sslmode=verify-full", True),
    ],
)
def test_a_database_on_another_host_is_reached_by_checked_tls_only(
    folder: Path, rest: str, fine: bool
) -> None:
    settings = changed(folder, database=POSTGRES + rest)
    expected = [] if fine else ["the database is on another host without sslmode=verify-full"]
    assert said(settings) == expected
    assert said(changed(folder, database=POSTGRES + rest, deployment="local")) == []


def test_nothing_outside_the_settings_says_where_the_database_is(folder: Path) -> None:
    assert said(changed(folder, database=f"{POSTGRES}/survey")) == [
        "the database URL names no host, so a variable could; a socket's folder is one too"
    ]
    assert said(changed(folder, database=f"{POSTGRES}/survey?service=mine")) == [
        "the database URL names a service file, so it does not say where the database is"
    ]


def test_a_database_url_that_is_none_is_named(folder: Path) -> None:
    settings = changed(folder, database=f"not a url {CANARY}", deployment="local")
    assert said(settings) == ["the database URL can't be read"]


def test_all_that_is_wrong_comes_in_one_sentence_a_service(folder: Path) -> None:
    (folder / "survey" / "hr.key").write_text(CANARY)
    survey = changed(folder, url="http://s.example", host="0.0.0.0")
    aggregate = changed(folder, "aggregate", url="http://a.example")
    with pytest.raises(Problem) as caught:
        check_start(survey, aggregate, changed(folder, "report"))
    assert caught.value.kind == "input"
    assert caught.value.detail == (
        "survey can't start (production): it may listen on loopback only until accounts exist; the HR key "
        "(hr.key) does not have the size of one; its url is not https. "
        "aggregate can't start (production): its url is not https."
    )


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://u@h/d", ["h"]),
        ("postgresql://u@/d?host=a:1,b", ["a", "b"]),
        ("postgresql://u@/d?host=a&host=b:5", ["a", "b"]),
        ("postgresql://u@h/d?hostaddr=::1", ["h", "::1"]),
        ("postgresql://u@/d?host=/run/x", ["/run/x"]),
        ("postgresql://u@/d", []),
    ],
)
def test_every_host_of_a_database_is_found(url: str, hosts: list[str]) -> None:
    assert database_hosts(make_url(url)) == hosts


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.3.2.1", True),
        ("::1", True),
        ("localhost", True),
        ("", False),
        ("localhost.example", False),
        ("128.0.0.1", False),
    ],
)
def test_loopback_is_this_machine(host: str, own: bool) -> None:
    assert is_loopback(host) is own
