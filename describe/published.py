"""Published description sets: import them as versions, and audit them by the rules.

    python -m describe.published 8_s_description_k400.json 8_t_description_k400.json

imports both files as version `msta_n8` of a k400 set, every sentence as it was published, with the
rule that would reject it among its flags; `--filter` rejects it instead. Files of one publication,
dataset and number of sentences make one version: spatial and temporal, base and novel together.
"""

import hashlib
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro

from describe.audit import Audit, audit, report, summary
from describe.classes import ActionClass, ClassList
from describe.dataset import WrittenVersion, write_version
from describe.errors import UserError
from describe.paths import workspace
from describe.published_files import (
    ZERO_SHOT,
    Origin,
    PublishedFile,
    class_order,
    find_files,
    read_published,
)
from describe.request import KINDS, Kind, canonical_json
from describe.rows import Description, Rejected
from describe.rules import RULES, RuleConfig, Sentence, Verdict, judge
from describe.terminal import run_command, show
from describe.tokens import num_clip_tokens


@dataclass(frozen=True, kw_only=True)
class Config:
    """Import published descriptions (MSTA, OST) as versions of a set, and audit them."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Files named as their publisher named them, or folders of such files."""

    out: Path | None = None
    """Folder for the sets, one inside it a dataset (default: published, in the workspace)."""

    dataset: str | None = None
    """The dataset, where a path does not say it."""

    audit_only: bool = False
    """Write nothing; print what the audit finds."""

    filter: bool = False
    """Reject what the rules reject; by default all is kept, the rule's name among the flags."""

    def __post_init__(self) -> None:
        """Refuse a command that names no file."""
        if not self.files:
            raise UserError("give the files to import, such as 8_s_description_k400.json")


@dataclass(frozen=True, kw_only=True)
class Publication:
    """The files that make one version."""

    files: tuple[PublishedFile, ...]

    @property
    def origin(self) -> Origin:
        """What the files have in common: source, dataset and count."""
        return self.files[0].origin

    @property
    def classes(self) -> ClassList:
        """The dataset's whole class list."""
        return self.files[0].classes

    @property
    def name(self) -> str:
        """Name of the version: `msta_n8`, `msta_n2_base`, `ost_n2_zero_shot_1`."""
        return "_".join(filter(None, (self.origin.source.name, f"n{self.origin.count}", self.part)))

    @property
    def part(self) -> str:
        """The subset that the files cover together; empty when it is every class."""
        covered = {name for file in self.files for name in file.sentences}
        for part in ("", *self.classes.subsets, ZERO_SHOT):
            if covered == set(class_order(self.classes, part)):
                return part
        return "_".join(sorted({file.origin.part for file in self.files}))

    def lists(self) -> Mapping[tuple[str, Kind], tuple[str, ...]]:
        """Return the sentences by official class name and kind.

        Raises:
            UserError: Two files disagree about a class.
        """
        found: dict[tuple[str, Kind], PublishedFile] = {}
        for file in self.files:
            for name, texts in file.sentences.items():
                first = found.setdefault((name, file.origin.kind), file)
                if first.sentences[name] != texts:
                    raise UserError(
                        f"{first.path} and {file.path} hold different sentences for {name!r}; "
                        "import them into different folders with --out"
                    )
        return {key: file.sentences[key[0]] for key, file in found.items()}


def group_files(files: Sequence[PublishedFile]) -> list[Publication]:
    """Put together the files that make one version."""
    groups: dict[tuple[str, str, int], list[PublishedFile]] = {}
    for file in files:
        origin = file.origin
        groups.setdefault((origin.dataset, origin.source.name, origin.count), []).append(file)
    return [
        Publication(files=tuple(sorted(group, key=lambda file: file.origin.name)))
        for _, group in sorted(groups.items())
    ]


def write_publication(
    publication: Publication, root: Path, config: RuleConfig, *, filtered: bool = False
) -> WrittenVersion:
    """Write a version with the sentences of a publication.

    Args:
        publication: Its files.
        root: Folder of the set.
        config: Limits of the rules.
        filtered: Reject what the rules reject; else keep it, with the rule's name as a flag.

    Raises:
        UserError: Two files disagree, or the version exists and holds other rows.
    """
    lists = publication.lists()
    kept: list[Description] = []
    rejected: list[Rejected] = []
    places: Counter[tuple[str, Kind]] = Counter()  # steps are numbered anew where some are missing
    for sentence, verdict, step in _judged(publication, lists, config):
        if filtered and verdict.rule is not None:
            row = _row(sentence, verdict, step, publication)
            rejected.append(Rejected(**row, rule=verdict.rule, detail=verdict.detail))
            continue
        slot = sentence.class_name, sentence.kind
        kept.append(Description(**_row(sentence, verdict, places[slot], publication)))
        places[slot] += 1
    name = publication.name + ("_filtered" if filtered else "")
    manifest = _manifest(publication, lists, kept, config, filtered=filtered)
    return write_version(root, kept, rejected, manifest, name)


