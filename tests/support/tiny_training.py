"""A small world to train in: videos of three actions, a tiny backbone, descriptions, and runs."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from tiny_viclip import tiny_backbone

from adapt.checkpoint import save_backbone
from adapt.train import main
from adapt.weight_files import read_weights
from describe.dataset import Description, write_version

ROOT = Path(__file__).parent.parent.parent
WAIT_S = 120.0

# A bright square: it stays, moves to the right, moves down. None of the names says left or right.
ACTIONS = {"stand still": (0, 0), "move along": (3, 0), "fall down": (0, 3)}
SIZE = 32
NUM_FRAMES = 8


def write_video(path: Path, action: str, seed: int) -> None:
    """Write 8 frames of 32 x 32 pixels."""
    random = np.random.default_rng([seed, *action.encode()])
    along, down = ACTIONS[action]
    x, y = random.integers(0, 6, 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for time in range(NUM_FRAMES):
            frame = random.integers(0, 60, (SIZE, SIZE, 3)).astype(np.uint8)
            left, top = x + along * time, y + down * time
            frame[top : top + 8, left : left + 8] = 230
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


@dataclass(frozen=True, kw_only=True)
class World:
    """Where everything is."""

    folder: Path

    @property
    def videos(self) -> Path:
        return self.folder / "videos"

    @property
    def backbone(self) -> Path:
        return self.folder / "backbone.safetensors"

    @property
    def descriptions(self) -> Path:
        return self.folder / "sets"

    def run(self, name: str) -> Path:
        return self.folder / "runs" / name

    def flags(self, *args: object, name: str = "one") -> list[str]:
        """Return the flags of a run that trains for two epochs of three steps."""
        given = [
            "--dataset", "tiny", "--videos", self.videos, "--backbone", self.backbone,
            "--shots", 4, "--batch-size", 4, "--epochs", 2, "--views", "1x1", "--workers", 0,
            "--dim", 8, "--scale", 0.1, "--lr", 0.01, "--runs", self.folder / "runs",
            "--name", name, "--device", "cpu",
        ]  # fmt: skip
        if "--descriptions" not in args:
            given += ["--descriptions", self.descriptions]
        return [str(each) for each in [*given, *args]]

    def weights(self, name: str) -> dict[str, torch.Tensor]:
        """Return what a run trained."""
        return read_weights(self.run(name) / "adapter.safetensors").state

    def metrics(self, name: str, event: str) -> list[dict]:
        """Return the lines of one kind, without what depends on the clock."""
        lines = (self.run(name) / "metrics.jsonl").read_text().splitlines()
        found = [json.loads(line) for line in lines]
        timed = ("videos_per_s", "wait_share")
        kept = [{k: v for k, v in each.items() if k not in timed} for each in found]
        return [each for each in kept if each["event"] == event]


def make_world(folder: Path, train: int = 4, test: int = 2) -> World:
    """Write videos, a backbone and descriptions."""
    world = World(folder=folder)
    for action in ACTIONS:
        for part, count, first in (("train", train, 0), ("test", test, 100)):
            for index in range(count):
                name = f"{action.replace(' ', '_')}_{part}_{index}.mp4"
                write_video(world.videos / part / action / name, action, first + index)
    save_backbone(tiny_backbone(), world.backbone)
    write_descriptions(world.descriptions, list(ACTIONS))
    return world


def write_descriptions(root: Path, names: Sequence[str], dataset: str = "tiny") -> None:
    """Write a set with two sentences of each kind for each class."""
    rows = [
        Description(
            class_id=label, class_name=name, readable_name=name, group="", kind=kind, step=step,
            text=f"{kind} sentence number {step} says {name}.", num_tokens=10,
        )
        for label, name in enumerate(names)
        for kind in ("spatial", "temporal")
        for step in range(2)
    ]  # fmt: skip
    write_version(root, rows, [], {"dataset": dataset})


class Process:
    """`python -m adapt.train` in a process of its own.

    Most of what a run this small costs is importing torch; so it is a fork of the tests' process,
    with its own pid, signals, environment and output, unless it must start as a user starts it.
    """

    def __init__(
        self, *args: object, folder: Path, fresh: bool = False, **environment: object
    ) -> None:
        argv = list(map(str, args))
        self._out, self._err = (folder / f"{name}.txt" for name in ("out", "err"))
        given = {name: str(value) for name, value in environment.items()}
        if fresh:
            self.pid = subprocess.Popen(
                [sys.executable, "-m", "adapt.train", *argv],
                stdin=subprocess.DEVNULL,
                stdout=self._out.open("wb"),
                stderr=self._err.open("wb"),
                cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1", **given},
            ).pid
        else:
            self.pid = os.fork()
            if self.pid == 0:
                self._become(argv, given)
        self._ended = os.pidfd_open(self.pid)

    def _become(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        status = 70  # what nothing else here returns
        try:
            for number, path in ((1, self._out), (2, self._err)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            sys.stdout, sys.stderr = open(1, "w", buffering=1), open(2, "w", buffering=1)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.environ.update(environment)
            status = main(argv)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def until_step(self, metrics: Path, step: int) -> None:
        """Wait until metrics.jsonl says that a step is done."""
        while not select.select([self._ended], [], [], 0.01)[0]:
            if metrics.exists() and f'"step": {step},' in metrics.read_text():
                return
        raise AssertionError(f"it ended before step {step}: {self._err.read_text()}")

    def end(self, number: int | None = None) -> tuple[int, str, str]:
        """Send a signal, if one is given; return status, output and errors."""
        if number is not None:
            os.kill(self.pid, number)
        assert select.select([self._ended], [], [], WAIT_S)[0], "it does not end"
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self._ended)
        return status, self._out.read_text(), self._err.read_text()


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
