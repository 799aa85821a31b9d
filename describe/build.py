"""The whole flow, from a class list to a version of the set: the file to read first."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from describe.asking import Asking, Counts
from describe.backend import identify
from describe.batch import export_batch
from describe.cache import ReplyStore
from describe.classes import ClassList, load_classes, read_classes, subset
from describe.config import Config
from describe.dataset import WrittenVersion, write_version
from describe.endpoints import ModelIdentity
from describe.errors import UserError
from describe.estimate import Estimate, estimate, reasons
from describe.ledger import Ledger
from describe.manifest import descriptions, manifest, rejections
from describe.paths import workspace
from describe.prompts import Ask, Asker, Sampling, load_prompts
from describe.request import KINDS
from describe.selection import Slot, fill
from describe.send import Stopped


@dataclass(kw_only=True)
class Outcome:
    """How a run went."""

    model: ModelIdentity
    slots: list[Slot]
    counts: Counts
    stopped: Stopped | None = None
    """Why not all was sent; then there is no new version."""

    plan: Estimate | None = None
    """What would be sent (--dry-run, --export-batch)."""

    why: list[tuple[str, list[str]]] = field(default_factory=list)
    """Why that is not stored yet (--dry-run)."""

    exported: list[Path] = field(default_factory=list)
    written: WrittenVersion | None = None


def build(config: Config) -> Outcome:
    """Describe the classes of `config`, and write the set unless something else is asked for.

    Raises:
        UserError: Something the user can change; all replies so far are stored.
    """
    listed = listed_classes(config)
    classes = pick_classes(config, listed)
    model = identify(config)
    asker = Asker(load_prompts(config.prompts), sampling(config, model))
    slots = [Slot(action=each, kind=kind) for each in classes.classes for kind in KINDS]
    home = workspace()
    with ReplyStore(home / "replies") as store, ExitStack() as servers:
        asking = Asking(config, asker, model, store, Ledger(home / "failures.jsonl"), servers)
        asking.read_batches()
        outcome = Outcome(model=model, slots=slots, counts=asking.counts)
        for number in range(config.rounds + 1):
            asks = next_asks(config, asker, slots, number)
            if not asks:
                break
            missing = asking.missing(asks, topping_up=number > 0)
            if missing and (config.dry_run or config.export_batch):
                return _only_plan(config, asking, missing, outcome)
            if missing and config.may_send:
                outcome.stopped = asking.send(missing, number)
            if outcome.stopped is not None:
                return outcome
            fill(config, slots, asking.find, asker.frames)
            asking.mark_hopeless(slots)
        if config.dry_run or config.export_batch:
            return _only_plan(config, asking, [], outcome)
        outcome.written = write_version(
            config.out or home / "sets" / set_name(config, classes),
            descriptions(slots, asker),
            rejections(slots, asker),
            manifest(config, listed, asker, slots, asking),
            config.version,
        )
        return outcome


def listed_classes(config: Config) -> ClassList:
    """Return the whole class list of the dataset."""
    if config.classes is not None:
        return read_classes(config.classes, config.dataset)
    return load_classes(config.dataset or "")


def pick_classes(config: Config, listed: ClassList) -> ClassList:
    """Return the classes to describe: all, one of the public subsets, or those named."""
    if config.subset is None:
        return listed
    if ";" not in config.subset and config.subset in listed.subsets:
        return subset(listed, config.subset)
    names = [name.strip() for name in config.subset.split(";") if name.strip()]
    if not names:
        raise UserError("--subset names no class")
    chosen = {listed.find(name).name for name in names}
    kept = tuple(each for each in listed.classes if each.name in chosen)
    return ClassList(dataset=listed.dataset, classes=kept, subsets=listed.subsets)


def set_name(config: Config, classes: ClassList) -> str:
    """Return the folder of the set: a part of a dataset must not become its newest version."""
    if config.subset is None:
        return classes.dataset
    is_public = config.subset.isidentifier()
    return f"{classes.dataset}_{config.subset if is_public else 'part'}"


def sampling(config: Config, model: ModelIdentity) -> Sampling:
    """Return everything that is sent besides the prompt."""
    return Sampling(
        model=model.name,
        revision=model.revision,
        num_sentences=config.num_sentences,
        temperature=config.temperature,
        top_p=config.top_p,
        seed=config.seed,
        max_tokens=config.reply_tokens,
        frequency_penalty=config.frequency_penalty,
        presence_penalty=config.presence_penalty,
        structured_output=config.structured_output,
        token_field=config.token_field,
        omit=config.omit,
        extra_body=config.extra_fields,
    )


def next_asks(config: Config, asker: Asker, slots: list[Slot], number: int) -> list[Ask]:
    """Add what is to be asked in round `number` to the slots, and return it.

    Round 0 asks for N sentences of each class and kind. A later one tops up: one more draw for
    each that the rules left short, naming the class that its sentences collided with.
    """
    asks = []
    for slot in slots:
        is_short = len(slot.kept) < config.num_descriptions and not slot.hopeless
        top_up = 1 if is_short else 0
        for _ in range(config.requests_a_slot if number == 0 else top_up):
            confusable = slot.confusable() if number else ""
            ask = asker.ask(slot.action, slot.kind, len(slot.asks), confusable)
            slot.asks.append(ask)
            asks.append(ask)
    return asks


def _only_plan(config: Config, asking: Asking, missing: list[Ask], outcome: Outcome) -> Outcome:
    """Say what would be sent, or write it as a batch; send nothing."""
    if config.export_batch and missing:
        requests = (request for _, request in asking.requests(missing))
        outcome.exported = export_batch(config.export_batch, requests)
    outcome.plan = estimate(request for _, request in asking.requests(missing))
    if config.dry_run:
        named = [(a.action.name, a.kind, request) for a, request in asking.requests(missing)]
        outcome.why = reasons(asking.store, named)
    return outcome
