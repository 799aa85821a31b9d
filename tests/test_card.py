"""The card: what a model wrote shows in it and does nothing; what it states is true."""

import re
from dataclasses import fields
from html.parser import HTMLParser

import pytest
import yaml
from markdown_it import MarkdownIt

from describe.card import COLUMNS, CardVersion, render_card
from describe.escape import escape, fenced
from describe.rows import Description, Rejected

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a | b || c",
    "| --- | --- |",
    "**bold** _emphasis_ ~~struck~~ `code`",
    "[click](javascript:alert(1)) ![pixel](http://evil.example/p.png)",
    "<http://evil.example> https://evil.example www.evil.example me@evil.example",
    "&lt;b&gt; &amp; &#60;i&#62;",
    "$x^2$ $$y$$ \\(z\\)",
    "```\n# heading\n```",
    "--- \nconfigs: []\n---",
    "line one\r\nline two\ttabbed",
    "trailing backslash \\",
]


class Tags(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


def render(markdown: str) -> Tags:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return Tags(parser.render(markdown))


def row(text: str = "A person draws a bow.", class_id: int = 0, kind: str = "spatial", **others):
    name = f"class {class_id}"
    values = {"group": "", "step": 0, "num_tokens": 7, "readable_name": name, **others}
    row_type = Rejected if "rule" in others else Description
    return row_type(class_id=class_id, class_name=name, kind=kind, text=text, **values)


def version(name: str = "v1", order: int = 1, **others) -> CardVersion:
    file = {"rows": 3, "bytes": 900, "arrow_bytes": 500, "sha256": "0" * 64}
    manifest = {
        "dataset": "toy",
        "counts": {"asked": 8, "kept": 3, "rejected": {"echo": 2, "length": 1}},
        "files": {"descriptions.parquet": file, "rejected.parquet": file},
        "fingerprint": f"s1:{order:064}",
        "format": 1,
        "order": order,
    }
    return CardVersion(name=name, manifest={**manifest, **others})


def card(*versions: CardVersion, kept=(), rejected=()) -> str:
    return render_card(versions or (version(),), kept or [row()], rejected)


def front_matter(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_model_wrote_shows_and_does_nothing(text):
    shown = render(f"| a | b |\n|---|---|\n| {escape(text)} | end |")
    assert shown.tags == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
    assert " ".join(text.split()) in " ".join(shown.text.split())


@pytest.mark.parametrize("text", ["https://evil.example", "www.evil.example", "me@evil.example"])
def test_nothing_is_left_that_a_viewer_makes_a_link_of(text):
    assert not re.search(r"://|www\.|@", escape(text))


def test_invisible_characters_are_spelt_out():
    text = escape("a\u200bb\u202ec\x00d\x1b[31me\u2028f\ud83d")
    assert render(text).text.strip() == ("a\\u200bb\\u202ec\\u0000d\\u001b[31me\\u2028f\\ud83d")
    assert escape("naïve 東京 🏹") == "naïve 東京 🏹"


def test_an_underscore_in_a_word_stays_readable_and_one_beside_it_does_nothing():
    assert escape("max_tokens") == "max_tokens"
    assert render(escape("_a_ a__b__c _x_y_")).tags == ["p"]


def test_very_long_words_and_texts_are_cut():
    assert escape("w" * 1000) == "w" * 39 + "…"
    assert len(escape("word " * 1000)) == 300


def test_every_text_of_a_set_is_escaped_in_the_card():
    evil = "<script>alert(1)</script>|`"
    hostile = version(
        dataset=evil,
        model={"name": evil, evil: evil},
        sampling={evil: evil},
        source={"file": {evil: evil}},
        prompts={"version": evil, "files": {evil: {"sha256": "0" * 64, "text": evil}}},
        rules={"meanings": {evil: evil}},
        counts={"kept": 1, "rejected": {evil: 1}, "short": {evil: {"spatial": 0}}, evil: 3},
        notes=[evil],
    )
    rejected = [row(evil, rule=evil, detail=evil, readable_name=evil)]
    text = card(hostile, kept=[row(evil, readable_name=evil)], rejected=rejected)
    body = text.split("---\n", 2)[2]
    shown = render(body)
    assert not {"script", "img"} & set(shown.tags)
    assert shown.text.count("<script>alert(1)</script>|`") >= 16
    assert front_matter(text)["pretty_name"].endswith(evil)


@pytest.mark.parametrize(
    "prompt", ["Say ```json\n{}\n``` then `x`.", "````", "a\n---\n# b | c", ""]
)
def test_a_prompt_stands_word_for_word(prompt):
    files = {"spatial.jinja": {"sha256": "ab" * 32, "text": prompt}}
    text = card(version(prompts={"version": "v1", "files": files}))
    assert fenced(prompt) in text
    tokens = MarkdownIt().parse(text.split("---\n", 2)[2])
    fences = [token.content for token in tokens if token.type == "fence"]
    assert prompt + "\n" in fences


def test_the_newest_version_is_the_only_default_and_comes_first():
    configs = front_matter(card(version("v1"), version("v2", 2)))["configs"]
    assert [config["config_name"] for config in configs] == [
        "v2",
        "v2_rejected",
        "v1",
        "v1_rejected",
    ]
    assert [config.get("default") for config in configs] == [True, None, None, None]
    assert configs[3]["data_files"] == [{"split": "train", "path": "v1/rejected.parquet"}]


@pytest.mark.parametrize(
    ("num_kept", "size"),
    [(999, "n<1K"), (1000, "1K<n<10K"), (10_000, "10K<n<100K"), (100_000, "100K<n<1M")],
)
def test_the_size_category_is_that_of_the_default_config(num_kept, size):
    text = card(version(counts={"kept": num_kept, "rejected": {}}))
    assert front_matter(text)["size_categories"] == [size]


def test_the_licence_is_unknown_until_somebody_states_it():
    assert front_matter(card())["license"] == "unknown"
    assert front_matter(card(version(license="apache-2.0")))["license"] == "apache-2.0"


@pytest.mark.parametrize(
    ("licenses", "stated"),
    [
        (("mit", "mit"), "mit"),
        (("unknown", "mit"), "unknown"),
        (("mit", None), "unknown"),
        (("mit", "apache-2.0"), "other"),
    ],
)
def test_a_licence_is_stated_only_where_all_versions_have_it(licenses, stated):
    versions = [
        version(f"v{number}", number, **({"license": name} if name else {}))
        for number, name in enumerate(licenses, start=1)
    ]
    assert front_matter(card(*versions))["license"] == stated


def test_each_version_names_its_own_source_and_licence():
    text = card(
        version("msta_n8", source={"paper": "MSTA"}, license="unknown"),
        version("ost_n8", 2, source={"paper": "OST"}, license="mit"),
    )
    told = text.split("## Where the sentences come from")[1].split("##")[0]
    assert [line for line in told.splitlines() if line and line != "| | |"] == [
        "Version ost_n8:",
        "|---|---|",
        "| paper | OST |",
        "| licence | mit |",
        "Version msta_n8:",
        "|---|---|",
        "| paper | MSTA |",
        "| licence | unknown |",
    ]


def test_a_set_of_which_a_part_was_published_says_so():
    text = card(version("msta_n8", source={"paper": "MSTA"}), version("v2", 2))
    assert "Those of some versions were published elsewhere" in text
    assert "Where the sentences come from" not in card()


def test_a_published_set_does_not_claim_a_request_behind_each_row():
    assert "leads back to the request" in card()
    text = card(version(source={"paper": "A paper"}))
    assert "leads back to the request" not in text
    assert "| paper | A paper |" in text


def test_each_rule_is_counted_and_explained():
    meanings = {"echo": "a sentence of the prompt", "length": "too long", "generic": "fits any"}
    text = card(version(rules={"meanings": meanings}))
    lines = [line for line in text.splitlines() if line.startswith(("| echo", "| len", "| gen"))]
    assert lines == [
        "| echo | 2 | a sentence of the prompt |",
        "| length | 1 | too long |",
        "| generic | 0 | fits any |",
    ]
    assert "Counts: asked 8, kept 3." in text


def test_classes_left_short_are_named():
    counts = {"kept": 3, "rejected": {}, "short": {"yoga": {"spatial": 1, "temporal": 0}}}
    assert "| yoga | spatial 1, temporal 0 |" in card(version(counts=counts))
    assert "left short" not in card()


def test_there_are_ten_examples_of_both_kinds_and_of_every_verdict():
    kept = [row(f"kept {i} {kind}", i, kind) for i in range(40) for kind in ("spatial", "temporal")]
    rejected = [row(f"bad {i}", i, rule=("echo", "length")[i % 2]) for i in range(9)]
    text = card(kept=kept, rejected=rejected)
    lines = [line for line in text.splitlines() if line.startswith("| class ")][1:]
    assert len(lines) == 10
    assert sum("| spatial | kept" in line for line in lines) == 4
    assert sum("| temporal | kept" in line for line in lines) == 4
    assert [line.split(" | ")[-1] for line in lines[-2:]] == [
        "rejected by echo |",
        "rejected by length |",
    ]


def test_every_column_is_explained():
    assert list(COLUMNS) == [field.name for field in fields(Rejected)]


def test_a_set_of_a_very_small_model_says_so():
    small = version(model={"name": "SmolLM2-135M-Instruct"})
    assert "is a very small language model" in card(small)
    assert "very small" not in card(version(model={"name": "Llama-3.1-8B-Instruct"}))
    assert "3 of 6 sentences were kept (50%)" in card()


def test_notes_of_the_run_are_told():
    text = card(version(notes=["the server ignored the reply schema"]))
    assert "- the server ignored the reply schema\n" in text
