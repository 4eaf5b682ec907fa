"""`ducto pricing`: write, check, publish and compare pricing.

`validate`, `test`, `schema` and `import-litellm` need no database. Whatever a command prints as a
config can be read back by the others, from a file or from stdin (`-`).
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ducto_pg import exact_json
from ducto_pg.cli.arguments import (
    AMOUNT,
    IDENTIFIER,
    MOMENT,
    NAME,
    beginning,
    metrics_options,
    open_manager,
    usage,
)
from ducto_pg.cli.common import CliError, Group, dsn_option, json_option, standard_input
from ducto_pg.cli.output import counted, echo, fields, print_json, table
from ducto_pg.cli.problems import error_lines, print_warnings

if TYPE_CHECKING:
    from ducto_pg.client.results import PricingVersion, RepricedModel
    from ducto_pg.pricing.litellm import Conversion

FILE_ARGUMENT = click.argument("file", metavar="FILE")
# Those of ducto_pg.pricing.litellm, which is loaded only by the command that converts.
SERVICE_TIERS = ("batches", "flex", "priority", "ultrafast", "balanced", "decisions")

PRICES_SIZE_MAX = 64 << 20
# What publishing counts, and how one of each is called.
SIZED = {"models": "model", "tools": "tool", "fixed": "fixed job", "plans": "plan"}


@click.group(cls=Group)
def pricing() -> None:
    """Publish, inspect, validate and compare pricing."""


def read(file: str) -> Any:
    """The config in a file, or on stdin for `-`; one sentence when it is no JSON or YAML."""
    from ducto_pg.pricing.config_file import ConfigFileError, read_config, read_stream

    try:
        return read_stream(standard_input()) if file == "-" else read_config(file)
    except ConfigFileError as error:
        where = "stdin: " if file == "-" else ""
        raise CliError(f"{where}{error}", name="not_a_config") from error


def checked(file: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A valid config and its warnings; otherwise every error is printed, and the exit code is 1."""
    from ducto_pg.plpython.config import compile_config

    config = read(file)
    outcome = compile_config(config)
    if outcome["errors"]:
        raise _refusal(file, outcome["errors"], outcome["count"])
    return config, outcome["warnings"]


def _refusal(file: str, errors: Sequence[Mapping[str, Any]], count: int) -> CliError:
    where = "the config on stdin" if file == "-" else file
    return CliError(
        f"{where} is not valid: {counted(count, 'error')}",
        name="invalid_pricing_config",
        detail={"errors": list(errors)},
        lines=error_lines(errors),
    )


@pricing.command("set", short_help="Publish FILE as a new version, now active.")
@FILE_ARGUMENT
@click.option("--label", help="A name for this version.")
@dsn_option
@json_option
def set_(file: str, label: str | None, dsn: str | None, as_json: bool) -> None:
    """Publish FILE (- for stdin) as a new version and make it the active one."""
    config, warnings = checked(file)
    with open_manager(dsn) as manager:
        published = manager.publish_pricing(config, label=label)
    if as_json:
        print_json({**_summary(published), "warnings": warnings})
        return
    print_warnings(warnings)
    named = f" ({published.label})" if published.label else ""
    sizes = ", ".join(
        counted(len(config[section]), noun)
        for section, noun in SIZED.items()
        if config.get(section)
    )
    echo(f"Published pricing version {published.version}{named}, now active: {sizes}.")


def _summary(version: PricingVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "id": version.id,
        "label": version.label,
        "active": version.active,
        "created_at": version.created_at,
    }


@pricing.command("get")
@dsn_option
@json_option
def get(dsn: str | None, as_json: bool) -> None:
    """Show the active version and its config."""
    with open_manager(dsn) as manager:
        found = manager.get_pricing()
    if as_json:
        print_json({**_summary(found), "config": found.config})
        return
    fields([(name, str(v) if name == "id" else v) for name, v in _summary(found).items()])
    echo()
    print_json(found.config)


@pricing.command("list")
@dsn_option
@json_option
def list_(dsn: str | None, as_json: bool) -> None:
    """List all versions, newest first; * marks the active one."""
    with open_manager(dsn) as manager:
        versions = manager.list_pricing()
    if as_json:
        print_json([_summary(version) for version in versions])
        return
    table(
        ["", "version", "id", "label", "published"],
        [
            [
                "*" if version.active else "",
                version.version,
                str(version.id)[:8],
                version.label,
                version.created_at,
            ]
            for version in versions
        ],
        empty="No pricing has been published yet.",
    )


@pricing.command("activate")
@click.argument("version", type=IDENTIFIER)
@dsn_option
@json_option
def activate(version: int, dsn: str | None, as_json: bool) -> None:
    """Make VERSION the active one again."""
    with open_manager(dsn) as manager:
        active = manager.activate_pricing(version)
    if as_json:
        print_json(_summary(active))
    else:
        echo(f"Pricing version {active.version} is active.")


