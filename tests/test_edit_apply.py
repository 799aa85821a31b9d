"""What edits do to rows: each case is worked by hand."""

from dataclasses import fields

import pytest

from describe.edit_apply import apply_edits, overruled
from describe.edits import Edit
from describe.rows import Description, Rejected
from describe.rules import RuleConfig

CLASSES = ("archery", "yoga")


def row(text: str, class_id: int = 0, kind: str = "temporal", step: int = 0, **more) -> Description:
    name = CLASSES[class_id]
    values = {"class_name": name, "readable_name": name, "group": "", "num_tokens": 7}
    values |= {"model": "m", "prompt_version": "v1", "request_key": f"d1:{class_id}{kind}"}
    return Description(
        class_id=class_id, kind=kind, step=step, text=text, **values | {"repairs": (), **more}
    )


def refused(text: str, rule: str = "generic", **more) -> Rejected:
    plain = row(text, **more)
    return Rejected(**{f.name: getattr(plain, f.name) for f in fields(plain)}, rule=rule)


KEPT = [
    row("She draws the bow.", step=0),
    row("She lets the arrow go.", step=1),
    row("A mat on a floor.", class_id=1, kind="spatial"),
    row("A person in a pose.", class_id=1, kind="spatial", step=1),
]
REJECTED = [
    refused("She lifts the bow high.", step=0),
    refused("She hangs up the bow.", rule="surplus", step=2),
]


def edit(action: str, text: str, new_text: str = "", reason: str = "", **more: str) -> Edit:
    about = {"class_name": "archery", "kind": "temporal"} | more
    values = {"edited_at": "", "dataset": "toy", "version": "v1", "new_text": new_text}
    return Edit(action=action, text=text, reason=reason, **values, **about)


def texts(rows, class_name: str = "archery") -> list[tuple[int, str]]:
    return sorted((row.step, row.text) for row in rows if row.class_name == class_name)


def test_a_rejected_sentence_goes_to_the_rejected_ones_with_its_reason():
    done = apply_edits(KEPT, REJECTED, [edit("reject", "She draws the bow.", reason="untrue")])
    assert texts(done.kept) == [(0, "She lets the arrow go.")]
    (gone,) = [row for row in done.rejected if row.rule == "edited"]
    assert (gone.text, gone.detail, gone.request_key) == (
        "She draws the bow.",
        "untrue",
        "d1:0temporal",
    )


def test_a_kept_sentence_comes_back_at_its_place_with_the_rule_among_its_flags():
    done = apply_edits(KEPT, REJECTED, [edit("keep", "She lifts the bow high.")])
    assert texts(done.kept) == [
        (0, "She draws the bow."),
        (1, "She lifts the bow high."),
        (2, "She lets the arrow go."),
    ]
    assert done.kept[1].flags == ("generic", "edited")
    assert [row.rule for row in done.rejected] == ["surplus"]


def test_a_rewritten_sentence_keeps_its_place_and_is_read_again():
    new = "She smells the smoke while her hand draws the string of the bow."
    done = apply_edits(KEPT, REJECTED, [edit("rewrite", "She draws the bow.", new)])
    first = done.kept[0]
    assert (first.step, first.text, first.repairs) == (0, new, ("edited",))
    assert first.num_tokens == 16  # one a word and the full stop, start and end: 13 + 1 + 2
    assert first.flags == ("mentions_unseen", "edited")
    assert first.request_key == "d1:0temporal"


def test_a_rewritten_sentence_that_a_rule_would_reject_stays_and_names_the_rule():
    rules = RuleConfig(max_words=3)
    done = apply_edits(
        KEPT, [], [edit("rewrite", "She draws the bow.", "She draws a bow slowly.")], rules=rules
    )
    assert done.kept[0].flags == ("too_long", "edited")


