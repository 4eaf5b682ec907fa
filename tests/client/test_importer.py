"""Usage files: what is read, what becomes a charge, what is refused, and under which key."""

from __future__ import annotations

import csv
import io
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ducto_pg import exact_json
from ducto_pg.client.importer import Importer, Mapper, concerns_one_row, instant
from ducto_pg.client.usage_file import (
    Origin,
    Reject,
    Row,
    UnusableFileError,
    UsageFile,
    csv_line,
    split_csv,
)
from ducto_pg.errors import DatabaseError, InvalidArgumentError, UnavailableError

COST = {"cost": Decimal("0.1"), "amount": Decimal("0.1"), "allowance_consumed": 0}


def opened(text: str | bytes, form: str = "csv") -> UsageFile:
    data = text if isinstance(text, bytes) else text.encode()
    file = UsageFile(io.BytesIO(data), form)
    file.begin()
    return file


def rows(text: str | bytes, form: str = "csv") -> list[Row | Reject]:
    return list(opened(text, form).rows())


class Bank:
    """A store that charges one credit a row, once for each key."""

    def __init__(self) -> None:
        self.keys: dict[str, Mapping[str, Any]] = {}
        self.sizes: list[int] = []

    def call(self, function: str, /, **params: Any) -> Any:
        assert function == "ducto_deduct_batch"
        return self.charge(exact_json.loads(exact_json.dumps(params["p_charges"])))

    def rows(self, function: str, /, **params: Any) -> list[dict[str, Any]]:
        raise NotImplementedError

    def charge(self, charges: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self.sizes.append(len(charges))
        if any(c["metrics"].get("model") == "poison" for c in charges):
            raise RuntimeError("the batch cannot be stored\nwith details")
        results: list[dict[str, Any]] = []
        for charge in charges:
            if charge["metrics"].get("model") == "unknown":
                results.append({"status": "error", "code": "DU004", "message": "no price"})
                continue
            key = charge["idempotency_key"]
            results.append({"status": "ok", "replayed": key in self.keys, **COST})
            self.keys[key] = charge
        return results


def mapper(**options: Any) -> Mapper:
    given: dict[str, Any] = {
        "source": "f",
        "name": "f.csv",
        "columns": {"input_tokens": "In"},
        "user": "u",
    }
    return Mapper(**(given | options))


def run(
    text: str | bytes, bank: Bank, form: str = "csv", batch_size: int = 2, **options: Any
) -> tuple[Any, list[Reject]]:
    rejects: list[Reject] = []
    importer = Importer(
        bank,
        mapper(**options),
        rejects.append,
        batch_size=batch_size,
        isolate=lambda error: isinstance(error, RuntimeError),
    )
    return importer.run(rows(text, form)), rejects


def identities(text: str) -> list[tuple[str, str]]:
    """Text and id of every row, in order."""
    return [(row.text, row.id if isinstance(row, Row) else row.history) for row in rows(text)]


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("a,b", ["a", "b"]),
        ("", [""]),
        (",", ["", ""]),
        ('"a","b,c"', ["a", "b,c"]),
        ('"a ""b""",""', ['a "b"', ""]),
        ('a,"",c', ["a", "", "c"]),
        ('"a",', ["a", ""]),
    ],
)
def test_cells(text: str, cells: list[str]) -> None:
    assert split_csv(text) == cells
    assert split_csv(csv_line(cells)) == cells


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('10,"oops', "the quote that field 2 begins with is not closed on its line"),
        ('"a""', "the quote that field 1 begins with is not closed on its line"),
        ('"a"b,c', "text behind the closing quote of field 1"),
        ('a,5" disk', "a quote inside field 2, which does not begin with one"),
        ('a, "b"', "a quote inside field 2, which does not begin with one"),
    ],
)
def test_quotes_are_strict(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        split_csv(text)


@given(st.text(st.sampled_from('a ,"\t'), max_size=12))
def test_cells_are_those_of_the_standard_library_or_refused(text: str) -> None:
    try:
        found = split_csv(text)
    except ValueError:
        return
    assert found == (next(csv.reader([text], strict=True)) or [""])


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8")), min_size=1))
def test_whatever_the_standard_library_writes_is_read(cells: list[str]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    assert split_csv(text.getvalue()) == split_csv(csv_line(cells)) == cells


def test_an_unclosed_quote_ends_with_its_line() -> None:
    read = rows('In,M\n10,"oops\n11,a\n12,"b"\n')
    assert [(type(r), r.line) for r in read] == [(Reject, 2), (Row, 3), (Row, 4)]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_of_every_kind(ending: str, last: bool) -> None:
    file = opened(ending.join(["In,M", "1,a", "", "2,b"]) + (ending if last else ""))
    assert [(r.line, r.text) for r in file.rows()] == [(2, "1,a"), (4, "2,b")]
    assert (file.lines, file.blank, file.heading_lines) == (4, 1, 1)


def test_lines_are_the_same_however_the_file_arrives() -> None:
    data = "In,M\r\n1,a\r\n\r\n2,b\r\n3,ü".encode()
    for size in (1, 2, 3, 7):

        class Trickle(io.BytesIO):
            def read1(self, _: int | None = -1, size: int = size) -> bytes:
                return self.read(size)

        file = UsageFile(Trickle(data), "csv")
        file.begin()
        assert [r.text for r in file.rows()] == ["1,a", "2,b", "3,ü"]
        assert file.position == len(data)


def test_twenty_thousand_columns_are_read_in_no_time() -> None:
    names = ",".join(f"c{n}" for n in range(20_000))
    started = time.monotonic()
    assert len(rows(f"{names}\n{names}\n")) == 1
    assert time.monotonic() - started < 1


def test_a_row_is_who_it_is_whatever_becomes_of_the_others() -> None:
    def ids(text: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for row, id in identities(text):
            found.setdefault(row, []).append(id)
        return found

    before = ids("In\n1\nx\n1\n2\n1\n")
    after = ids("In\n1\n1\n2\n1\n2\n")
    assert before["1"] == after["1"]
    assert len(set(before["1"])) == 3
    assert after["2"][0] == before["2"][0] != after["2"][1]


def rejects_of(origin: Origin, rejects: list[Reject]) -> str:
    lines = [csv_line([str(r.line), r.reason, r.text, r.history, ""]) for r in rejects]
    return "\n".join([origin.line(), *lines, ""])


def test_a_corrected_row_of_a_rejects_file_is_who_it_is_in_the_corrected_file(
    tmp_path: Path,
) -> None:
    path = tmp_path / "f.csv"
    before, after = "In\n1\nx\n1\ny\n", "In\n1\n1\n1\n2\n"
    path.write_text(before)
    origin = Origin("s", "f.csv", "csv", str(path), "In")
    refused = [
        Reject(row.line, "?", row.text, row.history) for row in rows(before) if row.text in "xy"
    ]
    text = rejects_of(origin, refused)
    unchanged = opened(text)
    assert [row.id for row in unchanged.rows() if isinstance(row, Row)] == [
        reject.history for reject in refused
    ]
    assert (unchanged.origin, unchanged.lines) == (origin, 3)

    corrected = text.replace(",x,", ",1,").replace(",y,", ",2,")
    charged = {id for row, id in identities(before) if row == "1"}
    ids = {id for _, id in identities(corrected)}
    assert len(ids) == 2
    assert not ids & charged
    assert ids | charged == {id for _, id in identities(after)}
    path.write_text(after)
    assert {id for _, id in identities(corrected)} == ids
    path.unlink()
    with pytest.raises(UnusableFileError, match="these rows come from"):
        rows(corrected)


def test_what_a_rejects_file_could_not_hold_stays_refused() -> None:
    origin = Origin("s", "f.csv", "csv", None, "In,M")
    read = rows(b"In,M\n1,\xff\n2," + b"x" * 300_000 + b"\n")
    again = rows(rejects_of(origin, [r for r in read if isinstance(r, Reject)]))
    assert [r.reason for r in again if isinstance(r, Reject)] == [
        "still has characters that were not text in UTF-8",
        "too long for a rejects file: correct it in the file itself",
    ]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-05-01T12:00:00Z", "2026-05-01T12:00:00+00:00"),
        ("2026-05-01 12:00:00.1234567+02:00", "2026-05-01T12:00:00.123456+02:00"),
        ("2026-05-01 12:00:00 -0330", "2026-05-01T12:00:00-03:30"),
        ("20260501T120000z", "2026-05-01T12:00:00+00:00"),
        ("2026-W18-5", "2026-05-01T00:00:00"),
        ("2026-121T06:00", "2026-05-01T06:00:00"),
        ("20260501", "2026-05-01T00:00:00"),
        ("1777636800", "2026-05-01T12:00:00+00:00"),
        ("1777636800.25", "2026-05-01T12:00:00.250000+00:00"),
        ("1777636800250", "2026-05-01T12:00:00.250000+00:00"),
        (1777636800250, "2026-05-01T12:00:00.250000+00:00"),
        (Decimal("1777636800.25"), "2026-05-01T12:00:00.250000+00:00"),
    ],
)
def test_times_of_every_form(text: Any, moment: str) -> None:
    assert instant(text).isoformat() == moment


@pytest.mark.parametrize(
    "text", ["", "noon", "2026-13-01", "2026-366", "12:00", True, None, [], "9" * 30, "-5", "1e9"]
)
def test_what_is_no_time(text: Any) -> None:
    with pytest.raises((ValueError, OverflowError)):
        instant(text)


@pytest.mark.parametrize("cell", ["1" * 200_000 + "x", "2026-01-01" + " " * 200_000 + "x"])
def test_a_huge_cell_is_refused_in_no_time(cell: str) -> None:
    """A regular expression that tries each way to cut it would take hours."""
    mapper = Mapper(source="s", name="n", columns={"input_tokens": "n"}, user="ann")
    timed = replace(mapper, columns={"input_tokens": "one"}, time_column="n")
    started = time.process_time()
    for each, reason in ((mapper, "n is not a number"), (timed, "n is not a time")):
        row = UsageFile(io.BytesIO(f"n,one\n{cell},1\n".encode()), "csv")
        row.begin()
        (found,) = row.rows()
        assert isinstance(found, Row)
        with pytest.raises(ValueError, match=reason):
            each.charge(found)
    assert time.process_time() - started < 2


def test_a_byte_order_mark_is_not_part_of_the_first_name() -> None:
    (row,) = rows(b"\xef\xbb\xbfIn\n1\n")
    assert isinstance(row, Row)
    assert row.values == {"In": "1"}


def test_a_row_with_too_many_or_too_few_fields_is_refused_alone() -> None:
    read = rows("a,b\n1\n1,2,3\n1,2\n")
    assert [type(r) for r in read] == [Reject, Reject, Row]
    assert isinstance(read[0], Reject)
    assert (read[0].line, read[0].reason, read[0].text) == (
        2,
        "1 field where the heading has 2",
        "1",
    )


def test_a_row_that_is_not_text_is_refused_alone() -> None:
    read = rows(b"a,b\n\xff\xfe,1\n1,2\n")
    assert isinstance(read[0], Reject)
    assert read[0].line == 2
    assert "UTF-8" in read[0].reason
    assert isinstance(read[1], Row)


def test_an_empty_file_and_a_doubled_column_are_unusable() -> None:
    with pytest.raises(UnusableFileError, match="empty"):
        rows("")
    with pytest.raises(UnusableFileError, match="'a' appears twice"):
        rows("a,a\n1,2\n")


def test_json_lines() -> None:
    read = rows('{"In": 0.1}\n\n[1]\n{oops\n{"In": NaN}\n', "jsonl")
    assert isinstance(read[0], Row)
    assert read[0].values == {"In": Decimal("0.1")}
    assert [(r.line, r.reason.split(":")[0]) for r in read[1:] if isinstance(r, Reject)] == [
        (3, "not a JSON object"),
        (4, "not JSON"),
        (5, "not JSON"),
    ]


def test_nesting_without_end_is_refused_not_fatal() -> None:
    (row,) = rows("[" * 200_000, "jsonl")
    assert isinstance(row, Reject)


def test_a_charge_carries_metrics_constants_user_key_and_origin() -> None:
    (row,) = rows("In,Who\n12,ann\n")
    assert isinstance(row, Row)
    charge = mapper(constants={"model": "gpt-4"}, user_column="Who").charge(row)
    assert charge["user_id"] == "ann"
    assert charge["metrics"] == {"model": "gpt-4", "input_tokens": Decimal(12)}
    assert charge["metadata"] == {"import": "f.csv", "line": 2}
    assert charge["idempotency_key"].startswith("import:f:1-")


def test_the_key_depends_on_source_content_and_its_number() -> None:
    keys = set()
    for text in ("In\n1\n1\n", "In\n2\n1\n"):
        for source in ("a", "b"):
            for row in rows(text):
                assert isinstance(row, Row)
                keys.add(mapper(source=source).charge(row)["idempotency_key"])
    assert len(keys) == 6


def test_a_key_column_is_used_as_it_is() -> None:
    (row,) = rows("In,Request\n1,req-9\n")
    assert isinstance(row, Row)
    assert mapper(key_column="Request").charge(row)["idempotency_key"] == "req-9"


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("abc", "In is not a number: 'abc'"),
        ("NaN", "In is not a number: 'NaN'"),
        ("1_000", "In is not a number: '1_000'"),
        ("", "no usage in the row"),
        ("9" * 27, "a number beyond 10^26 or 40 decimal places"),
        ("1e999999", "a number beyond 10^26 or 40 decimal places"),
        ("1e-41", "a number beyond 10^26 or 40 decimal places"),
        ("٣", "In is not a number: '٣'"),
    ],
)
def test_a_cell_that_is_no_usage_says_why(cell: str, reason: str) -> None:
    _, rejects = run(f"In,Other\n{cell},x\n", Bank())
    assert [r.reason for r in rejects] == [reason]


