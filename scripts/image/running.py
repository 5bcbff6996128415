"""Runs the image as a container, as an orchestrator would that trusts it little, and uses the service in it."""

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .build import STORE, config
from .monitoring import SHOWN
from .project import DATA, ROOT, USER, metrics

_PODMAN = ["podman", *STORE, "--cgroup-manager", "cgroupfs", "--events-backend", "file"]
_NAME = "segprobe-check"
_GRACE_SECONDS = 5
# The container has a network of its own with nothing but its loopback, which the checks enter. Its health check is run
# here and not by systemd. Limits are low enough for every machine to set.
_RESTRICTED = [
    *("--network", "none", "--cgroups", "disabled", "--no-healthcheck"),
    *("--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges"),
    *("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"),
    *("--env", f"SEGPROBE_SERVER__SHUTDOWN_GRACE_SECONDS={_GRACE_SECONDS}"),
]
# What a runtime mounts for every container, and that a user without rights can write to.
_USUAL = {"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys/fs/cgroup"}
_SLOW = {"prompt": "lungs", "attack": {"method": "pgd", "steps": 1000}, "budget": {"norm": "linf", "epsilon": {"value": 8, "unit": "pixel255"}}}


def complaints(image: str) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        container = Container(image, Path(folder))
        try:
            if not container.serves():
                return [f"it does not get ready:\n{container.log()}"]
            wrong = [*_process(container), *_health(container, config(image)), *_readme(container), *_metrics(container), *_writes(container)]
            return [*wrong, *_end(container)]
        finally:
            _podman("rm", "--force", "--volumes", "--time", "0", _NAME)


