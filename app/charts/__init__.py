"""Charts as inline SVG: pure functions from plain data to a picture, its words and its table."""

from app.charts.chart import Chart, Value
from app.charts.drawing import ChartsNotInstalledError
from app.charts.forest import ForestPoint, axis_limits, forest
from app.charts.palette import stylesheet

__all__ = [
    "Chart",
    "ChartsNotInstalledError",
    "ForestPoint",
    "Value",
    "axis_limits",
    "forest",
    "stylesheet",
]
