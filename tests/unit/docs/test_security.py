"""Every claim of the threat model names the test that holds it, and the test exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
CLAIM = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")


def test_the_tests_that_hold_the_claims_exist() -> None:
    claims = CLAIM.findall((ROOT / "SECURITY.md").read_text())
    assert len(claims) > 40
    missing = [
        f"{file}::{name}"
        for file, name in claims
        if not (ROOT / file).is_file() or f"def {name}(" not in (ROOT / file).read_text()
    ]
    assert missing == []


def test_every_row_of_what_cannot_be_done_names_one() -> None:
    rows = 0
    holding = False
    for line in (ROOT / "SECURITY.md").read_text().splitlines():
        if line.startswith("|") and "held by" in line:
            holding = True
        elif not line.startswith("|"):
            holding = False
        elif holding and not line.startswith("|---"):
            assert CLAIM.search(line), line
            rows += 1
    assert rows > 25
