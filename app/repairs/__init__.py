"""Repairs: proposed versions of feature sets, accepted or rejected by a person."""