def test_a_rejected_sentence_can_be_rewritten_and_is_kept_then():
    done = apply_edits(KEPT, REJECTED, [edit("rewrite", "She lifts the bow high.", "Her bow.")])
    assert (1, "Her bow.") in texts(done.kept)
    assert "generic" not in [row.rule for row in done.rejected]
    assert done.done == {"rewritten": 1}


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([("reject", "A"), ("keep", "A")], "A"),
        ([("keep", "A"), ("reject", "A")], None),
        ([("rewrite", "A", "B"), ("keep", "A")], "A"),
        ([("rewrite", "A", "B"), ("rewrite", "A", "C")], "C"),
        ([("rewrite", "A", "B"), ("rewrite", "B", "C")], "C"),
        ([("rewrite", "A", "B"), ("rewrite", "B", "A")], "A"),
        ([("rewrite", "A", "B"), ("keep", "B")], "B"),
        ([("rewrite", "A", "B"), ("reject", "B")], None),
        ([("rewrite", "A", "B"), ("reject", "B"), ("keep", "B")], "B"),
        ([("rewrite", "A", "B"), ("reject", "B"), ("keep", "A")], "A"),
        ([("rewrite", "A", "B"), ("rewrite", "B", "C"), ("keep", "A")], "A"),
        ([("reject", "A"), ("undo", "A")], "A"),
        ([("reject", "A"), ("undo", "A"), ("reject", "A")], None),
        ([("rewrite", "A", "B"), ("undo", "A")], "A"),
        ([("rewrite", "A", "B"), ("undo", "B")], "A"),
        ([("rewrite", "A", "B"), ("reject", "B"), ("undo", "A")], "A"),
        ([("rewrite", "A", "B"), ("rewrite", "B", "C"), ("undo", "C")], "A"),
        ([("rewrite", "A", "B"), ("rewrite", "B", "A"), ("undo", "A")], "A"),
        ([("rewrite", "A", "B"), ("rewrite", "A", "C"), ("undo", "B")], "C"),
        ([("rewrite", "A", "B"), ("reject", "B"), ("undo", "A"), ("rewrite", "A", "B")], "B"),
    ],
)
def test_the_last_edit_of_a_sentence_holds(edits, expected):
    done = apply_edits([row("A")], [], [edit(*each) for each in edits])
    assert [row.text for row in done.kept] == ([] if expected is None else [expected])
    assert done.idle == []


def test_an_undone_edit_leaves_no_trace_in_any_row():
    edits = [
        edit("keep", "She lifts the bow high."),
        edit("rewrite", "She lets the arrow go.", "The arrow flies."),
        edit("rewrite", "An older sentence.", "Her fingers hold the string."),
        edit("undo", "She lifts the bow high."),
        edit("undo", "She lets the arrow go."),
        edit("undo", "Her fingers hold the string."),
    ]
    untouched, done = (apply_edits(KEPT, REJECTED, each) for each in ([], edits))
    assert (done.kept, done.rejected) == (untouched.kept, untouched.rejected)
    assert (done.in_force, done.idle, done.done) == ([], [], {})
    assert overruled(edits) == set(range(6))


def test_an_undo_of_a_sentence_leaves_the_edits_of_a_later_chain():
    later = edit("rewrite", "She lets the arrow go.", "She draws the bow.")
    edits = [edit("rewrite", "She draws the bow.", "B"), later, edit("undo", "B")]
    assert apply_edits(KEPT, [], edits).in_force == [later]


def test_edits_made_anew_over_the_unedited_rows_say_the_same():
    edits = [
        edit("reject", "She draws the bow."),
        edit("rewrite", "She lets the arrow go.", "The arrow flies."),
    ]
    once, twice = (apply_edits(KEPT, REJECTED, edits) for _ in range(2))
    assert (once.kept, once.rejected) == (twice.kept, twice.rejected)


def test_what_a_person_wrote_is_never_dropped_though_the_run_wrote_other_sentences():
    done = apply_edits(
        KEPT,
        REJECTED,
        [
            edit("rewrite", "An older sentence.", "Her fingers hold the string."),
            edit("keep", "Another older one."),
            edit("reject", "A third older one."),
        ],
    )
    assert texts(done.kept)[-1] == (2, "Her fingers hold the string.")
    added = next(row for row in done.kept if row.text.startswith("Her fingers"))
    assert (added.model, added.request_key, added.repairs) == ("", "", ("edited",))
    assert added.class_id == 0
    assert [(each.text, why) for each, why in done.idle] == [
        ("Another older one.", "no such sentence"),
        ("A third older one.", "no such sentence"),
    ]


@pytest.mark.parametrize("last", ["reject", "keep"])
def test_a_sentence_that_was_taken_back_is_not_added(last):
    about = "New one." if last == "reject" else "An older sentence."
    edits = [edit("rewrite", "An older sentence.", "New one."), edit(last, about)]
    done = apply_edits(KEPT, REJECTED, edits)
    assert len(done.kept) == len(KEPT)
    assert done.done == {}


def test_an_edit_that_was_taken_up_under_a_text_taken_back_since_adds_nothing():
    edits = [
        edit("rewrite", "She draws the bow.", "B"),
        edit("rewrite", "B", "C"),
        edit("keep", "She draws the bow."),
    ]
    done = apply_edits(KEPT, REJECTED, edits)
    assert texts(done.kept) == texts(KEPT)