def test_text_no_database_can_hold_is_refused() -> None:
    text = '{"In": 1, "M": "a\\u0000b"}\n{"In": 1, "M": "\\ud800"}\n'
    _, rejects = run(text, Bank(), "jsonl", columns={"input_tokens": "In", "model": "M"})
    assert [r.reason for r in rejects] == [
        "a text with a null character",
        "a text that is not valid Unicode",
    ]


def test_nesting_and_length_are_bounded() -> None:
    deep = '{"metrics": {"tool_calls": ' + "[" * 100 + "]" * 100 + "}}\n"
    long = '{"metrics": {"model": "' + "x" * 300_000 + '"}}\n'
    good = '{"metrics": {"input_tokens": 1}}\n'
    summary, rejects = run(deep + long + good, Bank(), "jsonl", columns={})
    assert (summary.charged, [r.line for r in rejects]) == (1, [1, 2])
    assert rejects[0].reason == "values nested deeper than 32 levels"
    assert rejects[1].reason == "longer than 262,144 bytes"


def test_a_far_too_long_csv_row_is_refused_alone() -> None:
    summary, rejects = run('In,N\n1,"' + "x" * 300_000 + '"\n2,y\n', Bank())
    assert (summary.charged, [r.line for r in rejects]) == (1, [2])


