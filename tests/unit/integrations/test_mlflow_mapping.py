"""How versions become checkpoints is configured, and a mistake in it is found at the start."""

import json

import pytest
from pydantic import ValidationError

from app.embedded.environment import child_environment
from app.integrations.mlflow import mapping
from app.integrations.mlflow.mapping import MlflowModel, fill, reachable
from app.registry import definitions
from app.settings import Settings


def test_names_are_those_of_the_registry() -> None:
    assert mapping.NAME_PATTERN == definitions.NAME_PATTERN


def test_a_template_is_filled_or_says_that_it_cannot_be() -> None:
    values = {"name": "bot", "version": "7", "source": "s3://x/y", "run_id": None}
    assert fill("s3://exports/{name}/{version}", values) == "s3://exports/bot/7"
    assert fill("{source}/model", values) == "s3://x/y/model"
    assert fill("runs/{run_id}", values) is None


def test_the_longest_prefix_is_replaced() -> None:
    found = MlflowModel(
        model="bot",
        replace_prefix={"mlflow-artifacts:/": "s3://a/", "mlflow-artifacts:/2/": "s3://b/"},
    )
    assert reachable(found, "mlflow-artifacts:/1/m") == "s3://a/1/m"
    assert reachable(found, "mlflow-artifacts:/2/m") == "s3://b/m"
    assert reachable(found, "s3://c/m") == "s3://c/m"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"model": "bot", "source": "{path}"}, "no placeholder"),
        ({"model": "no/name"}, "pattern"),
        ({"model": "bot", "chekpoint": "x"}, "Extra inputs"),
        ({}, "Field required"),
    ],
)
def test_a_mistake_is_found_when_the_settings_are_read(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings(mlflow_models={"bot": wrong})


def test_the_settings_reach_child_processes_whole_and_are_printed_without_the_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = {"Bot v1": {"model": "bot", "aliases": {"champion": "production"}}}
    monkeypatch.setenv("FEATUREDRIFT_MLFLOW_MODELS", json.dumps(models))
    monkeypatch.setenv("FEATUREDRIFT_MLFLOW_WEBHOOK_SECRET", "hidden-one")
    settings = Settings()
    assert settings.mlflow_models["Bot v1"].aliases == {"champion": "production"}
    assert "hidden-one" not in str(settings.printable())
    for name, value in child_environment(settings).items():
        if name.startswith("FEATUREDRIFT_MLFLOW"):
            monkeypatch.setenv(name, value)
    again = Settings()
    assert again.mlflow_models == settings.mlflow_models
    assert again.mlflow_webhook_secret == "hidden-one"
