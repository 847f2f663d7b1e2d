"""The routes of the application, as method and template."""

from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

OWN_DOORS = frozenset({"/openapi.json"})
"""The plain route that shows what the API is, and nothing that is in it."""


def routes_of(app: FastAPI) -> Iterator[str]:
    """`METHOD /template` of every endpoint that FastAPI serves, hidden ones too."""
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute):
            for method in route.methods or ():
                yield f"{method} {route.path_format}"


def plain_routes_of(app: FastAPI) -> Iterator[str]:
    """Paths of all other routes and mounts: FastAPI's dependencies do not guard them."""
    for route in iter_route_contexts(app.routes):
        if not isinstance(route.original_route, APIRoute):
            yield str(route.path)
