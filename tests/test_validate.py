"""The validator: a sound set passes, and each way to break its files has a line that names it."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from describe.dataset import Description, Rejected, read_rejected, read_version, write_version
from describe.errors import UserError
from describe.rows import fingerprint, to_parquet
from describe.validate import main, validate

Break = Callable[[Path], object]

PROMPT = {"sha256": hashlib.sha256(b"Describe it.").hexdigest(), "text": "Describe it."}
MANIFEST = {
    "dataset": "toy",
    "classes": {"count": 2, "total": 2},
    "prompts": {"version": "v1", "files": {"spatial.jinja": PROMPT}},
}
KEPT = [
    Description(
        class_id=class_id,
        class_name=name,
        readable_name=name,
        group="",
        kind=kind,
        step=step,
        text=f"A person doing {name}, {kind} {step}.",
        num_tokens=9,
    )
    for class_id, name in enumerate(("archery", "yoga"))
    for kind in ("spatial", "temporal")
    for step in (0, 1)
]


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of two versions; the first has a rejected sentence."""
    root = tmp_path_factory.mktemp("sound") / "toy"
    values = {field.name: getattr(KEPT[0], field.name) for field in fields(Description)}
    write_version(root, KEPT, [Rejected(**values, rule="refusal")], MANIFEST)
    write_version(root, KEPT, [], MANIFEST)
    return root


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "toy"))


# --- ways to break v1: each changes one thing, and mends what would give it away otherwise


def manifest(change: Callable[[dict], object]) -> Break:
    def edit(root: Path, version: str = "v1") -> None:
        path = root / version / "manifest.json"
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data))

    return edit


def stated(**values: object) -> Break:
    """Change what the manifest says of the descriptions."""
    return manifest(lambda data: data["files"]["descriptions.parquet"].update(values))


def rows(change: Callable[[list], list], file: str = "descriptions") -> Break:
    """Rewrite a table, and all that the manifest says of it."""

    def rewrite(root: Path) -> None:
        read = {
            "descriptions": read_version(root, "v1").rows,
            "rejected": read_rejected(root, "v1"),
        }
        read[file] = change(list(read[file]))
        data = to_parquet(read[file])
        (root / f"v1/{file}.parquet").write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()

        def mend(data: dict) -> None:
            data["files"][f"{file}.parquet"].update(rows=len(read[file]), sha256=sha256)
            data["fingerprint"] = fingerprint(*read.values())
            by_rule = {row.rule: 1 for row in read["rejected"]}
            data["counts"] = {"kept": len(read["descriptions"]), "rejected": by_rule}

        manifest(mend)(root)

    return rewrite


def row(number: int, file: str = "descriptions", **values: object) -> Break:
    def change(rows: list) -> list:
        return [replace(r, **values) if i == number else r for i, r in enumerate(rows)]

    return rows(change, file)


def every_row(**change: Callable[[Description], object]) -> Break:
    (name, value) = next(iter(change.items()))
    return rows(lambda rows: [replace(row, **{name: value(row)}) for row in rows])


def table(change: Callable[[pa.Table], pa.Table]) -> Break:
    """Rewrite the descriptions as another program might, and their hash in the manifest."""

    def rewrite(root: Path) -> None:
        path = root / "v1/descriptions.parquet"
        pq.write_table(change(pq.read_table(path)), path)
        stated(sha256=hashlib.sha256(path.read_bytes()).hexdigest())(root)

    return rewrite


def file(name: str, data: bytes | None) -> Break:
    def change(root: Path) -> None:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(data) if data is not None else (root / name).unlink()

    return change


def cut_short(root: Path) -> None:
    path = root / "v1/descriptions.parquet"
    path.write_bytes(path.read_bytes()[:900])


def with_null(data: pa.Table) -> pa.Table:
    texts = pa.array([None, *data["text"].to_pylist()[1:]])
    return data.set_column(data.column_names.index("text"), "text", texts)


