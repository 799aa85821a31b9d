"""`python -m describe.publish` as its user runs it, against a Hub on loopback."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_hub import FakeHub, Response, refusal
from publish_process import TOKEN, Publish

from describe.dataset import Description, write_version
from describe.errors import UserError
from describe.publish import PublishConfig
from describe.publish_plan import git_hash
from describe.validate import validate

ROOT = Path(__file__).parent.parent
MANIFEST = {"dataset": "toy", "classes": {"count": 2, "total": 2}}
FILES = [
    "README.md",
    "v1/descriptions.parquet",
    "v1/manifest.json",
    "v2/descriptions.parquet",
    "v2/manifest.json",
]


def rows(word: str) -> list[Description]:
    return [
        Description(
            class_id=class_id,
            class_name=name,
            readable_name=name,
            group="",
            kind=kind,
            step=0,
            text=f"A person {word} {name}, {kind}.",
            num_tokens=8,
        )
        for class_id, name in enumerate(("archery", "yoga"))
        for kind in ("spatial", "temporal")
    ]


@pytest.fixture(scope="session")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("published") / "toy"
    write_version(root, rows("doing"), [], MANIFEST)
    write_version(root, rows("at"), [], MANIFEST)
    return root


@pytest.fixture
def root(two_versions: Path, workspace: Path) -> Path:
    """A set of two versions in the workspace."""
    return Path(shutil.copytree(two_versions, workspace / "sets" / "toy"))


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    started = FakeHub({TOKEN: "ada"})
    yield started
    started.stop()


@pytest.fixture
def publish(hub: FakeHub, root: Path, tmp_path: Path) -> Publish:
    return Publish(hub, tmp_path)


def reads_only(hub: FakeHub) -> bool:
    return {method for method, _ in hub.requests} <= {"GET", "HEAD"}


def failing(part: str, response: Response) -> Callable[[str, str], Response | None]:
    return lambda method, path: response if part in path else None


def test_all_versions_go_into_one_private_repository_in_one_commit_and_are_tagged(
    publish, hub, root
):
    done = publish()
    assert done.err == ""
    assert done.status == 0
    repo = hub.repos["ada/toy"]
    assert repo.private
    assert len(repo.commits) == 2  # the Hub's own first one, and ours
    assert sorted(repo.files) == [".gitattributes", *FILES]
    for path in FILES[1:]:
        assert repo.files[path] == (root / path).read_bytes()
    assert b'load_dataset("ada/toy", "v2"' in repo.files["README.md"]
    assert repo.tags == {"v1": repo.head, "v2": repo.head}
    assert f"{hub.url}/datasets/ada/toy (new, private)" in done.out
    assert "5 added, 0 changed, 0 unchanged" in done.out
    assert f"Published 5 files in one commit, {repo.head[:12]}." in done.out
    assert 'Load it:  load_dataset("ada/toy", "v2")' in done.out


def test_a_dry_run_shows_what_would_change_and_only_reads(publish, hub):
    done = publish("--dry-run")
    assert done.status == 0
    assert "  added      v2/descriptions.parquet" in done.out
    assert "  v2: new, the default, to be tagged" in done.out
    assert "Nothing was sent (--dry-run)." in done.out
    assert reads_only(hub)
    assert hub.repos == {}


def test_published_again_nothing_is_sent_and_a_new_version_sends_only_itself(publish, hub, root):
    publish()
    hub.requests.clear()
    again = publish()
    assert "Up to date: the Hub has all of this already." in again.out
    assert reads_only(hub)
    before = dict(hub.repos["ada/toy"].files)
    write_version(root, rows("busy with"), [], MANIFEST)
    done = publish()
    assert "2 added, 1 changed, 4 unchanged" in done.out
    assert hub.counted("PUT", "/storage/") == 1
    repo = hub.repos["ada/toy"]
    assert len(repo.commits) == 3
    assert {path: repo.files[path] for path in FILES[1:]} == {p: before[p] for p in FILES[1:]}
    assert repo.tags["v3"] == repo.head != repo.tags["v1"]


@pytest.mark.parametrize("at", ["/storage/", "/commit/"])
def test_killed_on_the_way_nothing_is_to_be_seen_and_the_next_run_completes(publish, hub, at):
    def kill(method: str, path: str) -> Response | None:
        if at in path and method in ("PUT", "POST"):
            publish.process.kill()
            return refusal(500, "", "too late")
        return None

    hub.before = kill
    assert publish().status == -signal.SIGKILL
    repo = hub.repos["ada/toy"]
    assert list(repo.files) == [".gitattributes"]
    assert repo.tags == {}
    sent = len(hub.stored)
    assert sent == (2 if at == "/commit/" else 0)
    hub.before = lambda method, path: None
    hub.requests.clear()
    done = publish()
    assert done.status == 0, done.err
    assert hub.counted("PUT", "/storage/") == 2 - sent
    assert sorted(repo.files) == [".gitattributes", *FILES]
    assert sorted(repo.tags) == ["v1", "v2"]


def test_interrupted_before_the_tags_the_next_run_only_tags(publish, hub):
    hub.before = failing("/tag/", refusal(503, "", "try later"))
    first = publish()
    assert first.status == 1
    assert "the Hub is in trouble (503: try later); run the same command again" in first.err
    hub.before = lambda method, path: None
    hub.requests.clear()
    assert publish().status == 0
    repo = hub.repos["ada/toy"]
    assert len(repo.commits) == 2
    assert repo.tags == {"v1": repo.head, "v2": repo.head}
    assert hub.counted("POST", "/commit/") == 0


def test_a_published_version_is_never_rewritten(publish, hub, root):
    publish()
    shutil.rmtree(root / "v2")
    write_version(root, rows("near"), [], MANIFEST, "v2")
    hub.requests.clear()
    done = publish()
    assert done.status == 1
    assert done.err == (
        "describe.publish: version v2 is published with other bytes (v2/descriptions.parquet), "
        "and a version never changes; describe into a new version, or give another --repo\n"
    )
    assert reads_only(hub)


def test_a_repository_of_another_dataset_is_refused_by_both_names(publish, hub, root):
    hub.make("ada/toy", **{"v1/manifest.json": b'{"dataset": "other"}'})
    done = publish()
    assert done.status == 1
    assert done.err == (
        f"describe.publish: ada/toy describes other, and {root} describes toy; "
        "give another --repo\n"
    )
    assert reads_only(hub)


def test_a_version_that_only_the_hub_has_is_not_dropped_from_the_card(publish, hub, root):
    publish()
    shutil.rmtree(root / "v1")
    subprocess.run(
        [sys.executable, "-m", "describe.validate", "--write-card", "--no-load", root],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    done = publish()
    assert done.status == 1
    assert "ada/toy has the version v1, which is not here" in done.err


def test_a_repository_of_something_else_is_left_alone(publish, hub):
    hub.make("ada/toy", **{"data/train.csv": b"a,b\n"})
    done = publish()
    assert done.status == 1
    assert "ada/toy holds files of no version of this set (data/train.csv)" in done.err
    assert reads_only(hub)


def test_a_change_by_somebody_else_in_between_is_not_overwritten(publish, hub):
    repo = hub.make("ada/toy")

    def intrude(method: str, path: str) -> None:
        if "/commit/" in path:
            repo.add({**repo.files, "README.md": b"theirs"})

    hub.before = intrude
    done = publish()
    assert done.status == 1
    assert "ada/toy was changed meanwhile by somebody else (412)" in done.err
    assert repo.files["README.md"] == b"theirs"
    assert repo.tags == {}


def test_what_is_public_needs_the_word_public(publish, hub):
    hub.make("ada/toy", private=False)
    done = publish()
    assert done.status == 1
    assert "ada/toy is public; add --public" in done.err
    assert publish("--public").status == 0
    assert "v1/manifest.json" in hub.repos["ada/toy"].files


def test_a_new_repository_is_public_when_asked_for(publish, hub):
    done = publish("--public", "--no-tag")
    assert f"{hub.url}/datasets/ada/toy (new, public)" in done.out
    assert not hub.repos["ada/toy"].private
    assert hub.repos["ada/toy"].tags == {}


def test_a_private_repository_is_not_opened_in_passing(publish, hub):
    hub.make("ada/toy", private=True)
    done = publish("--public")
    assert done.status == 1
    assert "ada/toy is private, and --public is for a new one" in done.err


def test_a_set_with_faults_is_not_published(publish, hub, root):
    (root / "v1" / "descriptions.parquet").write_bytes(b"PAR1")
    done = publish()
    assert done.status == 1
    assert "v1/descriptions.parquet: is no readable parquet file" in done.out
    assert "1 to mend in" in done.err
    assert hub.requests == []


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "the Hub refuses the token (401); set HF_TOKEN, or log in with `hf auth login`"),
        (403, "the token may not do this to toy (403: no hf_"),
        (429, "the Hub wants fewer requests (429: Too Many Requests)"),
        (500, "the Hub is in trouble (500: no hf_"),
    ],
)
def test_a_refusal_is_one_line_without_the_token(publish, hub, status, message):
    answer = refusal(status, "", f"no {TOKEN}, never")
    hub.before = failing("/whoami", answer)
    done = publish(HF_HUB_VERBOSITY="debug", HF_DEBUG="1")
    assert done.status == 1
    last = done.err.strip().splitlines()[-1]
    assert last.startswith(f"describe.publish: {message.replace('hf_', '<token>')}")
    assert TOKEN not in done.out + done.err


HTML = Response(body=b"<html>Sign in to the network</html>")
UNSEEN = refusal(404, "RepoNotFound", "Repository not found")
BAD = refusal(400, "", "the card is too long")


@pytest.mark.parametrize(
    ("part", "answer", "message"),
    [
        ("/whoami", HTML, "the Hub's answer is of no use: "),
        ("/refs", UNSEEN, "no ada/toy on the Hub (404: "),
        ("/api/datasets/ada/toy", UNSEEN, "ada/toy was made, and the token may not see it"),
        ("/commit/", BAD, "the Hub refuses this (400: the card is too long)"),
        ("/info/lfs/", BAD, "the Hub refuses this (400: the card is too long)"),
    ],
)
def test_whatever_else_the_hub_says_is_one_line(publish, hub, part, answer, message):
    if part == "/refs":
        hub.make("ada/toy")
    hub.before = failing(part, answer)
    done = publish()
    assert done.status == 1
    assert done.err.startswith(f"describe.publish: {message}")
    assert done.err.count("\n") == 1


def test_a_name_that_the_hub_does_not_take_is_one_line(publish):
    done = publish("toy", "--repo", "toy.git", "--no-load")
    assert done.status == 1
    assert done.err.startswith("describe.publish: the Hub takes no such name: ")


def test_a_repository_of_somebody_else_is_refused_in_one_line(publish, hub):
    done = publish("toy", "--repo", "eve/toy", "--no-load")
    assert done.status == 1
    assert "the token may not do this to eve/toy (403: You don't have the rights" in done.err


def test_without_a_network_one_line_says_so(publish):
    done = publish(HF_ENDPOINT="http://127.0.0.1:9")
    assert done.status == 1
    assert done.err.startswith("describe.publish: cannot reach the Hub at http://127.0.0.1:9: ")
    assert done.err.count("\n") == 1
    offline = publish(HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE is set, and publishing needs the Hub; unset it" in offline.err


def test_without_a_token_one_line_says_how_to_get_one(publish, hub):
    done = publish(HF_TOKEN="")
    assert done.status == 1
    assert done.err == (
        "describe.publish: no token of the Hub; set HF_TOKEN, or log in with `hf auth login`\n"
    )


def test_the_token_is_in_no_output_and_no_file(publish, hub, tmp_path, root):
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text(TOKEN)
    done = publish(HF_TOKEN="", HF_HUB_VERBOSITY="debug", HF_DEBUG="1")
    assert done.status == 0, done.err
    assert "Request" in done.err  # the library did talk
    assert TOKEN not in done.out + done.err
    holding = [
        path for path in tmp_path.rglob("*") if path.is_file() and TOKEN in path.read_text("latin")
    ]
    assert holding == [tmp_path / "hf" / "token"]
    assert TOKEN.encode() not in b"".join(hub.repos["ada/toy"].files.values())


LOAD = """
import sys
from datasets import get_dataset_config_names, load_dataset
print(get_dataset_config_names(sys.argv[1]))
for config in (None, "v1"):
    print([row["text"] for row in load_dataset(sys.argv[1], config, split="train")])