def test_json_lines_use_the_metrics_object_or_what_is_named_like_a_metric() -> None:
    text = (
        '{"metrics": {"any": 1}, "input_tokens": 2}\n{"input_tokens": 2, "at": "noon"}\n{"at": 1}\n'
    )
    bank = Bank()
    _, rejects = run(text, bank, "jsonl", columns={}, known=frozenset({"input_tokens"}))
    assert [charge["metrics"] for charge in bank.keys.values()] == [
        {"any": 1},
        {"input_tokens": 2},
    ]
    assert [r.reason for r in rejects] == ["no usage in the row"]


def test_rows_may_all_be_the_same_constant_usage() -> None:
    bank = Bank()
    summary, _ = run("at\nnoon\nnight\n", bank, columns={}, constants={"requests": 1})
    assert (summary.charged, summary.rejected) == (2, 0)
    _, rejects = run("at\nnoon\n", bank, columns={}, constants={"model": "a"})
    assert [r.reason for r in rejects] == ["no usage in the row"]


def test_a_missing_user_is_refused() -> None:
    _, rejects = run("In,Who\n1, \n", Bank(), user_column="Who")
    assert [r.reason for r in rejects] == ["no user in Who"]


def test_rows_are_charged_in_batches_and_bad_ones_do_not_stop_the_rest() -> None:
    bank = Bank()
    summary, rejects = run("In\n1\nx\n3\n4\n5,6\n7\n8\n", bank)
    assert bank.sizes == [2, 2, 1]
    assert (summary.rows, summary.charged, summary.rejected) == (7, 5, 2)
    assert summary.cost == summary.amount == Decimal("0.5")
    assert [r.line for r in rejects] == [3, 6]


