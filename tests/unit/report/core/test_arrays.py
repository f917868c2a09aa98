"""Released tables as arrays."""

import pytest

from services.report.core.arrays import InvalidTable, checked, counts


def test_held_columns_are_masked() -> None:
    values, live = counts(((1, None, 3), (4, None, -6)))
    assert values.tolist() == [[1.0, 0.0, 3.0], [4.0, 0.0, -6.0]]
    assert live.tolist() == [True, False, True]


@pytest.mark.parametrize("rows", [(), ((1, 2), (3,)), ((1, None), (2, 3))])
def test_ragged_or_half_held_tables_are_refused(rows: tuple[tuple[int | None, ...], ...]) -> None:
    with pytest.raises(InvalidTable):
        counts(rows)


def test_a_table_keeps_its_numbers() -> None:
    assert checked([[1, 2]], shape=(1, 2)).tolist() == [[1.0, 2.0]]
    with pytest.raises(InvalidTable):
        checked([[1, 2]], shape=(2, 1))
    with pytest.raises(InvalidTable):
        checked([[1, float("nan")]])
