"""Idempotent POSTs: a key and a body have one effect and one answer, however often they are sent.

The answer is stored in the transaction of its effect, so that both exist or neither. Two requests
with one key at the same time are worked on one after the other. A refused request leaves no trace:
sent again, it is judged anew.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.access import repository
from app.core.database import Database
from app.core.errors import InvalidInputError

KEPT_FOR = timedelta(days=7)


@dataclass(frozen=True)
class Answer:
    """What a request is answered, before it is bytes.

    Attributes:
        kept: what is stored for a repetition in place of a body that holds a secret.
    """

    status: int
    body: BaseModel
    headers: Mapping[str, str] = field(default_factory=dict)
    kept: BaseModel | None = None

    def response(self) -> Response:
        """The answer as it goes out; NaN and infinities become null."""
        return Response(
            self.body.model_dump_json(),
            status_code=self.status,
            media_type="application/json",
            headers=dict(self.headers),
        )


@dataclass(frozen=True)
class Posting:
    """One POST, with its key if it has one.

    Attributes:
        route: method, path and query: a key means nothing elsewhere.
        digest: of content type and body; empty without a key.
        owner: whose keys these are: nobody is answered what somebody else was.
    """

    database: Database
    key: str | None
    route: str
    digest: str
    owner: str = ""

    def replay(self) -> Response | None:
        """The stored answer, for endpoints that do costly work before their transaction.

        Raises:
            InvalidInputError: the key was used with another body.
        """
        if self.key is None:
            return None
        with self.database.unit_of_work() as session:
            return self._stored(session, self.key)

    def answer(self, work: Callable[[Session], Answer]) -> Response:
        """Do the work in one transaction and commit it, or give the answer it had before.

        Raises:
            InvalidInputError: the key was used with another body.
        """
        with self.database.unit_of_work() as session:
            if self.key is None:
                answer = work(session)
            else:
                repository.lock_key(session, self.key, self._kept_under)
                stored = self._stored(session, self.key)
                if stored is not None:
                    return stored
                answer = work(session)
                repository.add_answer(
                    session,
                    key=self.key,
                    route=self._kept_under,
                    request_digest=self.digest,
                    status=answer.status,
                    headers=dict(answer.headers),
                    body=json.loads((answer.kept or answer.body).model_dump_json()),
                )
                repository.forget_old(session, KEPT_FOR)
        return answer.response()

    @property
    def _kept_under(self) -> str:
        return f"{self.route} {self.owner}".rstrip()

    def _stored(self, session: Session, key: str) -> Response | None:
        stored = repository.get_answer(session, key, self._kept_under)
        if stored is None:
            return None
        if stored.request_digest != self.digest:
            raise InvalidInputError(
                f"the Idempotency-Key {key!r} was used at {self.route} with another body; "
                "use a new key for a new request",
                code="idempotency_key_reused",
                field="Idempotency-Key",
                value=key,
            )
        return Response(
            json.dumps(stored.body),
            status_code=stored.status,
            media_type="application/json",
            headers={**stored.headers, "Idempotent-Replayed": "true"},
        )
