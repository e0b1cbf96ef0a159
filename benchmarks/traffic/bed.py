"""The bed: a cluster with its data path in a network namespace, Atoll on it, and load through its router."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2e.world import World

from atoll.api.manifests import load_manifests
from atoll.local.binaries import Binaries
from atoll.local.controlplane import ControlPlane, Profile
from atoll.local.datapath import DataPath
from atoll.local.kwok import Pace
from atoll.local.namespace import ADVERTISE_ADDRESS
from atoll.local.offerings import offerings_of
from atoll.local.processes import tied_to_this_process
from benchmarks.traffic.request import Outcome

FLEET = Path(__file__).parent / "fleet"
ROOT = Path(__file__).resolve().parents[2]
POD_CIDR = Profile().pod_cidr

SHARE = 0.75
"""Of the demand that is sent: what the plan promises is what engines can do just so."""

EXTRA = "extra"
"""A demand that comes and goes."""

TRACES = {"phi-4": "conv", "gpt-oss-20b": "code", EXTRA: "conv"}
"""Kind of trace by served name."""

_NEVER = 100_000
"""Seconds: KWOK ends pods at their grace period only; before, stand-ins do, which know when they have finished."""

PACE = Pace(pod_start_seconds=2.5, pod_stop_seconds=_NEVER, node_start_seconds=1)


class LoadProcess:
    """The load generator's process."""

    def __init__(self, kubeconfig: Path, folder: Path, traces: Mapping[str, str]) -> None:
        self.doors = folder / "doors"
        self._out = folder / "outcomes.jsonl"
        words = [f"{name}={kind}" for name, kind in traces.items()]
        self._process = subprocess.Popen(  # noqa: S603  # our own module
            [
                *tied_to_this_process(),
                *(sys.executable, "-m", "benchmarks.traffic.load"),
                *("--kubeconfig", str(kubeconfig), "--out", str(self._out), "--doors", str(self.doors), *words),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for us; what was sent is still answered
        )

    def rates(self, rates: Mapping[str, float]) -> None:
        """Set requests/s by served name, others pause; returns once the generator does so."""
        self._say({"rates": dict(rates)})
        self.counts()

    def counts(self) -> dict[str, int]:
        """How many requests were sent, have ended, have failed."""
        self._say({"count": True})
        if self._process.stdout is None:
            raise RuntimeError("the load generator's output was closed")
        counted: dict[str, int] = json.loads(self._process.stdout.readline())
        return counted

    def finish(self, within: float | None = None) -> list[Outcome]:
        """What came of all requests, by the time they were sent.

        Args:
            within: seconds for which answers are waited for, what has none by then being left out; None: all are.
        """
        self._say({"stop": True, "within": within})
        self._process.wait()
        if self._process.returncode:
            raise RuntimeError(f"the load generator ended with status {self._process.returncode}")
        with self._out.open(encoding="ascii") as lines:
            return [Outcome(**json.loads(line)) for line in lines]

    def end(self) -> None:
        """End it, finished or not."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _say(self, content: Mapping[str, Any]) -> None:
        if self._process.stdin is None:
            raise RuntimeError("the load generator's input was closed")
        self._process.stdin.write(json.dumps(content) + "\n")
        self._process.stdin.flush()


class Bed:
    """What moves, losses and measurements work on."""

    def __init__(self, world: World, path: DataPath, load: LoadProcess, speed: float, folder: Path) -> None:
        """Of a bed whose parts run.

        Args:
            world: the cluster, as its users see it.
            path: its data path.
            load: that sends.
            speed: simulated seconds per second.
            folder: for what its parts write.
        """
        self.world = world
        self.path = path
        self.load = load
        self.speed = speed
        self.folder = folder

    def send(self, **share: float) -> None:
        """Send of every demand so much as it promises to serve, times a share of its own where one is given."""
        rates = {
            obj["spec"]["model"]["servedName"]: SHARE
            * self.speed
            * share.get(obj["metadata"]["name"].replace("-", "_"), 1.0)
            * obj["spec"]["demand"]["requestsPerSecond"]
            for obj in self.world.demands()
        }
        self.load.rates(rates)


@contextmanager
def bed(
    binaries: Binaries,
    coredns: Path,
    state: Path,
    *,
    speed: float,
    delivery_delay: float,
    patience: float = 1.5,
    folder: Path = FLEET,
) -> Iterator[Bed]:
    """A bed on which Atoll serves the folder's manifests; nothing is sent yet."""
    profile = Profile(
        offerings=offerings_of(load_manifests([folder]).pools), pace=PACE, advertise_address=ADVERTISE_ADDRESS
    )
    with ControlPlane(binaries=binaries, state_directory=state / "cluster") as plane:
        plane.start(profile)
        path = DataPath(
            plane,
            coredns=coredns,
            speed=speed,
            chunk_tokens=8,
            delivery_delay=delivery_delay,
            environment={"ATOLL_IDENTITY": "traffic-1"},
        )
        with path:
            world = World(plane, path, folder)
            world.patience = patience
            path.install()
            path.start_router()
            path.start_operator()
            world.restore()
            world.settle()
            load = LoadProcess(plane.kubeconfig, state, TRACES)
            try:
                yield Bed(world, path, load, speed, state)
            finally:
                load.end()
                world.close()
