"""Two API processes and three workers share jobs; workers are killed, the database is restarted, and all jobs are counted."""

import argparse
import hashlib
import json
import random
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .load import Load
from .page import write
from .processes import Process
from .servers import S3, Postgres, wait

IMAGE, MASK = Path("samples/images/lungs.png"), Path("samples/masks/lungs.png")
QUICK = {"prompt": "lungs", "attack": {"method": "fgsm"},
         "budget": {"norm": "linf", "epsilon": {"value": 4, "unit": "pixel255"}}}
LONG = QUICK | {"attack": {"method": "pgd", "steps": 1000}}


def main():
    parser = argparse.ArgumentParser(prog="replicas", description=__doc__)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=60, help="short attacks that are submitted in turn to both API processes")
    parser.add_argument("--kills", type=int, default=4, help="workers that are killed meanwhile")
    parser.add_argument("--restarts", type=int, default=2, help="restarts of the database meanwhile")
    parser.add_argument("--measured", type=int, default=0, metavar="JOBS",
                        help="first time this many with one worker process and with three, undisturbed")
    parser.add_argument("--speed", type=Path, help="lines of JSON that the test operations_a_second printed")
    parser.add_argument("--page", type=Path, help="a page whose figures are replaced; needs --measured and --speed")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if asked.page and not (asked.measured and asked.speed):
        parser.error("--page needs --measured and --speed")
    folder = Path(tempfile.mkdtemp(prefix="segprobe-replicas-"))
    folder.chmod(0o755)
    scene = None
    try:
        scene = Scene(folder, asked)
        figures = scene.play()
        print(json.dumps(figures, indent=1))
        if asked.page:
            write(asked.page, figures, asked.speed)
    except BaseException:
        for log in sorted(folder.glob("*.log")):
            print(f"== {log.name}\n{log.read_text(errors='replace')[-3000:]}", file=sys.stderr)
        raise
    finally:
        if scene:
            scene.end()
        shutil.rmtree(folder, ignore_errors=True)


def must(condition, why: str):
    if not condition:
        sys.exit(f"error: {why}")


