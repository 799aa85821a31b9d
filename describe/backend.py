"""Which model writes: an API, a vLLM server of our own, or the embedded model."""

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from describe.config import Config
from describe.endpoints import Endpoint, ModelIdentity, fetch_models, url_endpoints
from describe.errors import UserError
from describe.paths import workspace

OPENAI_URL = "https://api.openai.com/v1"


def identify(config: Config) -> ModelIdentity:
    """Return the model's name and revision, as they go into every key. Starts nothing.

    Raises:
        UserError: An endpoint has several models and none was named.
    """
    if config.vllm:
        return ModelIdentity(name=config.model or config.vllm, revision=config.revision)
    if config.model:
        return ModelIdentity(name=config.model, revision=config.revision)
    if config.base_url:
        return ModelIdentity(name=_only_model(config), revision=config.revision)
    from describe.embedded import default_gguf, gguf_identity

    return gguf_identity(config.gguf or default_gguf())


def is_embedded(config: Config) -> bool:
    """Whether the embedded model writes."""
    return not (config.vllm or config.model or config.base_url)


@contextmanager
def opened(
    config: Config, identity: ModelIdentity, on_note: Callable[[str], None]
) -> Iterator[list[Endpoint]]:
    """Start or reach the endpoints, and stop at the end what was started."""
    if config.vllm:
        from describe.vllm import vllm_endpoint

        log = workspace() / "logs" / f"vllm-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"
        with vllm_endpoint(
            config.vllm,
            extra_args=[*_named(config, identity), *shlex.split(config.vllm_args)],
            log=log,
            ready_timeout_s=config.ready_timeout,
            on_wait=lambda state, seconds: on_note(f"vLLM: {state} ({seconds:.0f} s; log {log})"),
            python=config.vllm_python,
        ) as endpoint:
            yield [endpoint]
    elif is_embedded(config):
        from describe.embedded import default_gguf, embedded_endpoint

        with embedded_endpoint(config.gguf or default_gguf()) as endpoint:
            yield [endpoint]
    else:
        yield _urls(config)


def _named(config: Config, identity: ModelIdentity) -> list[str]:
    named = [] if identity.name == config.vllm else ["--served-model-name", identity.name]
    return named + (["--revision", config.revision] if config.revision else [])


def _urls(config: Config) -> list[Endpoint]:
    key = os.environ.get("OPENAI_API_KEY", "")
    urls = list(config.base_url) or [os.environ.get("OPENAI_BASE_URL") or OPENAI_URL]
    if urls == [OPENAI_URL] and not key:
        raise UserError(
            "OPENAI_API_KEY is not set; --model without --base-url is a model of the OpenAI API"
        )
    return url_endpoints(urls, key)


def _only_model(config: Config) -> str:
    endpoint = _urls(config)[0]
    names = [str(model.get("id")) for model in fetch_models(endpoint, timeout_s=15)]
    if len(names) != 1:
        raise UserError(
            f"{endpoint.name} has {len(names)} models; choose one with --model: "
            f"{', '.join(names[:10])}"
        )
    return names[0]
