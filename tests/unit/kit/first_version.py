"""Databases as the first version made them, without a version of their own, and rows to put into them.

The statements are what its program ran; they are written out because the program has changed.
"""

from typing import Any

STATEMENTS = {
    "survey": """
CREATE TABLE box (
  cycle VARCHAR NOT NULL,
  sheet VARCHAR NOT NULL,
  nonce BLOB NOT NULL,
  counter INTEGER NOT NULL,
  envelope_hash BLOB NOT NULL,
  envelope BLOB NOT NULL,
  PRIMARY KEY (cycle, sheet, nonce)) WITHOUT ROWID;
CREATE INDEX ix_box_envelope_hash ON box (envelope_hash);
CREATE TABLE cycle (
  id VARCHAR NOT NULL,
  state VARCHAR NOT NULL,
  draft VARCHAR NOT NULL,
  manifest VARCHAR,
  closed VARCHAR,
  frame VARCHAR,
  mixed BOOLEAN NOT NULL,
  PRIMARY KEY (id));
CREATE TABLE issuance (
  cycle VARCHAR NOT NULL,
  number INTEGER NOT NULL,
  blinded_hash BLOB NOT NULL,
  PRIMARY KEY (cycle, number)) WITHOUT ROWID;
CREATE TABLE member (
  cycle VARCHAR NOT NULL,
  number INTEGER NOT NULL,
  employee_id VARCHAR NOT NULL,
  email VARCHAR NOT NULL,
  language VARCHAR NOT NULL,
  "group" INTEGER,
  attainment INTEGER,
  activity INTEGER,
  hit INTEGER,
  code_hash BLOB,
  PRIMARY KEY (cycle, number),
  FOREIGN KEY(cycle) REFERENCES cycle (id),
  UNIQUE (code_hash));
CREATE TABLE secret (
  cycle VARCHAR NOT NULL,
  sheet VARCHAR NOT NULL,
  value INTEGER NOT NULL,
  secret BLOB NOT NULL,
  PRIMARY KEY (cycle, sheet, value),
  FOREIGN KEY(cycle) REFERENCES cycle (id));
""",
    "aggregate": """
CREATE TABLE cycle (
  id VARCHAR NOT NULL,
  company VARCHAR NOT NULL,
  state VARCHAR NOT NULL,
  proposal VARCHAR NOT NULL,
  opening_keys VARCHAR NOT NULL,
  manifest VARCHAR,
  commitments VARCHAR,
  void_reason VARCHAR,
  PRIMARY KEY (id),
  CONSTRAINT cycle_state CHECK (state IN ('open', 'released', 'void')));
CREATE INDEX ix_cycle_company ON cycle (company);
CREATE TABLE ledger_account (
  company VARCHAR NOT NULL,
  year INTEGER NOT NULL,
  account VARCHAR NOT NULL,
  cap_micro INTEGER NOT NULL,
  cap_delta_pico INTEGER NOT NULL,
  reserved_micro INTEGER NOT NULL,
  committed_micro INTEGER NOT NULL,
  reserved_delta_pico INTEGER NOT NULL,
  committed_delta_pico INTEGER NOT NULL,
  PRIMARY KEY (company, year, account),
  CONSTRAINT no_debt CHECK (reserved_micro >= 0 AND committed_micro >= 0),
  CONSTRAINT no_delta_debt CHECK (reserved_delta_pico >= 0 AND committed_delta_pico >= 0),
  CONSTRAINT epsilon_cap CHECK (reserved_micro + committed_micro <= cap_micro),
  CONSTRAINT delta_cap CHECK (reserved_delta_pico + committed_delta_pico <= cap_delta_pico));
CREATE TABLE ledger_line (
  id INTEGER NOT NULL,
  "key" VARCHAR NOT NULL,
  event VARCHAR NOT NULL,
  account VARCHAR NOT NULL,
  company VARCHAR NOT NULL,
  year INTEGER NOT NULL,
  cycle VARCHAR NOT NULL,
  micro INTEGER NOT NULL,
  delta_pico INTEGER NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT one_event_per_key UNIQUE ("key", account, event),
  CONSTRAINT line_event CHECK (event IN ('reserved', 'committed', 'void')),
  CONSTRAINT line_amount CHECK (micro > 0 AND delta_pico >= 0),
  FOREIGN KEY(cycle) REFERENCES cycle (id));
CREATE INDEX ix_ledger_line_cycle ON ledger_line (cycle);
CREATE TABLE receipt_list (
  cycle VARCHAR NOT NULL,
  sheet VARCHAR NOT NULL,
  leaf INTEGER NOT NULL,
  hash BLOB NOT NULL,
  outcome VARCHAR NOT NULL,
  PRIMARY KEY (cycle, sheet, leaf),
  CONSTRAINT receipt_outcome CHECK (outcome IN ('counted', 'withdrawn', 'rejected')),
  FOREIGN KEY(cycle) REFERENCES cycle (id));
CREATE INDEX receipt_lookup ON receipt_list (cycle, hash);
CREATE TABLE release (
  cycle VARCHAR NOT NULL,
  company VARCHAR NOT NULL,
  sequence INTEGER NOT NULL,
  hash VARCHAR NOT NULL,
  previous VARCHAR NOT NULL,
  document VARCHAR NOT NULL,
  PRIMARY KEY (cycle),
  CONSTRAINT one_place_in_chain UNIQUE (company, sequence),
  CONSTRAINT no_fork UNIQUE (company, previous),
  FOREIGN KEY(cycle) REFERENCES cycle (id),
  UNIQUE (hash));
CREATE TABLE outbox (
  release VARCHAR NOT NULL,
  delivered BOOLEAN NOT NULL,
  PRIMARY KEY (release),
  FOREIGN KEY(release) REFERENCES release (hash));
""",
    "report": """
CREATE TABLE manifest (
  cycle VARCHAR NOT NULL,
  company VARCHAR NOT NULL,
  hash VARCHAR NOT NULL,
  signed VARCHAR NOT NULL,
  PRIMARY KEY (cycle),
  UNIQUE (hash));
CREATE INDEX ix_manifest_company ON manifest (company);
CREATE TABLE release (
  cycle VARCHAR NOT NULL,
  kind VARCHAR NOT NULL,
  company VARCHAR NOT NULL,
  sequence INTEGER,
  hash VARCHAR NOT NULL,
  previous VARCHAR NOT NULL,
  signed VARCHAR NOT NULL,
  PRIMARY KEY (cycle, kind),
  CONSTRAINT one_place_in_chain UNIQUE (company, sequence),
  FOREIGN KEY(cycle) REFERENCES manifest (cycle),
  UNIQUE (hash));
""",
}

