"""What the asked features do to the model's predictions, on both sides of the comparison."""

from typing import Any

from workers.causal.judge import judge
from workers.comparison import CorpusLabels
from workers.pipeline.artifacts import read_causal
from workers.pipeline.case import Case
from workers.pipeline.context import Context


def causal_effects(context: Context, case: Case, labels: CorpusLabels) -> dict[str, dict[str, Any]]:
    """The causal effect of each feature that the policy asks for, and its drift.

    Where the tokenizers differ, the two sides predict other tokens and only the candidate's own
    effect is told.

    Raises:
        EvaluationError: a measurement is missing or damaged.
    """
    if "causal_candidate" not in case.snapshots:
        return {}
    candidate = read_causal(context.store, case.key("causal_candidate"))
    baseline = read_causal(context.store, case.key("causal_baseline"))
    same = baseline.tokenizer_digest == candidate.tokenizer_digest
    return judge(baseline if same else None, candidate, labels.groups, case.question.policy.alpha)
