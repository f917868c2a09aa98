"""Commitments certify one value; a proof leads to its root or is refused."""

import pytest

from services.protocol import commitments
from services.protocol.commitments import InvalidCommitment, merkle_path, merkle_root, verify_path
from tests.vectors import reference as ref

LEAVES = [ref.made_up(f"leaf {i}") for i in range(13)]
ROOT = merkle_root(LEAVES)


def test_commitments_differ_by_sheet_value_and_secret() -> None:
    value, secret = commitments.encode_value(1), bytes(32)
    made = {
        commitments.commit("support-group", value, secret),
        commitments.commit("support-grou", b"p" + value[1:], secret),
        commitments.commit("support-group", commitments.encode_value(2), secret),
        commitments.commit("support-group", value, b"\x01" + secret[1:]),
    }
    assert len(made) == 4


@pytest.mark.parametrize(("value", "secret"), [(15, 32), (17, 32), (16, 31), (16, 33), (0, 48), (48, 0)])
def test_parts_of_another_length_are_refused(value: int, secret: int) -> None:
    with pytest.raises(InvalidCommitment):
        commitments.commit("support-group", bytes(value), bytes(secret))


@pytest.mark.parametrize("value", [-1, 2**128])
def test_values_out_of_range_are_refused(value: int) -> None:
    with pytest.raises(InvalidCommitment):
        commitments.encode_value(value)


@pytest.mark.parametrize("index", [0, 6, 12])
def test_a_proof_holds_for_its_leaf_index_size_and_root_only(index: int) -> None:
    path = merkle_path(LEAVES, index)
    verify_path(LEAVES[index], index, 13, path, ROOT)
    broken = [
        (LEAVES[index - 1], index, 13, path, ROOT),
        (LEAVES[index], (index + 1) % 13, 13, path, ROOT),
        (LEAVES[index], index, 13, path, bytes(32)),
        (LEAVES[index], index, 13, path[:-1], ROOT),
        (LEAVES[index], index, 13, [*path, bytes(32)], ROOT),
        (LEAVES[index], index, 13, [bytes(32), *path[1:]], ROOT),
        (LEAVES[index], index, 100, path, ROOT),
        (LEAVES[index], -1, 13, path, ROOT),
        (LEAVES[index], 13, 13, path, ROOT),
    ]
    for leaf, at, size, steps, root in broken:
        with pytest.raises(InvalidCommitment):
            verify_path(leaf, at, size, steps, root)


def test_an_inner_node_does_not_pass_for_a_leaf() -> None:
    node = merkle_root(LEAVES[:2])
    with pytest.raises(InvalidCommitment):
        verify_path(node, 0, 7, merkle_path(LEAVES, 0)[1:], ROOT)


@pytest.mark.parametrize("index", [-1, 13])
def test_there_is_no_proof_of_no_leaf(index: int) -> None:
    with pytest.raises(InvalidCommitment):
        merkle_path(LEAVES, index)
