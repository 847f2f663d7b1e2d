"""Does a feature earn its keep beside simple baselines, cross-fitted by document?"""

from workers.baselines.judge import BaselineQuestion, judge_baselines
from workers.baselines.refit import Auroc, labelled_refit

__all__ = ["Auroc", "BaselineQuestion", "judge_baselines", "labelled_refit"]
