"""LiteLLM's model price file as a pricing config.

Every price field ends up in an expression or in the list of what could not be expressed; none is
dropped without a word. Rates are exact decimals: the digits of the file times the factors given.

What the metrics count (the table is in docs/cli.md): `input_tokens` and `output_tokens` are the
totals the provider reports, and `cached_tokens`, `reasoning_tokens` and the audio, image and video
counts say which part of them is billed at a rate of its own. `cache_read_tokens` and the
`cache_write…`/`cache_creation_tokens` are counted beside `input_tokens`, never inside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

from ducto_pg.exact_json import plain
from ducto_pg.plpython.names import STANDARD_METRICS

__all__ = ["SERVICE_TIERS", "Conversion", "Unexpressed", "convert"]

SERVICE_TIERS = ("batches", "flex", "priority", "ultrafast", "balanced", "decisions")
LITERAL_DIGITS_MAX = 40
EXPRESSION_LENGTH_MAX = 2000
KEY_LENGTH_MAX = 200

# Parts of input_tokens and of output_tokens that a model may price apart, by field.
INPUT_PARTS = {
    "cache_read_input_token_cost": "cached_tokens",
    "input_cost_per_audio_token": "input_audio_tokens",
    "input_cost_per_image_token": "input_image_tokens",
    "input_cost_per_video_token": "input_video_tokens",
    "cache_read_input_audio_token_cost": "cached_audio_tokens",
    "cache_read_input_image_token_cost": "cached_image_tokens",
    "explicit_cache_read_input_token_cost": "explicit_cached_tokens",
}
OUTPUT_PARTS = {
    "output_cost_per_reasoning_token": "reasoning_tokens",
    "output_cost_per_audio_token": "output_audio_tokens",
    "output_cost_per_image_token": "output_image_tokens",
    "output_cost_per_video_token": "output_video_tokens",
}
# Written to the cache: counted beside input_tokens, with the field whose rate serves if absent.
CACHE_WRITES = {
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h_tokens",
    "cache_creation_input_token_cost_above_12hr": "cache_write_12h_tokens",
    "cache_creation_input_audio_token_cost": "cache_write_audio_tokens",
}
# A price times one metric, whatever the model does.
SIMPLE = {
    "input_cost_per_character": "input_characters",
    "output_cost_per_character": "output_characters",
    "input_cost_per_query": "search_queries",
    "input_cost_per_request": "requests",
    "input_cost_per_text_message": "text_messages",
    "input_cost_per_audio_per_second": "audio_seconds",
    "input_cost_per_video_per_second": "input_video_seconds",
    "output_cost_per_video_per_second": "video_seconds",
    "ocr_cost_per_page": "pages",
    "ocr_cost_per_credit": "ocr_credits",
    "annotation_cost_per_page": "annotated_pages",
    "citation_cost_per_token": "citation_tokens",
    "google_maps_grounding_cost_per_query": "maps_queries",
    "code_interpreter_cost_per_session": "code_interpreter_sessions",
    "output_cost_per_image": "image_count",
}
TOKEN_FIELDS = frozenset(
    (
        "input_cost_per_token",
        "output_cost_per_token",
        "cache_creation_input_token_cost",
        *INPUT_PARTS,
        *OUTPUT_PARTS,
        *CACHE_WRITES,
    )
)
# Fields whose meaning depends on what the model does.
MODE_FIELDS = frozenset(
    (
        "input_cost_per_image",
        "input_cost_per_pixel",
        "output_cost_per_pixel",
        "cost_per_second",
        "input_cost_per_second",
        "output_cost_per_second",
        "input_cost_per_token_cache_hit",
    )
)
SEARCH_SIZES = {
    "search_context_size_medium": "search_queries",
    "search_context_size_low": "search_queries_low",
    "search_context_size_high": "search_queries_high",
}
REASONS = {
    "off_peak_pricing": "a price that depends on the time of day",
    "search_free_requests": "a number of free requests a day or month; use a plan's allowance",
    "provider_specific_entry": "multipliers for regions or speeds of the provider",
    "input_dbu_cost_per_token": "a price in the provider's own units, beside the one in dollars",
    "output_dbu_cost_per_token": "a price in the provider's own units, beside the one in dollars",
    "guardrail_cost_per_unit": "a price a kind of guardrail unit",
}
PRICE_WORDS = re.compile(r"cost|pric|multiplier|uplift|discount|free_|_fee")
NOT_PRICES = frozenset({"supports_fast_mode", "fallback_generalizations"})
ABOVE = re.compile(r"_above_(\d+)k_tokens")
SIZED = re.compile(r"(output_cost_per_(?:second|image))_([0-9][0-9A-Za-z.]*)")


@dataclass(frozen=True, slots=True)
class Unexpressed:
    """A price that is not in the config, and why. `field` is empty when it is the whole model."""

    model: str
    field: str
    reason: str


@dataclass(slots=True)
class Conversion:
    """The config, and everything of the file that is not in it."""

    config: dict[str, Any]
    unexpressed: list[Unexpressed] = field(default_factory=list)


@dataclass(slots=True)
class _Prices:
    """One model's fields, sorted: rates by field for each context threshold, and the rest."""

    mode: str
    base: dict[str, Decimal] = field(default_factory=dict)
    above: dict[int, dict[str, Decimal]] = field(default_factory=dict)
    searches: dict[str, Decimal] = field(default_factory=dict)
    query_bands: list[tuple[Decimal, Decimal]] = field(default_factory=list)
    open_ended: bool = True
    problems: list[tuple[str, str]] = field(default_factory=list)

    def has_prices(self) -> bool:
        return bool(self.base or self.above or self.searches or self.query_bands)