print(len(load_dataset(sys.argv[1], "v1", split="train", revision="v1")))
"""


def test_datasets_loads_what_was_pushed_and_a_download_is_the_set(publish, hub, tmp_path):
    assert publish().status == 0
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "reader"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_OFFLINE": "0",
        "HF_TOKEN": TOKEN,
    }
    done = subprocess.run(
        [sys.executable, "-c", LOAD, "ada/toy"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "['v2', 'v1']",
        str([row.text for row in rows("at")]),
        str([row.text for row in rows("doing")]),
        "4",
    ]
    copy = tmp_path / "copy"
    code = (
        "import sys; from huggingface_hub import snapshot_download as get;"
        "get(sys.argv[1], repo_type='dataset', local_dir=sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, "ada/toy", copy], env=environment, check=True)
    assert validate(copy, load=False) == []


@pytest.mark.parametrize("name", ["", "a/b/c", "../x", "a--b", "-x", "x.", "é", "a" * 97])
def test_a_name_that_no_repository_can_have_is_refused(name):
    with pytest.raises(UserError, match="cannot name a repository"):
        PublishConfig(dataset="toy", repo=name)


def test_gits_own_hash_is_ours(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"some bytes\x00\n")
    done = subprocess.run(["git", "hash-object", path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == git_hash(path.read_bytes())
