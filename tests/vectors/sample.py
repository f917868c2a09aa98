"""A small made-up cycle that the vectors share: three sheets, two groups, one merged band."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from tests.vectors import reference as ref

SHEET = "support-group"
VALUE = 1
BLANK_VALUE = bytes(16)
COUNTS = {"C": ("capability", 4), "A": ("alignment", 4), "M": ("motivation", 4), "S": ("support", 6)}


def value_bytes(value: int) -> bytes:
    """Return a public value as 16 bytes."""
    return value.to_bytes(16, "big")


def secret_of(sheet: str, value: int) -> bytes:
    """Return the secret that certifies a value in the sample cycle."""
    return ref.made_up(f"secret of {sheet} {value}")


def instrument() -> dict[str, Any]:
    """Return 18 items and 11 reasons."""
    items = [
        {"id": f"{letter}{i}", "dimension": dimension, "text": f"Made-up item {letter}{i}"}
        for letter, (dimension, count) in COUNTS.items()
        for i in range(1, count + 1)
    ]
    return {
        "version": "vectors-1",
        "items": items,
        "flags": [f"Made-up reason {i}" for i in range(1, 12)],
        "low_at_most": 2.75,
        "high_at_least": 3.75,
        "answered_share": 2 / 3,
    }


def bands() -> dict[str, Any]:
    """Return attainment bands whose highest two are merged, and hit or missed."""
    return {
        "attainment": {
            "edges": [0.7, 1.0, 1.2],
            "scores": [-1.0, -1 / 3, 0.6, 1.0],
            "merged_into": [0, 1, 2, 2],
            "labels": ["under 70 %", "70 to 100 %", "100 % and more", "(merged)"],
        },
        "hit": {
            "edges": [1.0],
            "scores": [0.0, 1.0],
            "merged_into": [0, 1],
            "labels": ["missed", "hit"],
        },
    }


def sheet_spec(name: str, numbers: RSAPublicNumbers | None = None) -> dict[str, Any]:
    """Return one sheet; its issuer key is made up unless the numbers of one are given."""
    kinds = {
        "support-result": ("support_band", 3, "attainment", 4, [0, 1, 2], [40, 45, 35]),
        "support-group": ("support_band", 3, "group", 2, [0, 1], [60, 70]),
        "flag-result": ("flag", 11, "hit", 2, [0, 1], [70, 50]),
    }
    field, sizes, context, columns, values, invited = kinds[name]
    n, e = (numbers.n, numbers.e) if numbers else (ref.made_up_modulus(f"modulus of {name}"), 65537)
    return {
        "name": name,
        "field": field,
        "field_values": sizes,
        "context": context,
        "columns": columns,
        "values": values,
        "invited": invited,
        "commitments": [_b64(_commitment(name, value)) for value in values],
        "commitment_root": None,
        "issuer_key": _b64(ref.spki(n, e)),
        "opening_key": _b64(ref.point(ref.private_key(f"{name} key"))),
    }


def plan() -> dict[str, Any]:
    """Return a plan in numbers, like ``stronger`` without its table C."""
    tables = [
        ("support-result", "B", 400_000),
        ("support-group", "H", 350_000),
        ("flag-result", "F", 150_000),
    ]
    return {
        "name": "stronger",
        "tables": [
            {
                "sheet": sheet,
                "table": table,
                "epsilon_micro": epsilon_micro,
                "mechanism": "discrete_laplace",
                "l1_sensitivity": 1,
            }
            for sheet, table, epsilon_micro in tables
        ],
        "coin_epsilon_micro": 1_000_000,
        "coin_delta": 1e-06,
        "expected_response": 0.7,
        "low_power": "pool",
        "mechanism_version": "discrete-laplace/opendp-0.16.0/1",
    }


def manifest_document(numbers: RSAPublicNumbers) -> dict[str, Any]:
    """Return the sample manifest; the sheet by group has the issuer key with these numbers."""
    document = {
        "format": "fairpatch manifest v1",
        "cycle": "vectors-2026",
        "company": "Kestrel & Sons (made up)",
        "title": "Selling at Kestrel — spring",
        "instrument": instrument(),
        "instrument_hash": ref.sha256(rfc8785.dumps(instrument())).hex(),
        "languages": ["en"],
        "mode": "sealed",
        "opens": "2026-03-02T08:00:00Z",
        "closes": "2026-03-16T18:00:00Z",
        "latest_close": "2026-03-23T18:00:00Z",
        "outcome_date": None,
        "k": 10,
        "invited": 130,
        "frame": 120,
        "groups": [
            {"id": "company", "parent": None, "name": "Kestrel", "level": "company", "invited": 130},
            {"id": "north", "parent": "company", "name": "North", "level": "group", "invited": 60},
            {"id": "south", "parent": "company", "name": "Süd", "level": "group", "invited": 70},
        ],
        "bands": bands(),
        "suite": 1,
        "sheets": [
            sheet_spec("support-result"),
            sheet_spec(SHEET, numbers),
            sheet_spec("flag-result"),
        ],
        "plan": plan(),
        "delivery": "file",
        "scripts": {"seal.js": ref.made_up("script").hex()},
        "retention": "Rosters are erased 30 days after the release.",
        "sample": False,
        "made_up": True,
        "rehearsal": False,
    }
    return dict(json.loads(json.dumps(document)))


def _commitment(sheet: str, value: int) -> bytes:
    return ref.sha256(b"fairpatch value v1", sheet.encode(), value_bytes(value), secret_of(sheet, value))


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