def convert(
    prices: Mapping[str, Any],
    *,
    markup: Decimal = Decimal(1),
    credits_per_usd: Decimal = Decimal(1),
    only: str | None = None,
    service_tier: str | None = None,
) -> Conversion:
    """Turn a parsed price file (fractions as Decimal) into a pricing config.

    `only` keeps the models matching a shell pattern; `service_tier` takes the prices of that tier
    where a model has them, and the standard ones where it has not.
    """
    factor = markup * credits_per_usd
    if not factor.is_finite() or factor <= 0:
        raise ValueError("markup and credits per USD must be positive numbers")
    models: dict[str, str] = {}
    unexpressed: list[Unexpressed] = []
    for name, entry in prices.items():
        if only is not None and not fnmatchcase(name, only):
            continue
        expression, problems = _convert_model(name, entry, factor, service_tier)
        unexpressed += [Unexpressed(name, where, why) for where, why in problems]
        if expression is not None:
            models[name] = expression
    if not models:
        wanted = f" that match {only}" if only else ""
        raise ValueError(f"the file has no models with prices{wanted}")
    config: dict[str, Any] = {
        "version": 2,
        "description": (
            f"LiteLLM prices times {plain(markup)}, {plain(credits_per_usd)} credits a US dollar"
            + (f", service tier {service_tier}" if service_tier else "")
        ),
        "metrics": _extra_metrics(models),
        "models": models,
    }
    return Conversion(config, unexpressed)


def _extra_metrics(models: Mapping[str, str]) -> list[str]:
    names: set[str] = set()
    for expression in models.values():
        names.update(re.findall(r"[a-z][a-z0-9_]*", expression))
    return sorted(names - set(STANDARD_METRICS) - {"max", "tier", "if", "else"})


def _convert_model(
    name: str, entry: Any, factor: Decimal, service_tier: str | None
) -> tuple[str | None, list[tuple[str, str]]]:
    if name == "sample_spec":
        return None, [("", "the file's own description of its fields, not a model")]
    if not isinstance(entry, Mapping):
        return None, [("", "not an object")]
    if "rules" in entry and not any(_is_price(key) for key in entry):
        return None, [("", "rules about names, not a model")]
    if not 1 <= len(name) <= KEY_LENGTH_MAX:
        return None, [("", f"a name longer than {KEY_LENGTH_MAX} characters")]
    prices = _read_prices(entry, factor, service_tier)
    if not prices.has_prices():
        return None, [*prices.problems, ("", "no price that can be expressed")]
    expression = _expression(prices)
    if len(expression) > EXPRESSION_LENGTH_MAX:
        return None, [*prices.problems, ("", "an expression too long to publish")]
    return expression, prices.problems


