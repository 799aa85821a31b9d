"""Published files: what their paths say, the join by name, and the versions they make."""

import json

import pytest

from describe.classes import load_classes, protocol_order
from describe.dataset import list_versions, read_rejected, read_version
from describe.errors import UserError
from describe.published import group_files, main
from describe.published_files import find_files, read_published, recognize


@pytest.fixture
def publish(tmp_path):
    """Write a file as MSTA or OST would: `publish(name, dataset, order, sentence)`."""

    def write(name, dataset, order, sentence=None, count=2):
        classes = load_classes(dataset)
        make = sentence or (lambda action, step: f"A video about {action.readable}, take {step}.")
        lists = {
            str(key): [make(classes.by_name[official], step) for step in range(count)]
            for key, official in enumerate(order)
        }
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(lists))
        return path

    return write


@pytest.fixture
def hmdb(publish):
    """The full hmdb51 list, spatial and temporal."""
    names = load_classes("hmdb51").names
    step = "A video of {} generally involves the following step: part {}, which is a sub-step."
    return [
        publish("2_s_description_hmdb.json", "hmdb51", names),
        publish(
            "2_t_description_hmdb.json",
            "hmdb51",
            names,
            lambda action, number: step.format(action.readable, number),
        ),
    ]


def one_line(capsys):
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("describe: ")
    return error


# What a path says.


@pytest.mark.parametrize(
    ("path", "source", "dataset", "kind", "count", "part"),
    [
        ("2_s_description_hmdb.json", "msta", "hmdb51", "spatial", 2, ""),
        ("a/8_t_description_ucf_101.json", "msta", "ucf101", "temporal", 8, ""),
        ("2_t_description_ucf_101_base.json", "msta", "ucf101", "temporal", 2, "base"),
        ("2_s_description_k400_novel.json", "msta", "k400", "spatial", 2, "novel"),
        ("ost/sth/spatio_descriptors/4_descriptors.json", "ost", "ssv2", "spatial", 4, ""),
        ("k400/temporal_descriptors/8_descriptors.json", "ost", "k400", "temporal", 8, ""),
        ("k600/split2/spatio_8_descriptors.json", "ost", "k600", "spatial", 8, "zero_shot_2"),
    ],
)
def test_a_path_says_what_a_file_is(tmp_path, path, source, dataset, kind, count, part):
    origin = recognize(tmp_path / path)
    assert origin.source.name == source
    assert (origin.dataset, origin.kind, origin.count, origin.part) == (dataset, kind, count, part)


@pytest.mark.parametrize(
    ("path", "dataset", "message"),
    [
        ("captions.json", None, r"captions.json is named like no published file; known: 8_t_"),
        ("8_x_description_k400.json", None, r"is named like no published file"),
        ("spatio_descriptors/8_descriptors.json", None, r"does not say the dataset; give --dat"),
        ("2_descriptors.json", "ucf101", r"says neither spatio nor temporal; keep OST's folders"),
        ("2_s_description_hmdb.json", "k400", r"is of the dataset hmdb51, not k400"),
        ("2_s_description_hdmb.json", None, r"no dataset 'hdmb'; known: hmdb51, k400"),
    ],
)
def test_a_path_that_says_too_little_is_an_error(tmp_path, path, dataset, message):
    (tmp_path / path).parent.mkdir(exist_ok=True, parents=True)
    (tmp_path / path).write_text("{}")
    relative = (tmp_path / path).relative_to(tmp_path)
    with pytest.raises(UserError, match=message):
        read_published(relative, dataset)


def test_the_dataset_may_be_told(publish):
    names = load_classes("hmdb51").names
    path = publish("x/spatio_2_descriptors.json", "hmdb51", names)
    assert recognize(path.relative_to(path.parent), "hmdb51").dataset == "hmdb51"


def test_a_folder_stands_for_its_json_files(tmp_path, hmdb):
    (tmp_path / ".DS_Store").touch()
    assert find_files([tmp_path]) == hmdb
    assert find_files([hmdb[0], tmp_path]) == hmdb


def test_a_path_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no file .*nothing.json"):
        find_files([tmp_path / "nothing.json"])


def test_a_folder_without_json_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no JSON file in "):
        find_files([tmp_path])


# The join by name.


def test_positions_become_names_in_the_public_order_of_the_subset(publish):
    order = protocol_order("hmdb51", "base")
    file = read_published(publish("2_s_description_hmdb_base.json", "hmdb51", order))
    assert file.sentences["pour"] == (
        "A video about pour a liquid, take 0.",
        "A video about pour a liquid, take 1.",
    )
    assert [action.class_id for action, _, _ in file.items()][:2] == [25, 25]


