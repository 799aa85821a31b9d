"""The command: `python -m adapt.evaluate RUN`. Every video once, and honest numbers.

The results are kept in the run. What was evaluated already, with the same adapter and views, is
not evaluated again. On several processes: `torchrun --nproc-per-node 8 -m adapt.evaluate RUN`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from adapt.evaluate_config import EvaluateConfig
from adapt.evaluate_list import Scores, adapter_hash, evaluate_list
from adapt.evaluate_own import read_own_list, training_leaks
from adapt.evaluate_progress import Counter
from adapt.evaluate_result import Evaluated, Precision, summarise
from adapt.evaluate_stored import stored_scores
from adapt.evaluate_table import results_table
from adapt.results import Average, Protocol, Result, read_result, result_name, write_result
from adapt.run_folder import RESULTS, TRAINING_LISTS, Run, Which, open_run
from adapt.split_locate import missing_text
from adapt.splits import common_folder, gone_from
from describe.errors import UserError
from describe.terminal import run_command, show

if TYPE_CHECKING:
    from adapt.adapted import AdaptedModel
    from adapt.distributed import Processes
    from adapt.splits import VideoList
    from adapt.video_config import ViewConfig

__all__ = [
    "Scores",
    "adapter_hash",
    "evaluate_list",
    "evaluate_run",
    "main",
    "run_views",
    "selected_adapter",
]


def evaluate_run(config: EvaluateConfig) -> list[Result]:
    """Evaluate what `config` asks for; the results are in the run's folder afterwards.

    Raises:
        UserError: Something does not belong to the run, or a video too many cannot be read.
    """
    import torch

    from adapt.device import choose_device, with_memory
    from adapt.distributed import joined, processes_of_environment

    run = open_run(config.run)
    lists = read_lists(run, config)
    which = _which(run, config)
    processes = processes_of_environment()
    device = choose_device(config.device, processes)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    leaks = tuple(map(str, run.manifest.get("leaks", ())))
    if config.list is not None and config.videos is not None:
        leaks = training_leaks(run, lists[0], config.videos, allow=config.allow_leakage)
    with joined(processes, device):
        with with_memory(device):
            model = run.load_model(str(device), which)
        _check_model(run, model)
        identity = Evaluated(
            run=run.name,
            epoch=_epoch(run, which),
            selection=run.config.recipe.select if which == "best" else "last",
            backbone_hash=run.manifest["backbone"]["hash"],
            adapter_hash=adapter_hash(model),
            descriptions_fingerprint=(run.manifest["descriptions"] or {}).get("fingerprint"),
            precision=config.precision or run_precision(run),
            leaks=leaks,
        )
        return [_evaluate(run, config, model, identity, each, processes) for each in lists]


def read_lists(run: Run, config: EvaluateConfig) -> "list[VideoList]":
    """Return the lists to evaluate, each with videos.

    Raises:
        UserError: There is no such list, or it is not the one that the run was made with.
    """
    if config.list is not None:
        assert config.videos is not None
        return [read_own_list(run, config.list, config.videos, config.classes)]
    names = _tests(run) if config.split == "all" else [config.split]
    if not names:
        raise UserError(f"run {run.name} has no list to evaluate; give one with --list")
    lists = _find_videos(run, config, names)
    for name, videos in zip(names, lists, strict=True):
        expected = run.manifest["lists"][name]["hash"]
        if videos.hash != expected:
            raise UserError(
                f"the list {name!r} of run {run.name} is not the one it was made with "
                f"({videos.hash[:15]}, not {expected[:15]}); restore it, or give it with --list"
            )
    return lists


def _tests(run: Run) -> list[str]:
    """Return the names of a run's test lists; the first may choose the epoch."""
    return [name for name in run.list_names if name not in TRAINING_LISTS]


def _find_videos(run: Run, config: EvaluateConfig, names: Sequence[str]) -> "list[VideoList]":
    """Return a run's lists, with their videos where the user says that they are now."""
    datasets = [run.read_list(name).dataset for name in names]
    tested = run.config.data.test_datasets if config.test_videos else ()
    if len(config.test_videos) != len(tested):
        raise UserError(
            f"--test-videos names {len(config.test_videos)} folders, and run {run.name} is tested "
            f"on {len(tested)} datasets ({', '.join(tested) or 'none but its own'}); give one for "
            "each, in that order"
        )
    folders = dict(zip(tested, config.test_videos, strict=True))
    if config.videos is not None:
        moved = str(run.manifest["dataset"]) if config.split == "all" else datasets[0]
        if moved not in datasets:
            raise UserError(
                f"no list to evaluate is of {moved!r}, whose videos --videos moves; give the "
                "folders of the others with --test-videos, or one list with --split"
            )
        folders.setdefault(moved, config.videos)
    return [
        run.read_list(name, folders.get(dataset))
        for name, dataset in zip(names, datasets, strict=True)
    ]


def _which(run: Run, config: EvaluateConfig) -> Which:
    """Return which adapter to take: the one asked for, else the one the run was told to select."""
    if config.protocol == "paper" and config.which is None:
        if run.config.recipe.select != "best-on-test":
            raise UserError(
                f"the paper's protocol takes the best epoch on the test videos, and run {run.name} "
                "selected none so; train with --select best-on-test, or say --which last"
            )
    return config.which or selected_adapter(run)


def selected_adapter(run: Run) -> Which:
    """Return which adapter a run was told to evaluate."""
    return "last" if run.config.recipe.select == "last" else "best"


