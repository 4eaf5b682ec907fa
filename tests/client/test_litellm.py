"""LiteLLM prices become expressions with the file's own digits; nothing is dropped in silence.

The expected prices are computed here from the price fields, by hand or by a small sum, never by
the conversion.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest

from ducto_pg import exact_json
from ducto_pg.pricing import litellm
from ducto_pg.pricing.engine import PricingEngine

PRICES = Path("/work/shared/data/litellm_model_prices.json")
D = Decimal
INPUT = D("0.000003")
OUTPUT = D("0.000015")
LONG_INPUT = D("0.000006")
LONG_OUTPUT = D("0.0000225")

SONNET = {
    "mode": "chat",
    "input_cost_per_token": INPUT,
    "output_cost_per_token": OUTPUT,
    "cache_read_input_token_cost": D("3e-07"),
    "cache_creation_input_token_cost": D("3.75e-06"),
    "cache_creation_input_token_cost_above_1hr": D("6e-06"),
    "input_cost_per_token_above_200k_tokens": LONG_INPUT,
    "output_cost_per_token_above_200k_tokens": LONG_OUTPUT,
    "cache_read_input_token_cost_above_200k_tokens": D("6e-07"),
}


def price(entry: Mapping[str, Any], metrics: Mapping[str, Any], **options: Any) -> Decimal:
    """The price of a usage of one model, by the engine, from the converted entry."""
    conversion = litellm.convert({"the-model": entry}, **options)
    engine = PricingEngine.from_dict(conversion.config)
    return Decimal(engine.calculate({"model": "the-model", **metrics}).total)


def problems(entry: Mapping[str, Any]) -> dict[str, str]:
    conversion = litellm.convert({"ok": {"input_cost_per_token": D(1)}, "m": entry})
    return {item.field: item.reason for item in conversion.unexpressed}


def test_input_and_output_tokens() -> None:
    entry = {"mode": "chat", "input_cost_per_token": INPUT, "output_cost_per_token": OUTPUT}
    assert price(entry, {"input_tokens": 1000, "output_tokens": 10}) == D("0.00315")


def test_markup_and_credits_multiply_without_rounding() -> None:
    entry = {"mode": "chat", "input_cost_per_token": D("1.234567e-07")}
    config = litellm.convert({"m": entry}, markup=D("1.2"), credits_per_usd=D("1000")).config
    assert "0.00014814804" in config["models"]["m"]


def test_the_whole_request_moves_to_the_long_context_rate() -> None:
    at = price(SONNET, {"input_tokens": 200_000, "output_tokens": 100})
    above = price(SONNET, {"input_tokens": 200_001, "output_tokens": 100})
    assert at == 200_000 * INPUT + 100 * OUTPUT
    assert above == 200_001 * LONG_INPUT + 100 * LONG_OUTPUT


def test_cache_reads_and_writes_count_toward_the_context() -> None:
    metrics = {"input_tokens": 100_000, "cache_read_tokens": 60_000, "cache_write_tokens": 40_001}
    expected = 100_000 * LONG_INPUT + 60_000 * D("6e-07") + 40_001 * D("3.75e-06")
    assert price(SONNET, metrics) == expected


def test_cached_tokens_are_a_part_of_the_input_and_cache_reads_are_beside_it() -> None:
    within = price(SONNET, {"input_tokens": 1000, "cached_tokens": 400})
    beside = price(SONNET, {"input_tokens": 600, "cache_read_tokens": 400})
    assert within == beside == 600 * INPUT + 400 * D("3e-07")


def test_both_names_of_a_cache_write_cost_the_same_and_an_hour_costs_more() -> None:
    assert price(SONNET, {"cache_write_tokens": 10}) == D("0.0000375")
    assert price(SONNET, {"cache_creation_tokens": 10}) == D("0.0000375")
    assert price(SONNET, {"cache_write_1h_tokens": 10}) == D("0.00006")


def test_cache_tokens_of_a_model_without_a_cache_price_are_not_free() -> None:
    entry = {"mode": "chat", "input_cost_per_token": INPUT, "output_cost_per_token": OUTPUT}
    assert price(entry, {"cache_read_tokens": 5, "cache_write_tokens": 2}) == 7 * INPUT


def test_a_cache_write_priced_at_zero_is_free() -> None:
    entry = {"mode": "chat", "input_cost_per_token": INPUT, "cache_creation_input_token_cost": 0}
    assert price(entry, {"input_tokens": 1, "cache_write_tokens": 50}) == INPUT


def test_reasoning_tokens_are_a_part_of_the_output() -> None:
    entry = {"output_cost_per_token": D("0.0000012"), "output_cost_per_reasoning_token": D("4e-06")}
    expected = 70 * D("0.0000012") + 30 * D("4e-06")
    assert price(entry, {"output_tokens": 100, "reasoning_tokens": 30}) == expected


def test_audio_and_image_tokens_have_rates_of_their_own() -> None:
    entry = {
        "mode": "chat",
        "input_cost_per_token": D("1e-06"),
        "input_cost_per_audio_token": D("2e-06"),
        "input_cost_per_image_token": D("3e-06"),
        "output_cost_per_token": D("4e-06"),
        "output_cost_per_audio_token": D("5e-06"),
        "output_cost_per_image_token": D("6e-06"),
    }
    metrics = {
        "input_tokens": 100, "input_audio_tokens": 20, "input_image_tokens": 30,
        "output_tokens": 100, "output_audio_tokens": 40, "output_image_tokens": 10,
    }  # fmt: skip
    expected = D(50 * 1 + 20 * 2 + 30 * 3 + 50 * 4 + 40 * 5 + 10 * 6) / 1_000_000
    assert price(entry, metrics) == expected


@pytest.mark.parametrize(
    ("mode", "field", "metric"),
    [
        ("image_generation", "output_cost_per_image", "image_count"),
        ("image_generation", "input_cost_per_image", "image_count"),
        ("embedding", "input_cost_per_image", "input_image_count"),
        ("image_generation", "input_cost_per_pixel", "image_pixels"),
        ("audio_transcription", "input_cost_per_second", "audio_seconds"),
        ("video_generation", "output_cost_per_second", "video_seconds"),
        ("video_generation", "output_cost_per_second_1080p", "video_seconds_1080p"),
        ("chat", "input_cost_per_second", "compute_seconds"),
        ("audio_speech", "input_cost_per_character", "input_characters"),
        ("rerank", "input_cost_per_query", "search_queries"),
        ("chat", "input_cost_per_request", "requests"),
        ("ocr", "ocr_cost_per_page", "pages"),
    ],
)
def test_each_unit_has_its_metric(mode: str, field: str, metric: str) -> None:
    assert price({"mode": mode, field: D("0.04")}, {metric: 3}) == D("0.12")


def test_a_second_of_transcription_is_charged_once() -> None:
    entry = {
        "mode": "audio_transcription",
        "input_cost_per_second": D("0.0001"),
        "output_cost_per_second": D("0.0001"),
    }
    assert price(entry, {"audio_seconds": 60}) == D("0.006")


def test_searches_by_context_size() -> None:
    entry = {
        "mode": "chat",
        "input_cost_per_token": INPUT,
        "search_context_cost_per_query": {
            "search_context_size_low": D("0.005"),
            "search_context_size_medium": D("0.008"),
            "search_context_size_high": D("0.012"),
        },
    }
    assert price(entry, {"search_queries": 2}) == D("0.016")
    assert price(entry, {"search_queries_low": 1, "search_queries_high": 1}) == D("0.017")


def test_bands_of_tiered_pricing_hold_for_the_whole_request() -> None:
    entry = {
        "mode": "chat",
        "tiered_pricing": [
            {"input_cost_per_token": D("1e-06"), "output_cost_per_token": D("5e-06"),
             "range": [0, D("32000.0")]},
            {"input_cost_per_token": D("2e-06"), "output_cost_per_token": D("8e-06"),
             "range": [D("32000.0"), D("128000.0")]},
            {"input_cost_per_token": D("3e-06"), "output_cost_per_token": D("9e-06"),
             "range": [D("128000.0"), D("256000.0")]},
        ],
    }  # fmt: skip
    for tokens, rate in [(32_000, 1), (32_001, 2), (128_000, 2), (128_001, 3), (900_000, 3)]:
        assert price(entry, {"input_tokens": tokens}) == D(tokens * rate) / 1_000_000


def test_bands_of_search_results() -> None:
    entry = {
        "mode": "search",
        "tiered_pricing": [
            {"input_cost_per_query": D("0.005"), "max_results_range": [0, 25]},
            {"input_cost_per_query": D("0.025"), "max_results_range": [26, 100]},
        ],
    }
    assert price(entry, {"search_queries": 2, "search_results": 25}) == D("0.01")
    assert price(entry, {"search_queries": 2, "search_results": 26}) == D("0.05")


def test_a_service_tier_takes_its_own_prices_and_the_standard_ones_otherwise() -> None:
    entry = {**SONNET, "input_cost_per_token_batches": D("0.0000015")}
    metrics = {"input_tokens": 1000, "output_tokens": 100}
    assert price(entry, metrics, service_tier="batches") == D("0.003")
    assert price(entry, metrics) == D("0.0045")
    assert problems(entry) == {
        "input_cost_per_token_batches": "the price of the service tier batches"
    }


def test_what_cannot_be_expressed_is_listed_with_its_reason() -> None:
    listed = problems(
        {
            "input_cost_per_token": D("1e-06"),
            "off_peak_pricing": {"windows": []},
            "regional_processing_uplift_multiplier_eu": D("1.1"),
            "some_new_kind_of_cost": D("1"),
            "output_cost_per_token": "ask us",
            "provider_specific_entry": {"us": D("1.1")},
            "input_cost_per_character_above_128k_tokens": D("1"),
        }
    )
    assert listed.keys() == {
        "off_peak_pricing",
        "regional_processing_uplift_multiplier_eu",
        "some_new_kind_of_cost",
        "output_cost_per_token",
        "provider_specific_entry",
        "input_cost_per_character_above_128k_tokens",
    }


def test_a_model_without_prices_is_listed_as_a_whole() -> None:
    conversion = litellm.convert({"ok": {"input_cost_per_token": D(1)}, "free": {"mode": "chat"}})
    assert [(i.model, i.field) for i in conversion.unexpressed] == [("free", "")]
    assert list(conversion.config["models"]) == ["ok"]


def test_only_a_pattern() -> None:
    prices = {"gpt-4": {"input_cost_per_token": D(1)}, "claude": {"input_cost_per_token": D(1)}}
    assert list(litellm.convert(prices, only="gpt-*").config["models"]) == ["gpt-4"]
    with pytest.raises(ValueError, match="no models with prices that match x\\*"):
        litellm.convert(prices, only="x*")


@pytest.mark.parametrize("factor", [D(0), D(-1), D("NaN"), D("Infinity")])
def test_a_factor_must_be_a_positive_number(factor: Decimal) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        litellm.convert({"m": {"input_cost_per_token": D(1)}}, markup=factor)


@pytest.fixture(scope="module")
def everything() -> tuple[Mapping[str, Any], litellm.Conversion]:
    if not PRICES.exists():
        pytest.skip(f"{PRICES} is not here: the whole price file cannot be converted")
    prices = exact_json.loads(PRICES.read_text())
    return prices, litellm.convert(prices)


def test_the_whole_file_is_a_valid_config(
    everything: tuple[Mapping[str, Any], litellm.Conversion],
) -> None:
    prices, conversion = everything
    models = conversion.config["models"]
    whole = {item.model for item in conversion.unexpressed if not item.field}
    assert len(models) > 4000
    assert models.keys() | whole == prices.keys()
    assert not models.keys() & whole
    PricingEngine.from_dict(conversion.config)


def _at_the_longest_context(entry: Mapping[str, Any], field: str) -> Decimal:
    """The rate of a request longer than every threshold of the entry."""
    found = {0: entry.get(field, 0)}
    for key, value in entry.items():
        tail = key.removeprefix(f"{field}_above_")
        if tail != key and tail.endswith("k_tokens"):
            found[int(tail.removesuffix("k_tokens"))] = value
    return Decimal(found[max(found)])


def test_every_plain_token_price_of_the_file_is_met_to_the_digit(
    everything: tuple[Mapping[str, Any], litellm.Conversion],
) -> None:
    prices, conversion = everything
    engine = PricingEngine.from_dict(conversion.config)
    checked = 0
    with localcontext() as context:
        context.prec = 60
        for name in conversion.config["models"]:
            entry = prices[name]
            if "tiered_pricing" in entry or "output_cost_per_token" not in entry:
                continue
            usage = {"model": name, "input_tokens": 1_000_003, "output_tokens": 7}
            rate_in = _at_the_longest_context(entry, "input_cost_per_token")
            rate_out = _at_the_longest_context(entry, "output_cost_per_token")
            expected = 1_000_003 * rate_in + 7 * rate_out
            total = engine.calculate(usage).total
            assert total == expected.quantize(Decimal("1e-12"), "ROUND_HALF_UP"), name
            checked += 1
    assert checked > 3500