def _is_price(key: str) -> bool:
    return key not in NOT_PRICES and PRICE_WORDS.search(key) is not None


def _read_prices(entry: Mapping[str, Any], factor: Decimal, service_tier: str | None) -> _Prices:
    prices = _Prices(mode=str(entry.get("mode") or ""))
    tier_rates: dict[tuple[int, str], Decimal] = {}
    for key, value in entry.items():
        if key == "tiered_pricing":
            _read_bands(value, factor, prices)
        elif key == "search_context_cost_per_query":
            _read_searches(value, factor, prices)
        elif key == "provider_specific_entry":
            if isinstance(value, Mapping) and any(_is_number(v) for v in value.values()):
                prices.problems.append((key, REASONS[key]))
        elif _is_price(key):
            _read_field(key, value, factor, service_tier, prices, tier_rates)
    for (threshold, base), rate in tier_rates.items():
        _rates_at(prices, threshold)[base] = rate
    _resolve_seconds(prices)
    _resolve_images(prices)
    _resolve_cache_hit(prices)
    return prices


def _rates_at(prices: _Prices, threshold: int) -> dict[str, Decimal]:
    return prices.above.setdefault(threshold, {}) if threshold else prices.base


def _read_field(
    key: str,
    value: Any,
    factor: Decimal,
    service_tier: str | None,
    prices: _Prices,
    tier_rates: dict[tuple[int, str], Decimal],
) -> None:
    base, tier = _split_tier(key)
    found = ABOVE.search(base)
    threshold = int(found.group(1)) * 1000 if found else 0
    if found:
        base = base[: found.start()] + base[found.end() :]
    if not (base in TOKEN_FIELDS | MODE_FIELDS or base in SIMPLE or SIZED.fullmatch(base)):
        uplift = "a multiplier for where the request is processed" if "uplift" in key else None
        reason = REASONS.get(key) or uplift or "a kind of price that has no expression"
        prices.problems.append((key, reason))
    elif threshold and base not in TOKEN_FIELDS:
        prices.problems.append((key, "a long-context rate of something that is not a token"))
    else:
        rate = _rate(value, factor)
        if rate is None:
            prices.problems.append((key, f"not a price: {value!r}"))
        elif tier is None:
            _rates_at(prices, threshold)[base] = rate
        elif tier == service_tier:
            tier_rates[threshold, base] = rate
        else:
            prices.problems.append((key, f"the price of the service tier {tier}"))


def _split_tier(key: str) -> tuple[str, str | None]:
    for tier in SERVICE_TIERS:
        if key.endswith("_" + tier):
            return key[: -len(tier) - 1], tier
    return key, None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _rate(value: Any, factor: Decimal) -> Decimal | None:
    """The price in credits, exact; None when it is no price or has more digits than a literal."""
    if not _is_number(value):
        return None
    price = Decimal(value)
    if not price.is_finite() or price < 0:
        return None
    rate = _exact_product(price, factor)
    return rate if len(plain(rate).replace(".", "")) <= LITERAL_DIGITS_MAX else None


def _exact_product(left: Decimal, right: Decimal) -> Decimal:
    """The product with all its digits, whatever the precision of the decimal context is."""
    a, b = left.as_tuple(), right.as_tuple()
    assert isinstance(a.exponent, int) and isinstance(b.exponent, int)
    digits = int("".join(map(str, a.digits))) * int("".join(map(str, b.digits)))
    return Decimal(f"{digits}E{a.exponent + b.exponent}")


def _read_searches(value: Any, factor: Decimal, prices: _Prices) -> None:
    name = "search_context_cost_per_query"
    if not isinstance(value, Mapping):
        prices.problems.append((name, f"not a price: {value!r}"))
        return
    for size, price in value.items():
        rate = _rate(price, factor)
        if size not in SEARCH_SIZES or rate is None:
            prices.problems.append((f"{name}.{size}", "a kind of price that has no expression"))
        else:
            prices.searches[SEARCH_SIZES[size]] = rate


