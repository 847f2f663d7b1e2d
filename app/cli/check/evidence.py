"""What the gate's answer rests on: verdicts, controls and repairs of each monitor."""

from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import quote

from app.cli.check.client import Api
from app.cli.check.exits import CheckError

ENDED = "succeeded"


@dataclass(frozen=True)
class Evidence:
    """One monitor's part in the answer.

    Attributes:
        standing: the monitor's entry in the gate's answer.
        reasons: what this monitor has against the checkpoint.
        watched: verdicts against the baseline of all features of a set, or of the watched latents
            of a whole dictionary; the worst first.
        drifted: verdicts on drifted features, watched or not, the worst first.
        controls: of the evaluation.
        repairs: those proposed and not decided.
        started_at, finished_at: of the evaluation; None when it has not ended.
    """

    standing: dict[str, Any]
    reasons: list[dict[str, Any]]
    watched: list[dict[str, Any]] = field(default_factory=list)
    drifted: list[dict[str, Any]] = field(default_factory=list)
    controls: list[dict[str, Any]] = field(default_factory=list)
    repairs: list[dict[str, Any]] = field(default_factory=list)
    started_at: str | None = None
    finished_at: str | None = None

    @property
    def monitor(self) -> str:
        """The monitor's name."""
        return str(self.standing["monitor"])

    @property
    def evaluation(self) -> str | None:
        """The evaluation's id."""
        found = self.standing["evaluation"]
        return None if found is None else str(found)

    @property
    def codes(self) -> set[str]:
        """Codes of the monitor's reasons."""
        return {str(reason["code"]) for reason in self.reasons}


@dataclass(frozen=True)
class Outcome:
    """The gate's answer with its evidence, or why there is none.

    Attributes:
        gate: `pass`, `fail`, `inconclusive`, `pending`, or `error`.
        general: reasons that belong to no monitor.
        trouble: of an `error`, what went wrong; else what of the evidence could not be fetched.
        base: the URL that links begin with.
    """

    gate: str
    model: str
    checkpoint: str
    base: str
    answer: dict[str, Any] = field(default_factory=dict)
    general: list[dict[str, Any]] = field(default_factory=list)
    monitors: list[Evidence] = field(default_factory=list)
    trouble: str = ""

    def link(self, path: str) -> str:
        """A URL under the service's."""
        return f"{self.base.rstrip('/')}{path}"

    def to_json(self) -> dict[str, Any]:
        """The gate's answer as the API gave it, with `evidence`; or the error."""
        if self.gate == "error":
            named = {"model": self.model, "checkpoint": self.checkpoint}
            return {"gate": "error", **named, "error": self.trouble}
        return {
            **self.answer,
            "evidence": [
                {
                    "monitor": one.monitor,
                    "links": links(self, one),
                    "pages": pages(self, one),
                    **_evidence_json(one),
                }
                for one in self.monitors
            ],
            "trouble": self.trouble or None,
        }


def pages(outcome: Outcome, one: Evidence) -> dict[str, str]:
    """Where a person looks further: the evaluation, its drifted features, the proposed repairs."""
    if one.evaluation is None:
        path = f"/models/{quote(outcome.model)}/monitors/{quote(one.monitor)}"
        return {"monitor": outcome.link(path)}
    here = f"/evaluations/{one.evaluation}"
    found = {"evaluation": outcome.link(here)}
    if one.drifted or one.standing["counts"].get("drifted"):
        found["drifted"] = outcome.link(f"{here}?verdict=drifted")
    for number, repair in enumerate(one.repairs, start=1):
        name = "repair" if number == 1 else f"repair_{number}"
        found[name] = outcome.link(f"/repairs/{repair['id']}")
    if one.standing["state"] == ENDED:
        found["report"] = outcome.link(f"{here}/report")
    return found


def links(outcome: Outcome, one: Evidence) -> dict[str, str]:
    """Where a program looks further, in the API: the same as JSON."""
    if one.evaluation is None:
        return {"monitor": outcome.link(f"/v1/monitors/{one.monitor}")}
    found = {"evaluation": outcome.link(f"/v1/evaluations/{one.evaluation}")}
    if one.drifted or one.standing["counts"].get("drifted"):
        which = "verdicts?verdict=drifted&comparison=baseline"
        found["drifted"] = outcome.link(f"/v1/evaluations/{one.evaluation}/{which}")
    for number, repair in enumerate(one.repairs, start=1):
        name = "repair" if number == 1 else f"repair_{number}"
        found[name] = outcome.link(f"/v1/repairs/{repair['id']}")
    return found


def gather(api: Api, gate: dict[str, Any], base: str) -> Outcome:
    """The answer with all that it rests on.

    The answer is known by now: what cannot be fetched is told in `trouble` and changes nothing.
    """
    monitors, trouble = [], ""
    for standing in gate["monitors"]:
        reasons = [r for r in gate["reasons"] if r["monitor"] == standing["monitor"]]
        one = Evidence(standing, reasons)
        try:
            one = _fetch(api, one)
        except CheckError as error:
            trouble = f"the evidence could not be fetched whole: {error}"
        monitors.append(one)
    return Outcome(
        gate=str(gate["gate"]),
        model=str(gate["model"]),
        checkpoint=str(gate["checkpoint"]),
        base=base,
        answer=gate,
        general=[reason for reason in gate["reasons"] if reason["monitor"] is None],
        monitors=monitors,
        trouble=trouble,
    )


def _fetch(api: Api, bare: Evidence) -> Evidence:
    if bare.evaluation is None or bare.standing["state"] != ENDED:
        return bare
    evaluation = api.evaluation(bare.evaluation)
    drifted = api.verdicts(bare.evaluation, verdict="drifted")
    if evaluation["dictionary"] is None:
        watched = api.verdicts(bare.evaluation)
    else:
        names = api.monitor(bare.monitor)["watchlist"]
        watched = api.verdicts(bare.evaluation, feature=names)
    return Evidence(
        bare.standing,
        bare.reasons,
        watched=watched,
        drifted=drifted,
        controls=evaluation["controls"],
        repairs=api.repairs(bare.evaluation),
        started_at=evaluation["started_at"],
        finished_at=evaluation["finished_at"],
    )


_KEPT = (
    *("feature", "verdict", "change", "diagnosis", "reason", "estimand"),
    *("effect", "lower", "upper", "margin", "margin_source", "paged", "slow_drift"),
)


def _evidence_json(one: Evidence) -> dict[str, Any]:
    everything = asdict(one)
    return {
        "drifted": [{name: row[name] for name in _KEPT} for row in one.drifted],
        "watched": [{name: row[name] for name in _KEPT} for row in one.watched],
        **{name: everything[name] for name in ("controls", "repairs")},
    }
