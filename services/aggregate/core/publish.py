"""Drawing a release: exact tallies go in, noisy tables and group states come out, once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from services.aggregate.core import gate
from services.aggregate.core.tally import Tally
from services.protocol.manifest import Manifest, SheetSpec
from services.protocol.plan import MICRO, SUPPORT_GROUP, PlanTable, laplace_scale
from services.protocol.release import GroupState, NoisyTable

BAND_NAMES = ("low", "middle", "high")

Counts = npt.NDArray[np.int64]


class InvalidTallies(ValueError):
    """The tallies do not fit the manifest, or the mechanism did not keep their shape."""


class Laplace(Protocol):
    """Adds noise for unit L1 sensitivity; ``mechanisms.discrete_laplace`` in every service."""

    def __call__(self, counts: Counts, *, epsilon: float) -> Counts:
        """Return noisy counts in the same shape."""


def draw(
    exact_tallies: Mapping[str, Tally],
    manifest: Manifest,
    *,
    laplace: Laplace,
    uniform: Callable[[], float],
) -> tuple[tuple[NoisyTable, ...], tuple[GroupState, ...]]:
    """Return the tables and group states of a release.

    Parameters
    ----------
    exact_tallies : mapping of str to Tally
        One per sheet of the plan.
    manifest : Manifest
        Names tables, columns, groups, k and budgets.
    laplace : callable
        The mechanism, called once per shown table, in plan order.
    uniform : callable
        The coins, drawn from [0, 1) before any noise; one per reporting group, in manifest order.

    Returns
    -------
    tuple of NoisyTable, tuple of GroupState
        In plan order and in manifest order.

    Raises
    ------
    InvalidTallies
        If a tally is missing or has another shape.

    Notes
    -----
    Privacy: spends each table's epsilon on answers and the coin's (epsilon, delta) on participation.
    How often and on which shapes noise is drawn depends on public totals only. A table of fewer than
    k sheets is held whole and no noise is drawn for it; so is every group, without a coin.
    Source: statistics.md, sections 1 to 3.

    Examples
    --------
    >>> from services.aggregate.core.mechanisms import discrete_laplace
    >>> from tests.unit.aggregate.factory import made_manifest, made_tallies
    >>> manifest = made_manifest(groups=(120, 90))
    >>> tallies = made_tallies(manifest, counted=150)
    >>> tables, groups = draw(tallies, manifest, laplace=discrete_laplace, uniform=lambda: 0.5)
    >>> tables[0].rows, tables[0].state, groups[0].state
    (('low', 'middle', 'high'), 'shown', 'shown')
    """
    specs = [manifest.sheet(table.sheet) for table in manifest.plan.tables]
    for spec in specs:
        _check(exact_tallies, spec)
    shown_groups = _decide_groups(exact_tallies, manifest, uniform)
    tables = tuple(
        _table(exact_tallies[spec.name], table, spec, manifest, shown_groups, laplace)
        for spec, table in zip(specs, manifest.plan.tables, strict=True)
    )
    return tables, _states(manifest, shown_groups)


def _decide_groups(
    exact_tallies: Mapping[str, Tally], manifest: Manifest, uniform: Callable[[], float]
) -> tuple[bool, ...]:
    """Gate the reporting groups from exact non-blank counts; never from noisy ones."""
    groups = manifest.reporting_groups()
    if SUPPORT_GROUP not in manifest.plan.sheets:
        return ()
    exact = exact_tallies[SUPPORT_GROUP]
    if exact.counted < manifest.k:
        return (False,) * len(groups)
    if not gate.coin_is_needed(groups, manifest.invited):
        # The one group is the company, and the company's total is public.
        return (True,) * len(groups)
    return gate.decide(
        exact.exact_counts.sum(axis=0).tolist(),
        [group.invited for group in groups],
        k=manifest.k,
        epsilon=manifest.plan.coin_epsilon_micro / MICRO,
        delta=manifest.plan.coin_delta,
        uniform=uniform,
    )


def _states(manifest: Manifest, shown: Sequence[bool]) -> tuple[GroupState, ...]:
    groups = manifest.reporting_groups() if shown else ()
    return tuple(
        GroupState(id=group.id, state="shown" if is_shown else "held")
        for group, is_shown in zip(groups, shown, strict=True)
    )


def _table(
    exact: Tally,
    table: PlanTable,
    spec: SheetSpec,
    manifest: Manifest,
    shown_groups: Sequence[bool],
    laplace: Laplace,
) -> NoisyTable:
    """Return one table; the held ones carry no number."""
    shown_columns = shown_groups if spec.context == "group" else (True,) * spec.columns
    shown = exact.counted >= manifest.k
    return NoisyTable(
        sheet=table.sheet,
        table=table.table,
        state="shown" if shown else "held",
        rows=_row_labels(manifest, spec),
        columns=_column_labels(manifest, spec),
        noisy_counts=_masked(_noisy(exact.exact_counts, table, spec, laplace), shown_columns)
        if shown
        else None,
        mechanism=table.mechanism,
        scale=laplace_scale(table.epsilon_micro),
        epsilon_micro=table.epsilon_micro,
    )


def _noisy(exact_counts: Counts, table: PlanTable, spec: SheetSpec, laplace: Laplace) -> Counts:
    """Return the table with noise on its live columns; emptied ones are zero for everybody."""
    live = list(spec.values)
    drawn = laplace(exact_counts[:, live], epsilon=table.epsilon)
    if drawn.shape != (exact_counts.shape[0], len(live)) or drawn.dtype != np.int64:
        raise InvalidTallies("the mechanism did not keep the shape of the table")
    noisy_counts = np.zeros_like(exact_counts)
    noisy_counts[:, live] = drawn
    return noisy_counts


def _masked(noisy_counts: Counts, shown: Sequence[bool]) -> tuple[tuple[int | None, ...], ...]:
    """Return the rows as published; a held column is absent in every row."""
    return tuple(
        tuple(cell if is_shown else None for cell, is_shown in zip(row, shown, strict=True))
        for row in noisy_counts.tolist()
    )


def _row_labels(manifest: Manifest, spec: SheetSpec) -> tuple[str, ...]:
    return manifest.instrument.flags if spec.context == "hit" else BAND_NAMES


def _column_labels(manifest: Manifest, spec: SheetSpec) -> tuple[str, ...]:
    if spec.context == "group":
        return tuple(group.id for group in manifest.reporting_groups())
    return manifest.bands[spec.context].labels


def _check(exact_tallies: Mapping[str, Tally], spec: SheetSpec) -> None:
    exact = exact_tallies.get(spec.name)
    if exact is None or exact.exact_counts.shape != (spec.field_values, spec.columns):
        raise InvalidTallies("not one tally of the right shape per sheet of the plan")
    emptied = sorted(set(range(spec.columns)) - set(spec.values))
    if exact.exact_counts[:, emptied].any():
        raise InvalidTallies("an emptied column holds a count")