PARQUET = "v1/descriptions.parquet"
JSON = "v1/manifest.json"
BROKEN = {
    "a stray table": (file("v1/x.parquet", b""), r"^v1/x\.parquet: no config in README.md names"),
    "a leftover": (file(".writing-v3/a", b""), r"^\.writing-v3: was left by an interrupted run"),
    "another folder": (file("more/a", b""), "^more/manifest.json: is missing"),
    "no table": (file(PARQUET, None), f"^{PARQUET}: is missing, and the manifest lists it"),
    "a table cut short": (cut_short, f"^{PARQUET}: is no readable parquet file"),
    "another hash": (stated(sha256="0"), f"^{PARQUET}: its hash is not the manifest's"),
    "another row count": (stated(rows=9), f"^{PARQUET}: has 8 rows, and the manifest says 9"),
    "no manifest": (file(JSON, None), f"^{JSON}: is missing"),
    "a manifest cut short": (file(JSON, b'{"a'), f"^{JSON} is not JSON"),
    "no counts": (manifest(lambda m: m.pop("counts")), f"^{JSON} has no valid counts"),
    "no file hash": (
        manifest(lambda m: m["files"]["rejected.parquet"].pop("sha256")),
        f"^{JSON} has no valid files.rejected.parquet",
    ),
    "prompts of another form": (
        manifest(lambda m: m.update(prompts=["Describe it."])),
        f"^{JSON} has no valid prompts",
    ),
    "a prompt without its text": (
        manifest(lambda m: m["prompts"]["files"]["spatial.jinja"].pop("text")),
        f"^{JSON} has no valid prompts.files.spatial.jinja",
    ),
    "classes counted in words": (
        manifest(lambda m: m["classes"].update(count="two")),
        f"^{JSON} has no valid classes",
    ),
    "short as a list": (
        manifest(lambda m: m["counts"].update(short=["yoga"])),
        f"^{JSON} has no valid counts.short",
    ),
    "a rule counted in words": (
        manifest(lambda m: m["counts"].update(rejected={"echo": "two"})),
        f"^{JSON} has no valid counts;",
    ),
    "a later format": (manifest(lambda m: m.update(format=2)), f"^{JSON} has format 2"),
    "a table not listed": (
        manifest(lambda m: m["files"].pop("descriptions.parquet")),
        f"^{JSON}: does not list descriptions.parquet",
    ),
    "an edited prompt": (
        manifest(lambda m: m["prompts"]["files"]["spatial.jinja"].update(text="!")),
        f"^{JSON}: the hash of prompt 'spatial.jinja' is not its text's",
    ),
    "another fingerprint": (
        manifest(lambda m: m.update(fingerprint="s1:0")),
        f"^{JSON}: its fingerprint is not that of the rows",
    ),
    "another count": (
        manifest(lambda m: m["counts"].update(kept=9)),
        f"^{JSON}: counts 9 kept, and 8 are there",
    ),
    "another count by rule": (
        manifest(lambda m: m["counts"].update(rejected={"refusal": 2})),
        f"^{JSON}: counts 2 rejected by 'refusal', and 1 are there",
    ),
    "no column": (table(lambda t: t.drop_columns(["text"])), f"^{PARQUET}: lacks the column text"),
    "another column": (
        table(lambda t: t.append_column("x", t["step"])),
        f"^{PARQUET}: has the unknown column x",
    ),
    "another type": (
        table(lambda t: t.set_column(5, "step", t["text"])),
        f"^{PARQUET}: column 'step' is string, and int32 is expected",
    ),
    "a null": (table(with_null), f"^{PARQUET}: column 'text' has 1 null"),
    "a row over 2 KB": (row(3, text="w" * 2000), rf"^{PARQUET}: row 3 .* takes \d+ bytes, over 2"),
    "an empty text": (row(0, text=" "), rf"^{PARQUET}: row 0 \(class 'archery'\) has no text"),
    "another kind": (every_row(kind=lambda _: "a"), f"^{PARQUET}: row 0 .* has the kind 'a' and 7"),
    "another group": (row(0, group="old"), f"^{PARQUET}: row 0 .* has the group 'old'; use base"),
    "rejected by nothing": (row(0, "rejected", rule=""), "^v1/rejected.parquet: row 0 .* no rule"),
    "a sentence twice": (
        row(1, text=KEPT[0].text.upper()),
        rf"^{PARQUET}: rows 0 and 1 \(class 'archery'\) hold the same spatial sentence",
    ),
    "a gap": (row(1, step=2), rf"^{PARQUET}: the spatial steps of 'archery' are \[0, 2\]"),
    "two names for one id": (
        every_row(class_id=lambda _: 0),
        "^v1: class_id 0 is 'archery' and 'yoga'",
    ),
    "two ids for one name": (row(7, class_id=9), "^v1: class 'yoga' has the ids 1 and 9"),
    "an id below 0": (row(7, class_id=-1), f"^{PARQUET}: row 7 .* has the class_id -1"),
    "an id past the list": (
        manifest(lambda m: m["classes"].update(total=1)),
        r"^v1: class_id 1 is not in 0\.\.0",
    ),
    "a class gone in silence": (
        rows(lambda rows: rows[:4]),
        "^v1: 1 classes have descriptions, and the manifest says 2 with 0 left short",
    ),
}


