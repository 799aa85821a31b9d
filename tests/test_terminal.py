"""Commands whose reader has read enough (`| head`): no traceback, the work done, its own status."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from unread import run_unread

from describe.dataset import write_version
from describe.rows import Description
from describe.terminal import run_command

ROOT = Path(__file__).parent.parent


def row(text: str) -> Description:
    return Description(
        class_id=0,
        class_name="archery",
        readable_name="archery",
        group="",
        kind="spatial",
        step=0,
        text=text,
        num_tokens=6,
    )


@pytest.mark.parametrize(
    ("args", "status", "unbuffered"),
    [
        (("describe.diff", "v1", "v2"), 0, "1"),
        (("describe.diff", "v1", "v2", "--json", "--exit-code"), 1, ""),
        (("describe.viewer", "toy"), 0, "1"),
        (("describe.validate", "{root}", "--no-load"), 0, ""),
        (("describe.validate", "--help"), 0, "1"),
        (("describe.published", "--help"), 0, ""),
        (("describe.publish", "--help"), 0, ""),
        (("describe.browse", "--help"), 0, ""),
        (("describe.cache",), 0, "1"),
        (("adapt.model",), 0, "1"),
        (("adapt.model", "--help"), 0, ""),
        (
            ("adapt.miniature", "{root}/films", "--train-per-class", "1", "--test-per-class", "1"),
            0,
            "",
        ),
        (("adapt.tasks", "--help"), 0, "1"),
    ],
)
def test_a_reader_that_is_gone_is_no_error(workspace, args, status, unbuffered):
    root = workspace / "sets" / "toy"
    for text in ("A person draws a bow.", "A round target far away."):
        write_version(root, [row(text)], [], {"dataset": "toy"})
    given = [each.format(root=root) for each in args]
    assert run_unread(*given, unbuffered=unbuffered) == (status, "")


def test_what_is_done_after_the_reader_is_gone_is_done_all_the_same(workspace):
    root = workspace / "sets" / "toy"
    for text in ("A person draws a bow.", "A round target far away."):
        write_version(root, [row(text)], [], {"dataset": "toy"})
    page = workspace / "page.html"
    script = (
        "from describe.terminal import show; import sys; from describe.diff import main;"
        "show('first'); sys.exit(main(sys.argv[1:]))"
    )
    path = workspace / "first_shows.py"
    path.write_text(script)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as out:
        args = [sys.executable, "-u", str(path), "v1", "v2", "--html", str(page)]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(args, stdout=out, cwd=ROOT, env=env, check=False)
    assert done.returncode == 0
    assert page.is_file()


def test_an_interrupted_command_says_what_to_do(capsys):
    def run(_: None) -> int:
        raise KeyboardInterrupt

    assert run_command("toy", lambda: None, run, if_interrupted="go on") == 130
    assert capsys.readouterr().err == "toy: interrupted; go on\n"
