"""Charts as inline SVG: pure functions from plain data to a picture, its words and its table."""

from app.charts.activations import Activation, before_after
from app.charts.calibration import CalibrationRow, calibration
from app.charts.chart import Chart, Value
from app.charts.checkpoints import CheckpointPoint, DriftSeries, drift_over_checkpoints
from app.charts.drawing import ChartsNotInstalledError
from app.charts.forest import ForestPoint, axis_limits, forest, forest_pages
from app.charts.health import HealthPoint, health_over_checkpoints
from app.charts.heat import HeatCell, heat_map
from app.charts.palette import stylesheet

__all__ = [
    "Activation",
    "CalibrationRow",
    "Chart",
    "ChartsNotInstalledError",
    "CheckpointPoint",
    "DriftSeries",
    "ForestPoint",
    "HealthPoint",
    "HeatCell",
    "Value",
    "axis_limits",
    "before_after",
    "calibration",
    "drift_over_checkpoints",
    "forest",
    "forest_pages",
    "health_over_checkpoints",
    "heat_map",
    "stylesheet",
]
