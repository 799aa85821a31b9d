"""The published numbers, to stand beside runs that can be compared with them.

Chen et al., "Efficient Transfer Learning for Video-language Foundation Models", CVPR 2025, arXiv
2411.11223. Percent, top-1, ViCLIP-B/16 on 8 frames.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SOURCE = "arXiv 2411.11223"
_SHOTS = (2, 4, 8, 16)

# Columns of a report: the one list of a task that has one, and those of base-to-novel.
TOP1 = "top-1"
BASE, NOVEL, HM = "base", "novel", "HM"
ZERO_SHOT_COLUMNS = ("hmdb51", "ucf101", "k600")

# Videos of the test lists by column, where all are there; a shorter list is another test.
_TEST_VIDEOS: Mapping[tuple[str, str], Mapping[str, int]] = {
    ("few-shot", "hmdb51"): {TOP1: 1530},
    ("few-shot", "ucf101"): {TOP1: 3783},
    ("few-shot", "ssv2"): {TOP1: 24777},
    ("base-to-novel", "k400"): {BASE: 9944, NOVEL: 9933},
    ("base-to-novel", "hmdb51"): {BASE: 780, NOVEL: 750},
    ("base-to-novel", "ucf101"): {BASE: 2088, NOVEL: 1695},
    ("base-to-novel", "ssv2"): {BASE: 17562, NOVEL: 7215},
}

# The same by list, in zero-shot tests: of three official splits each.
_SPLIT_VIDEOS = {
    **dict.fromkeys(("hmdb51-1", "hmdb51-2", "hmdb51-3"), 1530),
    "ucf101-1": 3783,
    "ucf101-2": 3734,
    "ucf101-3": 3714,
}
_SPLITS = 3

# By method: k400, hmdb51, ucf101, ssv2, each base and novel accuracy and their harmonic mean.
_BASE_TO_NOVEL: Mapping[str, str] = {
    "ViCLIP, frozen": "68.7/63.4/65.9 62.5/48.9/54.9 81.7/69.8/75.3 9.3/8.9/9.1",
    "ViCLIP, fine-tuned": "78.5/65.3/71.3 77.9/52.4/62.7 95.1/71.5/81.6 19.4/15.2/17.0",
    "AdaptFormer": "77.7/65.6/71.1 77.5/54.9/64.3 94.9/72.7/82.3 20.4/14.6/17.0",
    "LoRA": "77.6/65.3/70.9 77.2/54.6/64.0 95.1/72.3/82.1 19.5/13.6/16.0",
    "MSTA, no descriptions": "78.2/66.2/71.7 77.2/57.5/65.9 95.6/72.8/82.7 21.9/16.3/18.7",
    "MSTA": "78.5/66.5/72.0 77.5/57.9/66.3 96.0/72.9/82.9 22.2/16.5/18.9",
}
# By method: hmdb51, ucf101, ssv2, each with 2, 4, 8 and 16 shots.
_FEW_SHOT: Mapping[str, str] = {
    "AdaptFormer": "60.0/61.8/66.6/70.1 84.8/88.7/91.7/93.3 8.5/10.1/11.5/15.2",
    "LoRA": "59.4/61.4/66.5/69.4 83.5/88.3/90.9/92.7 8.4/9.5/11.1/14.9",
    "MSTA": "61.2/62.3/67.1/70.4 86.1/90.2/92.7/94.8 9.1/10.4/13.4/17.5",
}
# By method: hmdb51, ucf101, k600, trained on Kinetics-400.
_ZERO_SHOT: Mapping[str, str] = {
    "ViCLIP, frozen": "39.8 62.6 59.2",
    "ViCLIP, fine-tuned": "51.9 77.1 71.5",
    "MSTA": "55.8 78.7 74.5",
}
_SUPERVISED_K400: Mapping[str, float] = {
    "ViCLIP, fine-tuned": 79.9,
    "AdaptFormer": 80.2,
    "LoRA": 80.3,
    "MSTA": 82.2,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperRow:
    """What the paper reports for one method."""

    method: str
    values: Mapping[str, float]
    """Percent, by the name of the report's column."""


