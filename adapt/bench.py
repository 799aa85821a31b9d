"""The command: `python -m adapt.bench`. Ratios in one run, with equal outputs.

A training step against the published recipe done plainly and against full fine-tuning, inference
against the frozen backbone, peak memory, and the temporal convolution by kernel. Weights are
random: the time of a step does not depend on them.
"""

import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from adapt.adapter_config import RECIPES, AdapterConfig
from adapt.backbone import VICLIP_B16, VICLIP_L14, ViCLIPConfig
from adapt.bench_arms import (
    Inputs,
    PlainStep,
    Shape,
    Step,
    compare,
    make_inputs,
    make_model,
    sections,
    without_adapter,
)
from adapt.bench_clock import Times, interleave, peak_bytes, timed
from adapt.temporal_conv import TemporalKernel, temporal_conv
from describe.classes import load_classes, subset
from describe.errors import UserError

Part = Literal["k400", "ssv2", "full", "memory", "inference", "conv"]

TINY = ViCLIPConfig(
    image_size=32, vision_width=64, vision_layers=3, vision_heads=4, embed_dim=32, num_frames=4,
    text_width=32, text_layers=3, text_heads=2,
)  # fmt: skip
BACKBONES = {"b16": VICLIP_B16, "l14": VICLIP_L14, "tiny": TINY}


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """What is measured."""

    parts: tuple[Part, ...] = ("k400", "ssv2", "full", "memory", "inference", "conv")
    """k400: 200 base classes, 2 descriptions of each kind; ssv2: 174 classes, 8 of each."""

    recipe: Literal["few-shot", "base-to-novel", "zero-shot", "supervised"] = "few-shot"
    """The paper's recipe whose blocks and dim are used."""

    backbone: Literal["b16", "l14", "tiny"] = "b16"
    """Sizes of the backbone."""

    batch: int = 4
    """Videos a step."""

    rounds: int = 2
    """Times that every arm runs, in turn; the best counts."""

    device: str = "cpu"
    """A torch device, such as cpu or cuda."""

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        for name in ("batch", "rounds"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} is {getattr(self, name)}; it must be at least 1")
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise UserError(f"--device {self.device}: this torch sees no CUDA device")

    @property
    def sizes(self) -> ViCLIPConfig:
        """The backbone's sizes."""
        return BACKBONES[self.backbone]

    @property
    def adapter(self) -> AdapterConfig:
        """The recipe's adapter, on as many blocks as the backbone has."""
        adapter = RECIPES[self.recipe]
        if self.backbone != "tiny":
            return adapter
        start = 1 if adapter.start_block == 1 else 2
        return replace(adapter, dim=16, start_block=start, end_block=3)


def shape_of(part: Part, batch: int) -> Shape:
    """Return the classes and descriptions of a part."""
    if part == "ssv2":
        classes = load_classes("ssv2")
        return Shape(class_names=_readable(classes.classes), num_descriptions=8, batch=batch)
    classes = subset(load_classes("k400"), "base")
    return Shape(class_names=_readable(classes.classes), num_descriptions=2, batch=batch)


def _readable(classes: Sequence[object]) -> list[str]:
    return [str(getattr(action, "readable")) for action in classes]  # noqa: B009


def bench_step(config: BenchConfig, part: Part) -> None:
    """Time a training step: plain, this package's, and with cached video prefixes."""
    device = torch.device(config.device)
    inputs = make_inputs(shape_of(part, config.batch), config.sizes, device)
    make = partial(make_model, config.sizes, config.adapter, device)
    reference = PlainStep(make(), inputs)
    step = Step(make(), inputs)
    cached = Step(make(), inputs, cache_videos=True, descriptions=step.descriptions)
    arms = {"this package": step, "and cached video prefixes": cached}
    for name, arm in arms.items():
        equal = compare(reference, arm)
        say(f"  {name}: loss apart {equal.loss:.1e}, gradients {equal.gradient:.1e} (relative)")
    times = interleave({"plain recipe": reference, **arms}, config.rounds, device)
    table(times, "plain recipe", config.batch)
    breakdown(step, device)


def breakdown(step: Step, device: torch.device) -> None:
    """Print where the milliseconds of one step go."""

    def clock(name: str, piece: Callable[[], Tensor]) -> Tensor:
        held: list[Tensor] = []
        seconds, _ = timed(lambda: held.append(piece()), device)
        say(f"    {name:<38} {seconds * 1e3:9.1f} ms")
        return held[0]

    say("  where one step of this package goes:")
    sections(step, clock)


def bench_full(config: BenchConfig) -> None:
    """Time a training step against full fine-tuning of the same backbone."""
    device = torch.device(config.device)
    inputs = make_inputs(shape_of("k400", config.batch), config.sizes, device)
    full = replace(config.adapter, method="full")
    arms: dict[str, Callable[[], None]] = {
        "full fine-tuning, plain": PlainStep(make_model(config.sizes, full, device), inputs),
        "full fine-tuning, packed prompts": Step(make_model(config.sizes, full, device), inputs),
        "this package": Step(make_model(config.sizes, config.adapter, device), inputs),
    }
    table(interleave(arms, config.rounds, device), "full fine-tuning, plain", config.batch)
    paper_row("baseline", 0.45, None, 1.0)
    paper_row("MSTA", 0.51, None, 0.51 / 0.45)


