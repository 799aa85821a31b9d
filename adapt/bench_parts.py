"""What `python -m adapt.bench` measures, part by part."""

import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

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
from adapt.bench_config import BenchConfig, Part
from adapt.temporal_conv import TemporalKernel, temporal_conv
from describe.classes import load_classes, subset
from describe.errors import UserError
from describe.terminal import show

TINY = ViCLIPConfig(
    image_size=32, vision_width=64, vision_layers=3, vision_heads=4, embed_dim=32, num_frames=4,
    text_width=32, text_layers=3, text_heads=2,
)  # fmt: skip
# Of the loss: arms further apart are not compared.
MOST_APART = 1e-4

BACKBONES = {"b16": VICLIP_B16, "l14": VICLIP_L14, "tiny": TINY}


def sizes_of(config: BenchConfig) -> ViCLIPConfig:
    """Return the sizes of the backbone."""
    return BACKBONES[config.backbone]


def adapter_of(config: BenchConfig) -> AdapterConfig:
    """Return the recipe's adapter, on as many blocks as the backbone has."""
    adapter = RECIPES[config.recipe]
    if config.backbone != "tiny":
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


def _inputs(config: BenchConfig, part: Part) -> Inputs:
    return make_inputs(shape_of(part, config.batch), sizes_of(config), torch.device(config.device))


def bench_step(config: BenchConfig, part: Part) -> None:
    """Time a training step: plain, this package's, and with cached video prefixes."""
    device = torch.device(config.device)
    inputs = _inputs(config, part)
    make = partial(make_model, sizes_of(config), adapter_of(config), device)
    reference = PlainStep(make(), inputs)
    step = Step(make(), inputs)
    cached = Step(make(), inputs, cache_videos=True, descriptions=step.descriptions)
    arms = {"this package": step, "and cached video prefixes": cached}
    for name, arm in arms.items():
        equal = compare(reference, arm)
        say(f"  {name}: loss apart {equal.loss:.1e}, gradients {equal.gradient:.1e} (relative)")
        if equal.loss > MOST_APART:
            raise UserError(f"{name}: the loss differs by {equal.loss:.1e}, most {MOST_APART:.0e}")
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
    inputs = _inputs(config, "k400")
    sizes, adapter = sizes_of(config), adapter_of(config)
    full = replace(adapter, method="full")
    arms: dict[str, Callable[[], None]] = {
        "full fine-tuning, plain": PlainStep(make_model(sizes, full, device), inputs),
        "full fine-tuning, packed prompts": Step(make_model(sizes, full, device), inputs),
        "this package": Step(make_model(sizes, adapter, device), inputs),
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
    inputs = _inputs(config, "k400")
    adapter = adapter_of(config)
    adapter = replace(adapter, method="full") if "full" in name else adapter
    model = make_model(sizes_of(config), adapter, torch.device(config.device))
    return Step(model, inputs) if name == "this package" else PlainStep(model, inputs)


def bench_inference(config: BenchConfig) -> None:
    """Time encoding of videos against the frozen backbone."""
    device = torch.device(config.device)
    inputs = _inputs(config, "k400")
    adapted = make_model(sizes_of(config), adapter_of(config), device).eval()
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
    device, sizes, adapter = torch.device(config.device), sizes_of(config), adapter_of(config)
    shape = (config.batch, sizes.grid_size**2, sizes.num_frames, adapter.dim)
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
    show(line, flush=True)


def measure(config: BenchConfig) -> None:
    """Run the parts that were asked for."""
    adapter, sizes = adapter_of(config), sizes_of(config)
    if config.device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"--device {config.device}: this torch sees no CUDA device")
    name = torch.cuda.get_device_name() if config.device.startswith("cuda") else _cpu_name()
    say(f"{name}; torch {torch.__version__}, Python {platform.python_version()}; float32")
    say(f"{config.backbone}, {sizes.num_frames} x {sizes.image_size} pixels, batch "
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
