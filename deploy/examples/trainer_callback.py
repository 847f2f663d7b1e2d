"""A Hugging Face `TrainerCallback` that has every saved checkpoint judged by Featuredrift.

    from trainer_callback import FeaturedriftCallback

    trainer = Trainer(
        model,
        args,                          # save_strategy="steps", save_safetensors is the default
        train_dataset=data,
        processing_class=tokenizer,    # saved with each checkpoint; Featuredrift needs it
        callbacks=[FeaturedriftCallback("support-bot", url="http://featuredrift:8321")],
    )

Needs `httpx` beside `transformers`. The API and its workers must reach the output folder under the
same path, and `FEATUREDRIFT_MODEL_ROOTS` must allow it; where they see it under another path, or
where checkpoints are uploaded first, give `source`.

What goes wrong on the way (no API, a refused source) is a warning and never ends a training run:
only a decided `fail` does, and only with `stop_on="fail"`.
"""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from torch import distributed
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

logger = logging.getLogger("featuredrift")


class FeaturedriftCallback(TrainerCallback):
    """Registers each saved checkpoint; may wait for its gate, and stop training on a failed one.

    Args:
        model: the model's name in Featuredrift; it must be registered.
        url: where the API is.
        run: a name of this run, in front of each checkpoint's: `<run>-step-500`. Needed where two
            runs of one model save the same steps.
        stop_on: "fail" waits for each gate and stops training when one fails; None, the default,
            registers and goes on.
        wait: seconds to wait for a gate; one that is still pending stops nothing.
        source: from a checkpoint's folder to what Featuredrift is to read; by default the folder.
    """

    def __init__(
        self,
        model: str,
        *,
        url: str = "http://127.0.0.1:8321",
        run: str | None = None,
        stop_on: str | None = None,
        wait: float = 1800.0,
        source: Callable[[Path], str] = str,
    ) -> None:
        if stop_on not in (None, "fail"):
            raise ValueError(f"stop_on is {stop_on!r}; give 'fail', or None to stop on nothing")
        self.model = model
        self.run = run
        self.stop_on = stop_on
        self.wait = wait
        self.source = source
        self.gates: dict[str, dict[str, Any]] = {}
        """Checkpoint → the gate's answer, of those that were waited for."""
        self._previous: str | None = None
        key = os.environ.get("FEATUREDRIFT_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=url, timeout=90, headers=headers)

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,  # noqa: ARG002 - the library's signature
    ) -> TrainerControl:
        """Register the checkpoint that was just saved."""
        stop = False
        if state.is_world_process_zero:
            folder = Path(str(args.output_dir)).resolve() / f"checkpoint-{state.global_step}"
            name = "-".join(part for part in (self.run, f"step-{state.global_step}") if part)
            try:
                stop = self._judge(name, folder)
            except (httpx.HTTPError, RuntimeError) as error:
                logger.warning("Featuredrift did not judge %s: %s", name, error)
        if self.stop_on is not None and _agreed(stop):
            control.should_training_stop = True
        return control

    def on_train_end(
        self,
        args: TrainingArguments,  # noqa: ARG002 - the library's signature
        state: TrainerState,  # noqa: ARG002 - the library's signature
        control: TrainerControl,  # noqa: ARG002 - the library's signature
        **kwargs: Any,  # noqa: ARG002 - the library's signature
    ) -> None:
        """Close the connection."""
        self._client.close()

    def _judge(self, name: str, folder: Path) -> bool:
        """Register a checkpoint; whether its gate says to stop."""
        self._register(name, folder)
        if self.stop_on is None:
            return False
        gate = self.gates[name] = self._gate(name)
        self._report(name, gate)
        return bool(gate["gate"] == self.stop_on)

    def _register(self, name: str, folder: Path) -> None:
        body = {"name": name, "source": self.source(folder)}
        if self._previous is not None:
            body["parent"] = self._previous
        answer = self._request("POST", self._path(), json=body)
        self._previous = name
        for skipped in answer["skipped"]:
            logger.warning("%s does not judge %s: %s", skipped["monitor"], name, skipped["detail"])

    def _gate(self, name: str) -> dict[str, Any]:
        deadline = time.monotonic() + self.wait
        while True:
            left = deadline - time.monotonic()
            seconds = max(0, min(60, int(left)))
            gate = self._request("GET", f"{self._path(name)}/gate", params={"wait": f"{seconds}s"})
            if gate["gate"] != "pending" or left <= 0:
                return gate
            time.sleep(min(1.0, max(0.0, left)))

    def _report(self, name: str, gate: dict[str, Any]) -> None:
        level = logging.INFO if gate["gate"] == "pass" else logging.WARNING
        logger.log(level, "Featuredrift: %s for %s", gate["gate"], name)
        for reason in gate["reasons"]:
            features = ", ".join(reason["features"])
            logger.log(level, "  %s: %s %s", reason["monitor"], reason["detail"], features)

    def _path(self, checkpoint: str | None = None) -> str:
        path = f"/v1/models/{quote(self.model, safe='')}/checkpoints"
        return path if checkpoint is None else f"{path}/{quote(checkpoint, safe='')}"

    def _request(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        response = self._client.request(method, path, **arguments)
        if response.is_error:
            is_problem = "problem+json" in response.headers.get("content-type", "")
            raise RuntimeError(response.json()["detail"] if is_problem else response.text[:300])
        answer: dict[str, Any] = response.json()
        return answer


def _agreed(stop: bool) -> bool:
    """What the main process has decided: all stop at the same step, or the others wait for ever."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return stop
    decision = [stop]
    distributed.broadcast_object_list(decision, src=0)
    return decision[0]
