"""The command: `python -m adapt.train`. Videos and descriptions become an adapter and numbers.

    python -m adapt.train --descriptions v2 --dataset hmdb51 --videos ~/hmdb51 --shots 16

trains by the paper's recipe for the task, evaluates, and leaves all of it in `runs/<name>`. A run
that was stopped goes on with `--resume runs/<name>`. On several GPUs:
`torchrun --nproc-per-node 8 -m adapt.train ...`.
"""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from adapt.run_folder import open_run
from adapt.train_config import TrainConfig
from adapt.train_signals import SignalWatch, Stopped
from describe.errors import UserError
from describe.terminal import run_command, say

if TYPE_CHECKING:
    from adapt.adapted import AdaptedModel
    from adapt.loader import Batch
    from adapt.train_session import Session
    from adapt.train_setup import Plan


def train(session: "Session", watch: SignalWatch) -> None:
    """Train to the last step, from wherever `session.state` stands.

    A signal ends this function between two steps, with a state that can be saved.

    Raises:
        Stopped: A signal came.
        UserError: The loss was not finite several times in a row, or too many videos are bad.
    """
    from adapt.step import accumulate_gradients
    from adapt.train_checks import all_finite, check_gradients
    from adapt.train_state import seed_step

    plan, processes, state = session.plan, session.processes, session.state
    model, optimizer, scaler = session.model, session.optimizer, session.scaler
    recipe, is_checked = plan.recipe, False
    while state.epochs_ended < recipe.epochs:
        epoch = state.epochs_ended
        # All of them, where the run was stopped between the last step and the epoch's end.
        first = state.steps - epoch * recipe.steps_per_epoch
        for batch, videos in _batches(session, epoch, first, watch):
            lr = recipe.schedule.rate(state.steps)
            for group in optimizer.param_groups:
                group["lr"] = lr
            seed_step(recipe.seed, state.steps, processes.rank)
            state.steps += 1
            if videos == 0:
                continue
            share = len(batch.labels) / videos
            result = accumulate_gradients(
                model, session.prompts, session.descriptions, *session.inputs(batch),
                session.step_config, scaler=scaler, reduce=processes.averaging(share),
            )  # fmt: skip
            if not is_checked:
                check_gradients(model)
                is_checked = True
            classification, consistency = processes.sum(
                float(result.classification) * share, float(result.consistency) * share
            )
            loss = classification + recipe.alpha * consistency
            if scaler is not None:
                scaler.unscale_(optimizer)
            gradients = [p.grad for p in model.trainable_parameters() if p.grad is not None]
            fault = "loss" if not isfinite(loss) else "" if all_finite(gradients) else "gradient"
            if not fault:
                _ = optimizer.step() if scaler is None else scaler.step(optimizer)
            overflow = scaler is not None and fault == "gradient" and scaler.get_scale() > 1
            if scaler is not None:
                scaler.update()
            optimizer.zero_grad()
            if overflow:
                session.note_overflow(epoch)
            elif fault:
                session.note_skip(epoch, fault, batch)
            else:
                losses = (loss, classification, consistency)
                session.note_step(epoch, lr, losses, videos, batch.waited_seconds)
            session.save_if_due()
        session.end_epoch(epoch, watch)


def _batches(
    session: "Session", epoch: int, first: int, watch: SignalWatch
) -> Iterator[tuple["Batch", int]]:
    """Yield the batches of an epoch from step `first` on, and the videos of all processes in each.

    A process that is alone can be stopped while it waits for one. Several have to stop at the same
    step, by a signal or by an error of one of them, and agree on it before they compute.
    """
    batches, processes = session.loader.epoch(epoch, first), session.processes
    while True:
        batch, error = None, None
        try:
            with watch.waiting() if processes.world_size == 1 else nullcontext():
                batch = next(batches, None)
        except UserError as met:
            error = met
        if batch is None and error is None:
            return
        if batch is not None:
            session.note_bad(batch.failed)
        mine = 0 if batch is None else len(batch.labels)
        bad = 0 if batch is None else len(batch.failed)
        videos, stopping, failing, found_bad = processes.sum(
            mine, watch.received is not None, error is not None, bad
        )
        if failing:
            processes.raise_together(error)
        if found_bad and processes.world_size > 1:
            session.check_bad_videos()
        if stopping:
            raise Stopped(watch.received or signal.SIGTERM)
        assert batch is not None
        yield batch, int(videos)


