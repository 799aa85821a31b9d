"""What adapting gains on the miniature world, over five seeds, and what descriptions do to it.

    python benchmarks/miniature_experiment.py benchmarks/miniature_results.json
    python benchmarks/miniature_experiment.py benchmarks/miniature_results.json --table
    python benchmarks/miniature_experiment.py all.json --join seed0.json seed1.json --table
    python benchmarks/miniature_experiment.py benchmarks/miniature_open.json --open

A run that was stopped goes on where it was. Every seed has training and test films of its own; all
arms of a seed share them, so arms are compared in pairs. The recipe was chosen on seed 100 (other
films altogether) and then left alone. With --open the arms are what the paper leaves open.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from miniature_arms import ARMS, OPEN_ARMS, Recipe, Sample, run

from adapt.checkpoint import backbone_hash
from adapt.miniature_weights import BACKBONE_FILE, load_miniature_backbone

# Student's t, 97.5%, by degrees of freedom.
T_975 = (float("nan"), 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
REFERENCE = "MSTA, right descriptions"
TASKS = ("few-shot", "base-to-novel")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "out", type=Path, help="JSON of the results; what is in it is not run again"
    )
    parser.add_argument("--table", action="store_true", help="only print the tables")
    parser.add_argument("--join", type=Path, nargs="+", default=[], help="add these results")
    parser.add_argument("--task", choices=TASKS, nargs="+", default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--shots", type=int, default=16, help="training films of a class")
    parser.add_argument("--num-test", type=int, default=100, help="test films of a class")
    parser.add_argument("--arms", nargs="+", choices=[*ARMS, *OPEN_ARMS])
    parser.add_argument("--open", action="store_true", help="what the paper leaves open")
    parser.add_argument("--backbone", type=Path, default=BACKBONE_FILE)
    parser.add_argument("--threads", type=int, default=2)
    for name, value in asdict(Recipe()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    options = parser.parse_args(argv)
    options.arms = options.arms or ([REFERENCE, *OPEN_ARMS] if options.open else list(ARMS))
    for other in options.join:
        join(options.out, json.loads(other.read_text()), other)
    if not options.table:
        torch.set_num_threads(options.threads)
        fill(options)
    print(tables(json.loads(options.out.read_text())))
    return 0


def fill(options: argparse.Namespace) -> None:
    """Run what is missing; the file is rewritten after each run."""
    recipe = Recipe(**{name: getattr(options, name) for name in asdict(Recipe())})
    backbone = load_miniature_backbone(options.backbone)
    setting = {
        "backbone": backbone_hash(backbone), "recipe": asdict(recipe), "shots": options.shots,
        "num_test": options.num_test,
    }  # fmt: skip
    join(options.out, {"setting": setting, "runs": {}}, Path("the flags"))
    stored = json.loads(options.out.read_text())
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        keys = [f"{task} | {arm} | {seed}" for task in options.task for arm in options.arms]
        if all(key in stored["runs"] for key in keys):
            continue
        begun = time.monotonic()
        sample = Sample(backbone, recipe, seed, options.shots, options.num_test)
        print(f"seed {seed}: films after {time.monotonic() - begun:.0f} s", flush=True)
        for key in keys:
            task, arm, _ = key.split(" | ")
            if key not in stored["runs"]:
                begun = time.monotonic()
                result = run(
                    backbone,
                    sample,
                    {**ARMS, **OPEN_ARMS}[arm],
                    recipe,
                    seed,
                    task == "base-to-novel",
                )
                stored["runs"][key] = result
                options.out.write_text(json.dumps(stored, indent=1) + "\n")
                said = ", ".join(f"{name} {value:.1f}" for name, value in result.items())
                print(f"{key}: {said} ({time.monotonic() - begun:.0f} s)", flush=True)


def join(out: Path, more: Mapping[str, Any], source: Path) -> None:
    """Add runs to a file of results, which is made where it is missing."""
    stored = json.loads(out.read_text()) if out.exists() else {**more, "runs": {}}
    if stored["setting"] != more["setting"]:
        sys.exit(f"{out} was made with {stored['setting']}, {source} says {more['setting']}")
    stored["runs"] |= more["runs"]
    out.write_text(json.dumps(stored, indent=1) + "\n")


def tables(stored: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Return a Markdown table for each task, and the differences from the reference arm."""
    lines = []
    for task in TASKS:
        by_arm: dict[str, dict[int, Mapping[str, float]]] = {arm: {} for arm in (*ARMS, *OPEN_ARMS)}
        for key, result in stored["runs"].items():
            its_task, arm, seed = key.split(" | ")
            if its_task == task:
                by_arm[arm][int(seed)] = result
        by_arm = {arm: results for arm, results in by_arm.items() if results}
        if not by_arm:
            continue
        names = list(next(iter(next(iter(by_arm.values())).values())))
        lines += [f"\n| {task}: | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
        for arm, results in by_arm.items():
            cells = [interval([each[name] for each in results.values()]) for name in names]
            lines.append(f"| {arm} | " + " | ".join(cells) + " |")
        others = [arm for arm in by_arm if arm != REFERENCE and REFERENCE in by_arm]
        for arm in others:
            both = sorted(set(by_arm[arm]) & set(by_arm[REFERENCE]))
            ours, theirs = by_arm[REFERENCE], by_arm[arm]
            cells = [interval([ours[s][name] - theirs[s][name] for s in both]) for name in names]
            lines.append(f"| *right minus* {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def interval(values: Sequence[float]) -> str:
    """Return the mean and half of its 95% interval, of Student's t over seeds."""
    count = len(values)
    if count < 2:
        return f"{np.mean(values):.1f}"
    half = T_975[count - 1] * np.std(values, ddof=1) / np.sqrt(count)
    return f"{np.mean(values):.1f} ± {half:.1f}"


if __name__ == "__main__":
    sys.exit(main())
