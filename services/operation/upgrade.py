"""Bringing databases to this program's version, and giving each service's role its rights."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from services.kit.migrations import upgrade, version_of
from services.operation.rooms import Room
from services.protocol.problems import Problem


@dataclass(frozen=True)
class Upgraded:
    """The version a database came from (none: it was empty) and the one it is at now."""

    before: str | None
    after: str

    @property
    def words(self) -> str:
        """What happened, as a sentence."""
        if self.before == self.after:
            return f"is at version {self.after} already; its rights were given anew where it has any"
        return f"went from version {self.before or 'none'} to {self.after}"


def upgrade_room(room: Room, owner: str = "") -> Upgraded:
    """Bring a service's database to this program's version, as its owner; all of it or nothing."""
    role = "" if room.is_sqlite else room.role
    with room.as_owner(owner) as database:
        with database.reading() as session:
            before = version_of(session.connection())
            if role:
                require_role(session.connection(), role)
        after = upgrade(database, room.migrations, grants=room.grants, role=role)
    return Upgraded(before, after)


def require_role(connection: Connection, role: str) -> None:
    """Refuse to go on if a service's role doesn't exist: nobody could use what is made for it."""
    query = text("SELECT count(*) FROM pg_roles WHERE rolname = :role")
    if not connection.execute(query, {"role": role}).scalar_one():
        raise Problem("input", f"The role {role} doesn't exist. infra/postgres/roles.sql makes it.")
