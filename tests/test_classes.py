"""Class lists: what is shipped, what the public files say, and lists of one's own."""

import csv
import json

import pytest

from describe.classes import (
    known_datasets,
    load_classes,
    protocol_order,
    read_classes,
    readable_name,
    subset,
)
from describe.errors import UserError

COUNTS = {"hmdb51": 51, "k400": 400, "k600": 600, "miniature": 24, "ssv2": 174, "ucf101": 101}
PUBLIC_FILES = {  # dataset: the full list, then each subset
    "hmdb51": {"": "hmdb_51", "base": "hmdb_51_base", "novel": "hmdb_51_novel"},
    "k400": {"": "kinetics_400", "base": "kinetics_400_base", "novel": "kinetics_400_novel"},
    "k600": {"": "kinetics_600"} | {f"zero_shot_{i}": f"ZS_split{i}_K600" for i in (1, 2, 3)},
    "ssv2": {"": "ssv2", "base": "ssv2_174_base", "novel": "ssv2_174_novel"},
    "ucf101": {"": "ucf_101", "base": "ucf_101_base", "novel": "ucf_101_novel"},
}
SUBSETS = [(dataset, name) for dataset, files in PUBLIC_FILES.items() for name in files]


def public_names(shared, dataset, name):
    stem = PUBLIC_FILES[dataset][name]
    path = next(p for p in (shared / "labels").glob("*.csv") if p.stem in (stem, f"{stem}_labels"))
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(row["name"] for row in csv.DictReader(file))


def names(path):
    return list(read_classes(path).names)


# Shipped lists.


def test_the_shipped_datasets_are_these():
    assert known_datasets() == sorted(COUNTS)


@pytest.mark.parametrize(("dataset", "count"), COUNTS.items())
def test_labels_are_0_to_count_minus_1_in_order(dataset, count):
    assert [each.class_id for each in load_classes(dataset).classes] == list(range(count))


@pytest.mark.parametrize(
    ("dataset", "base", "novel"),
    [("hmdb51", 26, 25), ("ucf101", 51, 50), ("ssv2", 87, 87), ("k400", 200, 200)],
)
def test_base_and_novel_share_out_all_classes(dataset, base, novel):
    groups = [each.group for each in load_classes(dataset).classes]
    assert (groups.count("base"), groups.count("novel")) == (base, novel)
    assert base + novel == len(groups)


def test_k600_has_three_zero_shot_subsets_of_160_and_no_class_of_k400():
    k400 = set(load_classes("k400").names)
    for i in (1, 2, 3):
        chosen = set(protocol_order("k600", f"zero_shot_{i}"))
        assert len(chosen) == 160
        assert not chosen & k400


@pytest.mark.parametrize("dataset", COUNTS)
def test_readable_names_differ_and_are_plain_words(dataset):
    readable = [each.readable for each in load_classes(dataset).classes]
    assert len({name.casefold() for name in readable}) == len(readable)
    for name in readable:
        assert "(" not in name
        assert "_" not in name
        assert not name[0].isspace()


@pytest.mark.parametrize(
    ("dataset", "name", "readable"),
    [
        ("ucf101", "ApplyEyeMakeup", "apply eye makeup"),
        ("ucf101", "YoYo", "play with a yo-yo"),
        ("ucf101", "HandstandPushups", "handstand push-ups"),
        ("hmdb51", "pullup", "pull-up"),
        ("hmdb51", "sword", "sword fight"),
        ("k400", "dying hair", "dyeing hair"),
        ("k600", "fencing (sport)", "fencing with swords"),
        ("ssv2", "Putting something behind something", "putting something behind something else"),
    ],
)
def test_readable_names_say_what_the_official_ones_mean(dataset, name, readable):
    assert load_classes(dataset).by_name[name].readable == readable


def test_a_subset_keeps_the_labels_of_the_full_list():
    full = load_classes("ucf101")
    base = subset(full, "base")
    assert len(base.classes) == 51
    assert all(full.classes[each.class_id] == each for each in base.classes)
    assert [each.class_id for each in base.classes] == sorted(e.class_id for e in base.classes)


