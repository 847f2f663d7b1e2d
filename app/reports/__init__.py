"""The report of an evaluation: one view-model, three forms."""
