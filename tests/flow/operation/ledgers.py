"""Aggregate in a folder as an operator finds it: a released cycle, an open one, and a backup of both."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.kit.settings import save_settings
from services.operation.backup import back_up
from services.operation.restore import Restoring, restore
from services.protocol.signed import Service
from tests.flow.aggregate.factories import NOW, make_proposal
from tests.flow.aggregate.world import World
from tests.stores import LENDER


def silent(_words: str) -> None:
    """Hear nothing."""


@dataclass
class Ledger:
    """Aggregate's folder, and where its backups are."""

    world: World
    backups: Path

    @property
    def folder(self) -> Path:
        """The installation."""
        return self.world.folder.parent

    @property
    def head(self) -> str:
        """The newest release."""
        return self.world.report.chains[make_proposal().company][-1]

    def back_up(self, name: str, *services: Service) -> Path:
        """Make a backup and return its folder."""
        to = self.backups / name
        back_up(self.folder, services or ("aggregate",), to, clock=self.world.clock, say=silent)
        return to

    def restore(
        self, backup: Path, to: Path, *heads: str, behind: bool = False, service: Service = "aggregate"
    ) -> list[str]:
        """Restore to another host, with an empty database there."""
        asked = Restoring(service, backup, to, heads, behind, *target(to / service, service))
        return restore(asked, clock=self.world.clock, say=silent)


def target(folder: Path, service: Service) -> tuple[str, str]:
    """Return the options that lead to an empty database: its URL, and its URL as its owner."""
    if LENDER.kind == "sqlite":
        return f"sqlite:///{folder / (service + '.db')}", ""
    return LENDER.url(folder, service), LENDER.owner_url(folder, service)


def settled(world: World) -> World:
    """Give aggregate the settings file that an installation has."""
    save_settings(world.settings)
    return world


def worked(world: World, names: Sequence[str] = ("spring-2026",)) -> World:
    """Release cycles, and leave one open."""
    flow = world.flow()
    for name in names:
        flow.release(world.closed(flow, make_proposal(name)).cycle)
    world.opened(flow, make_proposal("open-2026"))
    return world


TODAY = NOW.date().isoformat()
