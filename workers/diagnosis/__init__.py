"""Why drifted features drifted, and what may take their place. Labels take no part."""

from workers.diagnosis.diagnose import diagnose
from workers.diagnosis.question import (
    Diagnosis,
    DiagnosisQuestion,
    DictionaryHealth,
    ProposedFeature,
    Thresholds,
)

__all__ = [
    "Diagnosis",
    "DiagnosisQuestion",
    "DictionaryHealth",
    "ProposedFeature",
    "Thresholds",
    "diagnose",
]
