"""Requests that follow from each other's answers: what was made is read, changed and removed."""

from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase
from hypothesis import settings as tuned
from hypothesis.errors import FlakyStrategyDefinition
from schemathesis.checks import CHECKS, load_all_checks

from app.access.audit_chain import verify
from app.core.database import Database
from app.main import create_app
from app.settings import Settings
from tests.integration.api.test_contract import ADMIN
from tests.support.api import register_line


@pytest.mark.parametrize("authenticated", [True, False])
def test_chains_of_requests_get_described_answers(
    settings: Settings, database: Database, authenticated: bool
) -> None:
    """Links are those that the document's own parameters and schemas imply."""
    app = create_app(
        settings.model_copy(
            update={
                "long_poll_max": 0.01,
                "require_keys": True,
                "key_pepper": "a pepper of tests " * 2,
                "bootstrap_key": ADMIN,
            }
        )
    )
    with TestClient(app, headers={"Authorization": f"Bearer {ADMIN}"}) as client:
        register_line(client, settings)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    load_all_checks()
    checks = CHECKS.get_by_names(
        [
            *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
            *("response_schema_conformance", "response_headers_conformance"),
        ]
    )
    called: set[str] = set()
    open_doors = {
        operation.label
        for operation in (found.ok() for found in schema.get_all_operations())
        if operation.definition.raw.get("security") == []
    }

    class Chain(schema.as_state_machine()):  # type: ignore[misc]
        def before_call(self, case: Any) -> None:
            case.headers.pop("Authorization", None)
            if authenticated:
                case.headers["Authorization"] = f"Bearer {ADMIN}"

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            case.validate_response(response, checks=checks)
            called.add(case.operation.label)
            if not authenticated:
                assert response.status_code == 401 or case.operation.label in open_doors

    # The service remembers from one chain to the next, so that a chain which Hypothesis begins like
    # an earlier one may be answered otherwise; that ends the search, and is no finding.
    with suppress(FlakyStrategyDefinition):
        Chain.run(
            settings=tuned(
                max_examples=80 if authenticated else 5,
                stateful_step_count=8,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
        )
    app.state.database.dispose()
    assert len(called) > (20 if authenticated else 5)
    assert verify(database).whole
