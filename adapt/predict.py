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
from adapt.evaluate_list import stream_scores
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
    """In plain English."""

    class_name: str
    """The official name, as lists and folders have it."""

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


def predict(config: PredictConfig) -> Iterator[Prediction]:
    """Name the actions in each video, as they are found; files that are not there come first.

    Raises:
        UserError: There is no such run, or no video at all.
    """
    run = open_run(config.run)
    paths = list(dict.fromkeys(path for each in config.videos for path in find_videos(each)))
    if not paths:
        given = ", ".join(map(str, config.videos))
        raise UserError(f"no video in {given}; known endings: {', '.join(sorted(VIDEO_SUFFIXES))}")
    if run.status != "finished":
        say(f"adapt.predict: run {run.name} has not finished ({run.status}); it may get better")
    there = []
    for path in paths:
        if path.exists():
            there.append(path)
        else:
            yield Prediction(path=path, error="no such file")
    if there:
        yield from _score(run, config, there)


def find_videos(path: Path) -> Iterator[Path]:
    """Yield `path` itself, or, if it is a folder, the videos below it, by name."""
    if not path.is_dir():
        yield path
        return
    for each in sorted(path.rglob("*")):
        if each.suffix.casefold() in VIDEO_SUFFIXES and each.is_file():
            yield each


def _score(run: Run, config: PredictConfig, paths: Sequence[Path]) -> Iterator[Prediction]:
    from adapt.device import choose_device, with_memory
    from adapt.distributed import Processes
    from adapt.loader import BadVideo, ViewLoader

    device = choose_device(config.device, Processes())
    with with_memory(device):
        model = run.load_model(str(device), config.which or selected_adapter(run))
    names = config.class_names or run.readable_names
    classes = names if config.class_names else run.class_names
    load = replace(config.load, max_bad_videos=len(paths) + 1)  # each is reported, none stops it
    sizes = model.backbone.config
    with ViewLoader(
        unlabelled(paths, names), run_views(run, "", config.views), load,
        num_frames=sizes.num_frames, image_size=sizes.image_size,
    ) as loader:  # fmt: skip
        for each in stream_scores(model, loader, names, device=device, precision=config.precision):
            if isinstance(each, BadVideo):
                yield Prediction(path=paths[each.index], error=each.reason)
                continue
            index, cosines, probabilities = each
            order = sorted(range(len(names)), key=lambda label: -probabilities[label])
            yield Prediction(
                path=paths[index],
                actions=tuple(
                    Action(
                        name=names[label], class_name=classes[label],
                        probability=float(probabilities[label]), cosine=float(cosines[label]),
                    )
                    for label in order[: config.top]
                ),
            )  # fmt: skip


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
                    {
                        "name": a.name,
                        "class": a.class_name,
                        "probability": a.probability,
                        "cosine": a.cosine,
                    }
                    for a in each.actions
                ],
            }
            for each in predictions
        ],
    }


def as_text(prediction: Prediction) -> str:
    """Return a prediction for a reader."""
    lines = [f"  {100 * a.probability:5.1f}%  {printable(a.name)}" for a in prediction.actions]
    return "\n".join([printable(str(prediction.path)), *lines])


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
    """Predict, and print each video as it is done; return 1 where one could not be read.

    JSON is printed at the end, or of what is done when it is interrupted.
    """
    found: list[Prediction] = []
    try:
        for each in predict(config):
            found.append(each)
            if each.error:
                say(f"adapt.predict: left out {printable(str(each.path))}: {printable(each.error)}")
            elif not config.json:
                show(as_text(each), flush=True)
    finally:
        if config.json and found:
            show(json.dumps(as_json(config.run, found), indent=1), flush=True)
    return 1 if any(each.error for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
