"""Replies in every form that models write, read into sentences; nothing makes the parser raise."""

import random

import pytest

from describe.parse import parse_reply, repair_sentence, split_sentences

RUN = "A man runs along a beach."
SIT = "A dog sits on the sand."

# (what is tested, the reply, the repairs); all of them hold RUN and SIT.
FORMS = [
    ("the agreed form", f'{{"sentences": ["{RUN}", "{SIT}"]}}', ()),
    ("white space", f'\n {{"sentences" :\n\t["{RUN}",\n "{SIT}"] }}\n\n', ()),
    ("a bare list", f'["{RUN}", "{SIT}"]', ("bare_list",)),
    ("a wrapper key", f'{{"result": {{"sentences": ["{RUN}", "{SIT}"]}}}}', ("other_key",)),
    ("another key", f'{{"captions": ["{RUN}", "{SIT}"]}}', ("other_key",)),
    ("numbered keys", f'{{"1": "{RUN}", "2": "{SIT}"}}', ("other_key",)),
    ("a key twice", f'{{"s": "{RUN}", "s": "{SIT}"}}', ("duplicate_keys", "other_key")),
    (
        "the agreed key twice",
        f'{{"sentences": ["{RUN}"], "sentences": ["{SIT}"]}}',
        ("duplicate_keys",),
    ),
    (
        "steps as objects",
        f'{{"sentences": [{{"step": 1, "text": "{RUN}"}}, {{"step": 2, "text": "{SIT}"}}]}}',
        ("other_key",),
    ),
    ("a list in a list", f'{{"sentences": [["{RUN}"], ["{SIT}"]]}}', ()),
    ("JSON lines", f'{{"sentences": ["{RUN}"]}}\n{{"sentences": ["{SIT}"]}}', ()),
    ("a code fence", f'```json\n{{"sentences": ["{RUN}", "{SIT}"]}}\n```', ("code_fence",)),
    ("an open fence", f'```\n{{"sentences": ["{RUN}", "{SIT}"]}}', ("code_fence",)),
    (
        "prose around",
        f'Sure, here they are:\n{{"sentences": ["{RUN}", "{SIT}"]}}\nAnything else?',
        ("prose_around",),
    ),
    ("a trailing comma", f'{{"sentences": ["{RUN}", "{SIT}",]}}', ("trailing_comma",)),
    ("a Python list", f"['{RUN}', '{SIT}']", ("single_quotes", "bare_list")),
    ("a Python dict", f"{{'sentences': ['{RUN}', '{SIT}']}}", ("single_quotes",)),
    ("curly quotes", f"[“{RUN}”, “{SIT}”]", ("odd_quotes", "bare_list")),
    ("a bare key", f'{{sentences: ["{RUN}", "{SIT}"]}}', ("bare_key",)),
    ("a set", f'{{"{RUN}", "{SIT}"}}', ("missing_key", "other_key")),
    ("NaN", f'{{"sentences": ["{RUN}", NaN, "{SIT}"]}}', ("nan",)),
    ("None", f"['{RUN}', None, '{SIT}']", ("single_quotes", "literal", "bare_list")),
    ("a missing comma", f'["{RUN}"\n "{SIT}"]', ("missing_comma", "bare_list")),
    ("brackets mixed up", f'{{"sentences": ["{RUN}", "{SIT}"}}', ("bracket_mismatch",)),
    ("no closing brackets", f'{{"sentences": ["{RUN}", "{SIT}"', ("truncated",)),
    (
        "cut off in a sentence",
        f'{{"sentences": ["{RUN}", "{SIT}", "A woman wal',
        ("truncated",),
    ),
    ("cut off at its end", f'{{"sentences": ["{RUN}", "{SIT}', ("truncated",)),
    (
        "thinking before",
        f'<think>Two of ["them"]?</think>\n{{"sentences": ["{RUN}", "{SIT}"]}}',
        ("thinking",),
    ),
    (
        "thinking that was opened by the prompt",
        f'Two of them.</think>{{"sentences": ["{RUN}", "{SIT}"]}}',
        ("thinking",),
    ),
    ("a numbered list", f"1. {RUN}\n2. {SIT}\n", ("plain_text", "numbering")),
    ("a bulleted list", f"- {RUN}\n- {SIT}", ("plain_text", "numbering")),
    ("steps with a title", f"Step 1: {RUN}\nStep 2: {SIT}", ("plain_text", "numbering")),
    (
        "a list with a lead-in and a farewell",
        f"Here are two sentences:\n\n1) {RUN}\n2) {SIT}\n\nI hope this helps!",
        ("plain_text", "prose_around", "numbering"),
    ),
    ("lines after a lead-in", f"Certainly!\n{RUN}\n{SIT}", ("plain_text", "lead_in")),
    ("one paragraph", f"{RUN} {SIT}", ("plain_text", "split")),
    (
        "a numbered paragraph after a lead-in",
        f"Sure! Here are two sentences: 1. {RUN} 2. {SIT}",
        ("plain_text", "lead_in", "numbering", "split"),
    ),
    ("all in one string", f'{{"sentences": ["{RUN} {SIT}"]}}', ("split",)),
    ("a string for a list", f'{{"sentences": "{RUN} {SIT}"}}', ("not_a_list", "split")),
    (
        "JSON in JSON",
        f'{{"sentences": ["[\\"{RUN}\\", \\"{SIT}\\"]"]}}',
        ("nested_json",),
    ),
    ("numbers in strings", f'["1. {RUN}", "(2) {SIT}"]', ("bare_list", "numbering")),
    ("quotes in strings", f'["\\"{RUN}\\"", "“{SIT}”"]', ("bare_list", "quotes_or_brackets")),
    ("brackets in strings", f'["[{RUN}]", "({SIT})"]', ("bare_list", "quotes_or_brackets")),
    ("bold strings", f'["**{RUN}**", "{SIT}"]', ("bare_list", "markdown")),
    ("an empty string", f'{{"sentences": ["{RUN}", "", " ", "{SIT}"]}}', ("empty",)),
    ("a byte order mark", f'\ufeff{{"sentences": ["{RUN}", "\\u200b{SIT}"]}}', ("invisible",)),
    ("a lead-in as an item", f'["Here you are:", "{RUN}", "{SIT}"]', ("bare_list", "lead_in")),
    ("a newline in a string", f'{{"sentences": ["{RUN}", "A dog sits\non the sand."]}}', None),
]


