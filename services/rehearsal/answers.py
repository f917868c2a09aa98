"""Responses for a rehearsal: read from a file, or made up."""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from services.protocol.problems import Problem
from services.rehearsal.phone import Response
from services.survey.core.csvfile import Column, read_table
from services.survey.core.roster import EMPLOYEE_ID

ITEMS = tuple(
    f"{letter}{i}" for letter, count in zip("CAMS", (4, 4, 4, 6), strict=True) for i in range(1, count + 1)
)
REASONS = tuple(f"F{i}" for i in range(1, 12))
CHOICES = ("1", "2", "3", "4", "5")
COLUMNS = (
    dataclasses.replace(EMPLOYEE_ID, required=True),
    *(Column(item, required=True, private=True) for item in ITEMS),
    Column("flag", ("reason",), private=True),
)

LATENTS = ("capability", "alignment", "motivation", "patch", "enablement")
"""What items are heard from. S1 to S3 ask about the patch, S4 to S6 about help with selling."""

LATENT_OF_ITEM = np.repeat(np.arange(5), (4, 4, 4, 3, 3))
ITEMS_OF_SCALE = np.repeat((4, 4, 4, 6), (4, 4, 4, 6))
ITEM_MEAN, ITEM_SLOPE, ITEM_ALPHA = 3.3, 0.85, 0.85
ROUNDING_VARIANCE = 1 / 12
BETWEEN_CONDITIONS = 0.25
NO_ANSWER_SHARE = 0.02
NO_REASON_SHARE = 0.04

# Log-weights of the reasons F1 to F11 for an average rep, and how Support and a hit quota shift them.
# Shifts are mild: reasons are told apart by luck more than by either.
REASON_WEIGHT = np.array([1.0, 0.6, 1.0, 1.1, 0.6, 0.5, 0.7, 0.7, 0.9, 0.8, 1.8])
REASON_BY_SUPPORT = np.array([-0.5] * 8 + [-0.2, -0.4, 0.5])
REASON_BY_HIT = np.array([-0.2] * 8 + [0.0, 0.0, 0.4])

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]


def parse_answers(data: bytes, *, file: str, employee_ids: Collection[str]) -> dict[str, Response]:
    r"""Return the responses in an answers file, by employee id.

    Parameters
    ----------
    data : bytes
        CSV with ``employee_id``, the 18 items (1 to 5, or empty) and, if asked, ``flag`` (F1 to F11,
        or empty).
    file : str
        Name to show in messages; no path.
    employee_ids : collection of str
        Who is invited.

    Returns
    -------
    dict of str to Response
        One response per line; an item without an answer is absent.

    Raises
    ------
    InputError
        For the first thing that is wrong, with file, line and column. No answer and no id is repeated.

    Notes
    -----
    Privacy: for rehearsals only; in a cycle, answers are given on a phone and are in no file.
    Source: system.md, section 7 (columns).

    Examples
    --------
    >>> data = ("employee_id," + ",".join(ITEMS) + ",flag\n7" + ",4" * 17 + ",,F3\n").encode()
    >>> response = parse_answers(data, file="a.csv", employee_ids=["7"])["7"]
    >>> response.answers["C1"], "S6" in response.answers, response.flag
    (4, False, 2)
    """
    invited, lines = frozenset(employee_ids), dict[str, int]()
    responses = {}
    for row in read_table(data, file=file, columns=COLUMNS).rows:
        employee_id = row.filled("employee_id")
        if employee_id not in invited:
            raise row.error("employee_id", "This employee is not on the roster.")
        if employee_id in lines:
            raise row.error("employee_id", f"This employee has answers in line {lines[employee_id]} already.")
        lines[employee_id] = row.line
        chosen = {
            item: row.choice(item, CHOICES, sentence="An answer is 1 to 5, or empty.") for item in ITEMS
        }
        responses[employee_id] = Response(
            answers={item: choice + 1 for item, choice in chosen.items() if choice is not None},
            flag=row.choice("flag", REASONS, sentence="A reason is F1 to F11, or empty."),
        )
    return responses