class Scene:
    def __init__(self, folder: Path, asked):
        self.asked, self.random = asked, random.Random(asked.seed)
        self.postgres, self.s3, self.processes = None, None, []
        self.postgres, self.s3 = Postgres(folder / "postgres"), S3(folder)
        shared = (self.postgres, self.s3)
        start = lambda role, name: self.processes.append(Process(asked.program, role, name, folder, shared))
        for role, name in [("api", "api-1"), ("api", "api-2"), *(("worker", f"worker-{i}") for i in (1, 2, 3))]:
            start(role, name)
        self.apis, self.workers = self.processes[:2], self.processes[2:]
        for process in self.processes:
            process.wait_until_ready()

    def end(self):
        for process in self.processes:
            process.kill()
        for server in (self.s3, self.postgres):
            if server:
                server.stop()

    def play(self) -> dict:
        wait("the workers' model", lambda: self.apis[0].get("/models").json()["items"] or None)
        wait("the workers' model", lambda: self.apis[1].get("/models").json()["items"] or None)
        self.segment()
        self.cancel_across_processes()
        undisturbed = self.compare() if self.asked.measured else {}
        began = time.monotonic()
        with ThreadPoolExecutor(1) as beside:
            disturbed = beside.submit(self.disturb)
            names = [self.submit(i) for i in range(self.asked.jobs)]
            jobs = self.ended(names)
            disturbed.result()
        seconds = time.monotonic() - began
        self.check(jobs)
        self.drain()
        attempts = [job["attempt"] for job in jobs]
        return {"jobs": len(jobs), "seconds": round(seconds, 1), "kills": self.asked.kills,
                "database_restarts": self.asked.restarts, "jobs_begun_more_than_once": sum(a > 1 for a in attempts),
                "most_attempts": max(attempts)} | undisturbed

    def compare(self) -> dict:
        """The same jobs with one worker process and with three on the same cores, and what they ask of the servers."""
        for worker in self.workers[1:]:
            worker.terminate(patience_seconds=60)
        alone, _ = self.timed(2 * 10**6)
        for worker in self.workers[1:]:
            worker.start()
        before = Load(self.postgres, self.s3)
        three, jobs = self.timed(3 * 10**6)
        time.sleep(2)  # the database writes its statistics down once a second
        load = Load(self.postgres, self.s3).since(before)
        files = self.apis[0].get(f"/attacks/{jobs[0]['id']}/artifacts").json()["items"]
        return {"measured_jobs": self.asked.measured, "one_worker_seconds": round(alone, 1),
                "three_workers_seconds": round(three, 1), "files_of_a_job": len(files),
                "bytes_of_a_job": sum(file["bytes"] for file in files),
                "of_a_job": {name: round(count / len(jobs), 4) for name, count in load.items()}}

    def timed(self, first: int) -> tuple[float, list[dict]]:
        began = time.monotonic()
        jobs = self.ended([self.submit(first + i) for i in range(self.asked.measured)])
        return time.monotonic() - began, jobs

    def ended(self, names: list[str]) -> list[dict]:
        """Waits until all jobs have ended; each is asked about until then and no longer."""
        jobs = {}
        def rest():
            for i, name in enumerate(names):
                if name not in jobs:
                    answer = self.apis[i % 2].get(f"/attacks/{name}")
                    if answer.status != 200 or answer.json()["state"] in ("queued", "running"):
                        time.sleep(0.3)
                        return None
                    jobs[name] = answer.json()
            return [jobs[name] for name in names]
        return wait("the last job", rest, 60 + 5 * len(names))

    def segment(self):
        """A process without models passes the question on."""
        answer = self.apis[0].post("/segmentations", {"image": IMAGE}, {"prompt": "lungs"})
        must(answer.status == 200 and answer.json()["area_px"] > 0, f"a segmentation was answered {answer}")

    def submit(self, i: int, spec=QUICK) -> str:
        """Tries until it is accepted; the key keeps a request whose answer was lost from making two jobs."""
        api, key = self.apis[i % 2], f"job-{i}"
        def accepted():
            answer = api.post("/attacks", {"image": IMAGE, "mask": MASK}, spec, {"Idempotency-Key": key})
            must(answer.status < 500 or answer.status == 503, f"a submission was answered {answer}")
            return answer.json()["id"] if answer.status in (200, 202) else None
        return wait("a submission", accepted)

    def cancel_across_processes(self):
        """One process takes the job, another one's worker runs it, a third one is asked to stop it."""
        name = self.submit(-1, LONG)
        state = lambda api: api.get(f"/attacks/{name}").json()
        wait("a job that runs", lambda: True if state(self.apis[0]).get("progress", {}).get("step", 0) > 1 else None)
        began = time.monotonic()
        answer = self.apis[1].post(f"/attacks/{name}/cancel")
        must(answer.status in (200, 202), f"the wish to cancel was answered {answer}")
        wait("the end of a cancelled job", lambda: True if state(self.apis[0])["state"] == "cancelled" else None)
        must(time.monotonic() - began < 10, "a cancelled job went on for more than ten seconds")
        events = self.apis[1].get(f"/attacks/{name}/events")
        must(events.status == 200 and b"cancelled" in events.body and b"progress" in events.body, f"events: {events}")

    def disturb(self):
        """Kills workers and restarts the database between them, while there is work to do."""
        acts = ["kill"] * self.asked.kills + ["restart"] * self.asked.restarts
        self.random.shuffle(acts)
        for act in acts:
            # spread over the time that the jobs take on two cores
            time.sleep(self.random.uniform(0.5, 1.5) * max(1, 0.25 * self.asked.jobs / len(acts)))
            if act == "restart":
                self.postgres.restart()
                continue
            worker = self.random.choice(self.workers)
            worker.kill()
            worker.start(wait=False)

    def check(self, jobs: list[dict]):
        """Each job has one result, the same in all, and its files are whole whichever process is asked."""
        for job in jobs:
            must(job["state"] == "succeeded", f"{job['id']} {job['state']}: {job.get('failure')}")
        must(len({job["id"] for job in jobs}) == self.asked.jobs, "two requests made one job")
        sums = set()
        for i, job in enumerate(jobs):
            picture = self.apis[(i + 1) % 2].get(f"/attacks/{job['id']}/artifacts/adversarial.png")
            must(picture.status == 200, f"a file was answered {picture.status}")
            sums.add(hashlib.sha256(picture.body).hexdigest())
        must(len(sums) == 1, f"the same request gave {len(sums)} different files")

    def drain(self):
        """A worker that is asked to end hands its job back with its state, and another one goes on with it."""
        name = self.submit(10**6, LONG | {"attack": {"method": "pgd", "steps": 200}})
        job = lambda: self.apis[0].get(f"/attacks/{name}").json()
        wait("a job that runs", lambda: True if job().get("progress", {}).get("step", 0) > 1 else None)
        for worker in self.workers:
            worker.terminate(patience_seconds=60)
            if job()["state"] == "queued" or job()["attempt"] > 1:
                break
            worker.start()
        wait("a job that was handed over", lambda: True if job()["state"] == "succeeded" else None, 120)
        must(any("goes on from its checkpoint" in worker.log.read_text() for worker in self.workers if worker.alive()),
             "a job that was handed over began anew")


if __name__ == "__main__":
    main()
