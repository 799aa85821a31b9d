"""The benchmarks measure what they say: tiny runs of each, with nothing timed."""

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

from describe.endpoints import Endpoint

ROOT = Path(__file__).parent.parent


@pytest.fixture
def bench(monkeypatch):
    """Import a file of benchmarks/ by name."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


def test_all_loops_send_the_same_requests_and_get_the_same_replies(bench):
    arms, loopback = bench("arms"), bench("loopback")
    pairs = arms.make_pairs(20)
    with loopback.serve(loopback.Script(latency_s=0.0)) as server:
        endpoint = Endpoint(base_url=server.url, name="loopback")
        loops = (arms.ours, arms.ours_in_full, arms.bare_aiohttp, arms.plain_openai)
        first, *others = [loop(pairs, endpoint, 4) for loop in loops]
        assert server.stats().served == 80
        assert server.stats().peak_in_flight <= 4
    assert all(other.texts == first.texts for other in others)
    assert len(set(first.texts.values())) == 20
    assert {first.tokens, *(other.tokens for other in others)} == {20 * 40}


def test_the_reply_depends_on_prompt_and_seed_but_not_on_how_json_is_spaced(bench):
    completion = bench("loopback").completion
    body = b'{"seed":1,"messages":[{"role":"user","content":"action 7"}]}'
    spaced = b'{"messages": [{"role": "user", "content": "action 7"}], "seed": 1}'
    assert completion(body) == completion(spaced)
    assert completion(body) != completion(body.replace(b"action 7", b"action 8"))
    assert completion(body) != completion(body.replace(b'"seed":1', b'"seed":2'))


def test_the_slowest_chain_worked_by_hand(bench):
    # Two slots: 1 and 1 end at 1; 5 then runs until 6, and the last 1 until 2.
    assert bench("slow_replies").list_schedule_s([1, 1, 5, 1], 2) == 6


def test_no_run_beats_the_slowest_chain(bench):
    (figure,) = bench("slow_replies").figures(1, num_requests=20, latency_s=0.0, slow_s=0.05)
    assert figure.value > 0.99


def test_the_server_loses_slots_in_mid_run_and_queues(bench):
    used, queue = bench("capacity_cut").figures(1, num_requests=60, concurrency=16, latency_s=0.002)
    assert 0 < used.value <= 1
    # Ours may have none by then; the bare loop keeps 16 under way where the server takes 4.
    assert int(re.search(r"bare aiohttp, in the last quarter (\d+)", queue.detail)[1]) > 0


def test_memory_is_measured_in_a_process_of_its_own(bench):
    (figure,) = bench("memory").figures(1, num_requests=60, after=20)
    assert figure.unit == " MB"
    assert "requests/s" in figure.detail


def test_modules_that_a_process_imports_are_seen(bench):
    seen = bench("cached_run").imports(["-c", "import xml.dom"])
    assert "xml" in seen
    assert "openai" not in seen


@pytest.mark.parametrize(
    ("bound", "is_met"), [({"at_most": 2}, True), ({"at_least": 2.5}, False), ({}, True)]
)
def test_the_median_is_held_against_the_bound(bench, bound, is_met):
    figure = bench("measure").Figure(name="x", values=[9.0, 1.0, 2.0], **bound)
    assert figure.is_met == is_met
    assert ("missed" in figure.row()) != is_met


def test_an_unknown_figure_is_one_line(bench, capsys):
    assert bench("bench").main(["speed"]) == 1
    assert "bench: no 'speed'; known: sending, slow" in capsys.readouterr().err
