"""Write the dashboards, or check that those written are what the code says.

python -m deploy.grafana [--check] [--api-url URL] [--out FOLDER]
"""

import argparse
import sys
from pathlib import Path

from deploy.grafana import feature, fleet, model_line, service
from deploy.grafana.layout import API_URL

FOLDER = Path(__file__).parent / "dashboards"


def render(api_url: str = API_URL) -> dict[str, str]:
    """File name → content, of every dashboard."""
    return {
        "fleet.json": fleet.build(api_url),
        "model-line.json": model_line.build(api_url),
        "feature.json": feature.build(api_url),
        "service.json": service.build(api_url),
    }


def differences(found: dict[str, str], folder: Path) -> list[str]:
    """Names of files that are missing, stale, or no longer made."""
    there = {path.name: path.read_text() for path in folder.glob("*.json")}
    return sorted(
        name for name in found.keys() | there.keys() if found.get(name) != there.get(name)
    )


def main() -> int:
    """Run the command; 1 when a check finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m deploy.grafana", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    parser.add_argument("--api-url", default=API_URL, help="base of links into the API")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the JSON files")
    options = parser.parse_args()
    found = render(options.api_url.rstrip("/"))
    if options.check:
        if stale := differences(found, options.out):
            sys.stderr.write(f"stale in {options.out}: {', '.join(stale)}; run: make dashboards\n")
            return 1
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    for name, text in found.items():
        (options.out / name).write_text(text)
    for name in differences(found, options.out):
        (options.out / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