def bench_memory(config: BenchConfig) -> None:
    """Measure the peak memory of two steps, each arm alone."""
    device = torch.device(config.device)
    base = 0
    for name in ("full fine-tuning, plain", "plain recipe", "this package"):
        peak = peak_bytes(partial(prepare_arm, config, name), device)
        base = base or peak
        say(f"  {name:<38} {peak / 2**30:9.2f} GiB {peak / base:8.2f}x")


def prepare_arm(config: BenchConfig, name: str) -> Callable[[], None]:
    """Make one arm on the k400 shape, from nothing: for a process of its own."""
    device = torch.device(config.device)
    inputs = make_inputs(shape_of("k400", config.batch), config.sizes, device)
    adapter = replace(config.adapter, method="full") if "full" in name else config.adapter
    model = make_model(config.sizes, adapter, device)
    return Step(model, inputs) if name == "this package" else PlainStep(model, inputs)


def bench_inference(config: BenchConfig) -> None:
    """Time encoding of videos against the frozen backbone."""
    device = torch.device(config.device)
    inputs = make_inputs(shape_of("k400", config.batch), config.sizes, device)
    adapted = make_model(config.sizes, config.adapter, device).eval()
    frozen = without_adapter(adapted)
    arms = {
        "frozen backbone": lambda: _encode(frozen, inputs),
        "adapted": lambda: _encode(adapted, inputs),
    }
    # A few per cent are to be told apart, so every arm runs more often.
    table(interleave(arms, 3 * config.rounds, device), "frozen backbone", config.batch)
    paper_row("baseline", None, 69.3, 1.0)
    paper_row("MSTA", None, 65.7, 65.7 / 69.3)


@torch.inference_mode()
def _encode(model: torch.nn.Module, inputs: Inputs) -> Tensor:
    embedding: Tensor = model.encode_video(inputs.video)  # type: ignore[operator]
    return embedding


def bench_conv(config: BenchConfig) -> None:
    """Time the temporal convolution of one block, forward and backward, by kernel."""
    device, sizes = torch.device(config.device), config.sizes
    shape = (config.batch, sizes.grid_size**2, sizes.num_frames, config.adapter.dim)
    h = torch.rand(shape, device=device, requires_grad=True)
    weight = torch.randn(sizes.vision_width, 1, 3, 1, 1, device=device, requires_grad=True)
    bias = torch.zeros(sizes.vision_width, device=device, requires_grad=True)
    grad = torch.rand(*shape[:3], sizes.vision_width, device=device)

    def run(kernel: TemporalKernel) -> None:
        out = temporal_conv(h, weight, bias, time_axis=2, kernel=kernel)
        torch.autograd.grad(out, (h, weight, bias), grad)

    kernels: tuple[TemporalKernel, ...] = ("conv3d", "conv2d", "shift")
    arms = {str(kernel): partial(run, kernel) for kernel in kernels}
    table(interleave(arms, 5 * config.rounds, device), "conv3d", config.batch)


def table(times: dict[str, Times], reference: str, batch: int) -> None:
    """Print latency, throughput and ratio of every arm."""
    base, base_cpu = times[reference].best, times[reference].best_cpu
    say(f"  {'':<38} {'latency':>9} {'video/s':>9} {'time':>8} {'video/s':>8} {'CPU time':>9}")
    for name, arm in times.items():
        best = arm.best
        ratios = f"{best / base:7.3f}x {base / best:7.3f}x {arm.best_cpu / base_cpu:8.3f}x"
        say(f"  {name:<38} {best:7.3f} s {batch / best:9.3f} {ratios}")


def say(line: str) -> None:
    """Print a line at once: a run takes minutes."""
    print(line, flush=True)


def run(config: BenchConfig) -> None:
    """Run the parts that were asked for."""
    adapter = config.adapter
    name = torch.cuda.get_device_name() if config.device.startswith("cuda") else _cpu_name()
    say(f"{name}; torch {torch.__version__}, Python {platform.python_version()}; float32")
    say(f"{config.backbone}, {config.sizes.num_frames} x {config.sizes.image_size} pixels, batch "
        f"{config.batch}; MSTA dim {adapter.dim}, blocks {adapter.start_block}-"
        f"{adapter.end_block}; best of {config.rounds}")  # fmt: skip
    titles: dict[Part, tuple[str, Callable[[], None]]] = {
        "k400": ("training step, 200 classes, N=2", partial(bench_step, config, "k400")),
        "ssv2": ("training step, 174 classes, N=8", partial(bench_step, config, "ssv2")),
        "full": ("training step against full fine-tuning", partial(bench_full, config)),
        "memory": ("peak memory of a training step", partial(bench_memory, config)),
        "inference": ("inference", partial(bench_inference, config)),
        "conv": ("temporal convolution of a block", partial(bench_conv, config)),
    }
    for part in config.parts:
        title, measure = titles[part]
        say(f"\n{part}: {title}")
        measure()


def paper_row(name: str, latency: float | None, rate: float | None, ratio: float) -> None:
    """Print a row of the paper's Table S2 under a table of `table`."""
    shown = f"{latency:7.3f} s" if latency else " " * 9
    rated = f"{rate:9.1f} {'':>8} {ratio:7.3f}x" if rate else f"{'':>9} {ratio:7.3f}x"
    say(f"  {'paper, Table S2 (GPU), ' + name:<38} {shown} {rated}")


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {torch.get_num_threads()} threads"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    import tyro

    try:
        run(tyro.cli(BenchConfig, args=argv, prog="adapt.bench", description=__doc__))
    except UserError as error:
        print(f"adapt.bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
