"""A support bot's line of checkpoints, small and whole, registered the way people do it: by REST.

Its corpus is customers' messages with labelled contact data, its probes and its dictionary are
fitted on the model's own activations, and workers judge what it becomes: stable after a small step,
drifted after a turn of the residual stream, failed where the weights are gone, and one feature that
is no better than chance.
"""

import json
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.deployment import ENDED, wait_for
from tests.support.models import train_tokenizer

if TYPE_CHECKING:
    from torch import Tensor

MODEL, OTHER_MODEL = "support-bot", "search-ranker"
CORPUS, DICTIONARY, FEATURES = "customer-messages", "layer-1", "contact-data"
WATCH, WHOLE, STRICT = "contact-data", "layer-1-latents", "contact-data-strict"
BASE, CALM, TURNED, GONE = "2026-10-04", "2026-10-18", "2026-11-01", "2026-11-15"
HOSTILE = "<script>alert('a') & \"b\"</script>"
"""A text that a page which forgets to escape shows otherwise."""
TINY: Mapping[str, Any] = {
    "threads": 1,
    "sequence_length": 64,
    "batch_tokens": 2048,
    "tokens_per_shard": 65_536,
}
"""Settings that fit models of three layers."""
SITE, WIDTH, LAYERS, LATENTS, ON = "blocks.1.hook_resid_post", 32, 3, 96, 8

_GREETINGS = ("Hello", "Hi there", "Good morning", "Dear team", "Hey")
_NAMES = ("Amara Osei", "Jonas Weber", "Mei Tanaka", "Lucía Pérez", "Noor Haddad", "Eli Stone")
_TOPICS = (
    "my parcel has not arrived and the tracking page shows nothing new since Monday",
    "the invoice of last month has the wrong address on it",
    "I would like to return the blue lamp because the switch is broken",
    "thank you, the replacement works very well and came a day early",
    "your website keeps signing me out while I pay",
    "please cancel the second subscription, I only meant to have one",
)
_CLOSINGS = ("Thanks!", "Best wishes", "Please hurry.", "Have a nice day", "Regards")


@dataclass(frozen=True)
class SampleLine:
    """What was registered and found: evaluations by monitor and checkpoint."""

    evaluations: Mapping[tuple[str, str], str]


def messages(count: int = 90) -> list[dict[str, Any]]:
    """Customers' messages; phone numbers, e-mail addresses and names are labelled."""
    chance = random.Random(20)
    found = []
    for number in range(count):
        name = chance.choice(_NAMES)
        pieces: list[tuple[str, str | None]] = [
            (f"{chance.choice(_GREETINGS)}, this is ", None),
            (name, "name"),
            (f". {_sentence(chance.choice(_TOPICS))} ", None),
        ]
        if number % 3 != 1:
            digits = f"{chance.randrange(200, 999)}-{chance.randrange(1000, 9999)}"
            pieces += [("Call me at ", None), (f"555-{digits}", "phone"), (". ", None)]
        if number % 3 != 2:
            address = f"{name.split()[0].lower()}{chance.randrange(100)}@example.com"
            pieces += [("Or write to ", None), (address, "email"), (". ", None)]
        pieces += [(f"{_sentence(chance.choice(_TOPICS))} {chance.choice(_CLOSINGS)}", None)]
        text = ""
        labels: dict[str, list[list[int]]] = {"name": [], "phone": [], "email": []}
        for piece, label in pieces:
            if label is not None:
                labels[label].append([len(text), len(text) + len(piece)])
            text += piece
        found.append({"id": f"message-{number:03}", "text": text, "labels": labels})
    found[1]["text"] += f" {HOSTILE}"
    return found


def _sentence(topic: str) -> str:
    return f"{topic[0].upper()}{topic[1:]}."


