"""Features of a response for table T: integers whose sums carry means, histograms and head counts.

Per item five columns in the order L, T, A, B, M, then one column C for the response itself. The
sizes are chosen so that every answer weighs about the same: the histogram, the missing count and the
head count ride in the slack of the item sums.
"""

import numpy as np
import numpy.typing as npt

MISSING = 255
CHOICES = (1, 2, 3, 4, 5)
LINEAR, THREE, TWO, FOUR, ABSENT, HEAD = 100, 200, 173, 173, 200, 310
COLUMNS_PER_ITEM = 5
ITEM_SQUARED = 40_000
"""What one item adds at most to the squared norm: (2 LINEAR)^2 = THREE^2 = ABSENT^2."""


class InvalidAnswers(ValueError):
    """The answers are not a table of 1..5 or 255."""


def features(answers: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the feature vector of each response.

    Parameters
    ----------
    answers : ndarray of uint8, shape (n, items)
        Item answers 1..5; 255 = missing. Blank sheets are not responses and are left out before.

    Returns
    -------
    ndarray of int64, shape (n, 5 * items + 1)
        Per item ``L = 100 (x - 3)``, ``T = 200 [x = 3]``, ``A = 173 [x = 2]``, ``B = 173 [x = 4]``,
        ``M = 200 [missing]``; last column ``C = 310``.

    Raises
    ------
    InvalidAnswers
        If shape, type or a value is not as above; nothing is clipped silently.

    Notes
    -----
    Privacy: exact. Squared norm of a row <= ``sensitivity_squared(items)``, which bounds what one
    response adds against a blank one; two different responses differ by at most 160,000 per item.
    Source: statistics.md, section 4; decision record on table T.

    Examples
    --------
    >>> features(np.array([[4, 255]], dtype=np.uint8)).tolist()
    [[100, 0, 0, 173, 0, 0, 0, 0, 0, 200, 310]]
    """
    if answers.ndim != 2 or answers.dtype != np.uint8:
        raise InvalidAnswers("answers are a table of unsigned bytes")
    if not _KNOWN[answers].all():
        raise InvalidAnswers("an answer is 1 to 5, or 255 where it is missing")
    count, items = answers.shape
    per_item = _CODES[answers].reshape(count, items * COLUMNS_PER_ITEM)
    head = np.full((count, 1), HEAD, dtype=np.int64)
    return np.concatenate([per_item, head], axis=1)


def sensitivity_squared(items: int) -> int:
    """Return the largest squared L2 norm of one response's features.

    Parameters
    ----------
    items : int
        Number of items [columns of the answers], at least 1.

    Returns
    -------
    int
        ``310^2 + 40,000 items``; reached by a response of 1, 3, 5 and missing only.

    Raises
    ------
    InvalidAnswers
        If there is no item.

    Notes
    -----
    Privacy: exact and public. It calibrates the Gaussian noise of every level of the tree.
    Source: statistics.md, section 4; checked exhaustively in tests/privacy/test_sensitivity.py.

    Examples
    --------
    >>> [sensitivity_squared(items) for items in (12, 18, 24)]
    [576100, 816100, 1056100]
    """
    if isinstance(items, bool) or items < 1:
        raise InvalidAnswers("a response has at least one item")
    return HEAD**2 + ITEM_SQUARED * items


def _known() -> npt.NDArray[np.bool_]:
    known = np.zeros(256, dtype=np.bool_)
    known[[*CHOICES, MISSING]] = True
    return known


def _codes() -> npt.NDArray[np.int64]:
    codes = np.zeros((256, COLUMNS_PER_ITEM), dtype=np.int64)
    codes[1:6, 0] = [LINEAR * (x - 3) for x in CHOICES]
    codes[3, 1] = THREE
    codes[2, 2] = TWO
    codes[4, 3] = FOUR
    codes[MISSING, 4] = ABSENT
    return codes


_KNOWN = _known()
_CODES = _codes()