def test_the_zero_shot_classes_together_are_in_label_order(publish):
    names = {n for i in (1, 2, 3) for n in protocol_order("k600", f"zero_shot_{i}")}
    order = [name for name in load_classes("k600").names if name in names]
    path = publish("k600/spatio_descriptors/2_descriptors.json", "k600", order)
    file = read_published(path)
    assert (len(file.sentences), file.origin.part) == (217, "zero_shot")
    assert "acting in a play" in file.sentences["acting in play"][0]


def test_another_number_of_classes_is_an_error(publish):
    path = publish("2_s_description_hmdb.json", "hmdb51", load_classes("hmdb51").names[:-1])
    with pytest.raises(UserError, match=r"hmdb.json has 50 classes, but hmdb51 has 51"):
        read_published(path)


@pytest.mark.parametrize("shift", [1, 100])
def test_a_list_in_another_order_is_refused(publish, shift):
    names = load_classes("k400").names
    path = publish("2_s_description_k400.json", "k400", names[shift:] + names[:shift])
    with pytest.raises(UserError, match=r"k400.json does not fit the classes that its name says"):
        read_published(path)


def test_a_novel_file_named_base_is_refused(publish):
    path = publish("2_s_description_k400_base.json", "k400", protocol_order("k400", "novel"))
    with pytest.raises(UserError, match=r"k400_base.json does not fit the classes.*of 200 are na"):
        read_published(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"2_s_description_hmdb.json is not JSON: Expecting"),
        ("\ud800", r"is not JSON"),
        ("[" * 100_000, r"is not JSON"),
        ('["a"]', r"is no JSON object of positions and sentences"),
        ('{"0": ["a"], "0": ["b"]}', r"has the key '0' more than once"),
        ('{"1": ["a"], "2": ["b"]}', r"lacks the key '0'; keys are '0', '1', ... in order"),
        ('{"0": "a"}', r"key '0': no list of sentences"),
        ('{"0": []}', r"key '0': no list of sentences"),
        ('{"0": ["a"], "1": [1]}', r"key '1': 1 is no sentence"),
        (r'{"0": ["\ud800"]}', r"key '0': '.ud800' is no sentence"),
        ('{"0": ["a"]}', r"has 1 classes, but hmdb51 has 51"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, text, message):
    path = tmp_path / "2_s_description_hmdb.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError, match=message) as caught:
        read_published(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    (tmp_path / "2_s_description_hmdb.json").mkdir()
    with pytest.raises(UserError, match=r"cannot read .*hmdb.json: Is a directory"):
        read_published(tmp_path / "2_s_description_hmdb.json")


# Versions.


def test_spatial_and_temporal_files_make_one_version(hmdb, tmp_path, capsys):
    assert main([*map(str, hmdb), "--out", str(tmp_path / "out")]) == 0
    read = read_version(tmp_path / "out" / "hmdb51")
    assert read.name == "msta_n2"
    assert len(read.rows) == 51 * 2 * 2
    row = next(row for row in read.rows if row.class_name == "shoot bow" and row.step == 1)
    assert row.text == "A video about shoot a bow, take 1."
    assert (row.class_id, row.group, row.kind, row.model) == (35, "base", "spatial", "DeepSeek")
    assert "wrote" in capsys.readouterr().out


def test_base_and_novel_files_make_the_whole_list(publish, tmp_path):
    for part in ("base", "novel"):
        name = f"2_s_description_hmdb_{part}.json"
        publish(name, "hmdb51", protocol_order("hmdb51", part))
    files = [read_published(path) for path in find_files([tmp_path])]
    assert [each.name for each in group_files(files)] == ["msta_n2"]
    assert [each.name for each in group_files(files[:1])] == ["msta_n2_base"]


def test_two_zero_shot_splits_are_named_both(publish, tmp_path):
    for i in (1, 2):
        order = protocol_order("k600", f"zero_shot_{i}")
        publish(f"k600/split{i}/spatio_2_descriptors.json", "k600", order)
    files = [read_published(path) for path in find_files([tmp_path])]
    assert [each.name for each in group_files(files)] == ["ost_n2_zero_shot_1_zero_shot_2"]


def test_files_that_disagree_are_refused_before_anything_is_written(publish, tmp_path, capsys):
    full, base = load_classes("hmdb51").names, protocol_order("hmdb51", "base")
    publish("in/2_s_description_hmdb.json", "hmdb51", full)
    other = lambda action, step: f"A video about {action.readable}, shot {step}."  # noqa: E731
    publish("in/2_s_description_hmdb_base.json", "hmdb51", base, other)
    assert main([str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 1
    assert "hold different sentences for 'pour'" in one_line(capsys)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def flawed(publish):
    """One class of 51 has a sentence that a rule rejects."""

    def sentence(action, step):
        if action.name == "chew" and step == 1:
            return "A video about [chew something]."
        return f"A video about {action.readable}, take {step}."

    return publish("2_s_description_hmdb.json", "hmdb51", load_classes("hmdb51").names, sentence)


def test_by_default_all_is_kept_and_the_rule_is_a_flag(flawed, tmp_path):
    assert main([str(flawed), "--out", str(tmp_path / "out")]) == 0
    read = read_version(tmp_path / "out" / "hmdb51")
    flagged = [row.text for row in read.rows if "brackets" in row.flags]
    assert flagged == ["A video about [chew something]."]
    assert len(read.rows) == 102
    assert read_rejected(tmp_path / "out" / "hmdb51") == ()


def test_with_filter_it_is_rejected_and_the_class_reported_short(flawed, tmp_path):
    assert main([str(flawed), "--out", str(tmp_path / "out"), "--filter"]) == 0
    read = read_version(tmp_path / "out" / "hmdb51")
    assert read.name == "msta_n2_filtered"
    rejected = read_rejected(tmp_path / "out" / "hmdb51")
    assert ("chew", "brackets") in {(row.class_name, row.rule) for row in rejected}
    assert len(read.rows) + len(rejected) == 102
    assert [row.step for row in read.rows if row.class_name == "chew"] == [0]
    assert read.manifest["counts"]["short"]["chew (spatial)"] == 1


def test_the_manifest_says_where_the_sentences_come_from_and_nothing_of_this_machine(
    hmdb, tmp_path
):
    main([*map(str, hmdb), "--out", str(tmp_path / "out")])
    manifest = read_version(tmp_path / "out" / "hmdb51").manifest
    source = manifest["source"]["files"]["2_s_description_hmdb.json"]
    assert source["sha256"] == read_published(hmdb[0]).sha256
    assert source["label_order"] == "all"
    assert "2411.11223" in manifest["source"]["published"]
    assert str(tmp_path) not in json.dumps(manifest)


def test_a_second_import_finds_the_version_there(hmdb, tmp_path, capsys):
    command = [*map(str, hmdb), "--out", str(tmp_path / "out")]
    main(command)
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    capsys.readouterr()
    assert main(command) == 0
    assert "already there" in capsys.readouterr().out
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before


def test_sets_stand_in_the_workspace_by_default(hmdb, workspace):
    assert main([str(hmdb[0])]) == 0
    assert list_versions(workspace / "published" / "hmdb51") == ["msta_n2"]


def test_audit_only_writes_nothing(hmdb, workspace, capsys):
    assert main([*map(str, hmdb), "--audit-only"]) == 0
    assert not workspace.exists()
    printed = capsys.readouterr().out
    assert "2_t_description_hmdb.json: msta, temporal, 51 classes of hmdb51, 2 each" in printed
    assert "2 files, 204 sentences" in printed


def test_a_mistake_is_one_line_and_exit_status_1(tmp_path, capsys):
    assert main([str(tmp_path / "nothing.json")]) == 1
    assert "no file" in one_line(capsys)
    assert main([]) == 1
    assert "give the files to import" in one_line(capsys)


# The published files themselves.


@pytest.mark.shared
def test_every_published_file_is_read_and_fits_its_class_list(shared):
    files = [read_published(path) for path in find_files([shared / "descriptions"])]
    msta = [file for file in files if file.origin.source.name == "msta"]
    assert (len(files), len(msta)) == (85, 45)
    assert sum(1 for file in msta for _ in file.items()) == 35_225


@pytest.mark.shared
def test_base_and_novel_files_hold_the_sentences_of_the_full_file_under_the_same_names(shared):
    # Each file has its own label order: only the right join by name makes them agree.
    files = [read_published(path) for path in find_files([shared / "descriptions"])]
    publications = group_files(files)
    split = [
        each.origin.dataset
        for each in publications
        if {file.origin.part for file in each.files} == {"", "base", "novel"}
    ]
    assert split == ["hmdb51", "k400", "ssv2", "ucf101"]
    for publication in publications:
        publication.lists()  # raises where two files disagree
    names = {(each.origin.dataset, each.name) for each in publications}
    assert ("k600", "ost_n2_zero_shot") in names
    assert ("k400", "msta_n8") in names


@pytest.mark.shared
def test_a_published_pair_imports_as_it_is(shared, tmp_path):
    folder = shared / "descriptions" / "msta"
    paths = [str(folder / f"2_{kind}_description_ssv2.json") for kind in "st"]
    assert main([*paths, "--out", str(tmp_path)]) == 0
    read = read_version(tmp_path / "ssv2", "msta_n2")
    published = json.loads((folder / "2_t_description_ssv2.json").read_text())
    rows = [row.text for row in read.rows if row.kind == "temporal"]
    assert rows == [text for texts in published.values() for text in texts]
