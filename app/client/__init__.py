"""A Python client of the REST API, synchronous and asynchronous.

from app.client import Client

with Client() as client:
    registration = client.checkpoints.register("support-bot", "v2", "/models/v2")
    gate = client.checkpoints.wait_for_gate("support-bot", "v2")
"""

from app.client.asynchronous.client import AsyncClient
from app.client.comparison import Comparison
from app.client.errors import (
    ApiError,
    ClientError,
    ConfigurationError,
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    NotTheApiError,
    PreconditionError,
    TooManyRequestsError,
    UnauthorizedError,
    UnavailableError,
    UnreachableError,
    WaitTimeoutError,
)
from app.client.results import Registration
from app.client.synchronous.client import Client

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "ClientError",
    "Comparison",
    "ConfigurationError",
    "ConflictError",
    "ForbiddenError",
    "InvalidInputError",
    "NotFoundError",
    "NotTheApiError",
    "PreconditionError",
    "Registration",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnavailableError",
    "UnreachableError",
    "WaitTimeoutError",
]
