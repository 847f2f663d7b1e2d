"""Alerts: what somebody has to look at, opened once and followed over checkpoints."""
