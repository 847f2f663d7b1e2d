"""What a check has found."""

from dataclasses import asdict, dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what was looked at, in a word or two.
        status: `fail`: something does not work; `warn`: it may not, or not always; `ok`.
        seen: what was seen, in one sentence.
        advice: what to do; empty when all is well.
    """

    check: str
    status: Status
    seen: str
    advice: str = ""

    def to_json(self) -> dict[str, str]:
        """For programs."""
        return asdict(self)


def first_line(error: BaseException) -> str:
    """The gist of an error, in one line."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[0].strip().rstrip(".")[:300] if lines else type(error).__name__
