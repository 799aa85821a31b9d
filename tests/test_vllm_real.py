"""Describing through a real vLLM server, from the command line: `make test-vllm`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from describe.dataset import read_version

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1800)]

# A processor has no graphs to capture; "GPU memory" is the part of the main memory to use. A seeded
# request whose prompt is read in chunks kills vLLM 0.32 on a processor.
SERVER = (
    "--enforce-eager --dtype float32 --max-model-len 2048 --gpu-memory-utilization 0.3 "
    "--no-enable-chunked-prefill"
)


def describe(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "describe", "--dataset", "hmdb51", "--subset", "base"]
    result = subprocess.run(
        [
            *command,
            *("--vllm", os.environ["VLLM_MODEL"], "--vllm-python", os.environ["VLLM_PYTHON"]),
            *("--model", "SmolLM2-135M-Instruct", f"--vllm-args={SERVER}", *arguments),
        ],
        capture_output=True,
        env={**os.environ, "DESCRIBE_HOME": str(home)},
        text=True,
    )
    print(f"$ {' '.join(command[2:])} ...\n{result.stderr}{result.stdout}".replace(str(home), "~"))
    return result


@pytest.fixture(scope="module", autouse=True)
def real_server() -> None:
    if not {"VLLM_MODEL", "VLLM_PYTHON"} <= os.environ.keys():
        pytest.skip("needs VLLM_MODEL and VLLM_PYTHON; run `make test-vllm`")


def test_the_base_classes_are_described_and_a_second_run_starts_no_server(tmp_path):
    first = describe(tmp_path, "--show", "10")
    assert first.returncode == 0, first.stderr
    assert "ignores response_format" not in first.stderr
    written = read_version(tmp_path / "sets" / "hmdb51_base", None)
    assert {row.class_name for row in written.rows} <= {*_base_classes()}
    assert len(written.rows) > 26  # of 104 asked for; the rules reject much of so small a model
    assert {row.model for row in written.rows} == {"SmolLM2-135M-Instruct"}
    assert os.environ["VLLM_MODEL"] not in json.dumps(dict(written.manifest))

    again = describe(tmp_path)
    assert again.returncode == 0, again.stderr
    assert len(list((tmp_path / "logs").iterdir())) == 1
    assert len(list((tmp_path / "sets" / "hmdb51_base").glob("v1*"))) > 0


def _base_classes() -> list[str]:
    from describe.classes import load_classes, subset

    return [each.name for each in subset(load_classes("hmdb51"), "base").classes]