class Container:
    """The service in a container."""

    def __init__(self, image: str, folder: Path):
        self.folder = folder
        _podman("create", "--replace", "--name", _NAME, *_RESTRICTED, image)
        _podman("init", _NAME)
        # what is newer was written by the program
        self.marker = folder / "marker"
        self.marker.touch()
        _podman("start", _NAME)
        self.process = int(_podman("inspect", "--format", "{{.State.Pid}}", _NAME))

    def serves(self) -> bool:
        """Waits until it is ready."""
        for _ in range(600):
            if self.inside("curl", "-sf", "http://127.0.0.1:8080/readyz").returncode == 0:
                return True
            time.sleep(0.1)
        return False

    def inside(self, *command: str | Path) -> subprocess.CompletedProcess:
        """A program of this machine, in the container's network. curl shows the API key, once there is one."""
        words = ["nsenter", f"--net=/proc/{self.process}/ns/net", "env", f"CURL_HOME={self.folder}", *command]
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)

    def attack(self, path: str) -> dict:
        return json.loads(self.inside("curl", "-sS", f"http://127.0.0.1:8080{path}").stdout)

    def execute(self, *command: str) -> subprocess.CompletedProcess:
        """A program of the container, in it."""
        return subprocess.run([*_PODMAN, "exec", _NAME, *command], capture_output=True, text=True, check=False)

    def key(self, scope: str) -> str:
        """A new API key, made as the service's operator makes one."""
        made = self.execute("segprobe", "keys", "create", "--caller", "image-check", "--scope", scope)
        if made.returncode != 0:
            raise SystemExit(f"error: no key can be made in the container: {made.stderr}")
        return made.stdout.strip()

    def log(self) -> str:
        done = subprocess.run([*_PODMAN, "logs", _NAME], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def root(self) -> Path:
        return Path(f"/proc/{self.process}/root")


def _podman(*command: str) -> str:
    done = subprocess.run([*_PODMAN, *command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"error: podman {' '.join(command)}\n{done.stderr}")
    return done.stdout.strip()


def _process(container: Container) -> Iterator[str]:
    """As whom it runs, and where it could write."""
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{container.process}/status").read_text().splitlines() if ":\t" in line)
    for name, expected in {"Uid": USER, "Gid": USER}.items():
        if set(status[name].split()) != {str(expected)}:
            yield f"{name} is {status[name]}"
    if status["NSpid"].split()[-1] != "1" or int(status["CapEff"], 16):
        yield f"it is process {status['NSpid'].split()[-1]} of the container, with capabilities {status['CapEff']}"
    writable = set()
    for line in Path(f"/proc/{container.process}/mountinfo").read_text().splitlines():
        place, options = line.split()[4:6]
        if "rw" in options.split(","):
            writable.add(place)
    if writable - _USUAL != {DATA, "/tmp"}:
        yield f"it could write to {sorted(writable - _USUAL)}"


def _health(container: Container, found: dict) -> Iterator[str]:
    """The image's own health check, and whether it can fail."""
    kind, *command = (found.get("HealthCheck") or found.get("Healthcheck"))["Test"]
    done = container.execute(*command)
    if kind != "CMD" or done.returncode != 0:
        yield f"the health check {command} ends with {done.returncode}: {done.stderr.strip()}"
    if container.execute(*command, "--url", "http://127.0.0.1:9/healthz").returncode != 1:
        yield "the health check finds a server where there is none"


def _readme(container: Container) -> Iterator[str]:
    """The README's request, word for word, with a key that the image made."""
    request = re.search(r"^```sh\n(curl -s http://127\.0\.0\.1:8080/attacks .*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)[1]
    refused = json.loads(container.inside("bash", "-c", request).stdout)
    if refused.get("status") != 401:
        yield f"without a key it answers {refused}"
    (container.folder / ".curlrc").write_text(f'header = "Authorization: Bearer {container.key("runner")}"\n')
    answer = json.loads(container.inside("bash", "-c", request).stdout)
    if answer.get("state") != "succeeded" or not answer["scores"]["adversarial_dsc"] < answer["scores"]["clean_dsc"]:
        yield f"the README's request gives {json.dumps(answer)[:400]}"
    else:
        print(f"README's request: DSC {answer['scores']['clean_dsc']:.3f} to {answer['scores']['adversarial_dsc']:.3f}")


def _metrics(container: Container) -> Iterator[str]:
    """What the dashboard shows, as Prometheus gets it once an attack has run."""
    # -q: without the key of the others, which may do more
    request = ["curl", "-q", "-sS", "-H", f"Authorization: Bearer {container.key('reader')}", "http://127.0.0.1:8080/metrics"]
    served = set(re.findall(r"^(segprobe_\w+)", container.inside(*request).stdout, re.MULTILINE))
    yield from (f"/metrics has no {name}" for name in sorted(SHOWN - served))
    yield from (f"/metrics has {name}, which the sources do not name" for name in sorted(served - metrics()))


def _writes(container: Container) -> Iterator[str]:
    """What was written, by the time a whole attack has run."""
    root = container.root()
    find = ["find", f"{root}/", "-xdev", "(", "-path", f"{root}{DATA}", "-o", "-path", f"{root}/tmp", ")", "-prune", "-o", "-newer", container.marker, "-print"]
    for path in subprocess.check_output(find, text=True).splitlines():
        yield f"{path.removeprefix(str(root))} was written"
    yield from (f"{path} was written" for place in ("dev/shm", "dev/mqueue") for path in (root / place).iterdir())
    kept = list((root / DATA.lstrip("/")).iterdir())
    strangers = {path.name for path in kept} - {"artifacts", "audit.jsonl", "segprobe.lock", *(f"segprobe.sqlite{end}" for end in ("", "-shm", "-wal"))}
    if strangers or not {"artifacts", "audit.jsonl", "segprobe.sqlite"} <= {path.name for path in kept}:
        yield f"{DATA} holds {sorted(path.name for path in kept)}"
    yield from (f"{path.name} belongs to {path.stat().st_uid}" for path in kept if path.stat().st_uid != USER)


def _end(container: Container) -> Iterator[str]:
    """SIGTERM while an attack runs that would take much longer than it is given."""
    form = ["-F", "image=@samples/images/lungs.png", "-F", f"spec={json.dumps(_SLOW)}"]
    job = json.loads(container.inside("curl", "-sS", "http://127.0.0.1:8080/attacks", *form).stdout)
    if "id" not in job:
        yield f"no attack begins: {job}"
        return
    for _ in range(200):
        if container.attack(f"/attacks/{job['id']}")["progress"]["step"] > 0:
            break
        time.sleep(0.1)
    began = time.monotonic()
    _podman("stop", "--time", "60", _NAME)
    took = time.monotonic() - began
    status = _podman("inspect", "--format", "{{.State.ExitCode}}", _NAME)
    print(f"SIGTERM during an attack: ended with {status} after {took:.1f} s of {_GRACE_SECONDS} and 10 more")
    if status != "0" or took > _GRACE_SECONDS + 10:
        yield f"it ends with {status} after {took:.1f} s:\n{container.log()}"
    lines = [line for line in container.log().splitlines() if not line.startswith("listening on ")]
    if not any('"outcome":"handed_back"' in line for line in lines):
        yield "the attack that ran was not handed back"
    yield from (f"a line of the log is not JSON: {line}" for line in lines if not line.startswith("{"))
