"""The dataset card: README.md of a set, made from the manifests of its versions."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from describe.escape import escape, fenced
from describe.rows import Description, Rejected, Row

_NUM_EXAMPLES = 10
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))
_SMALL_MODEL = "smollm2"

COLUMNS = {
    "class_id": "label of the class in the whole list of its dataset, from 0",
    "class_name": "the dataset's own name of the class; join by this, not by position",
    "readable_name": "the class name as the prompt spelt it",
    "group": "`base` or `novel` where the dataset has such a protocol, else empty",
    "kind": "`spatial`: what the action looks like; `temporal`: one of its steps",
    "step": "position within class and kind, from 0; temporal steps are in order",
    "text": "the sentence",
    "num_tokens": "CLIP tokens of the sentence, start and end included",
    "flags": "rules that had a doubt and did not reject",
    "repairs": "what was mended while the reply was read",
    "model": "the model that wrote the sentence",
    "prompt_version": "the prompts that asked for it",
    "request_key": "hash of the exact request, under which the reply is stored",
    "sample": "0 for the first draw of a prompt, 1 for the second, ...",
    "rule": "(rejected only) the rule that turned the sentence down",
    "detail": "(rejected only) what the rule saw",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CardVersion:
    """What the card says about one version comes from here."""

    name: str
    """Name of the version."""

    manifest: Mapping[str, Any]
    """Its manifest, as read."""

    @property
    def num_kept(self) -> int:
        """Descriptions in the version."""
        return int(self.manifest["counts"]["kept"])

    @property
    def num_rejected(self) -> int:
        """Sentences that its rules turned down."""
        return sum(self.manifest["counts"]["rejected"].values())


def render_card(
    versions: Sequence[CardVersion], kept: Sequence[Description], rejected: Sequence[Rejected]
) -> str:
    """Return README.md.

    Args:
        versions: At least one, oldest first. The last is the default, and is told of in full.
        kept: The descriptions of the last version, for examples.
        rejected: What its rules turned down, for examples.
    """
    newest = versions[-1]
    sections = [
        _front_matter(versions),
        _opening(versions),
        _loading(newest),
        _version_table(versions),
        _sources(versions),
        *_making(newest),
        _rules(newest),
        _short_classes(newest),
        _examples(kept, rejected),
        _columns(),
        _quality(newest),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def version_row(version: CardVersion) -> str:
    """Return the line of the version table that states a version's counts."""
    model = version.manifest.get("model", {})
    prompts = version.manifest.get("prompts", {})
    cells = (
        f"[{version.name}]({version.name}/manifest.json)",
        str(version.num_kept),
        str(version.num_rejected),
        escape(str(model.get("name", ""))),
        escape(str(prompts.get("version", ""))),
        f"`{version.manifest['fingerprint'][:15]}`",
    )
    return f"| {' | '.join(cells)} |"


def _front_matter(versions: Sequence[CardVersion]) -> str:
    import yaml

    newest = versions[-1]
    tables = [(v, config, file) for v in reversed(versions) for config, file in _configs(v)]
    data = {
        "configs": [
            _config(config, v.name, file, config == newest.name) for v, config, file in tables
        ],
        "dataset_info": [_info(config, v.manifest["files"][file]) for v, config, file in tables],
        "language": ["en"],
        "license": _common_license(versions),
        "pretty_name": f"Descriptions of the actions of {newest.manifest['dataset']}",
        "size_categories": [_size(newest.num_kept)],
        "tags": ["action-recognition", "video-language", "llm-generated"],
    }
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{text}---"


def _common_license(versions: Sequence[CardVersion]) -> str:
    """Return the licence of all versions; the Hub's word for it where they do not have one."""
    found = {_license(version) for version in versions}
    if len(found) == 1:
        return found.pop()
    return "unknown" if "unknown" in found else "other"


def _license(version: CardVersion) -> str:
    return str(version.manifest.get("license", "unknown"))


def _configs(version: CardVersion) -> Iterator[tuple[str, str]]:
    yield version.name, "descriptions.parquet"
    if "rejected.parquet" in version.manifest["files"]:
        yield f"{version.name}_rejected", "rejected.parquet"


def _config(name: str, folder: str, file: str, default: bool) -> dict[str, Any]:
    data_files = [{"split": "train", "path": f"{folder}/{file}"}]
    return {"config_name": name, "data_files": data_files} | ({"default": True} if default else {})


def _info(name: str, file: Mapping[str, Any]) -> dict[str, Any]:
    split = {"name": "train", "num_bytes": file["arrow_bytes"], "num_examples": file["rows"]}
    return {
        "config_name": name,
        "splits": [split],
        "download_size": file["bytes"],
        "dataset_size": file["arrow_bytes"],
    }


def _size(num_rows: int) -> str:
    return next((name for limit, name in _SIZES if num_rows < limit), "100K<n<1M")


def _opening(versions: Sequence[CardVersion]) -> str:
    dataset = escape(versions[-1].manifest["dataset"])
    published = [bool(version.manifest.get("source")) for version in versions]
    if all(published):
        origin = (
            "They were published elsewhere (see below) and are joined to their classes by name."
        )
    elif any(published):
        origin = (
            "Those of some versions were published elsewhere (see below) and are joined to their "
            "classes by name; a language model wrote the others and rules sorted them."
        )
    else:
        origin = (
            "A language model wrote them and rules sorted them. One row is one sentence and leads "
            "back to the request that gave it."
        )
    return (
        f"# Descriptions of the actions of {dataset}\n\n"
        f"Sentences that say what each action of {dataset} looks like (spatial) and how it goes "
        f"on, step by step (temporal), for tying text to video. {origin}"
    )


