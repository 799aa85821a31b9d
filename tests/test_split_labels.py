"""Numbers become classes: by the order they count in, held against what names show."""

from pathlib import Path

import pytest

from adapt.split_labels import ClassNames, with_classes
from adapt.split_rows import Row
from describe.classes import ActionClass, ClassList, load_classes, protocol_order
from describe.errors import UserError


def rows(*pairs: tuple[str, int | None]) -> list[Row]:
    return [
        Row(name=name, place=f"l.txt, line {i}", label=label)
        for i, (name, label) in enumerate(pairs, start=1)
    ]


def assign(given: list[Row], dataset: str, file: str = "l.txt", **options):
    names = ClassNames(load_classes(dataset))
    done, notes = with_classes(given, names, file=Path(file), **options)
    return [row.class_name for row in done], notes


def test_numbers_count_in_the_full_list_by_default():
    assert assign(rows(("1.webm", 19), ("2.webm", 0)), "ssv2")[0] == [
        load_classes("ssv2").names[19],
        load_classes("ssv2").names[0],
    ]


@pytest.mark.parametrize("name", ["base", "novel"])
def test_a_file_name_or_the_task_says_that_a_subset_is_counted(name):
    given = rows(("x.mp4", 0), ("y.mp4", 3))
    order = protocol_order("k400", name)
    by_file, notes = assign(given, "k400", f"{name}_val.txt")
    assert by_file == [order[0], order[3]]
    assert notes == [f"{name}_val.txt: labels are places among the {name} classes"]
    assert assign(given, "k400", prefer=name)[0] == [order[0], order[3]]


def test_names_that_show_the_class_decide_which_order_is_counted():
    order = protocol_order("ucf101", "novel")
    given = rows(*((f"v_{order[i]}_g01_c01.avi", i) for i in (3, 8, 20)))
    assert assign(given, "ucf101")[0] == [order[3], order[8], order[20]]


def test_class_folders_on_disk_show_the_class_too():
    order = protocol_order("k400", "base")
    found, _ = assign(
        rows(("a.mp4", 4)), "k400", shown=lambda row: order[4] if row.name == "a.mp4" else None
    )
    assert found == [order[4]]


def test_numbers_from_1_are_read_where_names_show_the_class():
    names = load_classes("ucf101").names
    given = rows(*((f"{name}/v_{name}_g08_c01.avi", i) for i, name in enumerate(names, start=1)))
    assert assign(given, "ucf101")[0] == list(names)


def test_labels_that_are_swapped_against_the_class_list_follow_the_names():
    names = load_classes("hmdb51").names
    kick, ball = names.index("kick"), names.index("kick ball")
    given = rows(
        ("The_Matrix_2_kick_f_cm_np1_le_med_6.avi", ball),
        ("Pepsi_soccer_kick_ball_f_nm_np1_ba_med_0.avi", kick),
        ("Girl_smile_h_nm_np1_fr_goo_1.avi", names.index("smile")),
    )
    found, notes = assign(given, "hmdb51")
    assert found == ["kick", "kick ball", "smile"]
    assert "2 labels (2 videos) name another class than the class list" in notes[0]


def test_a_number_that_stands_for_two_classes_is_refused_with_both_lines():
    given = rows(("v_Archery_g01_c01.avi", 2), ("v_Biking_g01_c01.avi", 2))
    with pytest.raises(UserError, match=r"line 2: label 2 is 'Biking' by .* 'Archery' at .*line 1"):
        assign(given, "ucf101")


def test_two_numbers_for_one_class_are_refused():
    given = rows(("v_Archery_g01_c01.avi", 2), ("v_Archery_g02_c01.avi", 9))
    with pytest.raises(UserError, match=r"line 2: labels 2 and 9 are both 'Archery'"):
        assign(given, "ucf101")


@pytest.mark.parametrize("label", [-1, 174])
def test_labels_that_are_not_0_to_k_1_are_refused(label):  # failure 40
    with pytest.raises(
        UserError, match=rf"line 2: label {label}, but the classes of ssv2 are: 174"
    ):
        assign(rows(("1.webm", 0), ("2.webm", label)), "ssv2")


def test_labels_that_may_count_either_half_are_refused():
    given = rows(*((f"{i}.webm", i) for i in range(87)))
    with pytest.raises(UserError, match=r"may count the base or the novel classes"):
        assign(given, "ssv2")


def test_a_video_without_a_label_is_of_its_folder():
    assert assign(rows(("HandStandPushups/x.avi", None)), "ucf101")[0] == ["HandstandPushups"]
    with pytest.raises(UserError, match=r"line 1: 'x.avi' has no label, and no folder names"):
        assign(rows(("x.avi", None)), "ucf101")


def test_a_class_that_the_list_lacks_is_named_with_its_line():
    row = Row(name="a.mp4", place="l.csv, line 7", class_name="archry")
    with pytest.raises(UserError, match=r"l.csv, line 7: no class 'archry' in ucf101; nearest: "):
        assign([row], "ucf101")


def test_a_spelling_that_may_be_two_classes_is_none_of_them():
    twins = ClassList(
        dataset="own",
        classes=tuple(
            ActionClass(class_id=i, name=n, readable=n) for i, n in enumerate(("A b", "a-B"))
        ),
    )
    assert ClassNames(twins).known("ab") is None
    assert ClassNames(twins).known("a-B") == "a-B"