def _check_model(run: Run, model: "AdaptedModel") -> None:
    from dataclasses import asdict

    from adapt.checkpoint import backbone_hash

    stored = run.manifest["adapter"]["config"]
    actual = asdict(model.config)
    differing = [name for name in actual if name in stored and _plain(actual[name]) != stored[name]]
    if differing:
        name = differing[0]
        raise UserError(
            f"the adapter of run {run.name} has {name} {actual[name]}, and the run says "
            f"{stored[name]}; it is another run's file"
        )
    if model.config.method == "full":  # its backbone has been trained; load_adapter compared it
        return
    expected, found = run.manifest["backbone"]["hash"], backbone_hash(model.backbone)
    if expected != found:
        raise UserError(
            f"run {run.name} was trained on backbone {expected[:15]}, and "
            f"{run.manifest['backbone']['source']} is {found[:15]} now"
        )


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _epoch(run: Run, which: Which) -> int:
    epoch = run.manifest.get("epochs_done" if which == "last" else "best_epoch")
    if epoch is None:
        raise UserError(
            f"run {run.name} has not finished ({run.status}), so its best epoch is not known; go "
            f"on with `python -m adapt.train --resume {run.path}`"
        )
    return int(epoch)


def _evaluate(
    run: Run,
    config: EvaluateConfig,
    model: "AdaptedModel",
    identity: Evaluated,
    videos: "VideoList",
    processes: "Processes",
) -> Result:
    views = run_views(run, videos.name, config.views)
    manner = _manner(run, videos.name, views, identity.precision)
    folder = run.path / RESULTS
    # Every video's scores are kept; the paper's numbers are made from a part of them.
    base = folder / f"{result_name(videos.name, identity.selection, manner=manner)}.json"
    if config.list is not None and not config.force:
        _refuse_other_list(base, videos)

    scores = None
    if not config.force:
        scores = stored_scores(
            base, videos, views, identity, processes.show, again="; --force does"
        )
    if scores is None:
        gone = gone_from(videos)
        if len(gone) > config.load.allowed_bad_videos(len(videos)):
            text = missing_text(gone, len(videos), videos.name, common_folder(videos))
            raise UserError(f"{text}; say with --videos where they are now")
        scores = evaluate_list(
            model, videos, views, config.load, device=model.backbone.temp.device,
            precision=identity.precision, rank=processes.rank, world_size=processes.world_size,
            progress=Counter(videos.name) if processes.is_main else None,
            clips_per_pass=config.clips_per_pass,
        )  # fmt: skip
    processes.wait()  # all have read what is stored before one of them writes
    wanted: tuple[tuple[Protocol, Average], ...] = (
        ("every-video", "probability"),
        ("every-video", config.average),
        (config.protocol, config.average),
    )
    for protocol, average in dict.fromkeys(wanted):
        result, rows = summarise(
            scores, videos, views, identity, protocol=protocol, average=average,
            manner=manner if average == "probability" else (*manner, average),
        )  # fmt: skip
        if processes.is_main:
            write_result(folder, result, rows)
    processes.wait()
    return result


def _manner(run: Run, list_name: str, views: "ViewConfig", precision: Precision) -> tuple[str, ...]:
    """Say in which views and precision an evaluation is unlike the run's own."""
    own = run_views(run, list_name, None)
    parts = [] if views == own else [f"{views.num_clips}x{views.num_crops}"]
    return (*parts, *([] if precision == run_precision(run) else [precision]))


def run_precision(run: Run) -> Precision:
    """Return what a run was trained and evaluated in."""
    return run.config.machine.precision


def _refuse_other_list(path: Path, videos: "VideoList") -> None:
    """Refuse to let a list of a person's own take the place of another of the same name.

    Raises:
        UserError: There is a result of another.
    """
    if path.is_file() and read_result(path).list_hash != videos.hash:
        raise UserError(
            f"{path} is of another list; give the file of this one a name of its own, or --force "
            "to write over it"
        )


def run_views(run: Run, list_name: str, views: str | None) -> "ViewConfig":
    """Return the clips and crops of a list: those asked for, else the run's.

    Raises:
        UserError: `views` is not written as clips x crops.
    """
    from adapt.train_config import parse_views
    from adapt.video_config import ViewConfig

    if views is not None:
        clips, crops = parse_views(views)
    else:
        by_list: dict[str, dict[str, int]] = run.manifest["views"]
        stored = by_list.get(list_name) or next(iter(by_list.values()), {})
        clips, crops = stored.get("num_clips", 4), stored.get("num_crops", 3)
    clip = run.config.clip
    return ViewConfig(num_clips=clips, num_crops=crops, mean=clip.mean, std=clip.std)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 done, 1 the user must change something, 130 interrupted.
    """
    import tyro

    return run_command(
        "adapt.evaluate",
        lambda: tyro.cli(
            EvaluateConfig, args=argv, prog="python -m adapt.evaluate", description=__doc__,
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
        ),
        _run,
        if_interrupted="finished lists are kept",
    )  # fmt: skip


def _run(config: EvaluateConfig) -> int:
    """Evaluate and print; return the exit status."""
    results = evaluate_run(config)
    if _is_main():
        show(results_table(results, chosen_on=next(iter(_tests(open_run(config.run))), None)))
    return 0


def _is_main() -> bool:
    from adapt.distributed import processes_of_environment

    return processes_of_environment().is_main


if __name__ == "__main__":
    sys.exit(main())