def test_the_protocol_order_is_not_the_full_list_order():
    assert protocol_order("k400", "base")[:2] == ("getting a tattoo", "picking fruit")
    assert protocol_order("hmdb51", "novel")[-1] == "pick"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("HandStandPushups", "HandstandPushups"),
        ("handstand_pushups", "HandstandPushups"),
        ("yoyo", "YoYo"),
        ("brush_hair", "brush hair"),
        ("Closing [something]", "Closing something"),
    ],
)
def test_a_class_is_found_in_any_public_spelling(name, found):
    lists = [load_classes(dataset) for dataset in known_datasets()]
    dataset = next(each for each in lists if found in each.names)
    assert dataset.find(name).name == found


def test_a_name_that_is_no_class_is_an_error_with_the_nearest():
    with pytest.raises(UserError, match=r"no class 'Archer' in ucf101; nearest: 'Archery'"):
        load_classes("ucf101").find("Archer")


def test_a_spelling_that_fits_two_classes_fits_neither(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("jump rope\njumprope\n")
    with pytest.raises(UserError, match=r"no class 'Jump-Rope' in list; nearest: 'jump rope'"):
        read_classes(path).find("Jump-Rope")
    assert read_classes(path).find("jumprope").class_id == 1


@pytest.mark.shared
@pytest.mark.parametrize(("dataset", "name"), SUBSETS)
def test_names_and_order_are_the_public_ones(shared, dataset, name):
    public = public_names(shared, dataset, name)
    assert (protocol_order(dataset, name) if name else load_classes(dataset).names) == public


@pytest.mark.shared
@pytest.mark.parametrize("folder", ["ucf_splits", "base2novel_splits/ucf_splits"])
def test_the_class_in_a_ucf_video_name_is_found_and_is_its_label(shared, folder):
    full = load_classes("ucf101")
    for path in sorted((shared / "splits" / folder).glob("*.txt")):
        group = next((g for g in ("base", "novel") if g in path.name), None)
        order = protocol_order("ucf101", group) if group else full.names
        for line in path.read_text().splitlines():
            video, label = line.rsplit(" ", 1)
            assert full.find(video.split("_")[1]).name == order[int(label)]


# Errors of shipped lists.


def test_an_unknown_dataset_lists_the_known_ones():
    with pytest.raises(UserError, match=r"no dataset 'k4000'; known: hmdb51, k400, .*--classes"):
        load_classes("k4000")


def test_an_unknown_subset_lists_the_known_ones():
    message = r"k600 has no subset 'base'; it has: zero_shot_1, zero_shot_2, zero_shot_3"
    with pytest.raises(UserError, match=message):
        protocol_order("k600", "base")


def test_a_list_without_subsets_says_so(tmp_path):
    (tmp_path / "mine.txt").write_text("run\n")
    with pytest.raises(UserError, match=r"mine has no subset 'base'; it has: none"):
        subset(read_classes(tmp_path / "mine.txt"), "base")


# Lists of one's own.

ODD = [
    "run, then jump",
    'say "hello"',
    "throw (a ball)",
    "sit/stand",
    "привет махать",
    "拍手",
    "it's",
]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_text_list_is_one_name_a_line(tmp_path, end, mark):
    path = tmp_path / "list.txt"
    path.write_bytes((mark + end.join(["", *ODD[:3], "  ", *ODD[3:], ""])).encode())
    assert names(path) == ODD


def test_quotes_around_a_whole_line_are_not_part_of_the_name(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text('"roll it up, so it rolls back"\nsay "hello"\n"a" or "b"\n')
    assert names(path) == ["roll it up, so it rolls back", 'say "hello"', '"a" or "b"']


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    "header", [["id", "name"], ["label", "class"], ["Class_ID", "Action"], None, ["name", "id"]]
)
def test_a_csv_list_gives_the_same_labels_however_it_is_written(tmp_path, end, mark, header):
    rows = [[str(i), name] for i, name in enumerate(ODD)]
    rows = [row[::-1] for row in rows] if header == ["name", "id"] else rows
    rows = [header, *rows] if header else rows
    path = tmp_path / "list.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(mark)
        csv.writer(file, lineterminator=end).writerows(rows)
    assert names(path) == ODD


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name\nrun\njump\n", ["run", "jump"]),
        ("run\n\njump\n", ["run", "jump"]),
        ('"run, fast"\njump\n', ["run, fast", "jump"]),
        ("id,name\n1,jump\n0,run\n", ["run", "jump"]),
        ("id;name\n0;run\n1;jump\n", ["run", "jump"]),
        ("id\tname\n0\trun, fast\n1\tjump\n", ["run, fast", "jump"]),
        ("run,0\njump,1\n", ["run", "jump"]),
        ("name,count\nrun,70\njump,12\n", ["run", "jump"]),
    ],
)
def test_a_csv_list_may_be_of_several_forms(tmp_path, text, expected):
    path = tmp_path / "list.csv"
    path.write_text(text)
    assert names(path) == expected


