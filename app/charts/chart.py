"""A chart: the picture, what it shows in words, and its data."""

import hashlib
import math
import re
from dataclasses import dataclass

from app.charts.palette import variables

Value = str | int | float | None
"""What a cell of a chart's table holds; nothing where there is no number."""

_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Chart:
    """A picture to put into a page, and the same data in words and as a table to put beneath.

    Attributes:
        svg: an `<svg role="img">` element that stands in an HTML page as it is. It holds no
            script, style, link, or font; its ids begin with the chart's own prefix.
        title: names the picture; also its `<title>`.
        description: what the picture shows, computed from the data; also its `<desc>`.
        columns: the table's header.
        rows: the table's rows, as wide as `columns`; numbers unrounded, names as they were given
            (so that whoever shows them escapes them).
    """

    svg: str
    title: str
    description: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]

    def standalone(self) -> str:
        """The picture as a file of its own, or for a notebook: with the colours of both modes."""
        head, _, rest = self.svg.partition(">")
        return f"{head}><style>{variables()}</style>{rest}"

    def _repr_svg_(self) -> str:
        return self.standalone()


def check_prefix(prefix: str) -> str:
    """The prefix, if ids can begin with it.

    Raises:
        ValueError: it holds anything but letters, digits, `-` and `_`, or begins with no letter.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(
            f"prefix is {prefix!r}; ids must begin with a letter and hold only ASCII letters, "
            "digits, - and _, at most 64"
        )
    return prefix


def digest_prefix(kind: str, content: str) -> str:
    """A prefix that is the same for the same content, and differs between different charts."""
    return f"{kind}-{hashlib.sha256(content.encode()).hexdigest()[:10]}"


def check_number(value: float | None, what: str, name: str) -> None:
    """Refuse what is no number.

    Raises:
        ValueError: the value is NaN.
    """
    if value is not None and math.isnan(value):
        raise ValueError(f"{what} of {name!r} is NaN; give None where there is no number")