def run(config: TrainConfig) -> int:
    """Train and evaluate, from the start or from where a run stopped; return the exit status.

    Raises:
        UserError: The user must change something.
    """
    import torch

    from adapt.device import choose_device, with_memory
    from adapt.distributed import joined, processes_of_environment
    from adapt.train_manifest import begun
    from adapt.train_resume import prepare_resumed
    from adapt.train_setup import prepare
    from adapt.train_summary import print_plan

    processes = processes_of_environment()
    device = choose_device(config.machine.device, processes)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with joined(processes, device):
        with with_memory(device):
            make = prepare if config.resume is None else prepare_resumed
            plan = make(config, processes, device)
        if processes.is_main:
            print_plan(plan)
        if config.dry_run:
            return 0
        processes.wait()  # all have seen that the run is new
        error = None
        with ExitStack() as stack:
            try:
                if processes.is_main:
                    stack.enter_context(begun(plan))
            except UserError as met:
                error = met
            processes.raise_together(error)
            return _run(plan)


def _run(plan: "Plan") -> int:
    from adapt.train_finish import finish
    from adapt.train_manifest import note_status

    with SignalWatch(impatient=plan.processes.world_size == 1) as watch:
        try:
            note_status(plan, "training")
            model, best_epoch = _train(plan, watch)
            with watch.waiting():
                finish(plan, model, best_epoch)
        except Stopped as stopped:
            note_status(plan, "stopped")
            if plan.processes.is_main:
                again = f"python -m adapt.train --resume {plan.folder}"
                say(f"adapt.train: saved after {stopped}; go on with `{again}`")
            return stopped.exit_status
        except (UserError, KeyboardInterrupt):
            with suppress(UserError):  # a full disk, perhaps; the first error is the one to tell
                note_status(plan, "stopped")
            raise
    return 0


def _train(plan: "Plan", watch: SignalWatch) -> "tuple[AdaptedModel, int | None]":
    """Train the model, if there is anything to train; return it and the selected epoch."""
    from adapt.device import is_out_of_memory, with_memory
    from adapt.train_checks import out_of_memory
    from adapt.train_session import make_model, open_session

    with with_memory(plan.device):
        if not plan.recipe.epochs:
            return make_model(plan), None
        session = open_session(plan)
    if session.state.steps:
        session.display.note(f"on from step {session.state.steps} of {plan.recipe.num_steps}")
    try:
        train(session, watch)
    except Stopped:
        session.save()
        raise
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(out_of_memory(plan, session.model, session.prompts)) from error
    finally:
        session.close()
    return session.model, session.state.best_epoch


def read_flags(argv: Sequence[str]) -> TrainConfig:
    """Return what the command line asks for.

    With --resume, what is not given is as in that run, so that a flag that would change the run
    differs from it, whatever the flag's default is.

    Raises:
        UserError: A value is refused, or there is no run to go on with.
    """
    import tyro

    resume = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    resume.add_argument("--resume", type=Path)
    # A --resume without a folder is for tyro to tell.
    with suppress(argparse.ArgumentError):
        if path := resume.parse_known_args(argv)[0].resume:
            stored = open_run(path).config
            return tyro.cli(
                TrainConfig,
                args=argv,
                default=replace(stored, resume=path),
                prog="python -m adapt.train",
                description=__doc__,
                config=(tyro.conf.OmitArgPrefixes,),
            )
    return tyro.cli(
        TrainConfig,
        args=argv,
        prog="python -m adapt.train",
        description=__doc__,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 done, 1 the user must change something, 130 or 143 stopped by a signal.
    """
    return run_command(
        "adapt.train", lambda: read_flags(sys.argv[1:] if argv is None else argv), run
    )


if __name__ == "__main__":
    sys.exit(main())