def _loading(newest: CardVersion) -> str:
    lines = [
        "from datasets import load_dataset",
        "",
        f'descriptions = load_dataset("<folder>", "{newest.name}", split="train")',
    ]
    if newest.num_rejected:
        lines.append(
            f'rejected = load_dataset("<folder>", "{newest.name}_rejected", split="train")'
        )
    return "## How to load it\n\n" + fenced("\n".join(lines), "python")


def _version_table(versions: Sequence[CardVersion]) -> str:
    rows = "\n".join(version_row(version) for version in reversed(versions))
    return (
        "## Versions\n\nA version never changes. The newest is the default, and what is said below "
        "without the name of a version is about it; its manifest holds every hash.\n\n"
        "| version | kept | rejected | model | prompts | fingerprint |\n"
        f"|---|---:|---:|---|---|---|\n{rows}"
    )


def _sources(versions: Sequence[CardVersion]) -> str:
    """Return where the sentences of each version were published, and under which licence."""
    told = [version for version in reversed(versions) if version.manifest.get("source")]
    tables = [
        f"Version {version.name}:\n\n"
        + _table({**version.manifest["source"], "licence": _license(version)})
        for version in told
    ]
    return "\n\n".join(["## Where the sentences come from", *tables]) if told else ""


def _making(newest: CardVersion) -> Iterator[str]:
    manifest = newest.manifest
    for field, title in (
        ("model", "The model"),
        ("sampling", "Sampling parameters"),
        ("classes", "The class list"),
        ("edits", "Edits by hand"),
    ):
        if manifest.get(field):
            yield f"## {title}\n\n{_table(manifest[field])}"
    files = manifest.get("prompts", {}).get("files", {})
    if files:
        yield "## The prompts, word for word"
    for name, file in sorted(files.items()):
        yield f"{escape(name)}, SHA-256 `{file['sha256'][:16]}`:\n\n{fenced(file['text'])}"


def _table(data: Mapping[str, Any]) -> str:
    rows = "\n".join(f"| {escape(str(name))} | {escape(_shown(data[name]))} |" for name in data)
    return f"| | |\n|---|---|\n{rows}"


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(value[name])}" for name in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _rules(newest: CardVersion) -> str:
    counts = newest.manifest["counts"]
    meanings = newest.manifest.get("rules", {}).get("meanings", {})
    rules = sorted({*meanings, *counts["rejected"]})
    rules.sort(key=lambda rule: -counts["rejected"].get(rule, 0))
    totals = [
        f"{name.replace('_', ' ')} {counts[name]}"
        for name in counts
        if isinstance(counts[name], int)
    ]
    text = f"## What the rules did\n\nCounts: {escape(', '.join(totals))}."
    if not rules:
        return text
    rows = "\n".join(
        f"| {escape(rule)} | {counts['rejected'].get(rule, 0)} | {escape(meanings.get(rule, ''))} |"
        for rule in rules
    )
    return f"{text}\n\n| rule | rejected | what it turns down |\n|---|---:|---|\n{rows}"


def _short_classes(newest: CardVersion) -> str:
    short = newest.manifest["counts"].get("short", {})
    if not short:
        return ""
    rows = "\n".join(
        f"| {escape(name)} | {escape(_shown(short[name]))} |" for name in sorted(short)
    )
    return (
        "## Classes left short\n\nThese have fewer sentences than were asked for. Nothing was "
        f"filled in.\n\n| class | kept |\n|---|---|\n{rows}"
    )


def _examples(kept: Sequence[Description], rejected: Sequence[Rejected]) -> str:
    one_a_rule = list({row.rule: row for row in reversed(rejected)}.values())
    turned_down = _spread(one_a_rule, _NUM_EXAMPLES // 2)
    num_kept = _NUM_EXAMPLES - len(turned_down)
    spatial = _spread([row for row in kept if row.kind == "spatial"], (num_kept + 1) // 2)
    temporal = _spread([row for row in kept if row.kind == "temporal"], num_kept - len(spatial))
    rows = [_example(row, "kept") for row in (*spatial, *temporal)]
    rows += [_example(row, f"rejected by {row.rule}") for row in turned_down]
    return (
        "## Examples\n\nPicked by position, not by quality.\n\n"
        "| class | kind | sentence | |\n|---|---|---|---|\n" + "\n".join(rows)
    )


def _spread(rows: Sequence[Row], count: int) -> list[Row]:
    count = min(count, len(rows))
    return [rows[i * len(rows) // count] for i in range(count)]


def _example(row: Description, verdict: str) -> str:
    cells = (row.readable_name, row.kind, row.text, verdict)
    return f"| {' | '.join(map(escape, cells))} |"


def _columns() -> str:
    rows = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in COLUMNS.items())
    return f"## Columns\n\n| column | meaning |\n|---|---|\n{rows}"


def _quality(newest: CardVersion) -> str:
    num_read = newest.num_kept + newest.num_rejected
    model = str(newest.manifest.get("model", {}).get("name", ""))
    points = [
        f"{newest.num_kept} of {num_read} sentences were kept ({newest.num_kept / num_read:.0%}).",
        "The rules judge form: length, repeats, refusals, leftovers of the prompt. They do not "
        "know whether a sentence is true of its action. No person checked every sentence.",
    ]
    if _SMALL_MODEL in model.lower():
        points.append(
            f"{escape(model)} is a very small language model. Expect sentences that are vague, "
            "repetitive or wrong about the action; describe again with a larger model before you "
            "draw conclusions from them."
        )
    points += [escape(note) for note in newest.manifest.get("notes", [])]
    return "## Quality: what to expect\n\n" + "\n".join(f"- {point}" for point in points)