@pytest.mark.parametrize(("reply", "repairs"), [f[1:] for f in FORMS], ids=[f[0] for f in FORMS])
def test_every_form_is_read_and_its_repairs_recorded(reply, repairs):
    parsed = parse_reply(reply, expected=2)
    assert parsed.sentences == (RUN, SIT)
    assert repairs is None or parsed.repairs == repairs


@pytest.mark.parametrize(
    "reply",
    ["", " \n", "{}", "[]", "null", "42", '{"sentences": []}', '{"sentences": [null, 7]}', "[[[",
     '{"error": {"message": "overloaded"}}', "<think>What is asked here? The class"],
)  # fmt: skip
def test_a_reply_without_a_sentence_is_unreadable(reply):
    parsed = parse_reply(reply, expected=2)
    assert (parsed.sentences, parsed.repairs) == ((), ("unreadable",))


def test_a_refusal_is_kept_as_text_for_the_rules_to_name():
    parsed = parse_reply("I'm sorry, I can't help with that.", expected=2)
    assert parsed.sentences == ("I'm sorry, I can't help with that.",)


def test_more_sentences_than_asked_for_are_all_returned():
    assert len(parse_reply('["A b c.", "D e f.", "G h i."]', expected=2).sentences) == 3


def test_a_sentence_of_two_is_left_whole_when_enough_were_found():
    reply = f'{{"sentences": ["{RUN} {SIT}", "{SIT}"]}}'
    assert parse_reply(reply, expected=2).sentences == (f"{RUN} {SIT}", SIT)


def test_eight_sentences_in_one_string_are_told_apart():
    text = " ".join(f"The player takes step {name}." for name in "ABCDEFGH")
    parsed = parse_reply(f'{{"sentences": ["{text}"]}}', expected=8)
    assert len(parsed.sentences) == 8
    assert parsed.sentences[7] == "The player takes step H."


