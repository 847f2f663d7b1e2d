"""A data directory that Postgres can use whoever runs the tests."""

from tests.integration.embedded.conftest import data_dir

__all__ = ["data_dir"]
