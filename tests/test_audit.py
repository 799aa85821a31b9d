"""The audit of published files: each defect on files made here, and the known counts."""

import json
from dataclasses import replace

import pytest

from describe.audit import audit, report, summary
from describe.classes import load_classes
from describe.published_files import find_files, read_published
from describe.rules import RuleConfig

CLASSES = load_classes("ucf101")
CAMEL = CLASSES.by_name["SoccerPenalty"].class_id


@pytest.fixture
def audited(tmp_path):
    """Audit a made-up ucf101 file of two good sentences a class, with some lists replaced."""

    def run(replaced=None, kind="s", count=2):
        lists = {
            str(each.class_id): [
                f"A video about people who do {each.readable}, shot {i} of number {each.class_id}."
                for i in range(count)
            ]
            for each in CLASSES.classes
        }
        path = tmp_path / f"{count}_{kind}_description_ucf_101.json"
        path.write_text(json.dumps(lists | (replaced or {})))
        return audit(read_published(path), RuleConfig())

    return run


def places(audit, name):
    return [place for each in audit.defects if each.name == name for place in each.places]


def test_a_file_without_defects_has_none(audited):
    found = audited()
    assert found.defects == ()
    assert found.count("leaked instruction") == 0
    assert len(found.verdicts) == 202


STEP = "A video of {} generally involves the following step: {}, which is a sub-step."


@pytest.mark.parametrize(
    ("sentences", "caught"),
    [
        ([STEP.format("a soccer penalty", "(placing the ball)"), "He waits."], 1),
        ([STEP.format("a soccer penalty", "[placing the ball]"), "He waits."], 1),
        (["A video about [a ball on grass].", "A video about (a goal)."], 2),
        ([STEP.format("a soccer penalty", "placing the ball (at once)"), "He waits."], 0),
        ([STEP.format("tying knot (not on a tie)", "placing the rope"), "He waits."], 0),
    ],
)
def test_a_description_in_brackets_is_one_that_starts_with_a_bracket(audited, sentences, caught):
    found = audited({"84": sentences})
    assert places(found, "description in brackets") == ["84"] * caught


def test_a_leaked_instruction_is_found_inside_a_sentence(audited):
    leaked = "A kick. The output should be in the following format: ['one', 'two']."
    found = audited({"3": [leaked, "A video about the output of a printer in a good format."]})
    assert places(found, "leaked instruction") == ["3"]


def test_all_sentences_in_one_string_are_counted_by_class(audited):
    joined = "A video about a kicker. the kicker runs. the ball flies. it lands."
    assert places(audited({"5": [joined]}, count=4), "all sentences in one string") == ["5"]


def test_a_list_that_is_only_short_is_not_one_string(audited):
    found = audited({"5": ["A video about a kicker. he runs."]}, count=4)
    assert places(found, "all sentences in one string") == []


def test_identical_lists_are_pairs(audited):
    same = ["A video about a ball.", "A video about a net."]
    found = audited({"4": same, "9": same, "11": same[::-1]})
    assert places(found, "same list as another class") == ["4 = 9"]
    assert {found.verdicts[i].rule for i in (8, 9, 18, 19)} == {"identical_list"}


def test_a_frame_in_bad_grammar_is_counted(audited):
    good = STEP.format("diving", "jumping off")
    found = audited({"25": [good, good.replace("A video", "A videos")]}, kind="t")
    assert places(found, 'begins "A videos of"') == ["25"]


def test_a_name_run_together_is_counted_where_the_class_has_several_words(audited):
    found = audited(
        {
            str(CAMEL): ["A video about a soccerpenalty.", "A video about a soccer penalty."],
            "2": ["A video about archery.", "A video about an archer."],  # one word: no fault
            "82": ["A video about skydiving.", "A video about a sky diver."],
        }
    )
    assert places(found, "class name run together") == [str(CAMEL)]


@pytest.mark.parametrize(
    ("text", "caught"),
    [
        ("A video about satisfying sounds of typing.", 1),
        ("A video about a determined climber.", 1),
        ("A video about fingers on a keyboard.", 0),
        ("A video about rhythmic arm swings.", 0),
    ],
)
def test_words_for_what_no_camera_sees_are_counted_in_spatial_files(audited, text, caught):
    name = "a word for what no camera sees"
    assert audited({"94": [text, "Keys."]}).count(name) == caught
    assert audited({"94": [text, "Keys."]}, kind="t").count(name) == 0


def test_single_words_and_shared_sentences_are_counted(audited):
    found = audited({"2": ["Bow", "arrow "], "6": ["bow", "a ball"], "7": ["tip-toe", "a hoop"]})
    assert places(found, "a single word") == ["2", "2", "6"]
    assert places(found, "shared with another class") == ["2", "6"]


def test_sentences_beyond_the_text_encoder_are_counted(audited):
    # One token a word, with a start and an end token: 30 fit into 32.
    fits, over = " ".join(["ball"] * 30), " ".join(["ball"] * 31)
    found = audited({"1": [fits, over]})
    assert places(found, "longer than the text encoder reads") == ["1"]


