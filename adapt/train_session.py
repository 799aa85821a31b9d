"""What the training loop works with: model, data, optimizer, and where its numbers go."""

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from time import monotonic

import torch
from torch import Tensor

from adapt.adapted import AdaptedModel, ClassPrompts, Prefix
from adapt.adapter_file import save_adapter
from adapt.distributed import Processes
from adapt.loader import BadVideo, Batch, TrainLoader
from adapt.prefix_cache import PrefixCache
from adapt.run_folder import BAD_VIDEOS, BEST_ADAPTER, CHECKPOINT, METRICS
from adapt.splits import Video
from adapt.step import StepConfig
from adapt.text import tokenize_classes
from adapt.train_finish import evaluate_epoch
from adapt.train_log import MetricsLog
from adapt.train_manifest import note_status
from adapt.train_progress import Display, Rates, StepReport, make_display
from adapt.train_setup import Plan
from adapt.train_signals import SignalWatch
from adapt.train_state import Progress, load_checkpoint, save_checkpoint
from describe.errors import UserError
from describe.escape import printable

# Names of a batch that an error shows.
MOST_NAMES = 8


@dataclass(kw_only=True)
class Session:
    """One process's part in a run, between its start and its end."""

    plan: Plan
    model: AdaptedModel
    prompts: ClassPrompts
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None
    loader: TrainLoader
    cache: PrefixCache | None
    log: MetricsLog
    display: Display
    state: Progress
    rates: Rates = field(default_factory=Rates)
    _ended_at: float = field(default_factory=monotonic)
    _saved_at: float = field(default_factory=monotonic)

    @property
    def processes(self) -> Processes:
        """This process among all."""
        return self.plan.processes

    @property
    def descriptions(self) -> Sequence[Tensor]:
        """One (K, D) for each kind of description; none: no consistency loss."""
        return () if self.plan.constraint is None else self.plan.constraint.tensors

    @property
    def step_config(self) -> StepConfig:
        """How a step is computed."""
        recipe = self.plan.recipe
        return StepConfig(
            alpha=recipe.alpha,
            consistency=recipe.consistency,
            temperature=recipe.temperature,
            accumulate=self.plan.config.machine.accumulate,
            precision=recipe.precision,
        )

    def inputs(self, batch: Batch) -> tuple[Tensor | Prefix, Tensor]:
        """Return a batch on the device: pixels, or what the frozen blocks made of them; labels.

        A process whose videos were all unreadable takes one black clip, of weight 0: it must take
        part in the average with as many gradients as the others.
        """
        device = self.plan.device
        if not len(batch.labels):
            _, frames, height, width, colours = batch.frames.shape
            black = torch.zeros((1, frames, colours, height, width), device=device)
            return black, torch.zeros(1, dtype=torch.int64, device=device)
        labels = batch.labels.to(device)
        if self.cache is None:
            return batch.pixels(device), labels
        videos = self.plan.task.train.videos
        keys = [clip_key(self.plan, videos[index]) for index in batch.indices.tolist()]
        return self.cache.fetch(keys, partial(_pixels, batch)), labels

    def note_bad(self, failed: Sequence[BadVideo]) -> None:
        """Say which videos could not be read."""
        for bad in failed:
            self.display.note(f"left out {printable(bad.name)}: {printable(bad.reason)}")

    def check_bad_videos(self) -> None:
        """Count the videos that any process could not read; the same in all of them.

        Raises:
            UserError: There are more than allowed.
        """
        error = None
        try:
            self.loader.check_bad_videos()
        except UserError as met:
            error = met
        self.processes.raise_together(error)

    def note_step(
        self, epoch: int, lr: float, losses: tuple[float, float, float], videos: int, waited: float
    ) -> None:
        """Count a step that moved the weights; log and show it."""
        now = monotonic()
        loss, classification, consistency = losses
        report = StepReport(
            step=self.state.steps,
            epoch=epoch + 1,
            loss=loss,
            classification=classification,
            consistency=consistency,
            lr=lr,
            videos=videos,
            seconds=now - self._ended_at,
            waited=waited,
        )
        self._ended_at = now
        self.state.bad_in_row = 0
        self.state.epoch_steps += 1
        self.state.epoch_classification += classification
        self.state.epoch_consistency += consistency
        self.rates.add(report)
        self.log.write(
            "step",
            report.step,
            epoch=report.epoch,
            loss=loss,
            classification=classification,
            consistency=consistency,
            lr=lr,
            videos=videos,
            videos_per_s=round(self.rates.videos_per_s, 4),
            wait_share=round(self.rates.wait_share, 4),
        )
        self.display.step(report, self.rates)

    def note_skip(self, epoch: int, why: str, batch: Batch) -> None:
        """Count a step that moved nothing because a number was not finite.

        Raises:
            UserError: There were too many in a row; the videos of this one are named.
        """
        videos = self.plan.task.train.videos
        mine = [videos[index].name for index in batch.indices.tolist()]
        names = [name for part in self.processes.gather(mine) for name in part]
        self.state.skipped += 1
        self.state.bad_in_row += 1
        self.log.write("skip", self.state.steps, epoch=epoch + 1, why=why, videos=names)
        self.display.note(f"step {self.state.steps} skipped: the {why} is not finite")
        if self.state.bad_in_row >= self.plan.config.machine.max_bad_steps:
            shown = ", ".join(map(printable, names[:MOST_NAMES]))
            more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
            raise UserError(
                f"the {why} was not finite in {self.state.bad_in_row} steps in a row; the last "
                f"had {shown}{more}; try a lower --lr"
            )

    def note_overflow(self, epoch: int) -> None:
        """Log a step that moved nothing because fp16's loss scale was too high, and was halved."""
        self.log.write("overflow", self.state.steps, epoch=epoch + 1)

    def end_epoch(self, epoch: int, watch: SignalWatch) -> None:
        """Log the means of an epoch, see whether it is the best where one is selected, and save.

        Raises:
            Stopped: A signal came while the epoch was looked at; nothing has changed then.
        """
        state = self.state
        top1 = None
        if self.plan.recipe.select != "last":
            self.save()  # what follows may take long
            top1 = self._look(epoch, watch)
        means = dict.fromkeys(("loss", "classification", "consistency"))  # of no step: none
        if state.epoch_steps:
            classification = state.epoch_classification / state.epoch_steps
            consistency = state.epoch_consistency / state.epoch_steps
            loss = classification + self.plan.recipe.alpha * consistency
            means = {"loss": loss, "classification": classification, "consistency": consistency}
        self.log.write("epoch", state.steps, epoch=epoch + 1, **means, skipped=state.skipped)
        state.epoch_steps, state.epoch_classification, state.epoch_consistency = 0, 0.0, 0.0
        if top1 is not None:
            self._select(epoch, top1)
        state.epochs_ended = epoch + 1
        self.save()
        note_status(self.plan, "training", epochs_done=epoch + 1)

    def _look(self, epoch: int, watch: SignalWatch) -> float:
        """Return the accuracy that this epoch is selected by.

        Raises:
            Stopped: A signal came. Of several processes each has to finish its part first.
        """
        is_alone = self.processes.world_size == 1
        with watch.waiting() if is_alone else nullcontext():
            return evaluate_epoch(
                self.plan, self.model, lambda done, total: self.display.looking(epoch, done, total)
            )

    def _select(self, epoch: int, top1: float) -> None:
        """Keep the adapter of this epoch if it is the best so far; the earlier wins a tie."""
        plan, state = self.plan, self.state
        self.log.write("evaluation", state.steps, epoch=epoch + 1, on=plan.recipe.select, top1=top1)
        self.display.note(f"epoch {epoch + 1}: top-1 {top1:.2f}% ({plan.recipe.select})")
        self._ended_at = monotonic()
        if top1 > state.best_top1:
            state.best_epoch, state.best_top1 = epoch + 1, top1
            if self.processes.is_main:
                save_adapter(self.model, plan.folder / BEST_ADAPTER, plan.backbone_hash)

    def save(self) -> None:
        """Write a checkpoint; the first process does it for all."""
        self._saved_at = monotonic()
        if not self.processes.is_main:
            return
        self.state.log_bytes = self.log.sync()
        self.state.scaler = {} if self.scaler is None else self.scaler.state_dict()
        path = self.plan.folder / CHECKPOINT
        save_checkpoint(path, self.model, self.optimizer, self.state)

    def save_if_due(self) -> None:
        """Write a checkpoint if the last one is old."""
        if monotonic() - self._saved_at > 60 * self.plan.config.machine.checkpoint_minutes:
            self.save()

    def close(self) -> None:
        """Stop the workers, leave the terminal as it was, close files."""
        self.loader.close()
        self.display.close()
        self.log.close()