def _read_bands(value: Any, factor: Decimal, prices: _Prices) -> None:
    """`tiered_pricing`: each band's rates hold for the whole request, as in the price lists."""
    lower = Decimal(0)
    bands = value if isinstance(value, list) else [value]
    for position, band in enumerate(bands):
        where = f"tiered_pricing[{position}]"
        if not isinstance(band, Mapping):
            prices.problems.append((where, "not an object"))
            continue
        if "max_results_range" in band:
            _read_query_band(where, band, factor, prices)
            continue
        bounds = band.get("range")
        if not isinstance(bounds, list) or len(bounds) != 2 or Decimal(bounds[0]) != lower:
            prices.problems.append((where, "a band that does not continue the one before"))
            continue
        rates = _rates_at(prices, int(lower))
        for key, price in band.items():
            rate = _rate(price, factor) if key in TOKEN_FIELDS else None
            if rate is not None:
                rates[key] = rate
            elif key != "range":
                prices.problems.append((f"{where}.{key}", "a price that has no expression"))
        lower = Decimal(bounds[1])


def _read_query_band(where: str, band: Mapping[str, Any], factor: Decimal, prices: _Prices) -> None:
    bounds, rate = band["max_results_range"], _rate(band.get("input_cost_per_query"), factor)
    if rate is None or not isinstance(bounds, list) or len(bounds) != 2:
        prices.problems.append((where, "a band that cannot be read"))
    else:
        prices.query_bands.append((Decimal(bounds[1]), rate))


def _resolve_seconds(prices: _Prices) -> None:
    """Per-second fields name the same second twice; it is charged once."""
    base = prices.base
    per_input = base.pop("input_cost_per_second", None)
    per_output = base.pop("output_cost_per_second", None)
    provisioned = base.pop("cost_per_second", None)
    if prices.mode == "chat" and (provisioned is not None or per_input is not None):
        base["*compute_seconds"] = max(provisioned or Decimal(0), per_input or Decimal(0))
    elif prices.mode == "video_generation":
        if per_output is not None:
            base["*video_seconds"] = per_output
        if per_input is not None:
            base["*input_video_seconds"] = per_input
    elif per_input is not None or per_output is not None:
        rates = {rate for rate in (per_input, per_output, provisioned) if rate}
        if len(rates) > 1:
            prices.problems.append(("output_cost_per_second", "two prices for one second"))
        base["*audio_seconds"] = max(rates, default=Decimal(0))
    if "output_cost_per_audio_token" in base and base.get("*audio_seconds"):
        # The same sound counted in tokens and in seconds: the tokens are what is billed.
        del base["*audio_seconds"]
        prices.problems.append(
            ("output_cost_per_second", "the same audio is priced by output_audio_tokens")
        )


def _resolve_images(prices: _Prices) -> None:
    """In image generation a price per input image or pixel means the images that are made."""
    base = prices.base
    made = prices.mode in ("image_generation", "image_edit")
    per_input = base.pop("input_cost_per_image", None)
    if per_input is not None:
        if made and "output_cost_per_image" not in base:
            base["output_cost_per_image"] = per_input
        else:
            base["*input_image_count"] = per_input
    pixels = [base.pop(f"{side}_cost_per_pixel", None) for side in ("input", "output")]
    rate = max((price for price in pixels if price is not None), default=None)
    if rate is None:
        return
    if rate and base.get("output_cost_per_image"):
        prices.problems.append(("output_cost_per_pixel", "the same images are priced by count"))
    else:
        base["*image_pixels"] = rate


def _resolve_cache_hit(prices: _Prices) -> None:
    hit = prices.base.pop("input_cost_per_token_cache_hit", None)
    if hit is not None and prices.base.setdefault("cache_read_input_token_cost", hit) != hit:
        prices.problems.append(("input_cost_per_token_cache_hit", "differs from the cache price"))