def test_running_again_charges_nothing() -> None:
    bank = Bank()
    text = "In\n1\n1\n3\n"
    run(text, bank)
    summary, _ = run(text, bank)
    assert (summary.charged, summary.replayed, summary.cost) == (0, 3, Decimal(0))
    assert len(bank.keys) == 3


def test_running_again_with_other_batches_charges_nothing() -> None:
    bank = Bank()
    run("In\n1\nx\n3\n4\n", bank, batch_size=1)
    summary, _ = run("In\n1\nx\n3\n4\n", bank, batch_size=100)
    assert (summary.charged, summary.replayed, summary.rejected) == (0, 3, 1)


def test_an_item_the_database_refuses_is_a_reject_with_its_code() -> None:
    summary, rejects = run(
        "In,M\n1,a\n1,unknown\n", Bank(), columns={"input_tokens": "In", "model": "M"}
    )
    assert (summary.charged, [r.reason for r in rejects]) == (1, ["DU004: no price"])


def test_a_row_that_breaks_its_whole_batch_is_found_and_the_others_charged() -> None:
    text = "In,M\n" + "".join(f"{n},{'poison' if n == 5 else 'a'}\n" for n in range(10))
    bank = Bank()
    summary, rejects = run(text, bank, columns={"input_tokens": "In", "model": "M"}, batch_size=10)
    assert (summary.charged, len(bank.keys)) == (9, 9)
    assert [(r.line, r.reason) for r in rejects] == [
        (7, "the batch cannot be stored\nwith details")
    ]


