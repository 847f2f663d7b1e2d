"""The runbooks as pages that the API serves; their text lies in docs/runbooks."""
