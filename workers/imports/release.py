"""What a SAELens release says of a dictionary before its weights are fetched.

`python -m workers.imports.release RELEASE SAE_ID` prints it as JSON. It asks the hub for a
configuration alone; weights are fetched by the worker that needs them. SAELens, which takes long to
load, is asked for what is in another format than its own.
"""

import json
import sys
from pathlib import Path
from typing import Any

from app.imports.catalog import catalog
from app.imports.errors import ImportRefusedError
from app.sources.dictionary import CONFIG_FILE

REFUSED = 2


def describe_release(release: str, sae_id: str) -> dict[str, Any]:
    """Where a dictionary lies and what it reads.

    Returns:
        `repository`, `folder`, `site` (None: the configuration names none), `head`,
        `architecture`, `d_in`, `d_sae`.

    Raises:
        ImportRefusedError: SAELens lists no such release, or no such id in it.
        ValueError, KeyError: what is there cannot be read.
        huggingface_hub.errors.HfHubHTTPError, OSError: the hub does not have it, or not give it.
    """
    listed = catalog().find(release, sae_id)
    repository = listed.repository if listed else release
    folder = listed.folder if listed else sae_id
    if listed is not None and listed.conversion is not None:
        from sae_lens.loading.pretrained_sae_loaders import load_sae_config_from_huggingface

        config = load_sae_config_from_huggingface(release, sae_id)
    else:
        config = _own_format(repository, folder)
    metadata = config.get("metadata")
    stated = {**config, **(metadata if isinstance(metadata, dict) else {})}
    return {
        "repository": repository,
        "folder": folder,
        # Before version 6, what is now a hook's name was called a hook point.
        "site": stated.get("hook_name") or stated.get("hook_point"),
        "head": stated.get("hook_head_index", stated.get("hook_point_head_index")),
        "architecture": config.get("architecture", "standard"),
        "d_in": config.get("d_in"),
        "d_sae": config.get("d_sae"),
    }


def _own_format(repository: str, folder: str) -> dict[str, Any]:
    from huggingface_hub import hf_hub_download

    found = json.loads(Path(hf_hub_download(repository, f"{folder}/{CONFIG_FILE}")).read_bytes())
    if not isinstance(found, dict):
        raise TypeError(f"{CONFIG_FILE} is no JSON object")
    return found


def main(arguments: list[str]) -> int:
    """Print the description, or in JSON why there is none."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
    )

    release, sae_id = arguments
    try:
        found = describe_release(release, sae_id)
    except GatedRepoError:
        return _refuse("it is gated; accept its terms on the hub, and set HF_TOKEN")
    except LocalEntryNotFoundError:
        return _refuse("the hub cannot be reached from here; give the site by --site")
    except RepositoryNotFoundError:
        return _refuse("there is no such repository on the hub, or it is private")
    except RemoteEntryNotFoundError:
        return _refuse("the repository has no configuration of that id; look at its files")
    except (HfHubHTTPError, OSError) as error:
        return _refuse(f"the hub does not give it: {str(error).strip().splitlines()[0]}")
    except ImportRefusedError as error:
        return _refuse(error.detail)
    except (ValueError, KeyError, TypeError) as error:
        return _refuse(f"its configuration cannot be read: {error}")
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


def _refuse(reason: str) -> int:
    sys.stdout.write(json.dumps({"error": reason}) + "\n")
    return REFUSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
