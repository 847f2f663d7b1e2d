"""Webhooks: events sent to other people's addresses, signed, retried, logged."""
