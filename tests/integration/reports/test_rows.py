"""Reports on rows that a worker could have written: long lists, odd numbers, hostile texts."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.core.database import Database
from app.main import create_app
from app.reports.html import LIMIT
from app.settings import Settings
from tests.support.api import finish, register_checkpoint, register_line, verdict

ESTIMATE: dict[str, Any] = {
    "effect": 0.1,
    "lower": None,
    "upper": None,
    "se": None,
    "df": None,
    "margin": 0.2,
    "margin_source": "noise_floor:benign:base",
    "p_drifted": 0.5,
    "p_stable": 0.5,
}


@pytest.fixture
def api(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        register_line(client, settings)
        yield client


def judged(
    api: TestClient, settings: Settings, database: Database, rows: list[dict[str, Any]], **how: Any
) -> str:
    """The path of a report on these rows."""
    (evaluation,) = register_checkpoint(api, settings, "next")["evaluations"]
    with database.unit_of_work() as session:
        finish(session, evaluation, rows, **how)
    return f"/v1/evaluations/{evaluation}/report"


def test_a_long_list_is_detailed_at_its_head_and_a_table_after(
    api: TestClient, settings: Settings, database: Database
) -> None:
    words = ("drifted", "stable", "inconclusive", "insufficient", "untrusted", "invalid")
    rows = [
        verdict(f"f{i:03}", words[i % 6], effect=i / 100, diagnosis="lost" if i % 12 == 0 else None)
        for i in range(252)
    ]
    path = judged(api, settings, database, rows)
    report = api.get(path).json()
    assert (len(report["features"]), len(report["others"]), report["left_out"]) == (200, 52, 0)
    assert report["features"][0]["name"] == "f246"
    # All that is not stable comes first: 210 of them, so that 10 are left for the table.
    others = [other["verdict"] for other in report["others"]]
    assert others == ["insufficient"] * 10 + ["stable"] * 42
    assert len(report["drifted"]) == 42
    lost = next(one for one in report["interventions"] if "no longer carries" in one["what"])
    assert len(lost["features"]) == 21
    page = api.get(f"{path}.html")
    assert len(page.content) <= LIMIT
    assert all(row["feature"] in page.text for row in rows)


def test_a_missing_interval_has_its_reason(
    api: TestClient, settings: Settings, database: Database
) -> None:
    nothing = {"lower": None, "upper": None, "effect": None, "margin": None, "estimand": None}
    rows = [
        verdict("number", "drifted", change="dead", sign_test_p=1e-5, **nothing),
        verdict("up", "insufficient", active_documents=3, estimates={"identity_sparse": ESTIMATE}),
        verdict("both", "inconclusive", estimates={"identity_sparse": ESTIMATE}),
    ]
    path = judged(api, settings, database, rows)
    found = {feature["name"]: feature for feature in api.get(path).json()["features"]}
    (few,) = [e for e in found["up"]["estimates"] if e["estimand"] == "identity_sparse"]
    assert few["interval_missing"].startswith("active in 3 documents, fewer than the 50")
    assert few["margin_meaning"] == "noise floor: checkpoint 'base', marked benign"
    assert found["number"]["estimates"] == []
    report = api.get(path).json()
    assert any("Fire nowhere any more" in line for line in report["answers"]["what_broke"])
    for suffix in ("md", "html"):
        text = api.get(f"{path}.{suffix}").text
        assert "fewer than the 50" in text
        assert "have drifted" in text or "has drifted" in text


def test_hostile_texts_stay_texts(api: TestClient, settings: Settings, database: Database) -> None:
    hostile = "<script>alert(1)</script> \u202egnp.exe | @everyone [x](https://evil.example)"
    control = {"control": "no_op", "passed": False, "detail": hostile, "figures": {}}
    summary = {
        "comparisons": {
            "baseline": {
                "counts": {"drifted": 1},
                "notes": [hostile],
                "invalid_reason": None,
                "stable_by_benign_floor": {"count": 0, "features": [], "checkpoints": []},
            }
        },
        "diagnosis": hostile,
    }
    row = verdict(
        "number",
        "drifted",
        reason=hostile,
        slow_drift=True,
        paged=True,
        controls={"numerics": {"passed": None, "detail": hostile, "figures": {}}},
        robustness={hostile: {"pairs": 3, "baseline": 0.5, "candidate": None}},
        causal={"verdict": "not_shown", "reason": hostile},
        baselines={"earns_keep": "no", "reason": hostile, "concept": hostile},
        trend={"alarm": True, "level": 0.2, "limit": 0.1, "estimand": hostile, "checkpoints": 9},
    )
    path = judged(api, settings, database, [row], controls=[control], summary=summary)
    assert hostile in api.get(path).json()["features"][0]["reason"]
    page = api.get(f"{path}.html").text
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    markdown = api.get(f"{path}.md").text
    assert "<script>" not in markdown
    assert "@everyone" not in markdown
    assert not re.search(r"(?<!\\)\]\(", markdown)
    for text in (page, markdown):
        assert "\u202e" not in text
        assert "⟨U+202E⟩" in text
