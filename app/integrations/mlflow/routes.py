"""/v1/integrations/mlflow: where the webhooks of an MLflow model registry go."""

import json
import time
from typing import Annotated

from fastapi import APIRouter, Header, Response
from pydantic import ValidationError
from sqlalchemy.orm import Session

from app.access.routes import RawBody
from app.access.service import Answer, Posting
from app.core.dependencies import AppDatabase, AppSettings
from app.core.digests import sha256_chunks
from app.core.errors import InvalidInputError, MalformedJsonError
from app.core.problems import PROBLEM_RESPONSES
from app.integrations.mlflow import service
from app.integrations.mlflow.schemas import MlflowEvent, MlflowOut
from app.integrations.mlflow.signature import verify

router = APIRouter(
    prefix="/integrations/mlflow", tags=["integrations"], responses=PROBLEM_RESPONSES
)

_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": MlflowEvent.model_json_schema()}},
    }
}


@router.post(
    "",
    response_model=MlflowOut,
    openapi_extra=_BODY,
    responses={
        200: {"description": "Understood; nothing was started"},
        202: {"model": MlflowOut, "description": "A checkpoint was registered and is evaluated"},
    },
)
def receive_mlflow_webhook(
    body: RawBody,
    database: AppDatabase,
    settings: AppSettings,
    delivery_id: Annotated[str | None, Header(alias="X-MLflow-Delivery-Id")] = None,
    timestamp: Annotated[str | None, Header(alias="X-MLflow-Timestamp")] = None,
    signature: Annotated[str | None, Header(alias="X-MLflow-Signature")] = None,
) -> Response:
    """Accept a signed message of an MLflow 3 model registry.

    A new version of a mapped model becomes a checkpoint, and its monitors start. The same delivery
    again has no second effect and the same answer.
    """
    delivery = verify(
        settings.mlflow_webhook_secret,
        delivery_id=delivery_id,
        timestamp=timestamp,
        signature=signature,
        body=body,
        now=time.time(),
        tolerance=settings.mlflow_webhook_tolerance,
    )
    event = _parse(body)

    def work(session: Session) -> Answer:
        out = service.receive(session, event, delivery, settings)
        return Answer(202 if out.evaluations else 200, out)

    digest = sha256_chunks((body,))
    return Posting(database, delivery, "POST /v1/integrations/mlflow", digest).answer(work)


def _parse(body: bytes) -> MlflowEvent:
    try:
        return MlflowEvent.model_validate(json.loads(body))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise MalformedJsonError(f"the message is no JSON: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise InvalidInputError(
            f"{field or 'the message'}: {first['msg']}; a webhook of MLflow 3 is expected",
            code="invalid_mlflow_event",
            field=field or None,
        ) from error
