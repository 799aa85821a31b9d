"""The vLLM server of our own, played by a script that stands where its interpreter would."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from describe import vllm
from describe.endpoints import fetch_models, get
from describe.errors import UserError
from describe.vllm import vllm_endpoint

INTERPRETER = """#!{python}
import http.server, json, os, signal, subprocess, sys, time

play = {play!r}
if sys.argv[1] == "-c":
    sys.exit(0 if play["installed"] else 1)
alive = os.open({alive!r}, os.O_WRONLY)  # closed by the kernel when this process is gone
option = dict(zip(sys.argv, sys.argv[1:]))
seen = dict(argv=sys.argv[1:], environ=dict(os.environ))
seen.update(pid=os.getpid(), parent=os.getppid(), group=os.getpgid(0))
with open({seen!r}, "w") as file:
    json.dump(seen, file)
if play["deaf"]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if play["child"]:
    code = "import signal; signal.signal(15, signal.SIG_IGN); print(1, flush=True); signal.pause()"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, pass_fds=[alive])
    child.stdout.readline()
for line in play["says"]:
    print(line, flush=True)
if play["dies"] is not None:
    sys.exit(play["dies"])
loading = play["loading"]

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global loading
        if self.path == "/health":
            self.send_response(503 if loading > 0 else 200)
            loading -= 1
        elif self.path == "/die":
            print("RuntimeError: CUDA out of memory", flush=True)
            os._exit(3)
        else:
            allowed = self.headers["Authorization"] == "Bearer " + os.environ["VLLM_API_KEY"]
            self.send_response(200 if allowed else 401)
        body = json.dumps({{"data": [{{"id": option["--model"]}}]}}).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

