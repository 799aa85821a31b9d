"""The end of a run: the adapter is saved, the lists are evaluated, and a small table is printed."""

from contextlib import suppress

from adapt.adapted import AdaptedModel
from adapt.adapter_file import save_adapter
from adapt.checkpoint import backbone_hash
from adapt.evaluate_list import Progress, Scores, adapter_hash, evaluate_list
from adapt.evaluate_progress import Counter
from adapt.evaluate_result import Evaluated, summarise
from adapt.evaluate_stored import stored_scores
from adapt.evaluate_table import results_table
from adapt.results import Result, Selection, result_name, write_result
from adapt.run_folder import ADAPTER, RESULTS, open_run
from adapt.splits import VideoList
from adapt.train_manifest import note_status
from adapt.train_setup import Plan
from adapt.video_config import ViewConfig
from describe.errors import UserError
from describe.terminal import show


def finish(plan: Plan, model: AdaptedModel, best_epoch: int | None) -> None:
    """Save what was trained and evaluate it.

    Args:
        plan: The run.
        model: After the last step.
        best_epoch: The epoch that was selected, from 1; None: the last is evaluated.

    Raises:
        RuntimeError: The frozen backbone is not what it was: a defect of this program.
        UserError: A file cannot be written, or too many videos cannot be read.
    """
    if plan.adapter.method != "full" and backbone_hash(model.backbone) != plan.backbone_hash:
        raise RuntimeError("the frozen backbone changed during training")
    selection: Selection = "last"
    epoch = plan.recipe.epochs
    if plan.processes.is_main:
        save_adapter(model, plan.folder / ADAPTER, plan.backbone_hash)
    if best_epoch is not None:
        plan.processes.wait()  # the file is there for all of them
        model = open_run(plan.folder).load_model(str(plan.device), which="best")
        selection, epoch = plan.recipe.select, best_epoch
    described = plan.descriptions
    evaluated = Evaluated(
        run=plan.folder.name,
        epoch=epoch,
        selection=selection,
        backbone_hash=plan.backbone_hash,
        adapter_hash=adapter_hash(model),
        descriptions_fingerprint=None if described is None else described.fingerprint,
        precision=plan.recipe.precision,
        leaks=plan.task.leaks,
    )
    results = [_evaluate(plan, model, evaluated, videos) for videos in plan.task.evaluations]
    note_status(plan, "finished", epochs_done=plan.recipe.epochs, best_epoch=best_epoch)
    if plan.processes.is_main:
        show(f"\n{results_table(results)}\nin {plan.folder}")


def _evaluate(plan: Plan, model: AdaptedModel, evaluated: Evaluated, videos: VideoList) -> Result:
    views = plan.views(videos)
    is_main = plan.processes.is_main
    scores = None
    if plan.config.resume is not None:  # it may have been stopped after this list
        path = plan.folder / RESULTS / f"{result_name(videos.name, evaluated.selection)}.json"
        with suppress(UserError):  # a damaged one is written anew
            scores = stored_scores(path, videos, views, evaluated, plan.processes.show)
    plan.processes.wait()  # all have read what is stored before one of them writes
    if scores is None:
        scores = _score(plan, model, videos, views, Counter(videos.name) if is_main else None)
    result, rows = summarise(scores, videos, views, evaluated)
    if plan.processes.is_main:
        write_result(plan.folder / RESULTS, result, rows)
    return result


def evaluate_epoch(plan: Plan, model: AdaptedModel, progress: Progress | None = None) -> float:
    """Return the top-1 accuracy, in percent, that an epoch is selected by.

    On the held-out videos, or with `best-on-test` on the first evaluation list; one clip and one
    crop of each. The model is left in training mode.

    Args:
        plan: The run.
        model: As it is after the epoch.
        progress: Told how many videos of how many are done.
    """
    videos = plan.task.held_out
    if plan.recipe.select == "best-on-test" or videos is None:
        videos = plan.task.evaluations[0]
    views = ViewConfig(
        num_clips=1, num_crops=1, mean=plan.config.clip.mean, std=plan.config.clip.std
    )
    scores = _score(plan, model, videos, views, progress)
    model.train()
    unnamed = Evaluated(
        run="", epoch=0, backbone_hash="", adapter_hash="", descriptions_fingerprint=None
    )
    return summarise(scores, videos, views, unnamed)[0].top1


def _score(
    plan: Plan,
    model: AdaptedModel,
    videos: VideoList,
    views: ViewConfig,
    progress: Progress | None,
) -> Scores:
    return evaluate_list(
        model,
        videos,
        views,
        plan.config.load,
        device=str(plan.device),
        precision=plan.recipe.precision,
        rank=plan.processes.rank,
        world_size=plan.processes.world_size,
        progress=progress,
    )
