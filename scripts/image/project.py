"""Where things are, and what the program says of itself in its sources."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
TOOLS = ROOT / "out/image"

# Whom the service runs as, and where it keeps its data.
USER = 10001
DATA = "/var/lib/segprobe"


def version() -> str:
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]


def settings() -> set[str]:
    """The variables that the program takes for settings. It refuses others that look like them."""
    keys = re.findall(r'about\(\s*"([a-z_0-9]+\.[a-z_0-9]+)"', (ROOT / "src/config/settings.rs").read_text())
    if len(keys) < 20:
        raise SystemExit("error: src/config/settings.rs lists its settings in another way now: change project.py")
    return {f"SEGPROBE_{key.replace('.', '__').upper()}" for key in keys} | {"SEGPROBE_MODELS"}


def unknown_settings(names: list[str]) -> list[str]:
    """Those of some variables that the program would refuse."""
    like_settings = [name for name in names if name.startswith("SEGPROBE_") and ("__" in name or name == "SEGPROBE_MODELS")]
    return [name for name in like_settings if name not in settings()]


def metrics() -> set[str]:
    """The series that /metrics has."""
    source = (ROOT / "src/telemetry/names.rs").read_text()
    names = dict(re.findall(r'pub const ([A-Z_]+): &str = "(segprobe_[a-z_]+)";', source))
    histograms = set(re.findall(r"describe_histogram!\(([A-Z_]+)", source))
    if not names or not histograms:
        raise SystemExit("error: src/telemetry/names.rs lists its metrics in another way now: change project.py")
    series = {metric for name, metric in names.items() if name not in histograms}
    return series | {f"{names[name]}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
