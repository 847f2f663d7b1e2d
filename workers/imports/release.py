"""What a SAELens release says of a dictionary before its weights are fetched.

`python -m workers.imports.release RELEASE SAE_ID` prints it as JSON. It asks the hub for a
configuration alone; weights are fetched by the worker that needs them.
"""

import json
import sys
from typing import Any

REFUSED = 2


def describe_release(release: str, sae_id: str) -> dict[str, Any]:
    """Where a dictionary lies and what it reads, by SAELens's own directory and readers.

    Returns:
        `repository`, `folder`, `site` (None: the configuration names none), `head`,
        `architecture`, `d_in`, `d_sae`.

    Raises:
        ValueError, KeyError: SAELens does not know it, or cannot read what is there.
        huggingface_hub.errors.HfHubHTTPError, OSError: the hub does not have it, or not give it.
    """
    from sae_lens.loading.pretrained_sae_loaders import load_sae_config_from_huggingface
    from sae_lens.loading.pretrained_saes_directory import get_repo_id_and_folder_name

    repository, folder = get_repo_id_and_folder_name(release, sae_id)
    config = load_sae_config_from_huggingface(release, sae_id)
    metadata = config.get("metadata") or {}
    return {
        "repository": repository,
        "folder": folder,
        "site": metadata.get("hook_name") or config.get("hook_name"),
        "head": metadata.get("hook_head_index"),
        "architecture": config.get("architecture"),
        "d_in": config.get("d_in"),
        "d_sae": config.get("d_sae"),
    }


def main(arguments: list[str]) -> int:
    """Print the description, or in JSON why there is none."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

    release, sae_id = arguments
    try:
        found = describe_release(release, sae_id)
    except GatedRepoError:
        return _refuse("it is gated; accept its terms on the hub, and set HF_TOKEN")
    except LocalEntryNotFoundError:
        return _refuse("the hub cannot be reached from here; give the site by --site")
    except (HfHubHTTPError, OSError) as error:
        return _refuse(f"the hub does not give it: {str(error).strip().splitlines()[0]}")
    except (ValueError, KeyError, TypeError) as error:
        return _refuse(f"SAELens cannot read it: {error}")
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


def _refuse(reason: str) -> int:
    sys.stdout.write(json.dumps({"error": reason}) + "\n")
    return REFUSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