def test_a_sound_set_has_no_faults(sound):
    assert validate(sound) == []


@pytest.mark.parametrize("name", BROKEN)
def test_each_way_to_break_the_files_has_a_line_that_names_the_fault(name, root):
    break_it, message = BROKEN[name]
    break_it(root)
    faults = validate(root, load=False)
    assert [fault for fault in faults if re.search(message, fault)], faults
    assert len(faults) <= 3  # what follows from a fault does not bury it
    assert not [fault for fault in faults if "\n" in fault]


def test_there_are_many_ways_and_each_has_its_own_message():
    assert len({message for _, message in BROKEN.values()}) == len(BROKEN)


def test_what_only_datasets_finds_is_found(root):
    path = root / "v1/descriptions.parquet"
    features = b'{"info": {"features": {"text": {"_type": "Nothing"}}}}'
    table(lambda t: t.replace_schema_metadata({b"huggingface": features}))(root)
    assert validate(root, load=False) == []
    (fault,) = validate(root)
    assert re.match(r"README\.md: `datasets` cannot load the config 'v1': .*Nothing", fault), path


def test_a_set_of_some_classes_is_sound(tmp_path):
    # Ids stay those of the whole list when a protocol's half of the classes is described.
    kept = [row for row in KEPT if row.class_id == 1]
    write_version(tmp_path, kept, [], {**MANIFEST, "classes": {"count": 1, "total": 2}})
    assert validate(tmp_path, load=False) == []


def test_a_class_without_rows_is_sound_when_it_is_said_to_be_short(tmp_path):
    counts = {"short": {"archery": {"spatial": 0, "temporal": 0}}}
    write_version(tmp_path, KEPT[4:], [], {**MANIFEST, "counts": counts})
    assert validate(tmp_path, load=False) == []


def test_a_repeat_that_is_flagged_is_sound(tmp_path):
    # A published set is kept as it was published; its defects stand among the flags.
    repeat = replace(KEPT[1], text=KEPT[0].text, flags=("repeat",))
    write_version(tmp_path, [KEPT[0], repeat, *KEPT[2:]], [], MANIFEST)
    assert validate(tmp_path, load=False) == []


def test_an_empty_folder_says_what_is_missing(tmp_path):
    assert validate(tmp_path) == [
        "no version folder; describe a class list first",
        "README.md: is missing; write it anew with --write-card",
    ]


def test_a_folder_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(UserError, match="nothing is no folder; give the folder of a description"):
        validate(tmp_path / "nothing")


def test_the_command_says_ok_and_what_the_set_holds(root, capsys):
    assert main([str(root), "--no-load"]) == 0
    assert capsys.readouterr().out == (
        f"ok: {root} (v1: 8 kept, 1 rejected, v2: 8 kept, 0 rejected)\n"
    )


def test_the_command_prints_each_fault_and_exits_1(root, capsys):
    (root / "v1/manifest.json").write_text("")
    (root / "README.md").unlink()
    assert main([str(root), "--no-load"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" ")[0] for line in lines] == ["v1/manifest.json", "README.md:", "2"]
    assert lines[-1] == f"2 to mend in {root}"


def test_a_mistake_of_the_command_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "nothing")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("describe.validate: ")
    assert error.count("\n") == 1