@pytest.mark.parametrize(
    "data",
    [
        ["run", "jump"],
        [{"name": "run"}, {"name": "jump"}],
        [{"class": "jump", "label": 1}, {"class": "run", "label": 0}],
        {"run": 0, "jump": 1},
        {"jump": 1, "run": 0},
        {"0": "run", "1": "jump"},
        {"1": "jump", "0": "run"},
    ],
)
def test_a_json_list_may_be_of_several_forms(tmp_path, data):
    path = tmp_path / "list.json"
    path.write_text(json.dumps(data))
    assert names(path) == ["run", "jump"]


def test_a_folder_of_class_folders_is_a_list(tmp_path):
    for name in ("run", "jump", ".git"):
        (tmp_path / "videos" / name).mkdir(parents=True)
    (tmp_path / "videos" / "notes.txt").touch()
    read = read_classes(tmp_path / "videos")
    assert (read.dataset, read.names) == ("videos", ("jump", "run"))


def test_a_readable_column_is_used_and_else_names_are_split_into_words(tmp_path):
    (tmp_path / "a.csv").write_text("name,readable\nTaiChi,practise tai chi\nYoYo,\n")
    readable = [each.readable for each in read_classes(tmp_path / "a.csv").classes]
    assert readable == ["practise tai chi", "yo yo"]
    (tmp_path / "a.json").write_text('[{"name": "TaiChi", "readable": "practise tai chi"}]')
    assert read_classes(tmp_path / "a.json").classes[0].readable == "practise tai chi"


@pytest.mark.parametrize(
    ("name", "readable"),
    [
        ("ApplyEyeMakeup", "apply eye makeup"),
        ("brush_hair", "brush hair"),
        ("BASE jumping", "BASE jumping"),
        ("iPhone", "iPhone"),
        ("CPR", "CPR"),
        ("_", "_"),
    ],
)
def test_identifiers_are_split_into_words_and_other_names_stay(name, readable):
    assert readable_name(name) == readable


def test_base_and_novel_columns_make_subsets(tmp_path):
    (tmp_path / "a.csv").write_text("name,base,novel\nrun,1,-\njump,,0\nwalk,0,\n")
    read = read_classes(tmp_path / "a.csv")
    assert read.subsets == {"base": ("walk", "run"), "novel": ("jump",)}
    assert [each.group for each in read.classes] == ["base", "novel", "base"]


def test_utf_16_with_a_mark_is_read(tmp_path):
    (tmp_path / "a.txt").write_text("拍手\nrun\n", encoding="utf-16")
    assert names(tmp_path / "a.txt") == ["拍手", "run"]


