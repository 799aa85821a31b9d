"""What is printed when a run has ended: what happened, where the set is, what to do next."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from describe.build import Outcome
from describe.config import Config
from describe.edits import edits_path
from describe.estimate import reason_lines
from describe.llm import PERMANENT
from describe.selection import SURPLUS, Candidate, Slot, rejected_by_rule
from describe.terminal import say, show, some, table
from describe.versions import read_manifest

GO_ON = "run the same command again: only what is missing is sent"
GO_ON_REFRESHING = "what is new is kept; to go on, leave out --cache refresh"


def print_outcome(config: Config, outcome: Outcome) -> None:
    """Print the end of a run to standard output; of one that stopped, to standard error."""
    if outcome.stopped is not None:
        _print_stopped(config, outcome)
    elif outcome.plan is not None:
        _print_plan(config, outcome)
    else:
        _print_summary(config, outcome)


def _print_stopped(config: Config, outcome: Outcome) -> None:
    assert outcome.stopped is not None
    counts = outcome.counts
    known = counts.cached + counts.replied
    say(f"describe: stopped: {outcome.stopped.message}")
    say(
        f"{known} of {counts.asked} replies are stored, {counts.replied} of them new; "
        + (GO_ON_REFRESHING if config.cache == "refresh" else GO_ON)
    )


def _print_plan(config: Config, outcome: Outcome) -> None:
    assert outcome.plan is not None
    plan, counts = outcome.plan, outcome.counts
    rows: list[tuple[str, object]] = [
        ("model", f"{outcome.model.name} {outcome.model.revision}".strip()),
        ("requests", f"{counts.asked}, of which {counts.cached} are stored"),
        ("to send", plan.num_requests),
        ("prompt tokens", f"about {plan.prompt_tokens:,}"),
        ("reply tokens", f"at most {plan.max_reply_tokens:,} (--max-tokens {config.reply_tokens})"),
    ]
    if config.price is not None:
        rows.append(
            (
                "cost",
                f"about {plan.cost(config.price):.2f} at most for these requests, at "
                f"{config.price[0]:g} and {config.price[1]:g} a million tokens",
            )
        )
    show("Nothing was sent.")
    _show_lines(table(rows))
    if plan.num_requests and config.rounds:
        show(f"What the rules leave short is asked again, in up to {config.rounds} rounds more.")
    if not plan.num_requests:
        show("Everything is stored: without --dry-run, the set is written and nothing is sent.")
    if outcome.why:
        show("\nWhy it is not stored:")
        _show_lines(f"  {line}" for line in reason_lines(outcome.why))
    if outcome.exported:
        show(f"\nBatch written: {some([str(path) for path in outcome.exported])}")
        show(
            "Upload it to the Batch API; then run the same command with --import-batch RESULTS "
            "in place of --export-batch."
        )


def _print_summary(config: Config, outcome: Outcome) -> None:
    _show_lines(table(list(_summary_rows(config, outcome))))
    _print_rejections(outcome)
    _print_failures(outcome)
    _print_short(config, outcome)
    if config.show:
        _print_sentences(config.show, outcome.slots)
    _print_next(config, outcome)


def _summary_rows(config: Config, outcome: Outcome) -> Iterator[tuple[str, object]]:
    counts = outcome.counts
    kept = sum(len(slot.kept) for slot in outcome.slots)
    rejected = sum(len(slot.rejected) for slot in outcome.slots)
    wanted = config.num_descriptions * len(outcome.slots)
    yield "classes", len({slot.action.class_id for slot in outcome.slots})
    yield "model", outcome.model.name
    yield "asked", f"{counts.asked} ({counts.topped_up} of them to top up)"
    yield "cached", counts.cached
    yield "replied", counts.replied
    if counts.failures:
        yield "failed", len(counts.failures)
    if counts.unmatched:
        yield "unmatched", f"{counts.unmatched} batch replies belong to no request of this run"
    if counts.replied:
        yield "tokens", f"{counts.prompt_tokens:,} in, {counts.completion_tokens:,} out"
    yield "kept", f"{kept} of {wanted} sentences"
    yield "rejected", rejected


def _print_rejections(outcome: Outcome) -> None:
    by_rule = rejected_by_rule(outcome.slots)
    if by_rule:
        show("\nRejected by rule:")
        _show_lines(table(list(by_rule.items())))


def _print_failures(outcome: Outcome) -> None:
    kinds = Counter(failure.kind for failure in outcome.counts.failures.values())
    if not kinds:
        return
    show("\nRequests without a usable reply (failures.jsonl in the workspace):")
    first = {failure.kind: failure for failure in reversed(outcome.counts.failures.values())}
    _show_lines(table([(kind, f"{n}, such as: {first[kind].detail}") for kind, n in kinds.items()]))
    if PERMANENT & kinds.keys():
        show(
            f"A run passes over {', '.join(sorted(PERMANENT & kinds.keys()))}; --retry-failures "
            "asks them again."
        )


def _print_short(config: Config, outcome: Outcome) -> None:
    short = [slot for slot in outcome.slots if len(slot.kept) < config.num_descriptions]
    if short:
        named = [f"{slot.name} {len(slot.kept)}/{config.num_descriptions}" for slot in short]
        show(f"\nLeft short: {len(short)} of {len(outcome.slots)}: {some(named, 6)}")
        show("They stay short; nothing is filled in. More --rounds, or a better model, may help.")


def _print_sentences(number: int, slots: list[Slot]) -> None:
    """Print sentences from all over the list, half of them rejected ones where there are any."""
    rejected = _spread(
        [c for slot in slots for c in slot.rejected if c.verdict.rule != SURPLUS], number // 2
    )
    kept = _spread([c for slot in slots for c in slot.kept], number - len(rejected))
    show(f"\n{len(kept) + len(rejected)} of the sentences, picked by position:")
    for candidate in kept:
        _print_sentence("kept", candidate)
    for candidate in rejected:
        _print_sentence(f"rejected: {candidate.verdict.rule}", candidate)


def _print_sentence(verdict: str, candidate: Candidate) -> None:
    show(f"  {candidate.ask.action.readable}, {candidate.ask.kind} ({verdict})")
    show(f"    {candidate.text}")


def _spread(candidates: list[Candidate], number: int) -> list[Candidate]:
    number = min(number, len(candidates))
    return [candidates[i * len(candidates) // number] for i in range(number)]


def _print_next(config: Config, outcome: Outcome) -> None:
    if outcome.written is None:
        return
    written, folder = outcome.written, outcome.written.path.parent
    state = "written" if written.created else "there already, with these very rows"
    show(f"\nVersion {written.name} {state}: {written.path}")
    show(f"Look at it:  python -m describe.browse {folder}")
    show(f'Load it:     load_dataset("{folder}", "{written.name}")')
    show(f"Check it:    python -m describe.validate {folder}")
    _print_edits(config, written.path)


def _print_edits(config: Config, version: Path) -> None:
    """Say that people have edited sentences of this dataset, where the version is without that."""
    manifest = read_manifest(version)
    dataset = manifest["dataset"]
    if "edits" in manifest or not edits_path(dataset).exists():
        return
    where = "" if config.out is None and config.subset is None else f" --out {version.parent}"
    show(f"Edits of {dataset} are stored; they make the next version of this one:")
    show(f"             python -m describe --dataset {dataset}{where} --edits")


def _show_lines(lines: Iterator[str] | list[str]) -> None:
    for line in lines:
        show(line)
