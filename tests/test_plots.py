"""`adapt.plots`: the coordinates in the SVG are those of the numbers."""

import re
from xml.etree import ElementTree

import pytest

from adapt.plots import Bar, Line, Scale, bar_chart, line_chart, matrix, ticks


def parsed(svg):
    return ElementTree.fromstring(re.sub(r"<ul.*", "", svg))


def test_a_scale_maps_both_ends():
    scale = Scale(low=10, high=20, start=100, end=0)
    assert [scale(10), scale(15), scale(20)] == [100, 50, 0]


def test_a_scale_without_extent_stays_at_its_start():
    assert Scale(low=3, high=3, start=7, end=9)(3) == 7


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (3, 41, [10, 20, 30, 40]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_a_falling_line_goes_down_the_page():
    svg = parsed(line_chart([Line(name="a", xs=[0, 1, 2], ys=[4, 2, 0])], x_label="x", title="t"))
    (line,) = svg.findall("polyline")
    points = [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]
    assert points[0][1] < points[1][1] < points[2][1]
    assert points[1][0] - points[0][0] == pytest.approx(points[2][0] - points[1][0], abs=0.11)


def test_many_points_are_thinned_to_means():
    line = Line(name="a", xs=list(range(1000)), ys=[index % 2 for index in range(1000)])
    svg = parsed(line_chart([line], x_label="x", title="t"))
    points = svg.find("polyline").get("points").split()
    assert 150 <= len(points) <= 240


def test_bars_are_as_long_as_their_values():
    bars = [Bar(name="a", value=50, title="a"), Bar(name="b", value=100, title="b")]
    svg = parsed(bar_chart(bars, title="t"))
    short, long = (float(each.get("width")) for each in svg.iter("rect"))
    assert long == pytest.approx(2 * short, abs=0.2)


def test_losses_go_to_the_left_of_gains():
    bars = [Bar(name="a", value=5, title="a"), Bar(name="b", value=-5, title="b")]
    svg = parsed(bar_chart(bars, title="t", signed=True))
    gain, loss = svg.iter("rect")
    end = float(loss.get("x")) + float(loss.get("width"))
    assert end == pytest.approx(float(gain.get("x")), abs=0.2)
    assert ["+5.0", "-5.0"] == [t.text for t in svg.iter("text") if t.get("class") == "number"]


def test_a_matrix_has_a_cell_for_each_count_that_is_not_zero():
    svg = parsed(matrix(["a", "b"], [[3, 1], [0, 2]], title="t"))
    cells = [each for each in svg.iter("rect") if "cell" in each.get("class")]
    assert [each.find("title").text for each in cells] == [
        "a taken for a: 3 of 4",
        "a taken for b: 1 of 4",
        "b taken for b: 2 of 2",
    ]
    assert [each.get("class") for each in cells] == ["cell right", "cell wrong", "cell right"]
    assert float(cells[2].get("x")) > float(cells[0].get("x"))


def test_a_class_without_videos_is_an_empty_row():
    svg = parsed(matrix(["a", "b"], [[0, 0], [0, 2]], title="t"))
    assert len([each for each in svg.iter("rect") if "cell" in each.get("class")]) == 1


def test_names_cannot_leave_their_place():
    name = '"><script>&'
    for svg in (
        bar_chart([Bar(name=name, value=1, title=name)], title=name),
        matrix([name], [[1]], title=name),
        line_chart([Line(name=name, xs=[0, 1], ys=[1, 2])] * 2, x_label=name, title=name),
    ):
        assert "<script" not in svg
        assert parsed(svg).get("aria-label") == name


def test_nothing_to_draw_is_nothing():
    assert bar_chart([], title="t") == ""
    assert line_chart([], x_label="x", title="t") == ""
