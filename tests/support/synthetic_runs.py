"""Run folders without training: what `adapt.train` and `adapt.evaluate` would leave, made up."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from adapt import metrics
from adapt.results import Result, VideoScores, write_result

# Sizes of ViCLIP-B/16, as a run keeps them.
B16 = {
    "image_size": 224, "patch_size": 16, "vision_width": 768, "vision_layers": 12,
    "num_frames": 8, "text_width": 512, "text_layers": 12, "context_length": 32,
}  # fmt: skip
CLASSES = ("brush_hair", "cartwheel", "catch", "chew", "clap", "climb")

# The test lists of each task.
TESTS = {"base-to-novel": ("base", "novel"), "zero-shot": ("hmdb51-1", "hmdb51-2", "hmdb51-3")}


def write_run(
    folder: Path,
    *,
    seed: int = 0,
    dataset: str = "hmdb51",
    task: str = "few-shot",
    shots: int = 16,
    adapter: str = "msta",
    descriptions: str | None = "v2",
    filter_name: str = "text",
    status: str = "finished",
    epochs_done: int = 50,
    train_hash: str | None = None,
    created: str = "2026-01-01T00:00:00+00:00",
    class_names: Sequence[str] = CLASSES,
    lr: float = 1e-3,
    held_out: float = 0.0,
    backbone: Mapping[str, object] | None = None,
) -> Path:
    """Write all of a run but its results."""
    method = adapter.split("-")[0]
    described = {
        "dataset": dataset, "version": descriptions, "fingerprint": f"d1:{descriptions}",
        "path": f"/sets/{dataset}/{descriptions}", "filter": filter_name, "kept": 20, "dropped": 4,
    }  # fmt: skip
    manifest = {
        "format": "adapt-run-1",
        "created": created,
        "command": f"python -m adapt.train --dataset {dataset}",
        "task": task,
        "dataset": dataset,
        "seed": seed,
        "class_names": list(class_names),
        "readable_names": [name.replace("_", " ") for name in class_names],
        "backbone": {
            "source": "OpenGVLab/ViCLIP-B-16-hf",
            "hash": "b1:" + "0" * 64,
            "config": dict(backbone or B16),
        },
        "adapter": {
            "name": adapter,
            "config": {"method": method, "dim": 128, "start_block": 8, "temporal": True},
            "trainable": 0 if adapter == "frozen" else 1_744_000,
        },
        "descriptions": described if descriptions else None,
        "lists": {
            "train": {"hash": train_hash or f"sha256:train{seed}", "count": 816, "source": ""},
            **{
                name: {"hash": f"sha256:{name}", "count": 1530, "source": ""}
                for name in TESTS.get(task, ("test",))
            },
        },
        "leaks": [],
        "views": {
            name: {"num_clips": 10, "num_crops": 3} for name in TESTS.get(task, ("test",))
        },
        "recipe": {
            "epochs": 50, "batch_size": 32, "steps_per_epoch": 26, "lr": lr, "seed": seed,
            "warmup_epochs": 5.0, "select": "last", "precision": "fp32", "alpha": 1.0,
        },
        "versions": {"python": "3.11", "torch": "2.13.0"},
        "device": "cpu",
        "status": status,
        "epochs_done": epochs_done,
        "notes": [f"train: {shots} of each class, drawn with seed {seed}"],
    }  # fmt: skip
    given = {
        "data": {
            "task": task,
            "shots": shots,
            "split": 1,
            "dataset": dataset,
            "held_out": held_out,
        },
        "filter": {"filter": filter_name, "filter_mode": "drop", "description_kinds": "both"},
    }
    _write_json(folder / "run.json", manifest)
    _write_json(folder / "config.json", {"given": given, "resolved": {}})
    return folder


def _write_json(path: Path, data: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")


def change_json(path: Path, **changes: object) -> None:
    """Change fields of a JSON object on disk."""
    _write_json(path, {**json.loads(path.read_text(encoding="utf-8")), **changes})


def write_metrics(folder: Path, epochs: int = 10, steps: int = 26) -> None:
    """Write a metrics.jsonl whose losses fall."""
    lines = []
    for step in range(1, epochs * steps + 1):
        classification = 3.0 * 0.985**step + 0.2 + 0.1 * np.sin(step)
        consistency = 0.6 * 0.995**step
        lines.append({
            "event": "step", "step": step, "epoch": (step - 1) // steps + 1,
            "loss": classification + consistency, "classification": classification,
            "consistency": consistency, "lr": 1e-3 * min(1, step / steps), "videos": 32,
            "videos_per_s": 12.0, "wait_share": 0.02,
        })  # fmt: skip
    lines.append({"event": "skip", "step": step, "epoch": epochs, "why": "loss", "videos": ["a"]})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text, encoding="utf-8")


def write_descriptions(folder: Path, class_names: Sequence[str] = CLASSES) -> None:
    """Write what a filter did: one sentence of each class is dropped."""
    classes = [
        {
            "class_name": name,
            "readable_name": name,
            "sentences": [
                _sentence(f"A video about {name}.", 0.4, kept=True),
                _sentence(f"Something else, perhaps {name}.", -0.5, kept=False),
            ],
        }
        for name in class_names
    ]
    summary = {
        "sentences": 2 * len(class_names), "kept": len(class_names), "dropped": len(class_names),
        "weighted": 0, "fewest_kept": 1, "over_budget": 3,
        "reasons": {"other class": len(class_names)}, "median_margin": 0.1,
    }  # fmt: skip
    _write_json(
        folder / "descriptions.json",
        {"format": "adapt-descriptions-1", "context_length": 32, "summary": summary,
         "classes": classes},
    )  # fmt: skip


def _sentence(text: str, margin: float, kept: bool) -> dict[str, object]:
    return {
        "kind": "spatial", "step": 0, "text": text, "num_tokens": 9, "cut": False, "own": 0.5,
        "next": 0.5 - margin, "next_class": "clap", "margin": margin, "kept": kept,
        "weight": 1.0 if kept else 0.0, "reason": "" if kept else "other class",
        "why": "" if kept else "nearer to clap",
    }  # fmt: skip


def add_result(
    folder: Path,
    correct: Sequence[bool],
    *,
    list_name: str = "test",
    class_names: Sequence[str] = CLASSES,
    names: Sequence[str] | None = None,
    **changes: object,
) -> Path:
    """Write a result in which video i, of class i % K, is right or taken for the next class."""
    num_classes = len(class_names)
    labels = np.arange(len(correct)) % num_classes
    shown = np.where(np.array(correct, dtype=bool), labels, (labels + 1) % num_classes)
    scores = np.full((len(correct), num_classes), 0.1, dtype=np.float32)
    scores[np.arange(len(correct)), shown] = 0.9
    videos = VideoScores(
        names=tuple(names or (f"{class_names[c]}/{i}.avi" for i, c in enumerate(labels))),
        labels=labels.astype(np.int64),
        cosines=scores,
        probabilities=scores,
    )
    result = _result(folder, videos, list_name, class_names, changes)
    return write_result(folder / "results", result, videos)


def _result(
    folder: Path,
    videos: VideoScores,
    list_name: str,
    class_names: Sequence[str],
    changes: Mapping[str, object],
) -> Result:
    scores, labels = videos.probabilities, videos.labels
    correct = metrics.ranks(scores, labels) == 0
    values: dict[str, object] = {
        "run": folder.name,
        "list": list_name,
        "dataset": json.loads((folder / "run.json").read_text(encoding="utf-8"))["dataset"],
        "protocol": "every-video",
        "selection": "last",
        "average": "probability",
        "epoch": 50,
        "n_total": len(labels),
        "n_evaluated": len(labels),
        "n_failed": 0,
        "failed": (),
        "num_clips": 10,
        "num_crops": 3,
        "list_hash": f"sha256:{list_name}",
        "class_names": tuple(class_names),
        "readable_names": tuple(name.replace("_", " ") for name in class_names),
        "backbone_hash": "b1:" + "0" * 64,
        "adapter_hash": f"sha256:{folder.name}",
        "descriptions_fingerprint": None,
        "top1": metrics.top_k(scores, labels, 1),
        "top5": metrics.top_k(scores, labels, 5),
        "top1_interval": metrics.bootstrap_interval(correct, resamples=200),
        "mean_per_class": metrics.mean_per_class(scores, labels),
        "per_class": tuple(
            {"class_name": name, "n": n, "top1": top1}
            for name, (n, top1) in zip(class_names, metrics.per_class(scores, labels), strict=True)
        ),
        "confusion": tuple(map(tuple, metrics.confusion(scores, labels).tolist())),
    }
    return Result(**{**values, **changes})  # type: ignore[arg-type]


def accuracy(share: float, count: int = 120, seed: int = 0) -> list[bool]:
    """Return `count` outcomes, `share` of them right, in an order of their own."""
    outcomes = np.arange(count) < round(share * count)
    return [bool(each) for each in np.random.default_rng(seed).permutation(outcomes)]
