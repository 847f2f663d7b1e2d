"""What tests of reports read: a form that is answered, and the forms as they are rendered now."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator

from app.core.artifacts import ArtifactStore
from app.core.database import Database
from app.core.digests import sha256_bytes
from app.reports.html import render_html
from app.reports.json import render_json
from app.reports.markdown import render_markdown
from app.reports.view import build_report

if TYPE_CHECKING:
    # Another process reads this module too, and needs no workers for it.
    from tests.integration.reports.conftest import Line

SCHEMA = Path(__file__).parents[3] / "docs/schemas/report-1.json"


@lru_cache(maxsize=1)
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(SCHEMA.read_text()))


def read(client: TestClient, judged: "Line", name: str) -> dict[str, Any]:
    """The JSON form, which keeps to the published schema."""
    response = client.get(f"/v1/evaluations/{judged.evaluations[name]}/report.json")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    _validator().validate(found)
    return found


def by_name(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {feature["name"]: feature for feature in report["features"]}


def rendered(database: Database, store: ArtifactStore, identity: UUID) -> dict[str, bytes]:
    """The three forms as they are rendered now, whatever is kept."""
    with database.unit_of_work() as session:
        report = build_report(session, store, identity)
    return {"json": render_json(report), "md": render_markdown(report), "html": render_html(report)}


def digests(forms: Mapping[str, bytes]) -> dict[str, str]:
    """Form → digest of its bytes, of which there are some."""
    assert all(len(content) > 1000 for content in forms.values())
    return {form: sha256_bytes(content) for form, content in forms.items()}
