"""Example reports in docs/examples: the demo's evaluations, in all three forms."""
