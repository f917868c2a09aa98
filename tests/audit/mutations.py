"""Mistakes to plant into a copy of the tree, each with the tests that must turn red.

The list follows section 7 of the design of statistics. Mistakes of parts that are built later join as data.
"""

from dataclasses import dataclass

CORE = "services/aggregate/core"
CLONES = "tests/privacy/test_budget_races.py::test_a_cycle_cloned_20_times_stays_within_the_cap[sqlite]"
MACHINE = "tests/privacy/test_ledger_machine.py::test_the_ledger_keeps_to_its_model[sqlite]"
KILLED = "tests/privacy/test_kill_release.py::test_kill_9_at_every_step_then_20_retries[sqlite]"


@dataclass(frozen=True)
class Mutation:
    """One mistake: in a file, ``old`` (which stands there once) becomes ``new``, and ``tests`` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTATIONS = (
    Mutation(
        "missing clip",
        f"{CORE}/tree.py",
        "    if not _KNOWN[answers].all():\n",
        "    if False:\n",
        ("tests/privacy/test_sensitivity.py",),
    ),
    Mutation(
        "count outside the vector",
        f"{CORE}/tree.py",
        "    return np.concatenate([per_item, head], axis=1)\n",
        "    return per_item\n",
        ("tests/privacy/test_sensitivity.py",),
    ),
    Mutation(
        "wrong m",
        f"{CORE}/tree.py",
        "    return HEAD**2 + ITEM_SQUARED * items\n",
        "    return HEAD**2 + ITEM_SQUARED * (items - 1)\n",
        ("tests/privacy/test_sensitivity.py",),
    ),
    Mutation(
        "a sheet under one token counted twice",
        f"{CORE}/tally.py",
        "        if nonce in self._nonces:\n",
        "        if False:\n",
        ("tests/privacy/test_sensitivity.py",),
    ),
    Mutation(
        "half the noise that was certified",
        f"{CORE}/mechanisms.py",
        "    return _certified(_laplace(scale), epsilon)\n",
        "    _certified(_laplace(scale), epsilon)\n    return _laplace(scale / 2)\n",
        ("tests/privacy/test_noise.py",),
    ),
    Mutation(
        "half the sigma",
        f"{CORE}/mechanisms.py",
        "    return _apply(measurement, exact)\n",
        "    return _apply(make_gaussian(_vectors(), l2_distance(T='f64'), scale=scale / 2), exact)\n",
        ("tests/privacy/test_noise.py",),
    ),
    Mutation(
        "noise drawn once and kept",
        f"{CORE}/mechanisms.py",
        "    noisy = np.array(measurement(exact.ravel()), dtype=np.int64)\n",
        "    kept = vars(_apply).setdefault(str(exact.size), measurement(0 * exact.ravel()))\n"
        "    noisy = exact.ravel() + np.array(kept, dtype=np.int64)\n",
        ("tests/privacy/test_noise.py",),
    ),
    Mutation(
        "shares of 1.2",
        f"{CORE}/publish.py",
        "    drawn = laplace(exact_counts[:, live], epsilon=table.epsilon)\n",
        "    drawn = laplace(exact_counts[:, live], epsilon=1.2 * table.epsilon)\n",
        ("tests/privacy/test_tables.py",),
    ),
    Mutation(
        "exact n",
        f"{CORE}/publish.py",
        "    noisy_counts[:, live] = drawn\n",
        "    drawn[-1, -1] += exact_counts.sum() - drawn.sum()\n    noisy_counts[:, live] = drawn\n",
        ("tests/privacy/test_tables.py",),
    ),
    Mutation(
        "no noise in empty cells",
        f"{CORE}/publish.py",
        "    noisy_counts[:, live] = drawn\n",
        "    noisy_counts[:, live] = np.where(exact_counts[:, live] > 0, drawn, 0)\n",
        ("tests/privacy/test_tables.py",),
    ),
    Mutation(
        "gate on the exact count",
        f"{CORE}/gate.py",
        "    return publish_chance(n, k, epsilon=min(cost, _LARGEST_EXPONENT), delta=chance_of_failure)\n",
        "    return float(n >= k)\n",
        ("tests/privacy/test_gate.py",),
    ),
    Mutation(
        "gate on the noisy count",
        f"{CORE}/publish.py",
        "        exact.exact_counts.sum(axis=0).tolist(),\n",
        "        laplace(exact.exact_counts, epsilon=0.2).sum(axis=0).tolist(),\n",
        ("tests/privacy/test_tables.py",),
    ),
    Mutation(
        "no hard minimum",
        f"{CORE}/gate.py",
        "count >= k and coin < publish_probability(count, k, epsilon=epsilon, delta=delta)",
        "coin < publish_probability(count + k, k, epsilon=5 * epsilon, delta=delta)",
        ("tests/privacy/test_gate.py",),
    ),
    Mutation(
        "coin only where it is needed",
        f"{CORE}/gate.py",
        "        coin = uniform()\n",
        "        coin = uniform() if count >= k else 1.0\n",
        ("tests/privacy/test_tables.py",),
    ),
    Mutation(
        "a group held alone",
        f"{CORE}/gate.py",
        "    return _with_sibling_held(shown, invited)\n",
        "    return tuple(shown)\n",
        ("tests/privacy/test_gate.py",),
    ),
    Mutation(
        "held groups keep their numbers",
        f"{CORE}/publish.py",
        "        tuple(cell if is_shown else None for cell, is_shown in zip(row, shown, strict=True))\n",
        "        tuple(cell for cell, is_shown in zip(row, shown, strict=True))\n",
        ("tests/privacy/test_tables.py",),
    ),
    Mutation(
        "coin from a seed",
        "services/aggregate/app.py",
        "uniform=secrets.SystemRandom().random",
        "uniform=__import__('random').Random(7).random",
        ("tests/privacy/test_promises.py::test_services_draw_from_the_operating_system_only",),
    ),
    Mutation(
        "charge dropped",
        f"{CORE}/charges.py",
        "    return tuple(charge for charge in asked if charge.epsilon_micro > 0)\n",
        "    return tuple(charge for charge in asked if charge.account != 'participation')\n",
        (CLONES,),
    ),
    Mutation(
        "reserved and not noted in the account",
        "services/aggregate/accounts.py",
        "    _step(session, line, ledger.reserve)\n",
        "    ledger.reserve(empty, line.charge.epsilon_micro, line.charge.delta)\n",
        (CLONES,),
    ),
    Mutation(
        "spent and still reserved",
        f"{CORE}/ledger.py",
        "    unreserved = void(account, micro, delta)\n",
        "    unreserved = account\n",
        (MACHINE,),
    ),
    Mutation(
        "released without a charge",
        "services/aggregate/store.py",
        "                commit(session, finished.cycle)\n",
        "",
        (MACHINE,),
    ),
    Mutation(
        "released in two transactions",
        "services/aggregate/store.py",
        "                commit(session, finished.cycle)\n",
        "                pass\n            with self._database.transaction() as session:\n"
        "                commit(session, finished.cycle)\n",
        (KILLED,),
    ),
    Mutation(
        "one account per spelling",
        "services/aggregate/checks.py",
        "    company, year = company_key(proposal.company), ledger_year(now)\n",
        "    company, year = proposal.company, ledger_year(now)\n",
        (CLONES,),
    ),
    Mutation(
        "an older database may spend",
        "services/aggregate/flow.py",
        "        if head is not None and not self._store.has_release(company, head):\n",
        "        if False:\n",
        (MACHINE,),
    ),
    Mutation(
        "noise ignored in compare",
        "services/report/core/drivers.py",
        "        return self.sampling_variance + self.noise_variance\n",
        "        return self.sampling_variance\n",
        ("tests/unit/report/core/test_drivers.py",),
    ),
    Mutation(
        "a held group's page names it",
        "services/report/reading.py",
        '        return None if row is None or row.support.state == "held" else row\n',
        "        return row\n",
        ("tests/privacy/test_lookalike.py",),
    ),
    Mutation(
        "odds that are not those of the ledger",
        "services/report/method.py",
        '        answers_micro=spent["answers"],\n',
        "        answers_micro=2_000_000,\n",
        ("tests/unit/report/test_pages_words.py",),
    ),
    Mutation(
        "result bands merged across quota",
        "services/survey/core/bands.py",
        "    merged = merge_bands(counts, SCORES[context], k, apart=quota)\n",
        "    merged = merge_bands(counts, SCORES[context], k)\n",
        ("tests/spec/test_bands.py",),
    ),
)