def draw_answers(employee_ids: Sequence[str], *, response: float, seed: int) -> dict[str, Response]:
    """Return made-up responses of a share ``response`` of the invited, independent of their results.

    Parameters
    ----------
    employee_ids : sequence of str
        Who is invited, in the order of the roster.
    response : float
        Share of the invited who respond, above 0 and at most 1.
    seed : int
        Fixes people and answers, at least 0; never keys or noise.

    Returns
    -------
    dict of str to Response
        In the order of ``employee_ids``.

    Raises
    ------
    Problem
        If ``response`` is not a share or ``seed`` is negative.

    Notes
    -----
    Privacy: made up, nobody's answers; every output of such a rehearsal says so.
    Source: statistics.md, section 5 (items).

    Examples
    --------
    >>> drawn = draw_answers(["a", "b", "c", "d"], response=0.5, seed=1)
    >>> len(drawn), drawn == draw_answers(["a", "b", "c", "d"], response=0.5, seed=1)
    (2, True)
    """
    rng = make_rng(seed, "answers")
    chosen = draw_responders(rng, len(employee_ids), response)
    shared, own = rng.standard_normal((len(chosen), 1)), rng.standard_normal((len(chosen), 4))
    conditions = BETWEEN_CONDITIONS**0.5 * shared + (1 - BETWEEN_CONDITIONS) ** 0.5 * own
    items = draw_items(rng, conditions[:, [0, 1, 2, 3, 3]])
    reasons = draw_reasons(rng, conditions[:, 3], np.full(len(chosen), 0.5))
    return {
        employee_ids[person]: Response(
            answers={item: int(choice) for item, choice in zip(ITEMS, choices, strict=True) if choice},
            flag=None if reason < 0 else int(reason),
        )
        for person, choices, reason in zip(chosen.tolist(), items.tolist(), reasons.tolist(), strict=True)
    }


def make_rng(seed: int, purpose: Literal["people", "answers"]) -> np.random.Generator:
    """Return the random numbers of one purpose, so that asking fewer people changes no person."""
    if seed < 0:
        raise Problem("input", "A seed is a whole number, 0 or more.")
    return np.random.default_rng([seed, ("people", "answers").index(purpose)])


def draw_responders(rng: np.random.Generator, reps: int, response: float) -> NDArray[np.intp]:
    """Return who responds, in ascending order: the stated share, picked without looking at anything."""
    if not 0.0 < response <= 1.0:
        raise Problem("input", "The response is a share above 0 and at most 1, such as 0.7.")
    return np.sort(rng.permutation(reps)[: round(reps * response)])


def draw_items(rng: np.random.Generator, latents: Floats) -> Codes:
    """Return answers (n, 18) heard from ``LATENTS`` (n, 5); 0 stands for "doesn't apply".

    An item is ``3.3 + .85 z`` in noise that gives its scale an alpha of about .85, rounded to 1..5.
    """
    heard = ITEM_MEAN + ITEM_SLOPE * latents[:, LATENT_OF_ITEM]
    noise = rng.standard_normal(heard.shape) * item_noise()
    answers = np.clip(np.rint(heard + noise), 1, 5).astype(np.int8)
    answers[rng.random(heard.shape) < NO_ANSWER_SHARE] = 0
    return answers


def item_noise() -> Floats:
    """Return the noise SD of each item, from Spearman and Brown's alpha = k rho / (1 + (k - 1) rho)."""
    k = ITEMS_OF_SCALE
    rho = ITEM_ALPHA / (k - ITEM_ALPHA * (k - 1))
    deviation: Floats = np.sqrt(ITEM_SLOPE**2 * (1 / rho - 1) - ROUNDING_VARIANCE)
    return deviation


def draw_reasons(rng: np.random.Generator, support: Floats, hit: Floats) -> Codes:
    """Return one reason (0..10) per rep, or -1 for none; ``support`` and ``hit`` (1 = met) are (n,)."""
    weights = REASON_WEIGHT + np.outer(support, REASON_BY_SUPPORT) + np.outer(hit - 0.5, REASON_BY_HIT)
    # The largest of log-weights in Gumbel noise is a draw with those weights.
    reasons: Codes = np.argmax(weights + rng.gumbel(size=weights.shape), axis=1).astype(np.int8)
    reasons[rng.random(len(reasons)) < NO_REASON_SHARE] = -1
    return reasons
