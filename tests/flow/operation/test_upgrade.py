"""``upgrade``: from nothing to this program's version, as the tables' owner, with the role's exact rights."""

from pathlib import Path

import pytest

from services.aggregate.settings import AggregateSettings
from services.kit.migrations import newest, require_current
from services.kit.settings import Peer, save_settings
from services.operation.rooms import room_of
from services.operation.upgrade import upgrade_room
from services.protocol.encoding import b64
from services.protocol.problems import Problem
from tests.flow.aggregate.factories import IDENTITIES
from tests.stores import LENDER, migrations, role

VERSION = newest(migrations("aggregate"))


def installed(folder: Path, database: str = "") -> Path:
    """Return the folder of an installation whose aggregate has settings and no database yet."""
    (folder / "aggregate").mkdir(parents=True)
    peers = {
        name: Peer(url=f"http://{name}.test", public_key=b64(identity.public))
        for name, identity in IDENTITIES.items()
        if name != "aggregate"
    }
    save_settings(
        AggregateSettings(
            folder=folder / "aggregate", port=1, url="http://aggregate.test", database=database, peers=peers
        )
    )
    return folder


def empty_database() -> tuple[str, str]:
    """Return the URLs of an empty database: as the service's role, and as its owner."""
    LENDER.url(Path("/made/for/the/role"), "aggregate")
    owner = LENDER.server.make_database()
    return owner.replace("//postgres@", f"//{role('aggregate')}@"), owner


def test_a_new_database_and_one_that_is_current(store_kind: str, tmp_path: Path) -> None:
    database, owner = ("", "") if store_kind == "sqlite" else empty_database()
    room = room_of(installed(tmp_path, database), "aggregate")
    assert upgrade_room(room, owner).words == f"went from version none to {VERSION}"
    assert "already" in upgrade_room(room, owner).words
    with room.database() as current:
        require_current(current, room.migrations)


@pytest.mark.parametrize(
    ("owner", "words"),
    [
        ("", "belong to another role"),
        ("nonsense", "belong to another role"),
        ("sqlite:///x.db", "belong to another role"),
        ("postgresql+psycopg://o:secret@h/d", "holds a password"),
        ("postgresql+psycopg://o@h/d?password=secret", "holds a password"),
        ("postgresql+psycopg://o@h/other", "another database"),
    ],
)
def test_an_owner_is_named_without_a_password(tmp_path: Path, owner: str, words: str) -> None:
    room = room_of(installed(tmp_path, "postgresql+psycopg://app@h/d"), "aggregate")
    with pytest.raises(Problem, match=words) as refused:
        upgrade_room(room, owner)
    assert refused.value.kind == "input"
    assert "secret" not in refused.value.detail


def test_what_the_owners_url_leaves_out_is_as_in_the_settings(tmp_path: Path) -> None:
    usual = "postgresql+psycopg://app@/d?host=/run/postgresql&passfile=/run/app"
    room = room_of(installed(tmp_path, usual), "aggregate")
    assert (
        room.owner_url("postgresql+psycopg://o@?passfile=/run/own")
        == "postgresql+psycopg://o@/d?host=%2Frun%2Fpostgresql&passfile=%2Frun%2Fown"
    )


def test_a_file_has_no_owner(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="leave --owner out"):
        upgrade_room(room_of(installed(tmp_path), "aggregate"), "postgresql+psycopg://o@h/d")


def test_a_server_that_is_away_is_a_sentence(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://app@/d?host={tmp_path}"
    room = room_of(installed(tmp_path / "it", url), "aggregate")
    with pytest.raises(Problem) as refused:
        upgrade_room(room, f"postgresql+psycopg://o@/d?host={tmp_path}")
    assert refused.value.kind in ("busy", "not-ready")
