"""Settings: one file, read whole or refused in a sentence; nothing else can change them."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from services.kit.settings import FILE, Peer, ServiceSettings, load_settings, save_settings
from services.protocol.encoding import b64
from services.protocol.problems import Problem
from tests.unit.kit.doubles import identity

GOOD: dict[str, Any] = {
    "service": "survey",
    "host": "127.0.0.1",
    "port": 8001,
    "url": "http://127.0.0.1:8001",
    "database": "sqlite:///survey.db",
    "peers": {"aggregate": {"url": "http://127.0.0.1:8002", "public_key": b64(identity(2).public)}},
}


def write(folder: Path, text: str) -> None:
    (folder / FILE).write_text(text, "utf-8")


def refusal(folder: Path) -> str:
    with pytest.raises(Problem) as caught:
        load_settings(ServiceSettings, folder)
    assert caught.value.kind == "input"
    assert caught.value.__suppress_context__
    return caught.value.detail


def test_settings_come_back_as_they_were_saved(tmp_path: Path) -> None:
    write(tmp_path, json.dumps(GOOD))
    settings = load_settings(ServiceSettings, tmp_path)
    save_settings(settings)
    assert load_settings(ServiceSettings, tmp_path) == settings
    assert settings.folder == tmp_path
    assert settings.identity_file == tmp_path / "identity.key"
    assert settings.peer("aggregate").public == identity(2).public


def test_a_saved_file_can_move_and_is_for_its_owner_only(tmp_path: Path) -> None:
    write(tmp_path, json.dumps(GOOD))
    (tmp_path / FILE).chmod(0o644)
    save_settings(load_settings(ServiceSettings, tmp_path))
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert str(tmp_path) not in (tmp_path / FILE).read_text("utf-8")


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    text = refusal(tmp_path / "survey")
    assert "is missing. Run 'fairpatch init --dir" in text
    assert text.endswith("first.")


BAD_FILES = {
    "empty": "",
    "no JSON": "{",
    "a list": "[]",
    "a number": "7",
    "too deep": "[" * 100_000,
    "port is a word": json.dumps(GOOD | {"port": "CANARY"}),
    "unknown setting": json.dumps(GOOD | {"debug": "CANARY"}),
    "setting missing": json.dumps({name: value for name, value in GOOD.items() if name != "port"}),
    "another service": json.dumps(GOOD | {"service": "CANARY"}),
    "folder given": json.dumps(GOOD | {"folder": "/CANARY"}),
    "peer without key": json.dumps(GOOD | {"peers": {"aggregate": {"url": "CANARY"}}}),
    "short key": json.dumps(GOOD | {"peers": {"aggregate": {"url": "x", "public_key": b64(bytes(31))}}}),
    "key in other letters": json.dumps(GOOD | {"peers": {"aggregate": {"url": "x", "public_key": "é" * 43}}}),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_in_a_sentence_that_repeats_nothing(tmp_path: Path, name: str) -> None:
    write(tmp_path, BAD_FILES[name])
    text = refusal(tmp_path)
    assert text == f"{tmp_path / FILE} does not hold the settings of this service."


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff\xfe")
    assert "does not hold" in refusal(tmp_path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    assert refusal(tmp_path).endswith("cannot be read.")


def test_the_environment_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, json.dumps(GOOD))
    for name in ("port", "PORT", "host", "HOST", "database", "DATABASE"):
        monkeypatch.setenv(name, "9")
    assert load_settings(ServiceSettings, tmp_path).port == 8001
    assert load_settings(ServiceSettings, tmp_path).host == "127.0.0.1"


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    write(tmp_path, json.dumps(GOOD))
    with pytest.raises(ValueError, match="frozen"):
        load_settings(ServiceSettings, tmp_path).port = 1


def test_a_peer_is_who_signs_with_its_key() -> None:
    with pytest.raises(ValueError, match="expected 32 bytes"):
        Peer(url="http://127.0.0.1", public_key=b64(bytes(33)))
