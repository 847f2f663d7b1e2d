"""What is written from code: `python -m tools.client`, `python -m tools.cli_reference`."""
