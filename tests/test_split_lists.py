"""Lists as people have them: every form is read, and a line that cannot be is named."""

import json

import pytest
from fake_videos import write

from adapt.split_lists import line_row, read_rows
from describe.errors import UserError


@pytest.mark.parametrize(
    ("line", "name", "label", "class_name"),
    [
        ("a/b.avi 3", "a/b.avi", 3, None),
        ("a/b.avi\t3", "a/b.avi", 3, None),
        ("a/b.avi,3", "a/b.avi", 3, None),
        ("a/b.avi , 3", "a/b.avi", 3, None),
        ("two words/the clip.mp4 12", "two words/the clip.mp4", 12, None),
        ("a, b/c.mp4 12", "a, b/c.mp4", 12, None),
        ('"two words, a comma.mp4" 5', "two words, a comma.mp4", 5, None),
        ('"it ""says"" so.mp4",5', 'it "says" so.mp4', 5, None),
        ("b.mp4,riding a bike", "b.mp4", None, "riding a bike"),
        ("b.mp4\tswing, baseball", "b.mp4", None, "swing, baseball"),
        ("Archery/v_Archery_g01_c01.avi", "Archery/v_Archery_g01_c01.avi", None, None),
        ("./a\\b.webm 0", "a/b.webm", 0, None),
        ("12345 7", "12345", 7, None),
        ("日本語/動画.mp4 1", "日本語/動画.mp4", 1, None),
        ("#437_How_To_Ride_A_Bike.avi 2", "#437_How_To_Ride_A_Bike.avi", 2, None),
        ("a.avi -1", "a.avi", -1, None),
    ],
)
def test_a_line_is_a_path_and_a_label(line, name, label, class_name):
    row = line_row(line, "here")
    assert (row.name, row.label, row.class_name) == (name, label, class_name)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_marks_blank_lines_and_comments_do_not_count(tmp_path, end):
    path = write(tmp_path / "l.txt", "\ufeffa.avi 0", "", "# by hand", "b.avi 1", end=end)
    assert [(row.name, row.label) for row in read_rows(path)] == [("a.avi", 0), ("b.avi", 1)]
    assert read_rows(path)[1].place.endswith("l.txt, line 4")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a.avi 0", "rubbish"], r"l.txt, line 2: 'rubbish' is not `path label`"),
        (["frames/a 120 3"], r"line 1: three columns, as in a list of frame folders"),
        (["a.avi 0", "b.avi 1", "a.avi 2"], r"line 3: 'a.avi' stands under 2, and at .*line 1 un"),
        (["", " "], r"l.txt lists no video"),
        (["path,label", "a.avi"], r"line 2: 1 fields, but the header has 2"),
        (["path,label", "a.avi,"], r"line 2: no class; each row needs both"),
        (["path,label", '"a.avi,0'], r"line 2: unexpected end of data; is a quote missing"),
        (["path,class,split", "a.avi,x,held"], r"line 2: 'held' is no split; use train, val or"),
        (["path,class,start", "a.avi,x,soon"], r"line 2: 'soon' is not a time in seconds"),
        (["label,youtube_id,time_start,time_end", "a,id,9,3"], r"line 2: ends at 3 s, before it"),
        (["label,youtube_id", "a,"], r"line 2: no youtube_id"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path, lines, message):  # failure 32
    with pytest.raises(UserError, match=message):
        read_rows(write(tmp_path / "l.txt", *lines))


def test_bytes_that_are_no_text_are_named_with_their_line(tmp_path):
    (tmp_path / "l.txt").write_bytes(b"a.avi 0\nb\xff.avi 1\n")
    with pytest.raises(UserError, match=r"l.txt, line 2: not UTF-8"):
        read_rows(tmp_path / "l.txt")


def test_a_list_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no list .*gone.txt"):
        read_rows(tmp_path / "gone.txt")


def test_own_csv_has_a_header_in_any_order(tmp_path):
    path = write(
        tmp_path / "own.csv",
        "class;split;path;group;start;end",
        "open door;train;a b.mp4;kitchen;1.5;4",
        '"close; door";validation;c.mp4;;;',
    )
    first, second = read_rows(path)
    assert (first.name, first.class_name, first.part, first.group) == (
        "a b.mp4",
        "open door",
        "train",
        "kitchen",
    )
    assert (first.start_seconds, first.end_seconds) == (1.5, 4.0)
    assert (second.class_name, second.part, second.start_seconds) == ("close; door", "val", None)


def test_kinetics_csv_gives_the_names_that_its_files_may_have(tmp_path):
    path = write(
        tmp_path / "validate.csv",
        "label,youtube_id,time_start,time_end,split,is_cc",
        '"abseiling",0wR5jVB-WPk,417,427,val,0',
    )
    (row,) = read_rows(path)
    assert row.name == "0wR5jVB-WPk_000417_000427"
    assert row.other_names == ("0wR5jVB-WPk",)
    assert (row.class_name, row.part, row.group) == ("abseiling", "val", "0wR5jVB-WPk")
    assert (row.start_seconds, row.end_seconds) == (417, 427)


def test_something_something_is_labelled_by_template_not_by_its_caption(tmp_path):
    items = [
        {
            "id": "78687",
            "label": "holding a potato next to a bottle",
            "template": "Holding [something] next to [something]",
            "placeholders": ["a potato", "a bottle"],
        }
    ]
    path = write(tmp_path / "something-something-v2-train.json", json.dumps(items))
    (row,) = read_rows(path)
    assert (row.name, row.class_name) == ("78687.webm", "Holding something next to something")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"id": "1"}]', r"item 1: no template; the test set has no labels"),
        ('{"a": 1}', r"not a list of videos"),
        ("[1]", r"item 1: no 'id' and 'template'"),
        ("[\n{", r"line 3: not JSON"),
    ],
)
def test_json_that_is_no_list_says_why(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_rows(write(tmp_path / "x.json", text))