@pytest.mark.parametrize(
    ("cells", "zero", "metrics"),
    [
        ("5,", False, "no value in Out; --empty-as-zero takes it for 0"),
        ("5,", True, {"input_tokens": 5, "output_tokens": 0}),
        (" ,", False, "no usage in the row"),
        (" ,", True, "no usage in the row"),
        ("0,0", False, {"input_tokens": 0, "output_tokens": 0}),
    ],
)
def test_an_empty_number_is_refused_or_zero(cells: str, zero: bool, metrics: Any) -> None:
    bank = Bank()
    columns = {"input_tokens": "In", "output_tokens": "Out"}
    _, rejects = run(f"In,Out\n{cells}\n", bank, columns=columns, empty_as_zero=zero)
    found = [c["metrics"] for c in bank.keys.values()] or [r.reason for r in rejects]
    assert found == [metrics]


def test_a_metric_that_is_set_is_not_read_from_a_column() -> None:
    bank = Bank()
    known = frozenset({"input_tokens", "model"})
    run("input_tokens,model\n1,a\n", bank, columns={}, known=known, constants={"model": "b"})
    assert [c["metrics"] for c in bank.keys.values()] == [{"input_tokens": 1, "model": "b"}]


def test_a_time_needs_a_zone() -> None:
    text = "In,At\n1,2026-07-01T12:00\n1,\n1,2026-07-01T12:00Z\n1,noon\n"
    bank = Bank()
    _, rejects = run(text, bank, time_column="At")
    assert [c["occurred_at"] for c in bank.keys.values()] == ["2026-07-01T12:00:00+00:00"]
    assert [r.reason for r in rejects] == [
        "the time in At has no zone; give --time-zone",
        "no time in At",
        "At is not a time: 'noon'",
    ]
    bank = Bank()
    run(text, bank, time_column="At", time_zone=ZoneInfo("Europe/Berlin"))
    assert [c["occurred_at"] for c in bank.keys.values()] == [
        "2026-07-01T10:00:00+00:00",
        "2026-07-01T12:00:00+00:00",
    ]


def test_the_next_batch_is_prepared_while_the_server_works() -> None:
    read: list[int] = []

    class Slow(Bank):
        def charge(self, charges: list[dict[str, Any]]) -> list[dict[str, Any]]:
            deadline = time.monotonic() + 5
            while len(read) < min(4, 2 * len(self.sizes) + 4) and time.monotonic() < deadline:
                time.sleep(0.001)
            seen.append(len(read))
            return super().charge(charges)

    seen: list[int] = []

    def watched() -> Iterator[Row | Reject]:
        for row in rows("In\n1\n2\n3\n4\n"):
            read.append(row.line)
            yield row

    Importer(Slow(), mapper(), lambda reject: None, batch_size=2).run(watched())
    assert seen[0] == 4


def test_stopping_counts_the_batch_under_way_and_begins_no_other() -> None:
    bank = Bank()

    def stopping() -> Iterator[Row | Reject]:
        for row in rows("In\n1\n2\n3\n4\n5\n"):
            if row.line == 5:
                importer.stop()
            yield row

    importer = Importer(bank, mapper(), lambda reject: None, batch_size=2)
    summary = importer.run(stopping())
    assert (bank.sizes, summary.charged, summary.rows) == ([2], 2, 2)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, OSError])
