"""The command: `python -m adapt.predict RUN VIDEO...`. The actions in a person's own videos.

A video that cannot be read is named and left out; the exit status is then 1.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adapt.evaluate import run_views, selected_adapter
from adapt.evaluate_list import evaluate_list
from adapt.evaluate_progress import Counter
from adapt.predict_config import PredictConfig
from adapt.run_folder import Run, open_run
from adapt.splits import VIDEO_SUFFIXES, Video, VideoList
from describe.classes import ActionClass
from describe.errors import UserError
from describe.escape import printable
from describe.terminal import run_command, say, show


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One action a video may show."""

    name: str
    probability: float
    """Among the classes to choose from: softmax of cosine over 0.01, the mean over views."""

    cosine: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What a video shows, or why it could not be read."""

    path: Path
    actions: tuple[Action, ...] = ()
    """The likeliest first."""

    error: str = ""


def predict(config: PredictConfig) -> list[Prediction]:
    """Name the actions in each video, in the order given.

    Raises:
        UserError: There is no such run, or no video at all.
    """
    run = open_run(config.run)
    paths = list(dict.fromkeys(path for each in config.videos for path in find_videos(each)))
    if not paths:
        given = ", ".join(map(str, config.videos))
        raise UserError(f"no video in {given}; known endings: {', '.join(sorted(VIDEO_SUFFIXES))}")
    there = [path for path in paths if path.exists()]
    found = _score(run, config, there) if there else {}
    return [found.get(path) or Prediction(path=path, error="no such file") for path in paths]


def find_videos(path: Path) -> Iterator[Path]:
    """Yield `path` itself, or, if it is a folder, the videos below it, by name."""
    if not path.is_dir():
        yield path
        return
    for each in sorted(path.rglob("*")):
        if each.suffix.casefold() in VIDEO_SUFFIXES and each.is_file():
            yield each


def _score(run: Run, config: PredictConfig, paths: Sequence[Path]) -> dict[Path, Prediction]:
    from adapt.device import choose_device, with_memory
    from adapt.distributed import Processes

    device = choose_device(config.device, Processes())
    with with_memory(device):
        model = run.load_model(str(device), config.which or selected_adapter(run))
    names = config.class_names or run.readable_names
    videos = unlabelled(paths, names)
    views = run_views(run, "", config.views)
    load = replace(config.load, max_bad_videos=len(paths) + 1)  # each is reported, none stops it
    progress = Counter("predict") if sys.stderr.isatty() else None
    scores = evaluate_list(
        model, videos, views, load, device=device, precision=config.precision, progress=progress
    )
    found = {
        paths[index]: Prediction(path=paths[index], error=reason) for index, reason in scores.failed
    }
    for row, index in enumerate(scores.indices.tolist()):
        cosines, probabilities = scores.cosines[row].tolist(), scores.probabilities[row].tolist()
        order = sorted(range(len(names)), key=lambda label: -probabilities[label])
        actions = tuple(
            Action(name=names[label], probability=probabilities[label], cosine=cosines[label])
            for label in order[: config.top]
        )
        found[paths[index]] = Prediction(path=paths[index], actions=actions)
    return found


def unlabelled(paths: Sequence[Path], names: Sequence[str]) -> VideoList:
    """Return a list of videos whose classes nobody knows, to be told apart among `names`."""
    classes = tuple(
        ActionClass(class_id=label, name=name, readable=name) for label, name in enumerate(names)
    )
    # A list wants a class for each video. Nothing here ever reads it.
    videos = tuple(Video(name=str(path), path=path, class_name=names[0]) for path in paths)
    return VideoList(name="predict", dataset="own", classes=classes, videos=videos)


def as_json(run: Path, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Return the predictions as JSON data."""
    return {
        "run": str(run),
        "videos": [
            {
                "path": str(each.path),
                "error": each.error or None,
                "actions": [
                    {"name": a.name, "probability": a.probability, "cosine": a.cosine}
                    for a in each.actions
                ],
            }
            for each in predictions
        ],
    }


def as_text(predictions: Sequence[Prediction]) -> str:
    """Return the predictions for a reader; unreadable videos are left to the error output."""
    lines = []
    for each in predictions:
        if each.error:
            continue
        lines.append(printable(str(each.path)))
        lines += [f"  {100 * a.probability:5.1f}%  {printable(a.name)}" for a in each.actions]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 done, 1 the user must change something or a video could not be read, 130 interrupted.
    """
    import tyro

    return run_command(
        "adapt.predict",
        lambda: tyro.cli(
            PredictConfig, args=argv, prog="python -m adapt.predict", description=__doc__,
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
        ),
        run,
    )  # fmt: skip


def run(config: PredictConfig) -> int:
    """Predict and print; return 1 where a video could not be read."""
    predictions = predict(config)
    text = (
        json.dumps(as_json(config.run, predictions), indent=1)
        if config.json
        else as_text(predictions)
    )
    if text:
        show(text, flush=True)
    failed = [each for each in predictions if each.error]
    for each in failed:
        line = f"{printable(str(each.path))}: {printable(each.error)}"
        say(f"adapt.predict: left out {line}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
