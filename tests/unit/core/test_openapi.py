"""The OpenAPI document: an example for each request and response, and problems everywhere."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.application import application


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return application().openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def has_example(document: dict[str, Any], content: dict[str, Any]) -> bool:
    if "example" in content or "examples" in content:
        return True
    schema = content["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return bool(schema.get("examples"))


def test_every_request_and_response_has_an_example(document: dict[str, Any]) -> None:
    missing = [
        (name, status, media_type)
        for name, operation in operations(document)
        for status, answer in [
            ("request", operation.get("requestBody", {})),
            *operation["responses"].items(),
        ]
        for media_type, content in answer.get("content", {}).items()
        if not has_example(document, content)
    ]
    assert missing == []


def test_every_v1_operation_describes_its_problems_and_itself(document: dict[str, Any]) -> None:
    seen = 0
    for name, operation in operations(document):
        assert operation["description"], name
        if "/v1/" in name:
            seen += 1
            assert "application/problem+json" in operation["responses"]["default"]["content"], name
    assert seen > 30
    assert "Problem" in document["components"]["schemas"]


def test_every_post_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    # What a sender of its own protocol gives in its place.
    keys = {"POST /v1/integrations/mlflow": "X-MLflow-Delivery-Id"}
    for name, operation in operations(document):
        if name.startswith("POST"):
            headers = [item["name"] for item in operation["parameters"] if item["in"] == "header"]
            assert keys.get(name, "idempotency-key") in headers, name


def test_every_list_is_paged(document: dict[str, Any]) -> None:
    paged = 0
    for name, operation in operations(document):
        query = {item["name"] for item in operation.get("parameters", ()) if item["in"] == "query"}
        content = operation["responses"].get("200", {}).get("content", {})
        reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
        if "Page_" in reference:
            paged += 1
            assert {"cursor", "limit"} <= query, name
        assert content.get("application/json", {}).get("schema", {}).get("type") != "array", name
    assert paged > 10
