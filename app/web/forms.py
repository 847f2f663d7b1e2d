"""What forms of decisions send: a text, read with care."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Body = TypeVar("Body", bound=BaseModel)

NOTE_LIMIT = 2000


def text_of(form: Mapping[str, Any], name: str) -> str:
    """A field without what browsers add: carriage returns, and blanks at either end."""
    value = form.get(name)
    return value.replace("\r\n", "\n").strip() if isinstance(value, str) else ""


def checked(kind: type[Body], **values: Any) -> tuple[Body | None, str]:
    """The same body that the API takes, or what is wrong with it."""
    try:
        return kind.model_validate(values), ""
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        if fault["type"] == "string_too_long":
            return None, f"The text is too long: at most {fault['ctx']['max_length']} characters."
        return None, f"The text cannot be taken: {fault['msg']}."