def _judged(
    publication: Publication,
    lists: Mapping[tuple[str, Kind], tuple[str, ...]],
    config: RuleConfig,
) -> Iterator[tuple[Sentence, Verdict, int]]:
    """Yield each sentence with its verdict and its place, by label and kind."""
    sentences, steps = [], []
    for action in publication.classes.classes:
        for kind in KINDS:
            for step, text in enumerate(lists.get((action.name, kind), ())):
                sentences.append(_sentence(action, kind, text))
                steps.append(step)
    yield from zip(sentences, judge(sentences, config), steps, strict=True)


def _sentence(action: ActionClass, kind: Kind, text: str) -> Sentence:
    return Sentence(
        class_id=action.class_id,
        class_name=action.name,
        readable=action.readable,
        kind=kind,
        text=text,
    )


def _row(
    sentence: Sentence, verdict: Verdict, step: int, publication: Publication
) -> dict[str, Any]:
    rule = () if verdict.rule is None else (verdict.rule,)
    return {
        "class_id": sentence.class_id,
        "class_name": sentence.class_name,
        "readable_name": sentence.readable,
        "group": publication.classes.by_name[sentence.class_name].group or "",
        "kind": sentence.kind,
        "step": step,
        "text": sentence.text,
        "num_tokens": num_clip_tokens(sentence.text),
        "flags": (*rule, *verdict.flags),
        "model": publication.origin.source.model,
    }


def _manifest(
    publication: Publication,
    lists: Mapping[tuple[str, Kind], tuple[str, ...]],
    kept: Sequence[Description],
    config: RuleConfig,
    *,
    filtered: bool,
) -> dict[str, Any]:
    """Return what made the version: nothing of this machine, so that all get the same bytes."""
    origin, classes = publication.origin, publication.classes
    names = [(each.class_id, each.name, each.readable) for each in classes.classes]
    return {
        "dataset": origin.dataset,
        "classes": {
            "count": len({name for name, _ in lists}),
            "total": len(names),
            "subset": publication.part,
            "sha256": hashlib.sha256(canonical_json(names).encode()).hexdigest(),
        },
        "source": {
            "paper": origin.source.title,
            "published": origin.source.where,
            "files": {file.origin.name: _provenance(file) for file in publication.files},
        },
        "model": {"name": origin.source.model},
        "license": origin.source.license,
        "rules": {
            "config": asdict(config),
            "meanings": {rule.name: rule.meaning for rule in RULES},
        },
        "counts": {
            "published": sum(map(len, lists.values())),
            "flags": dict(sorted(Counter(f for row in kept for f in row.flags).items())),
            "short": _short(publication, kept),
        },
        "notes": [
            "The sentences are those of the publication, unchanged, joined to classes by name.",
            "What the rules reject was left out."
            if filtered
            else "Nothing was left out: a flag names the rule that would reject the sentence.",
        ],
    }


def _provenance(file: PublishedFile) -> dict[str, Any]:
    return {
        "sha256": file.sha256,
        "kind": file.origin.kind,
        "classes": len(file.sentences),
        "label_order": file.origin.part or "all",
    }


def _short(publication: Publication, kept: Sequence[Description]) -> dict[str, int]:
    """Return the classes and kinds with fewer sentences than the publication's N."""
    found = Counter((row.class_name, row.kind) for row in kept)
    kinds = sorted({file.origin.kind for file in publication.files})
    covered = {name for file in publication.files for name in file.sentences}
    return {
        f"{each.readable} ({kind})": found[each.name, kind]
        for each in publication.classes.classes
        for kind in kinds
        if each.name in covered and found[each.name, kind] < publication.origin.count
    }


def run(config: Config) -> int:
    """Read, audit and import what `config` names; return the exit status.

    Raises:
        UserError: A file cannot be used, or a version cannot be written.
    """
    rules = RuleConfig()
    files = [read_published(path, config.dataset) for path in find_files(config.files)]
    audits: list[Audit] = []
    for file in files:
        audits.append(audit(file, rules))
        for line in report(audits[-1]):
            show(line)
    if len(audits) > 1:
        for line in summary(audits):
            show(line)
    if config.audit_only:
        return 0
    publications = group_files(files)
    for publication in publications:
        publication.lists()  # a disagreement shows before anything is written
    out = config.out or workspace() / "published"
    for publication in publications:
        root = out / publication.origin.dataset
        written = write_publication(publication, root, rules, filtered=config.filter)
        show(f"{'wrote' if written.created else 'already there:'} {written.path}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 done, 1 the user must change something."""
    return run_command(
        "describe",
        lambda: tyro.cli(
            Config,
            args=argv,
            prog="python -m describe.published",
            description=__doc__,
            config=(tyro.conf.FlagCreatePairsOff,),
        ),
        run,
    )


if __name__ == "__main__":
    sys.exit(main())