def test_the_surplus_follows_where_a_rejection_leaves_a_class_short():
    done = apply_edits(KEPT, REJECTED, [edit("reject", "She draws the bow.")], wanted=2)
    assert texts(done.kept) == [(0, "She lets the arrow go."), (1, "She hangs up the bow.")]
    assert done.done == {"rejected": 1, "promoted": 1}


def test_the_surplus_follows_nowhere_else():
    more = refused("A calm face.", rule="surplus", class_id=1, kind="spatial")
    done = apply_edits(KEPT, [more], [edit("reject", "She draws the bow.")], wanted=3)
    assert texts(done.kept, "yoga") == texts(KEPT, "yoga")


def test_the_surplus_follows_where_a_rewrite_made_a_repeat():
    same = edit("rewrite", "She draws the bow.", "She lets the arrow go.")
    done = apply_edits(KEPT, REJECTED, [same], wanted=2)
    assert texts(done.kept) == [(0, "She lets the arrow go."), (1, "She hangs up the bow.")]
    assert [row.text for row in done.repeats] == ["She lets the arrow go."]
    assert done.done == {"rewritten": 1, "promoted": 1}


def test_a_surplus_sentence_that_a_person_wrote_meanwhile_does_not_follow():
    edits = [
        edit("rewrite", "She draws the bow.", "She hangs up the bow."),
        edit("reject", "She lets the arrow go."),
    ]
    done = apply_edits(KEPT, REJECTED, edits, wanted=2)
    assert texts(done.kept) == [(0, "She hangs up the bow.")]


def test_a_surplus_sentence_that_a_person_rejected_does_not_follow():
    edits = [edit("reject", "She draws the bow."), edit("reject", "She hangs up the bow.")]
    done = apply_edits(KEPT, REJECTED, edits, wanted=2)
    assert texts(done.kept) == [(0, "She lets the arrow go.")]
    assert sorted(row.rule for row in done.rejected) == ["edited", "edited", "generic"]


def test_two_sentences_that_an_edit_made_the_same_are_one():
    done = apply_edits(KEPT, [], [edit("rewrite", "She draws the bow.", "She lets the arrow GO.")])
    assert texts(done.kept) == [(0, "She lets the arrow GO.")]
    assert [(row.text, row.rule, row.detail) for row in done.rejected] == [
        ("She lets the arrow go.", "repeat", "She lets the arrow GO.")
    ]


def test_of_two_that_became_the_same_the_one_by_hand_stays():
    done = apply_edits(KEPT, [], [edit("rewrite", "She lets the arrow go.", "she draws the bow.")])
    assert texts(done.kept) == [(0, "she draws the bow.")]
    assert [(row.text, row.rule) for row in done.rejected] == [("She draws the bow.", "repeat")]


def test_a_repeat_of_a_kept_sentence_is_not_kept_twice():
    repeat = refused("She draws the bow.", rule="repeat", step=3)
    done = apply_edits(KEPT, [repeat], [edit("keep", "She draws the bow.")])
    assert (done.kept, done.rejected) == (KEPT, [repeat])


def test_the_same_words_in_another_class_or_kind_are_another_sentence():
    both = [row("The same."), row("The same.", class_id=1), row("The same.", kind="spatial")]
    done = apply_edits(both, [], [edit("reject", "The same.")])
    assert [(row.class_name, row.kind) for row in done.kept] == [
        ("yoga", "temporal"),
        ("archery", "spatial"),
    ]


def test_a_sentence_that_was_cut_to_fit_its_row_cannot_be_kept_but_can_be_rewritten():
    cut = refused("A very long…", flags=("text_cut",))
    done = apply_edits(KEPT, [cut], [edit("keep", "A very long…")])
    assert len(done.kept) == len(KEPT)
    assert [why for _, why in done.idle] == ["too long to be kept as it is; rewrite it"]
    done = apply_edits(KEPT, [cut], [edit("rewrite", "A very long…", "A short one.")])
    assert (1, "A short one.") in texts(done.kept)


def test_an_edit_of_a_class_that_is_not_there_says_so():
    done = apply_edits(KEPT, [], [edit("rewrite", "Any.", "New.", class_name="Yoga")])
    assert [why for _, why in done.idle] == ["no such class"]


def test_an_edit_that_a_later_one_overrules_is_not_called_idle():
    edits = [edit("reject", "She draws the bow."), edit("keep", "She draws the bow.")]
    done = apply_edits(KEPT, [], edits)
    assert (done.in_force, done.idle) == (edits[1:], [])
