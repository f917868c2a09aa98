"""Every durable step of a service's work, counted; at a chosen one the process dies, or a crash is raised."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import Engine, event

Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class Steps:
    """Counts steps and does something terrible at the one with number ``last``; 0 = never."""

    terrible: Callable[[], None]
    last: int = 0
    taken: int = 0

    def take(self) -> None:
        """Take one step."""
        self.taken += 1
        if self.taken == self.last:
            self.terrible()

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a step before it and one after it."""

        def stepping(*arguments: Any, **named: Any) -> Any:
            self.take()
            result = function(*arguments, **named)
            self.take()
            return result

        return stepping

    @contextmanager
    def of_database(self, engine: Engine) -> Iterator[None]:
        """Take a step before every statement and every commit."""

        def step(*_: Any) -> None:
            self.take()

        kinds = ("before_cursor_execute", "commit")
        for kind in kinds:
            event.listen(engine, kind, step)
        try:
            yield
        finally:
            for kind in kinds:
                event.remove(engine, kind, step)
