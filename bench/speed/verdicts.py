"""Whether a figure of the design is met, and that in words."""

Verdict = tuple[bool, str]


def at_most(what: str, figure: float, limit: float) -> Verdict:
    """Hold a figure against the most it may be."""
    return _said(figure <= limit, what, figure, f"at most {limit:g}")


def at_least(what: str, figure: float, limit: float) -> Verdict:
    """Hold a figure against the least it has to be."""
    return _said(figure >= limit, what, figure, f"at least {limit:g}")


def _said(met: bool, what: str, figure: float, limit: str) -> Verdict:
    return met, f"{'met   ' if met else 'MISSED'}  {what}: {figure:.2f} ({limit})"
