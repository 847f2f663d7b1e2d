"""A drawing as a Vega specification, rendered by vl-convert without a browser or a network.

Whatever users named goes into the specification's data, never into an expression, so that it is
text wherever it ends up. All places are fixed numbers or scales over fixed domains: nothing is
laid out by measured text, so that a picture does not depend on the fonts of a machine.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from app.charts.palette import paint

FONT = "system-ui, -apple-system, Segoe UI, Roboto, Arial, sans-serif"

_drawing_processes: list[int] = []

Row = Mapping[str, object]
"""A row of data: texts, numbers, nothing."""

Channel = str | float | Mapping[str, Any]
Mark = Literal["rule", "rect", "symbol", "text", "line", "area", "path"]

_SCHEMA = "https://vega.github.io/schema/vega/v6.json"
_INSTALL = (
    "charts are drawn by vl-convert-python, which is not installed; "
    "pip install 'featuredrift[charts]'"
)


class ChartsNotInstalledError(ImportError):
    """The extra that draws charts is missing."""

    def __init__(self) -> None:
        super().__init__(_INSTALL)


def field(name: str) -> dict[str, Any]:
    """The channel takes its value from the row's field."""
    return {"field": name}


def on(scale: str, name: str) -> dict[str, Any]:
    """The channel takes the row's field through a scale."""
    return {"scale": scale, "field": name}


def at(scale: str, value: float) -> dict[str, Any]:
    """The channel takes one value through a scale."""
    return {"scale": scale, "value": value}


def _refuse_to_hang() -> None:
    """The renderer's threads do not survive a fork, and the child would wait for them for ever."""
    if not _drawing_processes:
        _drawing_processes.append(os.getpid())
    if _drawing_processes[0] != os.getpid():
        raise RuntimeError(
            "this process was forked from one that had drawn charts, which the renderer does not "
            "survive; fork before the first chart, or start processes by spawn"
        )


class Panel:
    """Scales, axes and marks in the order in which they are painted; sizes in pixels."""

    def __init__(self, width: float, height: float, name: str) -> None:
        self.width, self.height = width, height
        self._name = name
        self._data: list[dict[str, Any]] = []
        self._scales: list[dict[str, Any]] = []
        self._axes: list[dict[str, Any]] = []
        self._marks: list[dict[str, Any] | tuple[Panel, float, float]] = []

    def scale(
        self,
        name: str,
        domain: Sequence[float],
        pixels: tuple[float, float],
        kind: str = "linear",
        **more: Any,
    ) -> None:
        """A scale from values to pixels."""
        self._scales.append(
            {"name": name, "type": kind, "domain": list(domain), "range": list(pixels), **more}
        )

    def axis(self, scale: str, orient: Literal["bottom", "left"], **more: Any) -> None:
        """An axis along the panel's edge, with grid lines across it."""
        self._axes.append(
            {
                "scale": scale,
                "orient": orient,
                "grid": True,
                "gridColor": paint("grid"),
                "domainColor": paint("muted"),
                "tickColor": paint("muted"),
                "labelColor": paint("ink"),
                "labelFontSize": 11,
                "labelOverlap": False,
                "labelBound": False,
                "labelFlush": False,
                "labelLimit": 0,
                "tickSize": 4,
                **more,
            }
        )

    def draw(self, mark: Mark, rows: Sequence[Row], **channels: Channel) -> None:
        """One mark for each row (one in all for `line` and `area`); constants are given as such."""
        if not rows:
            return
        name = f"{self._name}_{len(self._data)}"
        self._data.append({"name": name, "values": [dict(row) for row in rows]})
        self._marks.append(
            {
                "type": mark,
                "from": {"data": name},
                "encode": {
                    "enter": {
                        channel: value if isinstance(value, Mapping) else {"value": value}
                        for channel, value in channels.items()
                    }
                },
            }
        )

    def text(self, rows: Sequence[Row], **channels: Channel) -> None:
        """Text from the field `text`, 11 pixels high unless said otherwise, unlimited in length."""
        defaults: dict[str, Channel] = {
            "text": field("text"),
            "fill": paint("ink"),
            "fontSize": 11,
            "baseline": "middle",
            "limit": 0,
        }
        self.draw("text", rows, **(defaults | channels))

    def column(
        self, rows: Sequence[Row], x: float, right: float, top: float, bottom: float
    ) -> None:
        """Texts of users at `y`, one a row; what a font draws beyond `right` is painted over.

        Whatever lies to the right is drawn after it.
        """
        self.text(rows, x=x, y=field("y"))
        ground: dict[str, Channel] = {"x": right, "x2": self.width, "y": top, "y2": bottom}
        self.draw("rect", [{}], fill=paint("surface"), **ground)

    def panel(self, x: float, y: float, width: float, height: float) -> "Panel":
        """A part of the picture with scales and axes of its own, and its own origin."""
        panel = Panel(width, height, f"{self._name}_{len(self._marks)}")
        self._marks.append((panel, x, y))
        return panel

    def parts(self) -> dict[str, Any]:
        """What the panel holds, as Vega reads it."""
        return {
            "data": self._data,
            "scales": self._scales,
            "axes": self._axes,
            "marks": [
                mark if isinstance(mark, dict) else _group(mark[0], mark[1], mark[2])
                for mark in self._marks
            ],
        }


def _group(panel: Panel, x: float, y: float) -> dict[str, Any]:
    size = {"x": x, "y": y, "width": panel.width, "height": panel.height}
    encode = {"enter": {channel: {"value": value} for channel, value in size.items()}}
    return {"type": "group", "encode": encode, **panel.parts()}


class Drawing(Panel):
    """A whole picture on its own ground."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(math.ceil(width), math.ceil(height), "t")
        self.draw("rect", [{}], x=0, y=0, width=width, height=height, fill=paint("surface"))

    def specification(self) -> dict[str, Any]:
        """The drawing as Vega reads it."""
        return {
            "$schema": _SCHEMA,
            "width": self.width,
            "height": self.height,
            "padding": 0,
            "autosize": "none",
            "config": {"aria": False},
            **self.parts(),
        }

    def content(self) -> str:
        """The specification as text: equal for equal drawings."""
        return json.dumps(self.specification(), sort_keys=True)

    def render(self) -> str:
        """The drawing as Vega's SVG.

        Raises:
            ChartsNotInstalledError: without the extra `charts`.
            RuntimeError: this process was forked from one that had drawn.
        """
        try:
            import vl_convert
        except ImportError as error:
            raise ChartsNotInstalledError from error
        _refuse_to_hang()
        return vl_convert.vega_to_svg(self.specification(), allowed_base_urls=[])
