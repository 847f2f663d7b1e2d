"""What the OpenAPI document says of keys: taken from the rules, so that it cannot differ."""

from typing import Any

from app.access.rules import OPEN, RULES, SIGNED

SCHEME = "ApiKey"
_METHODS = ("get", "put", "post", "delete", "patch")


def add_security(schema: dict[str, Any]) -> None:
    """Add the security scheme, and to each operation the scope that it needs."""
    schema.setdefault("components", {})["securitySchemes"] = {
        SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "fd_…",
            "description": "A key of /v1/api-keys. A server that listens on loopback only needs "
            "none, unless FEATUREDRIFT_REQUIRE_KEYS is set. Operations name the scope they need: "
            "read < write < admin.",
        }
    }
    for path, operations in schema.get("paths", {}).items():
        for method in _METHODS:
            operation = operations.get(method)
            rule = RULES.get(f"{method.upper()} {path}", "admin")
            if operation is not None:
                # For schemes other than OAuth, OpenAPI 3.1 lets the list name what is needed.
                operation["security"] = [] if rule in (OPEN, SIGNED) else [{SCHEME: [rule]}]