ROWS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "survey": {
        "cycle": [
            {"id": "spring", "state": "open", "draft": "{}", "manifest": "{}", "mixed": False},
            {"id": "winter", "state": "closed", "draft": "{}", "closed": "2026-01-05", "mixed": True},
        ],
        "member": [
            {
                "cycle": "spring",
                "number": number,
                "employee_id": f"e{number}",
                "email": f"e{number}@sample.example",
                "language": "en",
                "group": number % 2 or None,
                "code_hash": bytes([number]) * 32,
            }
            for number in range(3)
        ],
        "secret": [{"cycle": "spring", "sheet": "flag-result", "value": 0, "secret": bytes(32)}],
        "issuance": [{"cycle": "spring", "number": 1, "blinded_hash": bytes(32)}],
        "box": [
            {
                "cycle": "spring",
                "sheet": "flag-result",
                "nonce": bytes([number]) * 32,
                # The largest counter there can be.
                "counter": 2**32 - 1 - number,
                "envelope_hash": bytes([number]) * 32,
                "envelope": bytes([number]) * 620,
            }
            for number in range(3)
        ],
    },
    "aggregate": {
        "cycle": [
            {"id": "spring", "company": "acme", "state": "open", "proposal": "{}", "opening_keys": "{}"},
            {"id": "winter", "company": "acme", "state": "released", "proposal": "{}", "opening_keys": "{}"},
        ],
        "ledger_account": [
            {
                "company": "acme",
                "year": 2026,
                "account": "answers",
                "cap_micro": 2 * 10**12,
                "cap_delta_pico": 10**6,
                "reserved_micro": 5,
                "committed_micro": 7,
                "reserved_delta_pico": 0,
                "committed_delta_pico": 1,
            }
        ],
        "ledger_line": [
            {
                "key": cycle,
                "event": event,
                "account": "answers",
                "company": "acme",
                "year": 2026,
                "cycle": cycle,
                "micro": 5,
                "delta_pico": 0,
            }
            for cycle, event in (("spring", "reserved"), ("winter", "reserved"), ("winter", "committed"))
        ],
        "release": [
            {
                "cycle": "winter",
                "company": "acme",
                "sequence": 1,
                "hash": "h1",
                "previous": "none",
                "document": '{"document": {"sheets": {"flag-result": {"received": 3}}}}',
            }
        ],
        "receipt_list": [
            {
                "cycle": "winter",
                "sheet": "flag-result",
                "leaf": leaf,
                "hash": bytes([leaf]) * 32,
                "outcome": ("counted", "withdrawn", "rejected")[leaf],
            }
            for leaf in range(3)
        ],
        "outbox": [{"release": "h1", "delivered": True}],
    },
    "report": {
        "manifest": [{"cycle": "winter", "company": "acme", "hash": "m1", "signed": "{}"}],
        "release": [
            {
                "cycle": "winter",
                "kind": kind,
                "company": "acme",
                "sequence": sequence,
                "hash": kind,
                "previous": "none",
                "signed": "{}",
            }
            for kind, sequence in (("groups", 1), ("dry_run", None))
        ],
    },
}
