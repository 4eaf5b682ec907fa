"""The hosts of the evaluator, asked the same: in-process, portable, PL/Python if it is there.

A config is staged as the rows of a scratch version without the proof that publishing makes, so
that expressions which fail for some usages can be compared as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from ducto_pg.exact_json import dumps
from ducto_pg.plpython.config import CheckedConfig
from ducto_pg.plpython.machine import Program
from ducto_pg.plpython.runtime import Pricing
from tests.support.databases import Connection


class ConfigRates:
    """The rates of a config, each compiled by the validator; the in-process host's source."""

    def __init__(self, checked: CheckedConfig) -> None:
        self._programs: dict[tuple[str, str, str], Program] = {}
        for owner, text in checked.rates.items():
            if text in checked.programs:
                program = checked.programs[text]
                self._programs[owner] = Program(
                    program["code"], program["constants"], program["names"]
                )

    def find(self, plan_key: str, section: str, key: str) -> Program | None:
        return self._programs.get((plan_key, section, key))

    def longest_prefix(self, plan_key: str, section: str, name: str) -> tuple[str, Program] | None:
        keys = [
            key
            for owner, where, key in self._programs
            if (owner, where) == (plan_key, section) and name.startswith(key) and key != "_default"
        ]
        longest = max(keys, key=len, default=None)
        return None if longest is None else (longest, self._programs[plan_key, section, longest])

    def section(self, plan_key: str, section: str) -> Sequence[tuple[str, Program]]:
        return [
            (key, program)
            for (owner, where, key), program in self._programs.items()
            if (owner, where) == (plan_key, section)
        ]

    def keys(self, plan_key: str, section: str) -> Sequence[str]:
        return [key for key, _ in self.section(plan_key, section)]


def price_everywhere(
    connection: Connection,
    config: Mapping[str, Any],
    usages: Sequence[tuple[str, str]],
) -> list[dict[str, Any]]:
    """What each host answers to each usage (JSON text and plan key), numbers as exact decimals."""
    checked = CheckedConfig(config)
    pricing = Pricing(ConfigRates(checked), checked.metric_names, checked.scale, checked.rounding)
    answers = []
    row = connection.execute("select to_regproc('ducto.price_plpython') is null").fetchone()
    hosts = ["portable"] if row == (True,) else ["portable", "plpython"]
    with connection.transaction(force_rollback=True):
        version = _stage(connection, config, checked)
        for text, plan_key in usages:
            # In the order in which jsonb keeps the metrics, as the database's hosts see them.
            ordered = connection.execute("select %s::jsonb::text", [text]).fetchone()
            assert ordered is not None
            found = {"in-process": pricing.price_json(ordered[0], plan_key)}
            for host in hosts:
                row = connection.execute(
                    f"select ducto.price_{host}(%s, %s, %s::jsonb)::text".encode(),
                    [version, plan_key, text],
                ).fetchone()
                assert row is not None
                found[host] = row[0]
            answers.append({host: _parse(answer) for host, answer in found.items()})
    return answers


def json_text(value: Any) -> str:
    """JSON with each number as it was written, zeros at the end included."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{dumps(k)}: {json_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(json_text, value)) + "]"
    return dumps(value)


def _stage(connection: Connection, config: Mapping[str, Any], checked: CheckedConfig) -> int:
    programs = json_text(checked.programs)
    row = connection.execute("select nextval('ducto.scratch_versions')::integer").fetchone()
    assert row is not None
    version = row[0]
    connection.execute(
        "select ducto.stage_pricing(%s, %s::jsonb, %s::jsonb, null, false)",
        [version, json_text(config), programs],
    )
    return int(version)


def _parse(text: str) -> Any:
    answer = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    # Which version it was is the database's to say.
    answer.get("detail", {}).pop("version", None)
    return answer