@pricing.command("export")
@click.argument("version", type=IDENTIFIER)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to a file instead.")
@dsn_option
def export(version: int, output: str | None, dsn: str | None) -> None:
    """Print the config of VERSION as JSON."""
    with open_manager(dsn) as manager:
        config = manager.export_pricing(version)
    _write_config(config, output)


def _write_config(config: Mapping[str, Any], output: str | None) -> None:
    text = exact_json.dumps(config, indent=2) + "\n"
    if output is None:
        echo(text, nl=False)
    else:
        Path(output).write_text(text, encoding="utf-8")


@pricing.command("validate", short_help="Check FILE, without a database.")
@FILE_ARGUMENT
@click.option("--strict", is_flag=True, help="Take warnings for errors.")
@json_option
def validate(file: str, strict: bool, as_json: bool) -> None:
    """Check FILE (- for stdin) without a database; exits with 1 when it cannot be published."""
    from ducto_pg.plpython.config import compile_config

    outcome = compile_config(read(file))
    errors, warnings = outcome["errors"], outcome["warnings"]
    valid = not errors and not (strict and warnings)
    if as_json:
        print_json({"valid": valid, "errors": errors, "warnings": warnings})
        click.get_current_context().exit(0 if valid else 1)
    print_warnings(warnings)
    if errors:
        raise _refusal(file, errors, outcome["count"])
    if not valid:
        where = "the config on stdin" if file == "-" else file
        raise CliError(f"{where} has {counted(len(warnings), 'warning')}", name="warnings")
    echo(f"{'The config on stdin' if file == '-' else file} is valid.")


@pricing.command("diff", short_help="Show what changes from A to B.")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--exit-code", is_flag=True, help="Exit with 1 when there are differences.")
@dsn_option
def diff(a: str, b: str, exit_code: bool, dsn: str | None) -> None:
    """Show what changes from A to B; each is a version number, or a file."""
    before, after = (_lines(side, dsn) for side in (a, b))
    changes = list(difflib.unified_diff(before, after, _named(a), _named(b), lineterm=""))
    for line in changes:
        echo(line, colour=_colour(line))
    if changes and exit_code:
        click.get_current_context().exit(1)


def _lines(side: str, dsn: str | None) -> list[str]:
    if side.isascii() and side.isdigit():
        version = IDENTIFIER(side)
        with open_manager(dsn) as manager:
            config = manager.export_pricing(version)
    else:
        config = read(side)
    return list(_placed(_sorted(config)))


class _Line(str):
    """A line of a config, and below which others it stands.

    Lines are compared with those of the same place. So they are all but unique, which keeps the
    comparison from growing with the square where plans repeat each other.
    """

    place: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Line) and self.place == other.place and str.__eq__(self, other)

    def __hash__(self) -> int:
        return hash((self.place, str.__hash__(self)))


def _placed(config: Any) -> Iterator[str]:
    plans = config.get("plans") if isinstance(config, dict) else None
    found = plans if isinstance(plans, list) else []
    ids = iter([str(plan.get("id")) for plan in found if isinstance(plan, dict) and plan])
    above: list[str] = []
    for text in exact_json.dumps(config, indent=2).splitlines():
        words = text.lstrip(" ")
        depth = (len(text) - len(words)) // 2
        line = _Line(text)
        if words[0] not in "}]":
            del above[depth:]
            is_plan = words == "{" and above == ["{", '"plans']
            above.append(next(ids) if is_plan else words.partition('": ')[0])
        # Braces are told apart by what they enclose.
        line.place = tuple(above[: depth + 1] if words[0] in "{}[]" else above[:depth])
        yield line


def _sorted(value: Any) -> Any:
    """Keys in one order: the database keeps none."""
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value


def _named(side: str) -> str:
    return f"version {side}" if side.isdigit() else side


def _colour(line: str) -> str | None:
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])


@pricing.command("schema")
def schema() -> None:
    """Print a JSON Schema of the config, for editors."""
    from ducto_pg.pricing.schema import pricing_schema

    print_json(pricing_schema())


@pricing.command("test", short_help="Price a usage with FILE, offline.")
@FILE_ARGUMENT
@metrics_options
@click.option("--plan", type=NAME, help="Price for accounts of this plan.")
@json_option
def test(
    file: str,
    metrics_text: str | None,
    metric_pairs: tuple[str, ...],
    plan: str | None,
    as_json: bool,
) -> None:
    """Price a usage with FILE (- for stdin), without a database."""
    metrics = usage(metrics_text, metric_pairs)
    if metrics is None:
        raise click.UsageError("give the usage with --metrics JSON or --metric NAME=VALUE")
    from ducto_pg.pricing.engine import PricingEngine

    config, _ = checked(file)
    cost = PricingEngine.from_dict(config).calculate(metrics, plan)
    if as_json:
        print_json(cost)
        return
    parts = ("model", "tools", "search", "cache", "fixed", "total")
    fields([("priced as", cost.model_name), *((part, getattr(cost, part)) for part in parts)])
    print_warnings([{"path": w.get("tool", "usage"), **w} for w in cost.warnings])


