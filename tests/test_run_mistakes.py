"""What a user gets wrong on the command line is one line, exit status 1, and costs nothing."""

import pytest

from describe.__main__ import main

HMDB = ["--dataset", "hmdb51"]
URL = ["--base-url", "http://127.0.0.1:1/v1"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "give --dataset NAME, or your own list with --classes FILE"),
        (
            ["--dataset", "k4000"],
            "no dataset 'k4000'; known: hmdb51, k400, k600, miniature, ssv2, ucf101",
        ),
        ([*HMDB, "--subset", "clim"], "no class 'clim' in hmdb51; nearest: 'climb'"),
        ([*HMDB, "--subset", " ; "], "--subset names no class"),
        ([*HMDB, "--prompts", "v77"], "no prompts 'v77'; shipped: paper, v1; or give a folder"),
        ([*HMDB, "--num-descriptions", "0"], "--num-descriptions is 0; it must be in [1, 64]"),
        ([*HMDB, "--num-sentences", "65"], "--num-sentences is 65; it must be in [1, 64]"),
        ([*HMDB, "--rounds", "-1"], "--rounds is -1; it must be in [0, 20]"),
        ([*HMDB, "--temperature", "2.5"], "--temperature is 2.5; it must be in [0, 2]"),
        ([*HMDB, "--top-p", "0"], "--top-p is 0.0; it must be in (0, 1]"),
        ([*HMDB, "--max-tokens", "0"], "--max-tokens is 0; it must be in [1, "),
        ([*HMDB, "--concurrency", "0"], "--concurrency is 0; it must be in [1, 4096]"),
        ([*HMDB, "--request-timeout", "0"], "--request-timeout is 0.0; it must be in [1, "),
        ([*HMDB, "--deadline", "-5"], "--deadline is -5.0; it must be in [0, "),
        ([*HMDB, "--price", "1", "-1"], "--price is -1.0; it must be in [0, "),
        ([*HMDB, "--show", "-1"], "--show is -1; it must be in [0, "),
        ([*HMDB, "--extra-body", "top_k=4"], "--extra-body is not JSON: "),
        ([*HMDB, "--extra-body", "[4]"], "--extra-body is not a JSON object, such as "),
        ([*HMDB, "--extra-body", '{"seed": 1, "n": 2}'], "--extra-body may not set n, seed: "),
        ([*HMDB, "--token-budget", "2"], "token_budget 2: need at least 3"),
        ([*HMDB, *URL, "--vllm", "m"], "--vllm starts its own server; leave out --base-url"),
        ([*HMDB, *URL, "--gguf", "m"], "--gguf is the embedded model; leave out --base-url"),
        ([*HMDB, "--model", "gpt"], "OPENAI_API_KEY is not set; --model without --base-url is"),
        ([*HMDB, "--base-url", "localhost:8000"], "base URL 'localhost:8000' has no http://"),
        ([*HMDB, *URL], "cannot reach http://127.0.0.1:1/v1: "),
        (["--classes", "none.txt", *URL, "--model", "m"], "none.txt"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_1(argv, message, capsys, monkeypatch, workspace):
    monkeypatch.chdir(workspace.parent)
    assert main(argv) == 1
    error = capsys.readouterr().err
    assert error.startswith("describe: ")
    assert message in error
    assert error.count("\n") == 1
    assert not list(workspace.rglob("*.parquet"))


def test_a_flag_that_does_not_exist_is_the_parsers_to_refuse(capsys):
    with pytest.raises(SystemExit, match="2"):
        main([*HMDB, "--temprature", "1"])
    assert "--temprature" in capsys.readouterr().err