http.server.HTTPServer((option["--host"], int(option["--port"])), Handler).serve_forever()
"""


class Scripted:
    """An interpreter that plays vLLM, and what can be seen of it afterwards."""

    def __init__(self, folder: Path, **play: object) -> None:
        self.log = folder / "logs" / "vllm.log"
        self._seen, self._alive, self.python = folder / "seen", folder / "alive", folder / "python"
        os.mkfifo(self._alive)
        self._reader = os.open(self._alive, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(self._reader, True)
        text = INTERPRETER.format(
            python=sys.executable, play=play, alive=str(self._alive), seen=str(self._seen)
        )
        self.python.write_text(text)
        self.python.chmod(0o755)

    def endpoint(self, *extra_args: str, ready_timeout_s: float = 60, **options):
        return vllm_endpoint(
            "org/model",
            extra_args=extra_args,
            log=self.log,
            ready_timeout_s=ready_timeout_s,
            python=str(self.python),
            **options,
        )

    @property
    def seen(self) -> dict:
        return json.loads(self._seen.read_text())

    def wait_until_gone(self) -> None:
        """Return once the server and all its children have ended (else the test times out)."""
        assert os.read(self._reader, 1) == b""

    def wait_until_noticed(self) -> None:
        """Return once our child, the guard, has ended too; its exit status is left for us."""
        os.waitid(os.P_PID, self.seen["parent"], os.WEXITED | os.WNOWAIT)


@pytest.fixture
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scripted]:
    monkeypatch.setattr(vllm, "_POLL_S", 0.02)
    monkeypatch.setattr(vllm, "_PROGRESS_S", 0.0)
    normal = {"installed": True, "deaf": False, "child": False, "says": [], "dies": None}
    return lambda **play: Scripted(tmp_path, **{**normal, "loading": 0, **play})


def test_the_server_answers_inside_the_block_and_is_gone_after_it(scripted):
    server = scripted()
    with server.endpoint() as endpoint:
        assert fetch_models(endpoint, timeout_s=10) == [{"id": "org/model"}]
        os.kill(server.seen["pid"], 0)
    with pytest.raises(ProcessLookupError):
        os.kill(server.seen["pid"], 0)
    server.wait_until_gone()


def test_what_vllm_is_started_with(scripted):
    server = scripted()
    with server.endpoint("--tensor-parallel-size", "2") as endpoint:
        pass
    module, *arguments = server.seen["argv"][1:]
    assert server.seen["argv"][0] == "-m"
    assert module == "vllm.entrypoints.openai.api_server"
    port = endpoint.base_url.split(":")[2].removesuffix("/v1")
    assert arguments == ["--model", "org/model", "--host", "127.0.0.1", "--port", port] + [
        "--enable-prefix-caching",
        "--tensor-parallel-size",
        "2",
    ]


def test_no_key_is_in_the_arguments_and_ours_does_not_reach_the_server(scripted, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    server = scripted()
    with server.endpoint() as endpoint:
        pass
    assert endpoint.api_key
    assert endpoint.api_key not in " ".join(server.seen["argv"]) + repr(endpoint)
    assert server.seen["environ"]["VLLM_API_KEY"] == endpoint.api_key
    assert "sk-canary" not in server.seen["environ"].values()


def test_ctrl_c_in_the_terminal_is_not_the_servers(scripted):
    server = scripted()
    with server.endpoint():
        assert server.seen["group"] == server.seen["pid"] != os.getpgid(0)


def test_a_loading_server_is_waited_for_with_its_own_last_words(scripted):  # failure 8
    line = "(EngineCore pid=71) INFO 11-22 18:00:00 [gpu_model_runner.py:19] Loading model weights"
    server, heard = scripted(loading=3, says=["started", line, "  def code():"]), []
    with server.endpoint(on_wait=lambda state, seconds: heard.append((state, seconds))):
        pass
    assert len(heard) >= 3
    assert heard[-1][0] == "Loading model weights"
    assert [seconds for _, seconds in heard] == sorted(seconds for _, seconds in heard)


def test_a_server_that_is_never_ready_is_given_up_and_stopped(scripted):
    server = scripted(loading=10**9, says=["compiling kernels"])
    message = r"not ready after 0 s \(--ready-timeout\); it last said: .* \(log: .*vllm.log\)"
    with pytest.raises(UserError, match=message), server.endpoint(ready_timeout_s=0):
        pass
    server.wait_until_gone()


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (
            [
                "(EngineCore pid=7) ERROR 11-22 18:00:00 [core.py:94] Traceback (most recent call",
                "(EngineCore pid=7) ERROR 11-22 18:00:00 [core.py:94] ValueError: no KV cache room",
                "(EngineCore pid=7) Exception: WorkerProc initialization failed due to an "
                "exception in a background process. See stack trace for root cause.",
                "(APIServer pid=6) RuntimeError: Engine core initialization failed. "
                "See root cause above. Failed core proc(s): {}",
            ],
            "ValueError: no KV cache room",
        ),
        (
            [
                "  raise ValidationError(",
                "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
                "  Value error, User-specified max_model_len (999999) is greater than",
                "    For further information visit the documentation",
            ],
            "Value error, User-specified max_model_len (999999) is greater than",
        ),
        (
            [
                "OSError: an older error",
                "huggingface_hub.errors.HFValidationError: Repo id",
                "done",
            ],
            "huggingface_hub.errors.HFValidationError: Repo id",
        ),
        (["usage: ...", "api_server.py: error: unrecognized arguments: --x"], "api_server.py: err"),
        (["something else\rand more"], "and more"),
        ([], "starting"),
    ],
)
def test_a_server_that_dies_at_the_start_is_explained_by_its_log(scripted, says, reason):
    server = scripted(says=says, dies=5)
    with pytest.raises(UserError) as caught, server.endpoint():
        pass
    start = "the vLLM server stopped (exit status 5) while it started: "
    assert str(caught.value).startswith(start + reason)
    assert str(caught.value).endswith(f"(log: {server.log})")
    assert "\n" not in str(caught.value)
    assert server.log.read_bytes().decode() == "".join(f"{line}\n" for line in says)


def test_a_death_in_mid_run_is_told(scripted):
    server, heard = scripted(), []
    with server.endpoint(on_wait=lambda state, seconds: heard.append(state)) as endpoint:
        heard.clear()
        with pytest.raises(ConnectionError):
            get(endpoint.base_url.removesuffix("/v1") + "/die", timeout_s=10)
        server.wait_until_noticed()
    told = "the vLLM server stopped (exit status 3) in mid-run: RuntimeError: CUDA out of memory"
    assert heard == [told]


def test_a_killed_server_may_have_run_out_of_memory(scripted):
    server, heard = scripted(), []
    with server.endpoint(on_wait=lambda state, seconds: heard.append(state)):
        os.kill(server.seen["pid"], signal.SIGKILL)
        server.wait_until_noticed()
    assert heard[-1].startswith("the vLLM server was killed (out of memory?) in mid-run")


def test_a_server_that_ignores_sigterm_is_killed_with_its_children(scripted, monkeypatch):
    monkeypatch.setattr(vllm, "STOP_TIMEOUT_S", 0.02)
    server = scripted(deaf=True, child=True)
    with server.endpoint():
        pass
    server.wait_until_gone()


def test_children_that_outlive_the_server_are_killed(scripted):
    server = scripted(child=True)
    with server.endpoint():
        pass
    server.wait_until_gone()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_the_server_is_stopped_when_the_block_is_left_by_an_error(scripted, error):
    server = scripted()
    with pytest.raises(error), server.endpoint():
        raise error
    server.wait_until_gone()


def test_the_server_dies_with_us_even_by_kill_9(scripted):
    server = scripted(deaf=True, child=True)
    code = (
        "import pathlib, signal, sys; from describe import vllm\n"
        "vllm.STOP_TIMEOUT_S, log = 0.02, pathlib.Path(sys.argv[2])\n"
        "with vllm.vllm_endpoint('m', log=log, ready_timeout_s=60, python=sys.argv[1]):\n"
        "    print('ready', flush=True); signal.pause()"
    )
    command = [sys.executable, "-c", code, str(server.python), str(server.log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as ours:
        assert ours.stdout.readline() == "ready\n"
        ours.kill()
    server.wait_until_gone()


def test_an_interpreter_without_vllm_is_told_how_to_get_it(scripted):
    server = scripted(installed=False)
    message = r"vLLM is not installed for .*pip install vllm\), then --vllm-python vllm/bin/python"
    with pytest.raises(UserError, match=message), server.endpoint():
        pass
    assert not server.log.exists()


def test_an_interpreter_that_is_not_there_is_named(tmp_path):
    python = str(tmp_path / "nowhere" / "python")
    with (
        pytest.raises(UserError, match=f"cannot run {python}: No such file or directory"),
        vllm_endpoint("m", log=tmp_path / "log", ready_timeout_s=1, python=python),
    ):
        pass


@pytest.mark.parametrize("flag", ["--port=1", "--host", "--model", "--api-key=x"])
def test_flags_that_are_ours_are_refused(scripted, flag):
    name = flag.partition("=")[0]
    message = f"--vllm-args has {name}, which is chosen when the server starts"
    with pytest.raises(UserError, match=message) as caught, scripted().endpoint(flag):
        pass
    assert "=x" not in str(caught.value)


@pytest.mark.parametrize("model", ["./llama", "/no/such/llama", "~/llama"])
def test_a_folder_that_is_not_there_is_not_taken_for_a_name_on_the_hub(tmp_path, model):
    with (
        pytest.raises(UserError, match=f"there is no folder {model} with a model for vLLM"),
        vllm_endpoint(model, log=tmp_path / "log", ready_timeout_s=1),
    ):
        pass


def test_a_log_that_cannot_be_written_is_named(scripted, tmp_path):
    server = scripted()
    (tmp_path / "logs").write_text("a file where the folder would be")
    message = f"cannot start vLLM: File exists: {tmp_path / 'logs'}"
    with pytest.raises(UserError, match=message), server.endpoint():
        pass