@pricing.command("what-if", short_help="What stored usage would have cost with FILE.")
@FILE_ARGUMENT
@click.option("--since", default="30d", show_default=True, help="A duration, or a date.")
@click.option("--until", type=MOMENT, help="A date; default: now.")
@dsn_option
@json_option
def what_if(file: str, since: str, until: datetime | None, dsn: str | None, as_json: bool) -> None:
    """What the usage already stored would have cost with the pricing in FILE."""
    end = until or datetime.now(UTC)
    start = beginning(since, end)
    config, _ = checked(file)
    with open_manager(dsn) as manager:
        rows = manager.reprice(config, start, end)
    if as_json:
        print_json([row.raw for row in rows])
        return
    _print_what_if(rows)


def _print_what_if(rows: Sequence[RepricedModel]) -> None:
    if not any(row.charges for row in rows):
        echo("No usage is stored in that time.")
        return
    table(
        ["model", "charges", "cost", "would cost", "change", "%", "unpriced"],
        [
            [
                "total" if row.model is None else row.model or "(no model)",
                row.charges,
                row.cost,
                row.new_cost,
                row.new_cost - row.cost,
                _percent(row.cost, row.new_cost),
                row.unpriced,
            ]
            for row in rows
        ],
    )
    for row in rows:
        if row.unpriced and row.model is not None:
            name = row.model or "(no model)"
            echo(f"Warning: {name}: {row.unpriced} unpriced: {row.first_error}", err=True)


def _percent(before: Decimal, after: Decimal) -> str | None:
    if not before:
        return None
    return f"{(after - before) * 100 / before:+.1f}"


@pricing.command("import-litellm", short_help="Turn LiteLLM's price file into a config.")
@FILE_ARGUMENT
@click.option("--markup", type=AMOUNT, default="1", show_default=True, help="Times this.")
@click.option(
    "--credits-per-usd", type=AMOUNT, default="1", show_default=True, help="Credits a US dollar."
)
@click.option("--only", metavar="PATTERN", help="Only models that match, such as 'gpt-*'.")
@click.option(
    "--service-tier",
    type=click.Choice(SERVICE_TIERS),
    help="The prices of this tier where there are any; default: the standard ones.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to a file instead.")
@click.option("--report", type=click.Path(dir_okay=False), help="List what is left out here.")
@json_option
def import_litellm(
    file: str,
    markup: Decimal,
    credits_per_usd: Decimal,
    only: str | None,
    service_tier: str | None,
    output: str | None,
    report: str | None,
    as_json: bool,
) -> None:
    """Turn LiteLLM's price file into a pricing config, printed as JSON.

    What cannot be expressed is listed on stderr by reason; --report FILE lists each price, and
    --json prints config and list together.
    """
    from ducto_pg.plpython.config import compile_config
    from ducto_pg.pricing.litellm import convert

    if as_json and output is not None:
        raise click.UsageError("--json prints what --output would write: give one of them")
    prices = read_prices(file)
    try:
        conversion = convert(
            prices,
            markup=markup,
            credits_per_usd=credits_per_usd,
            only=only,
            service_tier=service_tier,
        )
    except ValueError as error:
        raise CliError(f"{file}: {error}") from error
    outcome = compile_config(conversion.config)
    if outcome["errors"]:
        raise _refusal(file, outcome["errors"], outcome["count"])
    if as_json:
        print_json({"config": conversion.config, "unexpressed": conversion.unexpressed})
    else:
        _write_config(conversion.config, output)
    _report(conversion, report)


def read_prices(file: str) -> Mapping[str, Any]:
    """LiteLLM's file: a JSON object of objects."""
    if file == "-":
        data = standard_input().read(PRICES_SIZE_MAX + 1)
    else:
        with Path(file).open("rb") as stream:
            data = stream.read(PRICES_SIZE_MAX + 1)
    if len(data) > PRICES_SIZE_MAX:
        raise CliError(f"{file} is larger than {PRICES_SIZE_MAX >> 20} MB")
    try:
        prices = exact_json.parse(data)
    except (ValueError, RecursionError) as error:
        raise CliError(f"{file} is not JSON: {error}") from error
    if not isinstance(prices, dict):
        raise CliError(f"{file} is not LiteLLM's price file: it is not a JSON object")
    return prices


def _report(conversion: Conversion, report: str | None) -> None:
    left_out = conversion.unexpressed
    if report is not None:
        lines = [f"{item.model}\t{item.field}\t{item.reason}\n" for item in left_out]
        Path(report).write_text("model\tfield\treason\n" + "".join(lines), encoding="utf-8")
    echo(f"{counted(len(conversion.config['models']), 'model')} converted.", err=True)
    if not left_out:
        return
    echo(f"{len(left_out):,} prices or entries are not in the config:", err=True)
    counts = Counter(
        item.reason if not item.field or "service tier" in item.reason
        else f"{item.field}: {item.reason}"
        for item in left_out
    )  # fmt: skip
    for reason, count in counts.most_common():
        echo(f"{count:8}  {reason}", err=True)
    if report is None:
        echo("--report FILE lists them one by one.", err=True)
