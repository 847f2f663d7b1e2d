"""A report as JSON, and the JSON Schema that it keeps to."""

import json
from typing import Any

from app.reports.model import SCHEMA_ID, Report


def render_json(report: Report) -> bytes:
    """The view-model as it stands, UTF-8; the same report gives the same bytes."""
    text = json.dumps(
        report.model_dump(mode="json"), ensure_ascii=False, allow_nan=False, sort_keys=True
    )
    return f"{text}\n".encode()


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the JSON form; published under its version."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **Report.model_json_schema(mode="serialization"),
    }
