"""Whether the verdicts are right as often as they claim, on activations whose truth is known.

`python -m benchmarks.calibration --full` writes docs/calibration.md. A section that fails is a
finding about the statistics and is printed as it is found.
"""
