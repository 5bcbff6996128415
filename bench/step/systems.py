"""The configurations that are compared, each a command that measures itself in a process of its own."""

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from . import machine

HERE = Path(__file__).parent
_KEEP_BLOCKS = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "17179869184"}
_PYTORCH = ["torchattacks-naive", "naive", "trunc", "trunc-malloc", "trunc-compile", "bf16"]
DTYPES = ("f32", "bf16", "f16")


def dtypes(segprobe: Path, command: str) -> list[str]:
    """The number formats that a command of the program offers."""
    text = subprocess.run([segprobe, command, "--help"], capture_output=True, text=True, check=True).stdout
    flag = re.search(r"--dtype\b(.*?)(?=\n\s+--|\Z)", text, re.S)
    return [dtype for dtype in DTYPES if flag and re.search(rf"\b{dtype}\b", flag[1])] or ["f32"]


@dataclass(frozen=True)
class Measured:
    """One process of one configuration; MiB, seconds."""

    step_s: list[float]
    peak_rss_mib: float  # of the steps
    loading_peak_rss_mib: float
    others: float  # cores that other processes took
    more: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Tools:
    """Where the programs are, and where files may be put."""

    segprobe: Path
    python: Path
    out: Path
    threads: int

    def dtypes(self) -> list[str]:
        return dtypes(self.segprobe, "bench")

    def names(self, size: str) -> list[str]:
        """The configurations for a model size, PyTorch's first."""
        return _PYTORCH + (["bf16-compile"] if size == "small" else []) + [f"segprobe {d}" for d in self.dtypes()]

    def gradient(self, size: str, name: str, batch: int) -> Path:
        return self.out / "gradients" / f"{size}-{batch}-{name.replace(' ', '-')}.npy"

    def measure(self, size: str, name: str, batch: int, runs: int, gradient: bool) -> Measured:
        """Runs a configuration once.

        Raises RuntimeError with the end of what it said if it failed.
        """
        checkpoint = self.out / size
        keep = self.gradient(size, name, batch) if gradient else None
        keep and keep.parent.mkdir(exist_ok=True)
        if name.startswith("segprobe "):
            return self._segprobe(checkpoint, name.split()[1], batch, runs, keep)
        return self._pytorch(checkpoint, name, batch, runs, keep)

    def exactness(self, size: str, names: list[str], batch: int) -> dict[str, list[dict]]:
        """What exact_gradient.py says of the rows of each configuration whose gradient was kept."""
        files = {self.gradient(size, name, batch).name: name for name in names}
        command = [self.python, HERE / "exact_gradient.py", self.out / size, *(self.out / "gradients" / f for f in files),
                   "--batch", batch]
        done = machine.run(command, {"OMP_NUM_THREADS": str(self.threads)})
        if done.failed:
            raise RuntimeError(done.error[-500:])
        found = {name: [] for name in names}
        for row in map(json.loads, done.output.splitlines()):
            found[files[row["file"]]].append(row)
        return found

    def segprobe_json(self, *flags) -> dict:
        """Runs `segprobe bench` with flags and answers its figures."""
        file = self.out / "bench.json"
        done = machine.run([self.segprobe, "bench", "--threads", self.threads, "--json", file, *flags], {})
        if done.failed:
            raise RuntimeError(done.error[-500:])
        return json.loads(file.read_text()) | {"others": done.others}

    def _segprobe(self, checkpoint: Path, dtype: str, batch: int, runs: int, gradient: Path | None) -> Measured:
        flags = ["--model", checkpoint, "--image", checkpoint / "image.png", "--mask", checkpoint / "mask.png",
                 "--prompt", (checkpoint / "prompt.txt").read_text().strip(), "--batch", batch, "--runs", runs, "--steps", 0]
        flags += ["--dtype", dtype] if len(self.dtypes()) > 1 else []
        flags += ["--save-gradient", gradient] if gradient else []
        found = self.segprobe_json(*flags)
        step = found["steps"][0]
        gflops = step["step_gflop"] / step["step"]["median_s"]
        more = {"gflops": gflops, "matmul_peak_gflops": found["matmul_peak_gflops"], "step_gflop": step["step_gflop"]}
        return Measured([step["step"]["median_s"]], step["peak_rss_mib"], found["loading_peak_rss_mib"], found["others"], more)

    def _pytorch(self, checkpoint: Path, name: str, batch: int, runs: int, gradient: Path | None) -> Measured:
        environment = {"OMP_NUM_THREADS": str(self.threads), "TORCHINDUCTOR_CACHE_DIR": str(self.out.resolve() / "inductor")}
        environment |= _KEEP_BLOCKS if name == "trunc-malloc" else {}
        command = [self.python, HERE / "torch_step.py", checkpoint, name, "--batch", batch, "--threads", self.threads,
                   "--runs", runs]
        done = machine.run(command + (["--gradient", gradient] if gradient else []), environment)
        if done.failed:
            raise RuntimeError(done.error[-500:])
        found = json.loads(done.output.splitlines()[-1])
        more = {key: found[key] for key in ("torch", "transformers")}
        return Measured(found["step_s"], found["peak_rss_mib"], found["loading_peak_rss_mib"], done.others, more)
