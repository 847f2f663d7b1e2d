"""All verdicts of one comparison, for a notebook: rows, a DataFrame, a table with a chart."""

from collections import Counter
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from app.client.errors import ClientError
from app.evaluations.schemas import EvaluationOut
from app.verdicts.schemas import VerdictOut

if TYPE_CHECKING:
    import pandas as pd

    from app.charts.chart import Chart

SHOWN = 20
_NESTED = frozenset(
    {"estimates", "controls", "baselines", "causal", "robustness", "trend", "pages"}
    | {"diagnosis_evidence"}
)
_COLUMNS = ("feature", "verdict", "change", "effect", "interval", "margin", "diagnosis")
_NUMERIC = frozenset({"effect", "interval", "margin"})


class MissingPackageError(ClientError, ImportError):
    """What was asked for needs a package that is not installed."""


class Comparison(BaseModel):
    """A checkpoint beside its baseline, or beside the one before it.

    Attributes:
        verdicts: of all features, the largest effect in margins first.
    """

    model_config = ConfigDict(frozen=True)

    evaluation: EvaluationOut
    which: Literal["baseline", "previous"]
    verdicts: tuple[VerdictOut, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Features by verdict, the most frequent first."""
        return dict(Counter(row.verdict for row in self.verdicts).most_common())

    @property
    def against(self) -> str | None:
        """The checkpoint on the other side."""
        return self.evaluation.baseline if self.which == "baseline" else self.evaluation.previous

    def __len__(self) -> int:
        """Features that have a verdict."""
        return len(self.verdicts)

    def __getitem__(self, feature: str) -> VerdictOut:
        """The verdict on a feature, by its name.

        Raises:
            KeyError: it has none.
        """
        for row in self.verdicts:
            if row.feature == feature:
                return row
        raise KeyError(feature)

    def to_records(self) -> Iterator[dict[str, Any]]:
        """One plain row a feature: without nested evidence, which `verdicts` holds."""
        for row in self.verdicts:
            yield row.model_dump(mode="json", exclude=set(_NESTED))

    def to_pandas(self) -> "pd.DataFrame":
        """A DataFrame with a row for each feature, by its name, in the order of `verdicts`.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                "to_pandas() needs pandas, which is not installed here: pip install pandas; "
                "without it, to_records() gives plain rows"
            ) from error
        columns = [name for name in VerdictOut.model_fields if name not in _NESTED]
        return pd.DataFrame(list(self.to_records()), columns=columns).set_index("feature")

    def chart(self, most: int = SHOWN) -> "Chart":
        """A forest plot of the largest effects, in units of their margins.

        Raises:
            ClientError: there is nothing to draw.
            MissingPackageError: what draws charts is not installed.
        """
        if not self.verdicts:
            raise ClientError("there is no verdict to draw; has the evaluation succeeded?")
        try:
            from app.charts import ForestPoint, forest

            points = [
                ForestPoint(
                    name=row.feature,
                    effect=row.effect,
                    lower=row.lower,
                    upper=row.upper,
                    margin=row.margin or None,
                    verdict=row.verdict,
                    estimand=row.estimand or "",
                )
                for row in self.verdicts[:most]
            ]
            return forest(points, title=self._title())
        except ImportError as error:
            raise MissingPackageError(f"a chart cannot be drawn here: {error}") from error

    def _title(self) -> str:
        beside = f" against {self.against}" if self.against else ""
        return f"{self.evaluation.model} {self.evaluation.checkpoint}{beside}"

    def _repr_html_(self) -> str:
        """A chart, where it can be drawn, and a small table; everything is escaped."""
        counts = ", ".join(f"{count} {word}" for word, count in self.counts.items())
        parts = [
            f"<p><strong>{escape(self._title())}</strong><br>{escape(counts or 'no verdicts')}"
        ]
        if self.evaluation.state != "succeeded":
            parts.append(f" (the evaluation is {escape(self.evaluation.state)})")
        parts.append("</p>")
        if self.verdicts:
            try:
                parts.append(f"<div>{self.chart().standalone()}</div>")
            except ImportError:
                parts.append("<p>(no chart: its package is not installed)</p>")
            parts.append(self._table())
        return "".join(parts)

    def _table(self) -> str:
        head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
        lines = [
            f"<table><caption>The largest effects, at most {SHOWN}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>"
        ]
        for row in self.verdicts[:SHOWN]:
            cells = _cells(row)
            lines.append("<tr>" + "".join(_cell(name, cells[name]) for name in _COLUMNS) + "</tr>")
        lines.append("</tbody></table>")
        if len(self) > SHOWN:
            lines.append(f"<p>and {len(self) - SHOWN} more; <code>to_pandas()</code> has all</p>")
        return "".join(lines)


def _cells(row: VerdictOut) -> dict[str, str]:
    interval = ""
    if row.lower is not None and row.upper is not None:
        interval = f"{row.lower:.3g} to {row.upper:.3g}"
    effect = "" if row.effect is None else f"{row.estimand or 'effect'} {row.effect:.3g}"
    return {
        "feature": row.feature,
        "verdict": row.verdict,
        "change": row.change or "",
        "effect": effect,
        "interval": interval,
        "margin": "" if row.margin is None else f"{row.margin:.3g}",
        "diagnosis": row.diagnosis or "",
    }


def _cell(name: str, text: str) -> str:
    align = "right" if name in _NUMERIC else "left"
    tag, scope = ("th", ' scope="row"') if name == "feature" else ("td", "")
    return f'<{tag}{scope} style="text-align:{align};padding:0 .6em">{escape(text)}</{tag}>'