@pytest.mark.parametrize(
    ("written", "repaired"),
    [
        ("3. A hand waves.", "A hand waves."),
        ("(c) A hand waves.", "(c) A hand waves."),
        ('"A hand waves."', "A hand waves."),
        ('1. "(A hand waves.)",', "A hand waves."),
        ("**A hand** waves.", "A hand waves."),
        ("Tom &amp; Ann wave.", "Tom & Ann wave."),
        ("  A hand\t waves. ", "A hand waves."),
    ],
)
def test_what_stands_around_a_sentence_is_taken_off(written, repaired):
    assert repair_sentence(written)[0] == repaired


@pytest.mark.parametrize(
    "text",
    [
        "2 players bow on a mat.",
        "The 3-point line is crossed.",
        "A sign reads (no entry) at the gate.",
        '"Stop" is written on a red sign.',
        "A player's hand and a dog's paw meet.",
        "'Go' says one sign and 'stop' another.",
        "I. M. Pei draws a line.",
        "An arrow - long and thin - hits the target.",
        "A 1.5 metre pole bends.",
        "Here is where the ball lands, a yard from the line.",
    ],
)
def test_a_sound_sentence_is_left_as_it_is(text):
    assert repair_sentence(text) == (text, ())


def test_a_half_character_is_replaced_so_that_it_can_be_written_to_a_file():
    parsed = parse_reply('{"sentences": ["A \\ud800 man runs."]}', expected=1)
    assert parsed.sentences == ("A \ufffd man runs.",)
    assert parsed.repairs == ("surrogate",)


def test_an_escaped_pair_is_one_character():
    assert parse_reply("['A \\ud83d\\ude00 face']", expected=1).sentences == ("A \U0001f600 face",)


def test_control_characters_inside_a_sentence_are_left_to_the_rules():
    assert parse_reply('["A man\\u0007 runs."]', expected=1).sentences == ("A man\x07 runs.",)


def test_quotes_and_apostrophes_inside_a_string_do_not_end_it():
    assert parse_reply("""['a player's hand', 'a dog']""", expected=2).sentences == (
        "a player's hand",
        "a dog",
    )
    parsed = parse_reply('["A sign says "stop" in red", "A car waits"]', expected=2)
    assert parsed.sentences == ('A sign says "stop" in red', "A car waits")
    assert "inner_quotes" in parsed.repairs


def test_abbreviations_of_one_string_are_not_split():
    assert split_sentences("Tools (e.g. a saw) lie on a bench.") == [
        "Tools (e.g. a saw) lie on a bench."
    ]


PIECES = [
    *'{}[]"\'`:,\\/\n\t .-1(){}<>', "sentences", "null", "NaN", "True", "```", "```json", "<think>",
    "</think>", "\\u00", "\\ud800", "\ud800", "\x00", "\ufeff", "“", "”", "1. ", "Step 2:", "é",
    "A man runs.", "Sure, here are:", "{{", "}}", '{"sentences": ["', "[" * 40, "9" * 50, "e9", "-",
]  # fmt: skip


def test_no_string_makes_the_parser_raise():
    generator = random.Random(20261122)
    for _ in range(4_000):
        reply = "".join(generator.choices(PIECES, k=generator.randrange(1, 40)))
        parsed = parse_reply(reply, expected=generator.randrange(1, 9))
        assert parsed.sentences or parsed.repairs == ("unreadable",), reply
        for sentence in parsed.sentences:
            assert sentence == sentence.strip() != ""
            sentence.encode()  # what cannot be encoded could not be stored


@pytest.mark.parametrize("reply", ["[" * 100_000, '{"a":' * 100_000, "[1" * 50_000, '"' * 100_000])
def test_a_reply_of_nothing_but_brackets_is_given_up_on(reply):
    assert parse_reply(reply, expected=2) is not None


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_reply_cut_off_anywhere_yields_whole_sentences_only(cut):
    whole = f'{{"sentences": ["{RUN}", "{SIT}"]}}'
    assert set(parse_reply(whole[:cut], expected=2).sentences) <= {RUN, SIT}
