"""Every form of import by its command, against a running service."""

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import save_file

from app.cli import corpora
from app.client import Client, NotFoundError
from app.registry.documents import parse_jsonl
from app.settings import Settings
from tests.integration.cli.commands import Terminal
from tests.integration.imports.conftest import OWN, RELEASE, REPOSITORY, SAE_ID
from tests.integration.imports.hub import Hub

SITE = "blocks.1.hook_resid_post"
SOURCE = "gpt2-small/1-res-jb"


def write_lines(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_corpus_is_what_its_file_says(terminal: Terminal, client: Client) -> None:
    rows = [{"text": "Ada 🙂", "labels": [[0, 3, "name"]]}, {"text": "none", "labels": []}]
    path = write_lines(Path("c.jsonl"), rows)
    dry = json.loads(terminal.ok("corpora", "import", "lines", path, "--dry-run", "--json"))
    assert dry["corpus"] is None
    with pytest.raises(NotFoundError):
        client.corpora.get("lines")

    done = json.loads(terminal.ok("corpora", "import", "lines", path, "--json"))
    assert done["corpus"]["digest"] == dry["read"]["digest"]
    assert done["corpus"]["concepts"] == {"name": {"documents": 1, "spans": 1}}
    assert terminal.run("corpora", "import", "lines", path)[0] == 0
    shown = terminal.ok("corpora", "show", "lines")
    assert "units of inference  2" in shown
    assert "lines" in terminal.ok("corpora", "list")
    assert "did you mean lines?" in terminal.run("corpora", "show", "line")[2]
    assert json.loads(terminal.ok("corpora", "show", "lines", "--json")) == done["corpus"]
    code, _, said = terminal.run("corpora", "import", "lines", path, "--limit", "1")
    assert code == 1
    assert "'lines'" in said


def test_a_fault_registers_nothing(terminal: Terminal, client: Client) -> None:
    rows = [{"text": "ok"}, {"text": "short", "labels": {"c": [[3, 9]]}}]
    path = write_lines(Path("c.jsonl"), rows)
    code, out, said = terminal.run("corpora", "import", "faulty", path)
    assert (code, out) == (1, "")
    assert "c.jsonl line 2: label 'c': span [3, 9] is outside the text of 5 characters" in said
    with pytest.raises(NotFoundError):
        client.corpora.get("faulty")
    for arguments in (("none.jsonl",), (".", "--format", "dataset"), (path, "--split", "x")):
        assert terminal.run("corpora", "import", "faulty", *arguments)[0] == 1


def test_a_large_corpus_goes_through_a_folder(
    terminal: Terminal, service: tuple[str, Settings]
) -> None:
    path = write_lines(Path("c.jsonl"), [{"text": "word " * 50_000} for _ in range(8)])
    code, _, said = terminal.run("corpora", "import", "large", path)
    assert code == 1
    assert "FEATUREDRIFT_MAX_BODY_BYTES" in said
    folder = service[1].allowed_roots[0]
    before = sorted(folder.iterdir())
    done = json.loads(
        terminal.ok("corpora", "import", "large", path, "--through", folder, "--json")
    )
    assert done["corpus"]["digest"] == done["read"]["digest"]
    assert sorted(folder.iterdir()) == before
    assert terminal.run("corpora", "import", "large", path, "--through", "nowhere")[0] == 1


def test_the_corpus_can_be_kept_as_a_file(terminal: Terminal) -> None:
    Path("c.txt").write_text("one\ntwo\n")
    command = ("corpora", "import", "kept", "c.txt", "--output", "kept.jsonl")
    terminal.ok(*command, "--perturbation", "case")
    assert [one.text for one in parse_jsonl(Path("kept.jsonl").read_bytes())] == ["one", "two"]
    assert "case" in terminal.ok("corpora", "show", "kept")
    assert "is there already" in terminal.run(*command)[2]


def test_directions_are_published_and_added_to(terminal: Terminal, client: Client) -> None:
    vectors = {"up": np.arange(16.0), "down": np.ones(16)}
    save_file(vectors, "v.safetensors", metadata={"layer": "1"})
    command = ("features", "import", "directions", "ways", "v.safetensors")
    dry = json.loads(terminal.ok(*command, "--dry-run", "--json"))
    assert dry["published"] is False
    with pytest.raises(NotFoundError):
        client.feature_sets.get("ways")
    Path("dry.json").write_text(json.dumps(dry))
    assert terminal.ok("feature-sets", "publish", "by-hand", "dry.json")

    code, out, said = terminal.run(*command, "--concept", "up=height")
    assert code == 0
    assert "are divided out" in said
    assert SITE in out
    kept = {row.name: row.definition for row in client.feature_sets.features("ways", 1)}
    assert kept["up"]["concept"] == "height"
    assert kept["up"]["vector"] == vectors["up"].tolist()

    save_file({"up": np.ones(16)}, "w.safetensors", metadata={"layer": "1"})
    command = ("features", "import", "directions", "ways", "w.safetensors", "--add")
    assert "another feature named 'up'" in terminal.run(*command)[2]
    done = json.loads(terminal.ok(*command, "--replace", "--json"))
    assert (done["version"], done["replaced"], done["left_out"]) == (2, ["up"], [])
    again = json.loads(terminal.ok(*command, "--json"))
    assert (again["version"], again["same"]) == (2, ["up"])
    assert len(list(client.feature_sets.features("ways", 2))) == 2
    alone = json.loads(terminal.ok(*command[:-1], "--json"))
    assert alone["left_out"] == ["down"]


def test_probes_of_a_regression(terminal: Terminal, client: Client) -> None:
    body = {
        "coef_": np.eye(3, 16).tolist(),
        "intercept_": [0, 1, 2],
        "classes_": ["cat", "dog", 7],
        "site": SITE,
    }
    Path("p.json").write_text(json.dumps(body))
    command = ("features", "import", "sklearn", "animals", "p.json", "--prefix", "is-")
    out = terminal.ok(*command, "--class-concepts")
    for name in ("is-cat", "is-dog", "is-class-7"):
        assert name in out
    kept = {row.name: row.definition for row in client.feature_sets.features("animals", 1)}
    assert kept["is-dog"]["concept"] == "dog"
    assert kept["is-dog"]["bias"] == 0.0
    Path("p.pkl").write_bytes(b"\x80\x04.")
    code, _, said = terminal.run("features", "import", "sklearn", "animals", "p.pkl")
    assert code == 1
    assert "a pickle can run code" in said


def test_a_release_and_a_list_that_stands_on_it(
    terminal: Terminal, client: Client, hub: Hub
) -> None:
    Path("list.json").write_text(json.dumps([f"{SOURCE}/7", f"{SOURCE}/11", "gpt2-small/1/3"]))
    command = ("features", "import", "neuronpedia", "listed", "list.json")
    code, out, said = terminal.run(*command, "--json")
    missing = json.loads(out)["missing"]
    assert code == 1
    assert missing[SOURCE]["features"] == [f"{SOURCE}/7", f"{SOURCE}/11"]
    assert missing[SOURCE]["do"] == f"featuredrift features import saelens NAME {RELEASE} {SAE_ID}"
    assert f"no registered dictionary is {SOURCE}; needed for 7, 11" in said
    with pytest.raises(NotFoundError):
        client.feature_sets.get("listed")
    assert "1.3" in terminal.ok(*command, "--skip-unregistered", "--dry-run")

    hub.asked.clear()
    command_of_release = ("features", "import", "saelens", "jb-1", RELEASE, SAE_ID)
    done = json.loads(terminal.ok(*command_of_release, "--json"))
    assert (done["repository"], done["folder"], done["site"]) == (REPOSITORY, SAE_ID, SAE_ID)
    assert done["latents"] == 24
    # The configuration alone: whoever registers needs no weights.
    assert {asked.rpartition("/")[2] for asked in hub.asked} == {"cfg.json"}
    made = client.dictionaries.get("jb-1")
    assert (made.release, made.sae_id, made.site) == (RELEASE, SAE_ID, SAE_ID)

    out = terminal.ok(*command, "--concept", "1-res-jb.7=phone")
    assert "jb-1 7" in out
    kept = {row.name: row.definition for row in client.feature_sets.features("listed", 1)}
    assert kept["1-res-jb.7"]["dictionary"] == "jb-1"
    assert kept["1-res-jb.7"]["concept"] == "phone"
    assert kept["1.3"]["site"] == "blocks.1.mlp.hook_post"


def test_a_repository_of_ones_own(terminal: Terminal, hub: Hub) -> None:
    command = ("features", "import", "saelens")
    _, _, said = terminal.run(*command, "own", OWN, "norm")
    assert "reads blocks.1.ln2.hook_normalized, which is not captured" in said
    _, _, said = terminal.run(*command, "own", OWN, "second")
    assert "the repository has no configuration of that id" in said


def test_a_release_that_is_misspelt_asks_nobody(terminal: Terminal, hub: Hub) -> None:
    hub.asked.clear()
    code, _, said = terminal.run("features", "import", "saelens", "x", "gpt2-smal-res-jb", SAE_ID)
    assert code == 1
    assert f"did you mean {RELEASE}" in said
    assert hub.asked == []
    done = terminal.ok("features", "import", "saelens", "x", RELEASE, SAE_ID, "--site", SAE_ID)
    assert REPOSITORY in done
    assert hub.asked == []


def test_how_far_it_is_shows_at_a_terminal(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = StringIO()
    monkeypatch.setattr(corpora, "err", Console(file=seen, force_terminal=True, width=120))
    Path("c.txt").write_text("a line\n" * 2000)
    terminal.ok("corpora", "import", "bar", "c.txt", "--dry-run")
    assert "c.txt" in seen.getvalue()
    assert "100%" in seen.getvalue()
