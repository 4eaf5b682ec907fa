"""What an AI provider's response says was used: `usage_from(response)`.

Reads the response objects, or the dicts, of the OpenAI (chat and responses), Anthropic and Gemini
clients and of LiteLLM, without importing any of them. The metrics mean the same for all of them:

- `input_tokens` and `output_tokens` are totals; `cached_tokens` (of the input) and
  `reasoning_tokens` (of the output) say which part of them has a price of its own;
- `cache_read_tokens` and `cache_write_tokens`, which Anthropic reports, are counted beside
  `input_tokens`, never inside it;
- `total_tokens` is everything, each token once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ducto_pg.client.arguments import text
from ducto_pg.client.usage import UsageMetrics
from ducto_pg.errors import InvalidArgumentError

__all__ = ["usage_from"]

# Where a response keeps its usage, and the names by which a usage itself is known.
HOLDERS = ("usage", "usage_metadata", "usageMetadata")
KNOWN = (
    "prompt_tokens",
    "completion_tokens",
    "input_tokens",
    "output_tokens",
    "prompt_token_count",
    "promptTokenCount",
    "total_token_count",
    "totalTokenCount",
)


def usage_from(response: Any, *, model: str | None = None) -> UsageMetrics:
    """The usage that a provider's response reports, priced as `model` if one is given.

    Also takes the usage alone (`response.usage`). Raises InvalidArgumentError for a response
    without one: with OpenAI's chat streams, ask for it by `stream_options={"include_usage": True}`.
    """
    usage = _member(response, *HOLDERS)
    if usage is None and any(_member(response, name) is not None for name in KNOWN):
        usage = response
    if usage is None or not any(_member(usage, name) is not None for name in KNOWN):
        raise InvalidArgumentError(
            f"response reports no usage: {type(response).__name__}.",
            detail={"argument": "response"},
        )
    counts: dict[str, Any] = _gemini(usage) if _is_gemini(usage) else _counts(usage)
    counts |= _tools(response, usage)
    counts["total_tokens"] = sum(counts[name] for name in APART if name in counts)
    named = model or _member(response, "model", "model_version", "modelVersion")
    counts["model"] = text("model", named).removeprefix("models/") if named else None
    return UsageMetrics(**counts)


# Metrics that no other one contains.
APART = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")


def _is_gemini(usage: Any) -> bool:
    return _member(usage, *KNOWN[4:]) is not None


def _gemini(usage: Any) -> dict[str, int]:
    """Gemini: thinking is reported beside the answer, what tools put in beside the prompt."""
    thoughts = _count(usage, "thoughts_token_count", "thoughtsTokenCount")
    return {
        "input_tokens": _count(usage, "prompt_token_count", "promptTokenCount")
        + _count(usage, "tool_use_prompt_token_count", "toolUsePromptTokenCount"),
        "cached_tokens": _count(usage, "cached_content_token_count", "cachedContentTokenCount"),
        "output_tokens": _count(usage, "candidates_token_count", "candidatesTokenCount") + thoughts,
        "reasoning_tokens": thoughts,
    }


def _counts(usage: Any) -> dict[str, int]:
    """OpenAI, Anthropic, and LiteLLM, which gives Anthropic's numbers in OpenAI's form."""
    read = _count(usage, "cache_read_input_tokens")
    written = _count(usage, "cache_creation_input_tokens")
    reasoning = _detail(usage, ("completion", "output"), "reasoning_tokens")
    prompt, output = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if _member(usage, "prompt_tokens", "completion_tokens") is None:
        given, output = _count(usage, "input_tokens"), _count(usage, "output_tokens")
    else:
        # In this form the prompt contains what was read from and written to the cache.
        given = prompt - read - written if prompt >= read + written else prompt
        # Some providers report thinking beside the answer; the total tells.
        if reasoning and _count(usage, "total_tokens") == prompt + output + reasoning:
            output += reasoning
    return {
        "input_tokens": given,
        "cached_tokens": 0 if read else _detail(usage, ("prompt", "input"), "cached_tokens"),
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "output_tokens": output,
        "reasoning_tokens": reasoning,
    }


def _tools(response: Any, usage: Any) -> dict[str, int]:
    """The provider's own tools that it bills for."""
    server = _member(usage, "server_tool_use")
    searches = _count(server, "web_search_requests")
    runs = _count(server, "code_execution_requests")
    items = _member(response, "output")
    for item in items if isinstance(items, list | tuple) else ():
        kind = _member(item, "type")
        searches += kind == "web_search_call"
        runs += kind == "code_interpreter_call"
    return {"web_search_calls": searches, "code_exec_calls": runs}


def _detail(usage: Any, kinds: tuple[str, str], name: str) -> int:
    details = _member(usage, *(f"{kind}_tokens_details" for kind in kinds))
    return _count(details, name)


def _count(holder: Any, *names: str) -> int:
    value = _member(holder, *names)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidArgumentError(
            f"response reports {names[0]} as a {type(value).__name__} that is no count.",
            detail={"argument": "response"},
        )
    return value


def _member(holder: Any, *names: str) -> Any:
    """The first of the names that the holder has, in a dict or as an attribute."""
    for name in names:
        value = holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
        if value is not None:
            return value
    return None