def build(api: httpx.Client, folder: Path) -> SampleLine:
    """Register everything and wait until workers have judged it.

    Args:
        api: with an admin's key, or of a server that needs none.
        folder: an allowed root, to which the files are written.
    """
    documents = messages()
    definitions = _save_models(folder, documents)

    def post(path: str, **body: Any) -> Any:
        answer = api.post(f"/v1/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def checkpoint(name: str) -> list[str]:
        found = post(
            f"models/{MODEL}/checkpoints", name=name, source=str(folder / name), note="weekly"
        )
        return list(found["evaluations"])

    post("models", name=MODEL, description="Answers customers and hides their contact data")
    post("models", name=OTHER_MODEL, description="Nothing is evaluated here yet")
    checkpoint(BASE)
    for alias in ("baseline", "production"):
        put = api.put(f"/v1/models/{MODEL}/aliases/{alias}", json={"checkpoint": BASE})
        assert put.is_success, put.text
    post(
        "corpora",
        name=CORPUS,
        description="Messages to support, names and numbers made up",
        documents=documents,
        perturbations=["case"],
    )
    post("dictionaries", name=DICTIONARY, source=str(folder / "dictionary"))
    post("feature-sets", name=FEATURES, features=definitions)
    common = {"model": MODEL, "corpus": CORPUS, "baseline": {"alias": "baseline"}}
    features = {"feature_set": {"name": FEATURES}}
    controls = {"numerics": False, "randomised_model": False, "permuted_labels": False}
    for name, body in {
        WATCH: {
            **features,
            "watchlist": [definition["name"] for definition in definitions],
            "policy": {"min_active_documents": 20, "controls": controls, "baselines": False},
        },
        WHOLE: {
            "dictionary": DICTIONARY,
            "policy": {"min_active_documents": 20, "diagnosis": False, "controls": controls},
        },
        STRICT: {
            **features,
            "watchlist": ["greeting"],
            "policy": {"fvu_max": 1e-6, "diagnosis": False, "baselines": False},
        },
    }.items():
        post("monitors", name=name, **common, **body)
    started = {name: checkpoint(name) for name in (CALM, TURNED)}
    checkpoints = [*started, GONE]
    gone = checkpoint(GONE)
    # What was there when it was registered is gone when a worker comes for it.
    shutil.rmtree(folder / GONE)
    found: dict[tuple[str, str], str] = {}
    for one in [*started[CALM], *started[TURNED], *gone]:
        ended = _ended(api, one)
        found[ended["monitor"], ended["checkpoint"]] = one
    assert {name for _, name in found} == set(checkpoints)
    return SampleLine(found)


def _ended(api: httpx.Client, evaluation: str) -> dict[str, Any]:
    """An evaluation once it has ended.

    Raises:
        TimeoutError: it does not; the worker's log says why.
    """

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = api.get(f"/v1/evaluations/{evaluation}").json()
        return found if found["state"] in ENDED else None

    answer: dict[str, Any] = wait_for(ended, 120)
    return answer


def _save_models(folder: Path, documents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write the checkpoints and the dictionary; the features that were fitted on the first."""
    import torch

    from workers.demo.checkpoints import rotate

    torch.manual_seed(0)
    tokenizer = train_tokenizer([document["text"] for document in documents])
    model = _random_model()

    def save(name: str) -> None:
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)

    save(BASE)
    activations, labels = _activations(model, tokenizer, documents)
    _save_dictionary(folder / "dictionary", activations)
    definitions = _definitions(activations, labels)
    with torch.no_grad():
        for weights in model.parameters():
            weights *= 1 + 2e-4 * torch.randn(weights.shape)
    save(CALM)
    save(GONE)
    rotate(model, seed=3)
    save(TURNED)
    return definitions


def _random_model() -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=300,
            hidden_size=WIDTH,
            intermediate_size=48,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            max_position_embeddings=64,
            pad_token_id=0,
            bos_token_id=0,
            eos_token_id=0,
        )
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.2)
    return model


def _activations(
    model: Any, tokenizer: Any, documents: Sequence[Mapping[str, Any]]
) -> "tuple[Tensor, dict[str, Tensor]]":
    """Activations at the site [tokens, width], and for each concept which tokens bear it."""
    import torch

    rows: list[Tensor] = []
    labels: dict[str, list[bool]] = {concept: [] for concept in documents[0]["labels"]}
    for document in documents:
        encoded = tokenizer(
            document["text"],
            return_offsets_mapping=True,
            return_tensors="pt",
            truncation=True,
            max_length=64,
        )
        with torch.no_grad():
            states = model(input_ids=encoded["input_ids"], output_hidden_states=True)
        rows.append(states.hidden_states[2][0])
        for concept, spans in document["labels"].items():
            labels[concept] += [
                any(int(start) < b and int(end) > a for a, b in spans)
                for start, end in encoded["offset_mapping"][0]
            ]
    return torch.cat(rows), {name: torch.tensor(flags) for name, flags in labels.items()}


def _definitions(activations: "Tensor", labels: "Mapping[str, Tensor]") -> list[dict[str, Any]]:
    import torch

    found: list[dict[str, Any]] = []
    values = activations.double()
    for concept, flags in labels.items():
        # The least-squares probe: what separates best, and is the same on every machine.
        ones = torch.cat([values, torch.ones(len(values), 1, dtype=torch.float64)], 1)
        wanted = flags.double()[:, None] - 0.5
        ridge = 1e-3 * torch.eye(WIDTH + 1, dtype=torch.float64)
        weights = torch.linalg.solve(ones.T @ ones + ridge, ones.T @ wanted)[:, 0]
        found.append(
            {
                "kind": "linear_probe",
                "name": f"{concept}-probe",
                "site": SITE,
                "weights": [round(float(w), 6) for w in weights[:-1]],
                "bias": round(float(weights[-1]), 6),
                "concept": concept,
            }
        )
    guess = torch.randn(WIDTH, generator=torch.Generator().manual_seed(5))
    latent = {"kind": "sae_latent", "dictionary": DICTIONARY}
    found += [
        # Nobody has fitted this one: random directions do as well.
        {
            "kind": "direction",
            "name": "complaint",
            "site": SITE,
            "vector": [round(float(x), 4) for x in guess],
            "concept": "name",
        },
        {**latent, "name": "greeting", "index": 3},
        {**latent, "name": "order-trouble", "index": 11},
        {"kind": "neuron", "name": "politeness", "site": "blocks.0.hook_mlp_out", "index": 5},
    ]
    return found


def _save_dictionary(folder: Path, activations: "Tensor") -> None:
    """Fit a TopK autoencoder for some seconds, and save it as SAELens does."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(1)
    decoder = torch.nn.functional.normalize(torch.randn(LATENTS, WIDTH, generator=generator), dim=1)
    centre = activations.mean(0)
    parameters = {
        "W_enc": decoder.T.clone(),
        "b_enc": torch.zeros(LATENTS),
        "W_dec": decoder.clone(),
        "b_dec": centre.clone(),
    }
    for value in parameters.values():
        value.requires_grad_()
    optimiser = torch.optim.Adam(parameters.values(), lr=3e-3)
    for _ in range(400):
        batch = activations[torch.randint(len(activations), (256,), generator=generator)]
        before = (batch - parameters["b_dec"]) @ parameters["W_enc"] + parameters["b_enc"]
        kept = before.relu().topk(ON, dim=1)
        values = torch.zeros_like(before).scatter(1, kept.indices, kept.values)
        loss = (values @ parameters["W_dec"] + parameters["b_dec"] - batch).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    folder.mkdir(parents=True)
    save_file(
        {name: value.detach().contiguous() for name, value in parameters.items()},
        folder / "sae_weights.safetensors",
    )
    config = {
        "architecture": "topk",
        "k": ON,
        "d_in": WIDTH,
        "d_sae": LATENTS,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"hook_name": SITE, "model_name": MODEL},
    }
    (folder / "cfg.json").write_text(json.dumps(config))


def decide(api: httpx.Client) -> None:
    """Let people do what they do: acknowledge an alert, mark a step as benign."""
    alerts = api.get("/v1/alerts", params={"subject_kind": "control"}).json()["items"]
    answers = [
        api.post(
            f"/v1/alerts/{alerts[0]['id']}:acknowledge",
            json={
                "by": "grace",
                "note": "Nobody has fitted 'complaint'; we take it out.",
            },
        ),
        api.patch(
            f"/v1/models/{MODEL}/checkpoints/{CALM}",
            json={"benign": True, "by": "grace", "note": "the same data, two more hours"},
            headers={"If-Match": '"1"'},
        ),
    ]
    for answer in answers:
        assert answer.is_success, answer.text


def pages(api: httpx.Client, line: SampleLine) -> dict[str, str]:
    """Name of a page → its path, for every page that somebody can look at."""

    def first(path: str, **query: str) -> dict[str, Any]:
        found: dict[str, Any] = api.get(f"/v1/{path}", params=query).json()["items"][0]
        return found

    feature = first(f"feature-sets/{FEATURES}/versions/1/features")
    drifted = line.evaluations[WATCH, TURNED]
    alert = first("alerts", monitor=WATCH, subject_kind="feature", severity="page")
    return {
        "overview": "/",
        "models": "/models",
        "model": f"/models/{MODEL}",
        "checkpoint": f"/models/{MODEL}/checkpoints/{TURNED}",
        "monitor": f"/models/{MODEL}/monitors/{WATCH}",
        "evaluation": f"/evaluations/{drifted}",
        "evaluation-failed": f"/evaluations/{line.evaluations[WATCH, GONE]}",
        "evaluation-invalid": f"/evaluations/{line.evaluations[STRICT, CALM]}",
        "feature": f"/features/{feature['id']}",
        "corpora": "/corpora",
        "corpus": f"/corpora/{CORPUS}",
        "document": f"/corpora/{CORPUS}/documents/3",
        "dictionaries": "/dictionaries",
        "dictionary": f"/dictionaries/{DICTIONARY}",
        "alerts": "/alerts",
        "alert": f"/alerts/{alert['id']}",
        "repairs": "/repairs",
        "repair": f"/repairs/{first('repairs')['id']}",
        "audit": "/audit",
    }
