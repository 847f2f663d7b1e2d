"""GPU, driver, memory, dtype: asked of torch in a process of its own, where it is installed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from app.cli.doctor.finding import Finding, first_line
from app.settings import Settings

_PATIENCE = 120
_PROBE = """
import json, torch
found = {"torch": torch.__version__, "built_for": torch.version.cuda, "devices": [], "error": None}
try:
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(number)
            with torch.cuda.device(number):
                torch.ones(8, device="cuda").sum().item()
                wide = torch.cuda.is_bf16_supported()
            name = torch.cuda.get_device_name(number)
            found["devices"].append(
                {"name": name, "free": free, "total": total, "bfloat16": bool(wide)}
            )
        found["driver"] = torch._C._cuda_getDriverVersion()
except Exception as error:
    found["error"] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""


def check_gpu(settings: Settings | None) -> Iterator[Finding]:
    """What torch can compute on, and whether the settings ask for something else."""
    if find_spec("torch") is None:
        yield Finding("gpu", "ok", "torch is not installed: this is no worker's machine")
        return
    try:
        # A process of its own: a driver that crashes or hangs takes only the probe with it.
        done = subprocess.run(  # noqa: S603 - our own interpreter and text
            [sys.executable, "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        found = json.loads(done.stdout.strip().splitlines()[-1])
    except (subprocess.TimeoutExpired, OSError) as error:
        yield Finding("gpu", "fail", f"torch does not answer: {first_line(error)}", _REINSTALL)
        return
    except (ValueError, IndexError):
        last = done.stderr.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
        yield Finding("gpu", "fail", f"torch cannot be used: {last[0][:300]}", _REINSTALL)
        return
    yield judge_gpu(found, settings)


_REINSTALL = "reinstall featuredrift[worker], and see that `nvidia-smi` works where there is a GPU"


def judge_gpu(found: dict[str, Any], settings: Settings | None) -> Finding:
    """The finding for what the probe has printed."""
    device = settings.device if settings else "auto"
    dtype = settings.dtype if settings else "float32"
    torch = f"torch {found['torch']} (built for CUDA {found['built_for'] or 'none'})"
    if found["error"]:
        return Finding("gpu", "fail", f"{torch}: {found['error']}", _REINSTALL)
    if not found["devices"]:
        seen = f"{torch} sees no GPU; captures run on the CPU in {dtype}"
        if device == "cuda":
            return Finding(
                "gpu",
                "fail",
                f"{torch} sees no GPU, and FEATUREDRIFT_DEVICE is cuda",
                "install a CUDA build of torch and the driver, or set FEATUREDRIFT_DEVICE=auto",
            )
        if dtype == "float16":
            advice = "use float32 or bfloat16 on a CPU"
            return Finding("gpu", "warn", seen, advice)
        return Finding("gpu", "ok", seen)
    shown = ", ".join(
        f"{one['name']} ({one['free'] / 2**30:.1f} of {one['total'] / 2**30:.1f} GiB free)"
        for one in found["devices"]
    )
    driver = found.get("driver") or 0
    seen = f"{torch}, driver for CUDA {driver // 1000}.{driver % 1000 // 10}: {shown}"
    if device == "cpu":
        return Finding("gpu", "warn", f"{seen}; unused", "set FEATUREDRIFT_DEVICE=auto to use it")
    if dtype == "bfloat16" and not all(one["bfloat16"] for one in found["devices"]):
        advice = "set FEATUREDRIFT_DTYPE to float32 or float16: this GPU has no bfloat16"
        return Finding("gpu", "fail", seen, advice)
    if any(one["free"] < 0.2 * one["total"] for one in found["devices"]):
        return Finding("gpu", "warn", seen, "see by `nvidia-smi` who else uses its memory")
    return Finding("gpu", "ok", f"{seen}; captures in {dtype}")
