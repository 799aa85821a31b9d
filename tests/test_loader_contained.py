"""Decoders that hang or crash, and processes that are killed: from outside, with real ones."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from video_lists import hang, wait_until_opened, write_list

from adapt.loader import TrainLoader, ViewLoader
from adapt.loader_pool import Pool
from adapt.video_config import ClipConfig, LoadConfig, ViewConfig
from describe.errors import UserError

ROOT = Path(__file__).parent.parent
SIZES = {"num_frames": 4, "image_size": 32}
LONG_S = 60.0


def workers_of(pid: int | None = None) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(pid).children()
        if "adapt.loader_worker" in " ".join(child.cmdline())
    ]


def test_a_video_that_hangs_is_left_out_and_its_worker_replaced(tmp_path):  # failure 31
    videos = write_list(tmp_path, 6)
    hang(videos.videos[3])
    file = tmp_path / "bad.jsonl"
    load = LoadConfig(workers=1, video_timeout=8, max_bad_videos=1)
    options = SIZES | {"batch_size": 2, "seed": 0, "quarantine": file}
    with TrainLoader(videos, ClipConfig(), load, **options) as loader:
        batches = list(loader.epoch(0))
        (failed,) = [bad for batch in batches for bad in batch.failed]
        assert (failed.index, failed.reason) == (3, "took longer than 8 s")
        assert sorted(i for batch in batches for i in batch.indices.tolist()) == [0, 1, 2, 4, 5]
        assert len(workers_of()) == 1
    assert workers_of() == []
    assert json.loads(file.read_text())["name"] == "03.avi"
    # Another run waits for it no more: no limit of time, and no worker that could be hung.
    with TrainLoader(videos, ClipConfig(), LoadConfig(workers=0), **options) as again:
        assert sum(len(batch.indices) for batch in again.epoch(0)) == 5


@pytest.mark.parametrize(
    ("number", "name"),
    [(signal.SIGSEGV, "SIGSEGV"), (signal.SIGRTMIN + 3, f"signal {signal.SIGRTMIN + 3}")],
)
def test_a_decoder_that_crashes_is_replaced(tmp_path, number, name):  # failure 31
    videos = write_list(tmp_path, 4)
    hang(videos.videos[1])  # it waits there, in the decoder, to be hit
    load = LoadConfig(workers=1, video_timeout=LONG_S, max_bad_videos=1)
    with ViewLoader(videos, ViewConfig(num_clips=1, num_crops=1), load, **SIZES) as loader:
        found = iter(loader)
        assert next(found).index == 0
        (worker,) = workers_of()
        assert "torch" not in Path(f"/proc/{worker.pid}/maps").read_text()
        writer = wait_until_opened(videos.videos[1])
        worker.send_signal(number)
        bad = next(found)
        os.close(writer)
        assert (bad.index, bad.reason) == (1, f"the decoder crashed ({name})")
        assert [each.index for each in found] == [2, 3]


def test_more_crashes_than_allowed_stop_the_run_with_the_list(tmp_path):  # failure 31
    videos = write_list(tmp_path, 3)
    hang(videos.videos[1])
    load = LoadConfig(workers=1, video_timeout=LONG_S, max_bad_videos=0)
    with ViewLoader(videos, ViewConfig(num_clips=1), load, **SIZES) as loader:
        found = iter(loader)
        next(found)
        writer = wait_until_opened(videos.videos[1])
        workers_of()[0].kill()
        with pytest.raises(UserError, match=r"01\.avi \(the decoder crashed \(SIGKILL\)\)$"):
            next(found)
        os.close(writer)


def test_a_worker_that_dies_between_two_videos_costs_none(tmp_path):
    videos = write_list(tmp_path, 4)
    load = LoadConfig(workers=1, max_bad_videos=0)
    with ViewLoader(videos, ViewConfig(num_clips=1), load, **SIZES) as loader:
        assert len(list(loader)) == 4
        (worker,) = workers_of()
        worker.kill()
        psutil.wait_procs([worker], timeout=LONG_S)
        assert len(list(loader)) == 4


def test_a_worker_that_cannot_start_says_why(monkeypatch, tmp_path):
    videos = write_list(tmp_path, 1)
    broken = tmp_path / "broken"
    (broken / "adapt").mkdir(parents=True)
    (broken / "adapt" / "__init__.py").write_text("raise ImportError('half an installation')")
    monkeypatch.syspath_prepend(str(broken))
    with (
        ViewLoader(videos, ViewConfig(), LoadConfig(workers=1), **SIZES) as loader,
        pytest.raises(
            UserError,
            match=r"does not start \(the decoder ended with status 1: ImportError: half an instal",
        ),
    ):
        next(iter(loader))


UNABLE = """
import os, resource, sys
from pathlib import Path
from adapt.loader_job import Source, ViewJob
from adapt.loader_pool import Pool
from adapt.video_config import LoadConfig
from describe.errors import UserError

