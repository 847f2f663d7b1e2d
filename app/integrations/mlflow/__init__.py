"""Webhooks of an MLflow model registry: a new model version becomes a checkpoint."""