def test_the_list_is_called_as_told_or_like_its_file(tmp_path):
    (tmp_path / "my classes.txt").write_text("run\n")
    assert read_classes(tmp_path / "my classes.txt").dataset == "my_classes"
    assert read_classes(tmp_path / "my classes.txt", "toy").dataset == "toy"
    with pytest.raises(UserError, match=r"'\.\./toy' cannot name a dataset; use letters"):
        read_classes(tmp_path / "my classes.txt", "../toy")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("a.txt", "", r"a.txt names no class"),
        ("a.txt", "\n \r\n", r"a.txt names no class"),
        ("a.csv", "", r"a.csv names no class"),
        ("a.csv", "id,name\n", r"a.csv names no class"),
        ("a.json", "[]", r"a.json names no class"),
        ("a.json", "{}", r"a.json names no class"),
        ("a.txt", "run\njump\nrun\n", r"repeats a class: 'run' \(line 1\) and 'run' \(line 3\)"),
        ("a.txt", "run\n\n\nRUN\n", r"repeats a class: 'run' \(line 1\) and 'RUN' \(line 4\)"),
        ("a.txt", "a b\na  b\n", r"repeats a class: 'a b' \(line 1\) and 'a b' \(line 2\)"),
        ("a.txt", "caf\u00e9\ncafe\u0301", r"repeats a class: 'café' \(line 1\) and 'café' \(lin"),
        ("a.txt", "a\nb\na\nb\n", r"\(line 3\), and 1 more; keep one of them"),
        ("a.csv", "id,name\n0,run\n1,Run\n", r"'run' \(line 2\) and 'Run' \(line 3\)"),
        ("a.json", '{"run": 0, "run": 1}', r"'run' \(item 1 \('run'\)\) and 'run' \(item 2"),
        ("a.csv", "run\nroll up, then down\n", r"line 2: 2 fields, but line 1 has 1; put quotes"),
        ("a.csv", 'name\n"run\njump\n', r"a.csv, line 3: .*is a quote missing\?"),
        ("a.csv", 'name\n"run\njump"\n', r"a.csv, line 3: a name over two lines"),
        ("a.csv", "run,fast\njump,high\n", r"which of the 2 columns is the name; begin with"),
        ("a.csv", "id,name\n0,run\n0,jump\n", r"label 0 stands at line 2 and line 3"),
        ("a.csv", "id,name\n1,run\n2,jump\n", r"line 3: label 2 of 2 classes; labels are 0 to 1"),
        ("a.csv", "id,name\n0,run\nx,jump\n", r"line 3: 'x' is not a whole number"),
        ("a.csv", "id,name\n0,\n", r"line 2: the name is empty"),
        ("a.csv", "name,base\nrun,0\njump,2\n", r"column 'base' are not 0 to 1, each once"),
        ("a.csv", "name,base,novel\nrun,0,0\n", r"line 2: 'run' is both base and novel"),
        ("a.json", "[1]", r"item 1: 1 is no class; give a list of names"),
        ("a.json", '{"a": "b"}', r"item 1: 'a': 'b' is no class"),
        ("a.json", '{"run": true}', r"item 1: 'run': True is no class"),
        ("a.json", '[{"names": "run"}]', r"item 1: no 'name' among names"),
        ("a.json", '[{"name": 3}]', r"item 1: 3 is not a name; names are text"),
        ("a.json", '[{"name": "a", "readable": 1}]', r"item 1: 1 is not a name; names are text"),
        ("a.json", r'[{"name": "a", "readable": "\ud800"}]', r"name holds the character U\+D800"),
        ("a.csv", "name,readable\na,b\x01\n", r"line 2: the name holds the character U\+0001"),
        ("a.json", '[{"name": "a", "id": 0}, "b"]', r"item 2: 'b' has no label, but others have"),
        ("a.json", '"run"', r"'run' is not a list of names"),
        ("a.json", '["run"\n "jump"]', r"a.json, line 2: not JSON: Expecting ',' delimiter"),
        ("a.json", "[" * 100_000, r"nested too deeply"),
        ("a.json", r'["\ud800"]', r"item 1: the name holds the character U\+D800"),
        ("a.txt", "run\x00\n", r"line 1: the name holds the character U\+0000"),
        ("a.txt", "run\nju\u200bmp\n", r"line 2: the name holds the character U\+200B"),
        ("a.txt", "x" * 201, r"line 1: the name has 201 characters; at most 200"),
    ],
)
def test_a_bad_list_is_one_line_that_names_the_place(tmp_path, file, text, message):
    (tmp_path / file).write_text(text, encoding="utf-8", newline="")
    with pytest.raises(UserError, match=message) as caught:
        read_classes(tmp_path / file)
    assert "\n" not in str(caught.value)
    assert file in str(caught.value)


def test_a_list_that_is_not_utf_8_names_the_line(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"run\nm\xfcde\n")
    with pytest.raises(UserError, match=r"a.txt, line 2: not UTF-8; save the list as UTF-8"):
        read_classes(tmp_path / "a.txt")


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no class list .*nothing.txt"):
        read_classes(tmp_path / "nothing.txt")


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"names no class"):
        read_classes(tmp_path)


def test_a_list_that_cannot_be_read_says_why(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot read .*list.txt: Not a directory"):
        read_classes(tmp_path / "file" / "list.txt")
