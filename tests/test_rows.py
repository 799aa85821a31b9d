"""Rows: every column counts, comes back from parquet as it was, and fits the viewer."""

from dataclasses import fields, replace

import pytest

from describe.errors import UserError
from describe.rows import (
    MAX_ROW_BYTES,
    Description,
    Rejected,
    fingerprint,
    fitted,
    from_parquet,
    in_order,
    row_bytes,
    to_parquet,
)

KEPT = Description(
    class_id=3,
    class_name="archery",
    readable_name="archery",
    group="base",
    kind="temporal",
    step=1,
    text="An archer draws a bow.",
    num_tokens=8,
    flags=("class_name",),
    repairs=("numbering", "quotes"),
    model="m",
    prompt_version="v1",
    request_key="d1:a",
    sample=2,
)
REJECTED = Rejected(
    **{field.name: getattr(KEPT, field.name) for field in fields(KEPT)}, rule="echo", detail="0.9"
)


@pytest.mark.parametrize("row", [KEPT, REJECTED])
def test_a_row_comes_back_from_parquet_as_it_was(row):
    rows = (row, replace(row, text="naïve 東京 \x00 |", flags=(), repairs=()))
    assert from_parquet(to_parquet(rows), type(row)) == rows


def test_a_table_of_other_columns_is_refused():
    with pytest.raises(ValueError, match="has the columns class_id, .*, rule, detail"):
        from_parquet(to_parquet([REJECTED]), Description)


@pytest.mark.parametrize("field", [field.name for field in fields(Rejected)])
def test_every_column_reaches_the_fingerprint(field):
    other = {int: 7, str: "other"}.get(type(getattr(REJECTED, field)), ("other",))
    changed = replace(REJECTED, **{field: other})
    assert fingerprint([KEPT], [changed]) != fingerprint([KEPT], [REJECTED])


def test_kept_and_rejected_are_told_apart_by_the_fingerprint():
    assert fingerprint([KEPT, REJECTED], []) != fingerprint([KEPT], [REJECTED])


def test_the_fingerprint_is_a_promise():
    # Runs record it and compare: if it changes, no run finds its set again. Change the tag.
    assert fingerprint([KEPT], [REJECTED]) == (
        "s1:96cf4e1c5b0fa1ae650667efc07e5c4e41547720339a2ece126d9d54bf7338c3"
    )


def test_rows_are_ordered_by_class_kind_and_step():
    rows = [
        replace(KEPT, class_id=class_id, kind=kind, step=step)
        for class_id in (0, 2, 10)
        for kind in ("spatial", "temporal")
        for step in (0, 1, 10)
    ]
    assert in_order(reversed(rows)) == rows


@pytest.mark.parametrize("text", ["w" * 5000, "é" * 5000, "\x00" * 5000, '"' * 5000, "🏹" * 5000])
def test_a_rejected_sentence_of_any_length_fits_a_row_and_is_flagged(text):
    row = fitted(replace(REJECTED, text=text, detail=text))
    assert MAX_ROW_BYTES - 6 <= row_bytes(row) <= MAX_ROW_BYTES
    assert row.flags == ("class_name", "text_cut")
    assert text.startswith(row.text.removesuffix("…"))


def test_half_a_surrogate_pair_is_replaced():
    row = fitted(replace(REJECTED, text="half \ud83d", detail="\udc00"))
    assert (row.text, row.detail) == ("half \ufffd", "\ufffd")
    assert from_parquet(to_parquet([row]), Rejected) == (row,)


def test_a_kept_sentence_is_never_cut():
    with pytest.raises(UserError, match=r"temporal description of 'archery' makes a row of 3\d+ b"):
        fitted(replace(KEPT, text="w" * 3000))


def test_a_name_that_leaves_no_room_is_refused():
    with pytest.raises(UserError, match="shorten its sentence or name"):
        fitted(replace(REJECTED, readable_name="w" * 3000))
