"""The application as it is without any setting, made once for all who only read from it."""

from functools import cache

from fastapi import FastAPI

from app.main import create_app
from app.settings import Settings


@cache
def application() -> FastAPI:
    """It is never started: it has routes and a document, and no connection to anything."""
    return create_app(Settings())
