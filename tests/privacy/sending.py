"""Noise drawn in another process and sent home; in a module of its own, so that a child starts fast."""

from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np


def drawn(laplace: Callable[..., Any]) -> Sequence[int]:
    """Return some noise: 64 vectors of 4 cells."""
    zeros = np.zeros(4, dtype=np.int64)
    return [int(cell) for _ in range(64) for cell in laplace(zeros, epsilon=0.1)]


def send(laplace: Callable[..., Any], end: "Connection[Any, Any]") -> None:
    """Draw some noise and send it."""
    end.send(drawn(laplace))
    end.close()
