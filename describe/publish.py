"""`python -m describe.publish DATASET --repo NAME`: push a set to the Hugging Face Hub.

All versions go into one dataset repository as its configs, in one commit; each gets a tag. The set
is validated first. A version that is published never changes. Run again, only what is missing is
sent; an interrupted run leaves nothing to be seen.
"""

import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from describe.diff_sides import find_set
from describe.errors import UserError
from describe.escape import printable
from describe.publish_hub import Hub
from describe.publish_plan import Plan, Remote, git_hash, make_plan
from describe.terminal import run_command, show
from describe.validate import validate
from describe.versions import CARD, MANIFEST, list_versions, read_manifest

_PART = r"[A-Za-z0-9][\w.-]{0,95}(?<![.-])"
_NAME = re.compile(rf"(?!.*(--|\.\.))({_PART}/)?{_PART}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class PublishConfig:
    """What to publish, and where."""

    dataset: Annotated[str, tyro.conf.Positional]
    """The set: its name in the workspace, or its folder."""

    repo: str
    """Dataset repository: OWNER/NAME, or NAME under your own user. Made when missing, private."""

    public: bool = False
    """Make a new repository public; one that is public already needs this, too."""

    dry_run: bool = False
    """Send nothing: say what would change."""

    tag: bool = True
    """Give each version a tag of its name; --no-tag: none."""

    load: bool = True
    """First load every config with `datasets`, offline (some seconds); --no-load: do not."""

    def __post_init__(self) -> None:
        """Refuse a name that no repository can have."""
        if not _NAME.fullmatch(self.repo):
            raise UserError(
                f"--repo {self.repo!r} cannot name a repository; write OWNER/NAME in letters, "
                "digits, '-', '_' and '.'"
            )


def publish(config: PublishConfig) -> None:
    """Validate, compare, push and tag, and say so.

    Raises:
        UserError: The set has faults, or the Hub does not take it.
    """
    root = find_set(config.dataset)
    _refuse_faults(root, load=config.load)
    hub = Hub(config.repo)
    remote = hub.read()
    _refuse_open_door(hub, remote, public=config.public)
    _refuse_other_dataset(hub, remote, root)
    plan = make_plan(root, hub.repo, remote, tag=config.tag)
    _show_plan(plan, hub, remote, public=config.public)
    if config.dry_run:
        show("\nNothing was sent (--dry-run).")
        return
    if not plan.to_send and not plan.tags:
        show("\nUp to date: the Hub has all of this already.")
        return
    _push(plan, hub, remote, root, public=config.public)
    show(f'Load it:  load_dataset("{hub.repo}", "{plan.versions[-1]}")')


def _refuse_faults(root: Path, *, load: bool) -> None:
    faults = validate(root, load=load)
    if faults:
        for fault in faults:
            show(fault)
        raise UserError(
            f"{len(faults)} to mend in {root} before it can be published; nothing was sent"
        )


def _refuse_open_door(hub: Hub, remote: Remote | None, *, public: bool) -> None:
    """Refuse to show everybody what nobody said is to be shown."""
    if remote is not None and not remote.private and not public:
        raise UserError(f"{hub.repo} is public; add --public to publish where everybody can see it")
    if remote is not None and remote.private and public:
        raise UserError(
            f"{hub.repo} is private, and --public is for a new one; open it in its settings, "
            f"{hub.url}/settings, or leave out --public"
        )


def _refuse_other_dataset(hub: Hub, remote: Remote | None, root: Path) -> None:
    """Refuse a repository of another dataset; one that has a manifest of this set is of this."""
    there = {} if remote is None else remote.files
    manifests = [path for path in sorted(there) if path.endswith(f"/{MANIFEST}")]
    if remote is None or not manifests:
        return
    here = [root / path for path in manifests]
    if any(
        path.is_file() and git_hash(path.read_bytes()) == there[name].blob_id
        for name, path in zip(manifests, here, strict=True)
    ):
        return
    ours = str(read_manifest(root / list_versions(root)[-1])["dataset"])
    theirs = hub.dataset_of(manifests[-1], remote.commit)
    if theirs != ours:
        raise UserError(
            f"{hub.repo} describes {printable(theirs)}, and {root} describes {printable(ours)}; "
            "give another --repo"
        )


def _show_plan(plan: Plan, hub: Hub, remote: Remote | None, *, public: bool) -> None:
    state = "public" if public else "private"
    show(f"{hub.url} ({'new' if remote is None else 'there'}, {state})")
    for name in plan.versions:
        default = ", the default" if name == plan.versions[-1] else ""
        tag = ", to be tagged" if name in plan.tags else ""
        show(f"  {name}: {'new' if name in plan.new else 'published already'}{default}{tag}")
    width = max(len(file.path) for file in plan.files)
    for file in plan.files:
        show(f"  {file.state:<9}  {file.path:<{width}}  {len(file.data):>10,} bytes")
    states = Counter(file.state for file in plan.files)
    show(", ".join(f"{states[name]} {name}" for name in ("added", "changed", "unchanged")))


def _push(plan: Plan, hub: Hub, remote: Remote | None, root: Path, *, public: bool) -> None:
    if remote is None:
        hub.create(private=not public)
        remote = hub.read()
        if remote is None:
            raise UserError(f"{hub.repo} was made, and the token may not see it; nothing was sent")
    commit = remote.commit
    if plan.to_send:
        dataset = read_manifest(root / plan.versions[-1])["dataset"]
        what = f"add {', '.join(plan.new)}" if plan.new else f"renew {CARD}"
        commit = hub.commit(plan.to_send, f"Descriptions of {dataset}: {what}", remote.commit)
        show(f"\nPublished {len(plan.to_send)} files in one commit, {commit[:12]}.")
    for name in plan.tags:
        hub.tag(name, commit)
    if plan.tags:
        show(f"Tagged {', '.join(plan.tags)}.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 done, 1 the user must change something, 130 interrupted."""
    return run_command(
        "describe.publish",
        lambda: tyro.cli(
            PublishConfig,
            args=argv,
            prog="python -m describe.publish",
            description=__doc__,
            config=(tyro.conf.FlagCreatePairsOff,),
        ),
        run,
        if_interrupted="run the same command again to go on",
    )


def run(config: PublishConfig) -> int:
    """Publish; return the exit status."""
    publish(config)
    return 0


if __name__ == "__main__":
    sys.exit(main())