def _pixels(batch: Batch, places: Sequence[int]) -> Tensor:
    """Return (b, T, 3, S, S): the pixels of some videos of a batch.

    Raises:
        UserError: One was not decoded, because the prefix cache had it as the epoch began.
    """
    rows = {place: row for row, place in enumerate(batch.decoded)}
    if not rows.keys() >= set(places):
        raise UserError("what --prefix-cache kept of a video has gone; go on with --resume")
    return batch.normalise(batch.frames[[rows[place] for place in places]])


def _is_kept(plan: Plan, cache: PrefixCache, video: Video) -> bool:
    try:
        return cache.holds(clip_key(plan, video))
    except OSError:  # the video has gone since the run began: for the loader to find and name
        return False


def clip_key(plan: Plan, video: Video) -> str:
    """Name a clip for the prefix cache: the file as it is now, and what is made of it."""
    stat = os.stat(video.path)
    clip = plan.config.clip
    parts = (video.path.resolve(), stat.st_size, stat.st_mtime_ns, video.start_seconds,
             video.end_seconds, clip.mean, clip.std, plan.config.load.decoder)  # fmt: skip
    return repr(parts)


def open_session(plan: Plan) -> Session:
    """Make a session at the start of a run, or where its checkpoint stands.

    Raises:
        UserError: The checkpoint is damaged, or a file cannot be written.
    """
    machine, recipe, processes = plan.config.machine, plan.recipe, plan.processes
    model = make_model(plan)
    optimizer = torch.optim.AdamW(
        model.trainable_parameters(), betas=recipe.betas, weight_decay=recipe.weight_decay
    )
    scaler = torch.amp.GradScaler(plan.device.type) if recipe.precision == "fp16" else None
    state = Progress()
    checkpoint = plan.folder / CHECKPOINT
    if checkpoint.exists():
        state = load_checkpoint(checkpoint, model, optimizer)
        if scaler is not None:
            scaler.load_state_dict(state.scaler)
    log = MetricsLog(plan.folder / METRICS if processes.is_main else None, state.log_bytes)
    if machine.tensorboard:
        log.open_tensorboard(plan.folder / "tensorboard", state.steps)
    sizes = plan.backbone.config
    prompts = tokenize_classes(plan.task.train.readable_names, context_length=sizes.context_length)
    cache = None if machine.prefix_cache is None else PrefixCache(machine.prefix_cache, model)
    loader = TrainLoader(
        plan.task.train,
        plan.config.clip,
        plan.config.load,
        num_frames=sizes.num_frames,
        image_size=sizes.image_size,
        batch_size=recipe.batch_size // processes.world_size,
        seed=recipe.seed,
        rank=processes.rank,
        world_size=processes.world_size,
        quarantine=plan.folder / BAD_VIDEOS,
        is_kept=None if cache is None else partial(_is_kept, plan, cache),
    )
    return Session(
        plan=plan,
        model=model,
        prompts=model.prepare_prompts(prompts.ids),
        optimizer=optimizer,
        scaler=scaler,
        loader=loader,
        cache=cache,
        log=log,
        display=make_display(
            recipe.num_steps, recipe.epochs, state.steps, is_main=processes.is_main
        ),
        state=state,
    )


def make_model(plan: Plan) -> AdaptedModel:
    """Make the adapter with its first values: the same in every process."""
    torch.manual_seed(plan.recipe.seed)
    model = AdaptedModel(plan.backbone, plan.adapter).to(plan.device).train()
    model.recompute_blocks = plan.config.machine.recompute
    if plan.config.machine.compile:
        model.compile_blocks()
    return model
