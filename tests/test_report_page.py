"""The report's page, in a real browser: it shows, it asks nobody, and no text in it can act."""

import html
import json
import re

import pytest
from browser import open_browser, watched_page
from synthetic_runs import (
    CLASSES,
    accuracy,
    add_result,
    write_descriptions,
    write_metrics,
    write_run,
)

from adapt import report
from adapt.report_runs import read_runs

HOSTILE = "<img src=x onerror=alert(1)></title></style><script>alert(2)</script>\u202e"


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser:
        yield browser


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


def whole_run(folder, *, share=0.6, class_names=CLASSES, **options):
    write_run(folder, class_names=class_names, **options)
    write_metrics(folder)
    write_descriptions(folder, class_names)
    add_result(folder, accuracy(share, 12 * len(class_names)), class_names=class_names)
    return folder


def page_of(runs):
    assert report.main([str(runs)]) == 0
    return runs / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_and_complains_of_nothing(browser, runs, scheme, width):
    whole_run(runs / "a", seed=0)
    whole_run(runs / "b", seed=1, descriptions=None, share=0.5)
    path = page_of(runs)
    viewport = {"width": width, "height": 800}
    with watched_page(browser, viewport=viewport, color_scheme=scheme) as page:
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("svg[aria-label='Loss by step']").count() == 2
        assert page.locator("svg[aria-label='Confusion on test']").first.is_visible()
        assert page.locator("svg[aria-label^='Change by class']").is_visible()
        assert "6 of 12" in page.locator("dd").all_inner_texts()  # descriptions that were kept


# How far each text of a chart reaches over the chart's edges, in pixels, with what it says.
OVER = """[...document.querySelectorAll('svg')].flatMap(chart => {
  const edge = chart.getBoundingClientRect();
  return [...chart.querySelectorAll('text')].map(text => {
    const place = text.getBoundingClientRect();
    return [Math.max(edge.left - place.left, place.right - edge.right), text.textContent];
  });
})"""


def test_no_name_is_cut_at_a_charts_edge(browser, runs):
    names = ("handshake", "wave hands", "swimming somewhere warm", "mow lawn", "a", "hammer throw")
    whole_run(runs / "a", class_names=names)
    whole_run(runs / "b", class_names=names, descriptions=None, share=0.4)
    with watched_page(browser) as page:
        page.goto(page_of(runs).as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        found = page.evaluate(OVER)
    assert {text for _, text in found} > {"handshake", "mow lawn"}
    assert [text for over, text in found if over > 1] == []


def test_hostile_names_are_shown_and_do_nothing(browser, runs):
    names = (*CLASSES[:-1], HOSTILE)
    folder = whole_run(runs / "a", class_names=names)
    failed = ((HOSTILE, HOSTILE),)
    add_result(folder, accuracy(0.5, 12), class_names=names, n_total=13, n_failed=1, failed=failed)
    bad = json.dumps({"name": HOSTILE, "reason": HOSTILE})
    (folder / "bad_videos.jsonl").write_text(bad + "\n")
    with watched_page(browser) as page:
        page.on("dialog", lambda dialog: pytest.fail("a script ran"))
        page.goto(page_of(runs).as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.locator("img, script").count() == 0
        shown = page.locator("li b").all_inner_texts()
        assert (
            "<img src=x onerror=alert(1)></title></style><script>alert(2)</script>\\u202e" in shown
        )


def test_the_policy_stops_what_would_get_in(browser, runs):
    """Even were a text not escaped, nothing of it could run or be fetched."""
    path = page_of(whole_run(runs / "a").parent)
    text = path.read_text().replace("<h1>", "<script>document.title = 'ran'</script><h1>")
    path.write_text(text)
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.title() == "Runs"
    page.close()


NAMES = ("--ground", "--panel", "--ink", "--quiet", "--caution", "--caution-ground")
READ_ON = (
    ("--ink", "--ground"), ("--ink", "--panel"), ("--quiet", "--ground"), ("--quiet", "--panel"),
    ("--caution", "--caution-ground"),
)  # fmt: skip


READ_COLOURS = """names => {
    const style = getComputedStyle(document.documentElement);
    return names.map(name => style.getPropertyValue(name));
}"""


def test_text_can_be_read_in_both_themes(browser, runs):
    whole_run(runs / "a")
    with watched_page(browser) as page:
        page.goto(page_of(runs).as_uri())
        found = {}
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            shown = page.evaluate(READ_COLOURS, NAMES)
            found[scheme] = dict(zip(NAMES, map(colour, shown), strict=True))
    assert found["light"] != found["dark"]
    for colours in found.values():
        for text, ground in READ_ON:
            ratio = contrast(luminance(colours[text]), luminance(colours[ground]))
            assert ratio >= 4.5, (text, ground)


def colour(value):
    return tuple(int(value.strip()[place : place + 2], 16) for place in (1, 3, 5))


def luminance(rgb):
    parts = [value / 255 for value in rgb]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return sum(weight * v for weight, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    high, low = max(one, other), min(one, other)
    return (high + 0.05) / (low + 0.05)


def test_the_file_names_nothing_outside_itself(runs):
    whole_run(runs / "a")
    text = page_of(runs).read_text()
    assert re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*", text) == []
    assert "@import" not in text
    assert "default-src 'none'" in html.unescape(text)


def test_many_classes_have_no_matrix_but_their_worst_mistakes(runs):
    names = [f"class {number}" for number in range(60)]
    whole_run(runs / "a", class_names=names)
    text = page_of(runs).read_text()
    assert "Confusion on test" not in text
    assert "The worst classes on test" in text
    assert "Taken for another class most often" in text


def test_a_run_without_anything_yet_has_a_page(runs):
    write_run(runs / "a", status="training", epochs_done=0)
    text = page_of(runs).read_text()
    assert "a: training, 0 of 50 epochs" in text


def test_losses_that_are_no_numbers_leave_a_gap(runs):
    folder = whole_run(runs / "a")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"event": "step", "step": 999, "loss": "nan", "lr": 0.001}\n')
        file.write('{"event": "st')  # a process was killed here
    assert "nan" not in re.findall(r'points="([^"]*)"', page_of(runs).read_text())


def test_the_accuracies_an_epoch_was_chosen_by_are_drawn(runs):
    folder = whole_run(runs / "a")
    with (folder / "metrics.jsonl").open("a") as file:
        for step, top1 in ((26, 40.0), (52, 60.0)):
            line = {"event": "evaluation", "step": step, "on": "held-out", "top1": top1}
            file.write(json.dumps(line) + "\n")
    text = page_of(runs).read_text()
    assert "what the epoch was chosen by (held-out)" in text
    assert "12 videos/s, 2% of the time waiting for data" in text
    assert "1: a number was not finite" in text


def test_the_same_runs_give_the_same_bytes(runs):
    whole_run(runs / "a")
    first = page_of(runs).read_bytes()
    assert page_of(runs).read_bytes() == first


def test_a_folder_of_runs_holds_the_page_without_taking_it_for_a_run(runs):
    whole_run(runs / "a")
    page_of(runs)
    assert [record.name for record in read_runs([runs])] == ["a"]