def _expression(prices: _Prices) -> str:
    """The sum of what is priced; rates that depend on the context's length stand in branches."""
    terms = [*_simple_terms(prices)]
    thresholds = sorted(prices.above)
    rates, branches = dict(prices.base), []
    for threshold in (0, *thresholds):
        rates.update(prices.above.get(threshold, {}))
        branches.append(list(_token_terms(rates, prices)))
    shared = [term for term in branches[0] if all(term in branch for branch in branches)]
    parts = [" + ".join(t for t in branch if t not in shared) or "0" for branch in branches]
    tokens = parts[-1]
    if len(parts) > 1:
        context = " + ".join(_input_metrics(prices))
        for threshold, part in zip(reversed(thresholds), reversed(parts[:-1]), strict=True):
            tokens = f"({part}) if {context} <= {threshold} else ({tokens})"
        tokens = f"({tokens})"
    everything = [*shared, *([tokens] if tokens != "0" else []), *terms]
    return " + ".join(everything) or "0"


def _input_metrics(prices: _Prices) -> list[str]:
    """What makes up the length of the context: the input and what was read or written beside."""
    names = ["input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_creation_tokens"]
    priced = {key for rates in (prices.base, *prices.above.values()) for key in rates}
    return names + [name for key, name in CACHE_WRITES.items() if key in priced]


def _term(names: list[str], rate: Decimal) -> Iterator[str]:
    if rate:
        counted = names[0] if len(names) == 1 else f"({' + '.join(names)})"
        yield f"{counted} * {plain(rate)}"


def _token_terms(rates: Mapping[str, Decimal], prices: _Prices) -> Iterator[str]:
    """Terms of everything counted in tokens, at one context length."""
    input_rate = rates.get("input_cost_per_token")
    read_rate = rates.get("cache_read_input_token_cost")
    write_rate = rates.get("cache_creation_input_token_cost")
    at_input_rate: list[str] = []
    if input_rate is not None:
        parts = [name for key, name in INPUT_PARTS.items() if key in rates]
        inside = " - ".join(["input_tokens", *parts])
        at_input_rate.append(f"max(0, {inside})" if parts else inside)
        if prices.mode in ("chat", "responses", "completion", "realtime"):
            at_input_rate += [] if read_rate is not None else ["cache_read_tokens"]
            at_input_rate += (
                [] if write_rate is not None else ["cache_write_tokens", "cache_creation_tokens"]
            )
        yield from _term(at_input_rate, input_rate)
    for key, name in INPUT_PARTS.items():
        if key in rates:
            names = [name, "cache_read_tokens"] if name == "cached_tokens" else [name]
            yield from _term(names, rates[key])
    if write_rate is not None:
        yield from _term(["cache_write_tokens", "cache_creation_tokens"], write_rate)
    for key, name in CACHE_WRITES.items():
        if key in rates:
            yield from _term([name], rates[key])
    output_rate = rates.get("output_cost_per_token")
    if output_rate is not None:
        parts = [name for key, name in OUTPUT_PARTS.items() if key in rates]
        inside = " - ".join(["output_tokens", *parts])
        yield from _term([f"max(0, {inside})" if parts else inside], output_rate)
    for key, name in OUTPUT_PARTS.items():
        if key in rates:
            yield from _term([name], rates[key])


def _simple_terms(prices: _Prices) -> Iterator[str]:
    """Terms of everything that is not counted in tokens."""
    for key, rate in sorted(prices.base.items()):
        sized = SIZED.fullmatch(key)
        if key.startswith("*"):
            yield from _term([key[1:]], rate)
        elif key in SIMPLE:
            if key == "input_cost_per_query" and prices.query_bands:
                continue
            yield from _term([SIMPLE[key]], rate)
        elif sized:
            unit = "video_seconds" if sized.group(1).endswith("second") else "image_count"
            yield from _term([f"{unit}_{sized.group(2).lower().replace('.', '_')}"], rate)
    if prices.query_bands:
        bands = sorted(prices.query_bands)
        # A band includes its upper bound, a tier does not; results are whole numbers.
        steps = "".join(f", {plain(upper + 1)}, {plain(rate)}" for upper, rate in bands)
        yield f"search_queries * tier(search_results{steps})"
    for name, rate in prices.searches.items():
        yield from _term([name], rate)
