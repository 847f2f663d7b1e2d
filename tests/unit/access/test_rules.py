"""Every route has a rule, and every table that a caller could see has a condition."""

import re
from pathlib import Path

import pytest

import app
from app.access.guard import METRICS
from app.access.principals import SCOPES, implied
from app.access.rules import OPEN, RULES, SIGNED
from app.access.tenancy import INTERNAL, conditions
from app.tables import Base
from tests.support.application import application
from tests.support.routes import OWN_DOORS, plain_routes_of, routes_of

APPLICATION = application()


def test_every_route_has_a_rule_and_every_rule_a_route() -> None:
    routes = set(routes_of(APPLICATION))

    assert len(routes) > 55
    assert routes == set(RULES), "give each route a rule in app/access/rules.py"
    assert set(RULES.values()) == {"read", "write", "admin", OPEN, SIGNED}
    assert set(RULES.values()) - {OPEN, SIGNED} < set(SCOPES)


def test_what_is_open_is_named_here() -> None:
    assert {route for route, rule in RULES.items() if rule in (OPEN, SIGNED)} == {
        "GET /docs",
        "GET /healthz",
        "GET /readyz",
        "GET /runbooks/",
        "GET /runbooks/{alert}",
        "GET /v1/schemas/report-1.json",
        "GET /sign-in",
        "GET /static/{name}",
        "POST /sign-in",
        "POST /v1/integrations/mlflow",
    }
    assert set(plain_routes_of(APPLICATION)) == {*OWN_DOORS, METRICS}


def test_reading_never_needs_more_than_writing_the_same() -> None:
    order = {"read": 0, "write": 1, "admin": 2}
    for route, rule in RULES.items():
        method, path = route.split()
        if method != "GET" and rule in order and f"GET {path}" in RULES:
            assert order[RULES[f"GET {path}"]] <= order[rule], route


def test_every_table_is_conditioned_or_internal() -> None:
    conditioned = {table.__tablename__ for table in conditions(("bot",))}

    assert conditioned | INTERNAL == set(Base.metadata.tables)
    assert not conditioned & INTERNAL


def test_the_document_says_what_each_operation_needs() -> None:
    document = APPLICATION.openapi()

    assert document["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            rule = RULES[f"{method.upper()} {path}"]
            wanted = [] if rule in (OPEN, SIGNED) else [{"ApiKey": [rule]}]
            assert operation["security"] == wanted, (method, path)


# What goes around the conditions: statements in text, of Core tables, of bare connections.
_AROUND = re.compile(r"\btext\(|__table__|\.connection\(\)|\.bind\b|engine\.(connect|begin)\(")
_SERVING = re.compile(r"^(routes|service|repository|schemas|presentation|passages|view)$")


def test_what_serves_requests_has_no_statement_that_goes_around_the_conditions() -> None:
    root = Path(app.__file__).parent
    looked_at = 0
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        domain = inside.parts[0]
        if domain in {"cli", "core", "embedded", "exporter", "retention"}:
            continue
        parts = {part.removesuffix(".py") for part in inside.parts}
        if any(_SERVING.match(part) for part in parts):
            looked_at += 1
            found = _AROUND.search(path.read_text())
            assert found is None, f"{inside}: {found[0] if found else ''}"
    assert looked_at > 40


@pytest.mark.parametrize("scope", SCOPES)
def test_scopes_imply_what_stands_below_them(scope: str) -> None:
    assert (
        implied(scope)
        == {
            "read": {"read"},
            "write": {"read", "write"},
            "admin": {"read", "write", "admin", "metrics"},
            "metrics": {"metrics"},
        }[scope]
    )
