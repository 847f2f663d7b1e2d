"""The OpenAPI document is kept: generated requests give no 5xx and no undescribed answer."""

from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as tuned
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from app.alerts.service import follow
from app.core.database import Database
from app.main import create_app
from app.repairs.writing import replace_proposal
from app.settings import Settings
from tests.support.api import FEATURES, finish, register_checkpoint, register_line, verdict

EXAMPLES = 8


# A whole one; it is of no use but here.
ADMIN = "fd_00000000000000000000000000000000000000000000000026355193"


@pytest.mark.parametrize("authenticated", [True, False])
def test_generated_requests_get_described_answers(
    settings: Settings, database: Database, authenticated: bool
) -> None:
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
        known = _existing(client, settings, database)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    load_all_checks()
    checks = CHECKS.get_by_names(
        [
            *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
            *("response_schema_conformance", "response_headers_conformance"),
        ]
    )
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 30
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            _try(operation, mode, known, checks, authenticated)
    app.state.database.dispose()


def _try(
    operation: Any,
    mode: GenerationMode,
    known: dict[str, Any],
    checks: Any,
    authenticated: bool,
) -> None:
    @tuned(
        max_examples=EXAMPLES if authenticated else 1,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), existing=st.booleans())
    def run(case: Any, existing: bool) -> None:
        if existing:
            for name in case.path_parameters or {}:
                case.path_parameters[name] = known[name]
        # What is generated in its place is never a key.
        case.headers.pop("Authorization", None)
        if authenticated:
            case.headers["Authorization"] = f"Bearer {ADMIN}"
            case.call_and_validate(checks=checks)
        else:
            response = case.call_and_validate(checks=checks)
            is_open = (
                "security" in operation.definition.raw and not operation.definition.raw["security"]
            )
            assert is_open or response.status_code == 401

    # Without parameters there is nothing to get wrong.
    with suppress(Unsatisfiable):
        run()


def _existing(client: TestClient, settings: Settings, database: Database) -> dict[str, Any]:
    """Path parameters that name something."""
    register_line(client, settings, watchlist=["number"])
    (evaluation,) = register_checkpoint(client, settings, "next")["evaluations"]
    version = client.get("/v1/feature-sets/set/versions/1").json()
    feature = version["features"][0]["id"]
    with database.unit_of_work() as session:
        finish(
            session,
            evaluation,
            [verdict("number", "drifted", feature_id=feature), verdict("up", "stable")],
        )
        change = {"feature": "up", "old": FEATURES[1], "new": FEATURES[1], "reason": "rotated"}
        repair = replace_proposal(
            session,
            UUID(evaluation),
            "baseline",
            changes=[{**change, "diagnosis": "rotated", "evidence": {}}],
            features=FEATURES,
        )
        assert repair is not None
        (opened,) = follow(session, UUID(evaluation))
    # No dispatcher runs in this test, so that nothing is sent anywhere.
    hook = client.post("/v1/webhooks", json={"url": "https://hooks.invalid/"}).json()["id"]
    key = client.post("/v1/api-keys", json={"name": "reader", "scope": "read"}).json()["id"]
    delivery = client.post(f"/v1/webhooks/{hook}:test").json()["id"]
    return {
        "webhook": hook,
        "delivery": delivery,
        "key": key,
        "model": "bot",
        "checkpoint": "next",
        "alias": "baseline",
        "corpus": "probes",
        "dictionary": "layer-1",
        "feature_set": "set",
        "version": 1,
        "feature": feature,
        "monitor": "watch",
        "evaluation": evaluation,
        "repair": str(repair.id),
        "alert": str(opened.alert.id),
    }