class Odd(ViewJob):
    def __reduce__(self):
        raise RuntimeError("cannot be sent")

source = Source(
    key="a", path=Path("a"), start_seconds=None, end_seconds=None, decoder="auto"
)
kind, spare, frame_cache = sys.argv[1:]
job = {"odd": Odd, "plain": ViewJob}[kind](
    source=source, num_frames=4, image_size=32, num_clips=1, num_crops=1
)
pool = Pool(LoadConfig(workers=2, frame_cache=float(frame_cache)))
if spare != "all":
    most = len(os.listdir("/proc/self/fd")) - 1 + int(spare)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
for _ in range(2):  # and whoever asks again
    try:
        print(next(pool.run([job, job, job], ahead=3)), flush=True)
    except UserError as error:
        print(error, flush=True)
pool.close()
print("closed", flush=True)
"""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("plain", 0, 0), "cannot start a decoding process: "),  # no temporary file
        (("plain", 2, 0), "cannot start a decoding process: Too many open files; try --workers 0"),
        (("odd", "all", 0), "ended by the error above, a fault of the program; try --workers 0"),
        (("odd", "all", 1), "ended by the error above, a fault of the program; try --workers 0"),
    ],
)
def test_whatever_ends_a_workers_thread_reaches_the_run(given, said):
    command = [sys.executable, "-c", UNABLE, *map(str, given)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=LONG_S, check=True
    )
    first, second, last = done.stdout.splitlines()
    assert said in first
    assert said in second
    assert last == "closed"
    assert ("RuntimeError: cannot be sent" in done.stderr) == (given[0] == "odd")


SCRIPT = """
import sys
from pathlib import Path
from adapt.loader_job import Source, ViewJob
from adapt.loader_pool import Pool
from adapt.video_config import LoadConfig

def job(path):
    source = Source(key=path, path=Path(path), start_seconds=None, end_seconds=None, decoder="auto")
    return ViewJob(source=source, num_frames=4, image_size=32, num_clips=1, num_crops=1)

pool = Pool(LoadConfig(workers=2))
try:
    for outcome in pool.run(map(job, sys.argv[1:]), ahead=4):
        print(len(outcome), flush=True)
except KeyboardInterrupt:
    print("stopped", flush=True)
finally:
    pool.close()
"""


@pytest.fixture
def run_that_waits(tmp_path):
    """A process with two workers, one of which is stuck in its decoder."""
    videos = write_list(tmp_path, 2).videos
    hang(videos[1])
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *(str(video.path) for video in videos)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    assert process.stdout.readline() == "1\n"
    workers = workers_of(process.pid)
    assert len(workers) == 2
    yield process, workers
    for each in [process, *workers]:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    process.communicate()


def test_workers_die_with_a_run_that_is_killed(run_that_waits):
    process, workers = run_that_waits
    process.send_signal(signal.SIGKILL)
    assert psutil.wait_procs(workers, timeout=LONG_S)[1] == []


def test_ctrl_c_is_quiet(run_that_waits):
    process, workers = run_that_waits
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=LONG_S) == ("stopped\n", "")
    assert process.returncode == 0
    assert psutil.wait_procs(workers, timeout=LONG_S)[1] == []


def test_a_pool_can_be_closed_while_it_is_busy(tmp_path):
    videos = write_list(tmp_path, 1).videos
    hang(videos[0])
    pool = Pool(LoadConfig(workers=2, video_timeout=LONG_S))
    pool.close()
    pool.close()
    assert workers_of() == []