def test_whatever_ends_the_reading_the_batch_under_way_is_counted(
    kind: type[BaseException],
) -> None:
    def broken() -> Iterator[Row | Reject]:
        yield from rows("In\n1\n2\n3\n")
        raise kind

    importer = Importer(Bank(), mapper(), lambda reject: None, batch_size=2)
    with pytest.raises(kind):
        importer.run(broken())
    assert importer.summary.charged == 2


def test_a_batch_that_is_lost_half_way_counts_what_is_certain() -> None:
    class Lost(Exception):
        pass

    class Failing(Bank):
        def charge(self, charges: list[dict[str, Any]]) -> list[dict[str, Any]]:
            if any(c["metrics"].get("model") == "lost" for c in charges) and len(charges) == 1:
                raise Lost
            if any(c["metrics"].get("model") == "lost" for c in charges):
                raise RuntimeError
            return super().charge(charges)

    importer = Importer(
        Failing(), mapper(columns={"input_tokens": "In", "model": "M"}), lambda reject: None,
        batch_size=4, isolate=lambda error: isinstance(error, RuntimeError),
    )  # fmt: skip
    with pytest.raises(Lost):
        importer.run(rows("In,M\n1,a\n2,a\n3,lost\n4,a\n"))
    assert importer.summary.charged == 2


def test_only_what_concerns_one_row_is_narrowed_down_to_it() -> None:
    for code, one_row in (("22P05", True), ("54000", True), ("25006", False), ("53100", False)):
        error = DatabaseError("?")
        error.code = code
        assert concerns_one_row(error) is one_row
    assert concerns_one_row(InvalidArgumentError())
    assert not concerns_one_row(UnavailableError())


@pytest.mark.parametrize("seed", range(30))
def test_corrections_in_any_place_and_order_charge_each_row_once(seed: int, tmp_path: Path) -> None:
    """The file, its rejects and their rejects are corrected and imported in any order."""
    chance = random.Random(seed)
    right = [chance.choice("123") for _ in range(30)]
    texts = [chance.choice([text, text, chance.choice("xyz")]) for text in right]
    first, second = tmp_path / "f.csv.rejects.csv", tmp_path / "f.csv.rejects.csv.rejects.csv"
    path, bank = tmp_path / "f.csv", Bank()

    def save() -> None:
        path.write_text("\n".join(["In", *texts, ""]))

    def bring(file: Path, rejects: Path) -> None:
        with file.open("rb") as stream:
            reader = UsageFile(stream, "csv")
            reader.begin()
            of = reader.origin or Origin("f", "f.csv", "csv", str(path), "In")
            refused: list[Reject] = []
            Importer(bank, mapper(), refused.append, batch_size=7).run(reader.rows())
        rejects.write_text(rejects_of(replace(of, path=str(file)), refused))

    def correct(file: Path, by_line: Callable[[int], int], share: float) -> None:
        heading, *lines = list(csv.reader(file.read_text().splitlines()))
        for place, line in enumerate(lines):
            if chance.random() < share:
                number = by_line(place)
                line[2] = chance.choice([right[number], right[number], "w"])
        file.write_text("\n".join(csv_line(line) for line in [heading, *lines]) + "\n")

    save()
    bring(path, first)
    of_first = [int(line[0]) - 2 for line in csv.reader(first.read_text().splitlines()[1:])]
    correct(first, lambda place: of_first[place], 0.6)
    bring(first, second)
    of_second = [
        of_first[int(line[0]) - 2] for line in csv.reader(second.read_text().splitlines()[1:])
    ]
    correct(second, lambda place: of_second[place], 0.6)
    third = tmp_path / "third"
    for _ in range(4):
        bring(second, third)
        bring(first, tmp_path / "again")
        bring(path, tmp_path / "other")
    fixed = {number for number, text in enumerate(texts) if text == right[number]}
    for file, numbers in ((first, of_first), (second, of_second)):
        for place, line in enumerate(csv.reader(file.read_text().splitlines()[1:])):
            if line[2] == right[numbers[place]]:
                fixed.add(numbers[place])
    charged = Counter(str(charge["metrics"]["input_tokens"]) for charge in bank.keys.values())
    assert charged == Counter(right[number] for number in fixed)
    # What was corrected anywhere is corrected in the file as well; at last everything is.
    for everything in (fixed, set(range(30))):
        for number in everything:
            texts[number] = right[number]
        save()
        bring(path, tmp_path / "other")
        charged = Counter(str(charge["metrics"]["input_tokens"]) for charge in bank.keys.values())
        assert charged == Counter(right[number] for number in everything)