def paper_rows(task: str, dataset: str, shots: int | None) -> list[PaperRow]:
    """Return the published rows of one setting; none where the paper has none.

    Args:
        task: few-shot, base-to-novel, zero-shot or supervised.
        dataset: What is trained on; of no matter to a frozen backbone tested zero-shot.
        shots: Training videos of a class, for the first two.
    """
    if task == "base-to-novel" and shots == 16:
        datasets = ("k400", "hmdb51", "ucf101", "ssv2")
        return _rows(_BASE_TO_NOVEL, datasets, dataset, (BASE, NOVEL, HM))
    if task == "few-shot" and shots in _SHOTS:
        names = tuple(TOP1 if each == shots else "" for each in _SHOTS)
        return _rows(_FEW_SHOT, ("hmdb51", "ucf101", "ssv2"), dataset, names)
    if task == "zero-shot":
        return [
            PaperRow(
                method=method,
                values=dict(zip(ZERO_SHOT_COLUMNS, map(float, text.split()), strict=True)),
            )
            for method, text in _ZERO_SHOT.items()
            if dataset == "k400" or method == "ViCLIP, frozen"  # which is trained on nothing
        ]
    if task == "supervised" and dataset == "k400":
        return [PaperRow(method=m, values={TOP1: v}) for m, v in _SUPERVISED_K400.items()]
    return []


def _rows(
    table: Mapping[str, str], datasets: tuple[str, ...], dataset: str, columns: tuple[str, ...]
) -> list[PaperRow]:
    """Read the cells of one dataset; a column without a name is left out."""
    if dataset not in datasets:
        return []
    place = datasets.index(dataset)
    rows = []
    for method, text in table.items():
        values = map(float, text.split()[place].split("/"))
        named = {name: v for name, v in zip(columns, values, strict=True) if name}
        rows.append(PaperRow(method=method, values=named))
    return rows


def unlike_paper(task: str, dataset: str, tests: Mapping[str, Sequence[tuple[str, int]]]) -> str:
    """Return how the lists of a run differ from those of the paper; empty where they do not.

    How many videos of Kinetics are still to be had differs from copy to copy: they are not counted.

    Args:
        task: few-shot, base-to-novel, zero-shot or supervised.
        dataset: What is trained on.
        tests: By column of the report, the name of each list and its number of videos.
    """
    expected = _TEST_VIDEOS.get((task, dataset), {})
    for column, lists in tests.items():
        if task == "zero-shot" and column in ZERO_SHOT_COLUMNS and len(lists) != _SPLITS:
            return f"they are means over {_SPLITS} splits of {column}, and here are {len(lists)}"
        for name, count in lists:
            known = _SPLIT_VIDEOS.get(name) if task == "zero-shot" else expected.get(column)
            if known not in (None, count):
                return f"its list {name!r} has {known} videos, and this one {count}"
    return ""


def paper_method(adapter: str, has_descriptions: bool) -> str | None:
    """Return what the paper calls this adapter; None where it has no such row."""
    if adapter == "msta":
        return "MSTA" if has_descriptions else "MSTA, no descriptions"
    return {
        "frozen": "ViCLIP, frozen",
        "full": "ViCLIP, fine-tuned",
        "adaptformer": "AdaptFormer",
        "lora": "LoRA",
    }.get(adapter)


# Sizes of ViCLIP-B/16 by their names in a run's backbone.
_B16 = {
    "image_size": 224,
    "patch_size": 16,
    "vision_width": 768,
    "vision_layers": 12,
    "num_frames": 8,
    "text_width": 512,
    "text_layers": 12,
    "context_length": 32,
}


def is_paper_backbone(sizes: Mapping[str, object]) -> bool:
    """Tell by its sizes whether a backbone is the paper's, ViCLIP-B/16 on 8 frames."""
    return all(sizes.get(name) == size for name, size in _B16.items())