def test_the_report_says_what_was_kept_and_where_the_defects_are(audited):
    same = ["A video about [a ball].", "A video about [a net]."]
    lines = report(audited({"4": same, "9": same}))
    assert lines[0] == "2_s_description_ucf_101.json: msta, spatial, 101 classes of ucf101, 2 each"
    assert lines[1] == "  198 of 202 sentences pass the rules (98.0%)"
    assert "        4  brackets" in lines
    assert "  description in brackets: 4 of 202 sentences (2.0%), at 4, 9" in lines
    assert "  same list as another class: 1 of 101 classes (1.0%), at 4 = 9" in lines


def test_the_report_names_a_few_places_and_counts_the_rest(audited):
    found = audited()
    many = {str(key): ["Ball", "Net"] for key in range(8)}
    lines = report(replace(found, defects=audited(many).defects))
    assert "  a single word: 16 of 202 sentences (7.9%), at 0, 1, 2, 3, 4, 5 and 2 more" in lines


def test_the_summary_adds_up_the_files(audited):
    flawed = audited({"4": ["A video about [a ball].", "A video about a net."]})
    lines = summary([audited(), flawed])
    assert lines[0] == "2 files, 404 sentences, 403 pass the rules"
    assert lines[1].startswith("  brackets       1    0.2%  it stands in brackets")


# The published files. The counts are known, and the audit must find exactly these.


@pytest.fixture(scope="module")
def audits(shared):
    """Every published file, by name."""
    files = [read_published(path) for path in find_files([shared / "descriptions"])]
    return {file.origin.name: audit(file, RuleConfig()) for file in files}


@pytest.mark.shared
@pytest.mark.parametrize(("name", "count"), [("8_t", 1688), ("4_t", 352)])
def test_bracketed_steps_of_k400(audits, name, count):
    found = audits[f"{name}_description_k400.json"]
    assert found.count("description in brackets") == count
    assert len(found.verdicts) == {"8_t": 3200, "4_t": 1600}[name]


@pytest.mark.shared
def test_leaked_instructions_in_all_files(audits):
    assert sum(each.count("leaked instruction") for each in audits.values()) == 49
    assert sum(each.rejected["leaked_instruction"] for each in audits.values()) == 49


@pytest.mark.shared
def test_the_one_class_with_eight_sentences_in_one_string(audits):
    found = {name: places(each, "all sentences in one string") for name, each in audits.items()}
    assert {name: where for name, where in found.items() if where} == {
        "8_s_description_k400.json": ["174"]
    }
    file = audits["8_s_description_k400.json"].file
    assert len(file.sentences["kicking field goal"]) == 1


@pytest.mark.shared
def test_identical_lists_of_two_classes(audits):
    found = {
        name: places(each, "same list as another class")
        for name, each in audits.items()
        if "description" in name and not each.file.origin.part
    }
    assert {name: where for name, where in found.items() if where} == {
        "2_s_description_k400.json": ["48 = 50"],
        "2_s_description_k600.json": ["76 = 78", "232 = 582"],
        "2_s_description_ssv2.json": ["22 = 122", "105 = 112"],
        "4_s_description_ssv2.json": ["59 = 61"],
    }


@pytest.mark.shared
def test_a_videos_of_stands_in_temporal_files_only(audits):
    counts = {name: each.count('begins "A videos of"') for name, each in audits.items()}
    wrong = {name for name, count in counts.items() if count}
    assert {audits[name].file.origin.kind for name in wrong} == {"temporal"}
    assert counts["2_t_description_ucf_101.json"] == 64
    assert counts["4_t_description_k600.json"] == 124


@pytest.mark.shared
def test_ucf_names_run_together_stand_in_temporal_files(audits):
    counts = {
        (each.file.origin.count, each.file.origin.kind): each.count("class name run together")
        for name, each in audits.items()
        if name.endswith("_description_ucf_101.json")
    }
    # 74 of the 101 names are several words written as one; every sentence of theirs has it.
    assert [counts[n, "temporal"] for n in (2, 4, 8)] == [148, 296, 592]
    assert [counts[n, "spatial"] for n in (2, 4, 8)] == [0, 0, 0]


@pytest.mark.shared
@pytest.mark.parametrize("dataset", ["hmdb51", "k400", "k600", "ucf101"])
def test_eleven_to_fourteen_percent_of_spatial_sentences_speak_of_the_unseen(audits, dataset):
    files = [
        each
        for each in audits.values()
        if each.file.origin.source.name == "msta"
        and (each.file.origin.dataset, each.file.origin.kind) == (dataset, "spatial")
        and not each.file.origin.part
    ]
    unseen = sum(each.count("a word for what no camera sees") for each in files)
    assert 11 <= 100 * unseen // sum(len(each.verdicts) for each in files) <= 14


@pytest.mark.shared
def test_a_quarter_of_ssv2_steps_lose_their_end(audits):
    files = [audits[f"{n}_t_description_ssv2.json"] for n in (2, 4, 8)]
    over = sum(each.count("longer than the text encoder reads") for each in files)
    assert (over, sum(len(each.verdicts) for each in files)) == (639, 2436)  # 26.2%


@pytest.mark.shared
def test_descriptors_of_ost_are_often_single_words_and_often_shared(audits):
    files = [audits[f"k400/spatio_descriptors/{n}_descriptors.json"] for n in (2, 4, 8)]
    single = [100 * each.count("a single word") / len(each.verdicts) for each in files]
    shared = [100 * each.count("shared with another class") / len(each.verdicts) for each in files]
    assert (int(min(single)), int(max(single))) == (35, 47)
    assert (int(min(shared)), int(max(shared))) == (14, 29)
