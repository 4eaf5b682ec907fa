"""Usage files: what is read, what becomes a charge, what is refused, and under which key."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from ducto_pg.client.importer import Importer, Mapper, Reject, Row, UnusableFile, read_rows
from ducto_pg.client.results import Charge


def rows(text: str | bytes, form: str = "csv") -> list[Row | Reject]:
    data = text if isinstance(text, bytes) else text.encode()
    return list(read_rows(io.BytesIO(data), form))


class Bank:
    """Charges one credit a row, once for each key."""

    def __init__(self) -> None:
        self.keys: dict[str, Mapping[str, Any]] = {}
        self.sizes: list[int] = []

    def deduct_batch(self, charges: Sequence[Mapping[str, Any]]) -> list[Charge]:
        self.sizes.append(len(charges))
        if any(c["metrics"].get("model") == "poison" for c in charges):
            raise RuntimeError("the batch cannot be stored\nwith details")
        results = []
        for charge in charges:
            if charge["metrics"].get("model") == "unknown":
                results.append(Charge(status="error", code="DU004", message="no price"))
                continue
            key = charge["idempotency_key"]
            replayed = key in self.keys
            self.keys[key] = charge
            results.append(Charge(cost=Decimal("0.1"), amount=Decimal("0.1"), replayed=replayed))
        return results


def mapper(**options: Any) -> Mapper:
    given: dict[str, Any] = {"source": "f.csv", "columns": {"input_tokens": "In"}, "user": "u"}
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
        isolate=(RuntimeError,),
    )
    return importer.run(rows(text, form)), rejects


def test_a_row_knows_its_number_and_the_line_it_begins_on() -> None:
    read = rows('In,Note\n1,"two\nlines"\n\n2,x\n')
    assert [(r.number, r.line, r.values["In"]) for r in read if isinstance(r, Row)] == [
        (1, 2, "1"),
        (2, 5, "2"),
    ]


def test_a_byte_order_mark_is_not_part_of_the_first_name() -> None:
    (row,) = rows(b"\xef\xbb\xbfIn\n1\n")
    assert isinstance(row, Row)
    assert row.values == {"In": "1"}


def test_a_row_with_too_many_or_too_few_fields_is_refused_alone() -> None:
    read = rows("a,b\n1\n1,2,3\n1,2\n")
    assert [type(r) for r in read] == [Reject, Reject, Row]
    assert isinstance(read[0], Reject)
    assert read[0] == Reject(2, "1 fields where the heading has 2", "1")


def test_a_row_that_is_not_text_is_refused_alone() -> None:
    read = rows(b"a,b\n\xff\xfe,1\n1,2\n")
    assert isinstance(read[0], Reject)
    assert read[0].line == 2
    assert "UTF-8" in read[0].reason
    assert isinstance(read[1], Row)


def test_an_empty_file_and_a_doubled_column_are_unusable() -> None:
    with pytest.raises(UnusableFile, match="empty"):
        rows("")
    with pytest.raises(UnusableFile, match="'a' appears twice"):
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
    assert charge["metadata"] == {"import": "f.csv", "row": 1}
    assert charge["idempotency_key"].startswith("import:f.csv:1:")


def test_the_key_depends_on_source_row_and_content() -> None:
    keys = set()
    for text in ("In\n1\n1\n", "In\n1\n2\n"):
        for source in ("a", "b"):
            for row in rows(text):
                assert isinstance(row, Row)
                keys.add(mapper(source=source).charge(row)["idempotency_key"])
    assert len(keys) == 6


def test_a_very_long_source_still_gives_a_key_of_legal_length() -> None:
    (row,) = rows("In\n1\n")
    assert isinstance(row, Row)
    assert len(mapper(source="x" * 5000).charge(row)["idempotency_key"]) <= 255


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
        ("1e27", "a number beyond 10^26 or 40 decimal places"),
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
    assert "far too long" in rejects[1].reason


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
    assert [(r.line, r.reason) for r in rejects] == [(7, "the batch cannot be stored")]


def test_progress_adds_up_to_the_size_of_the_file() -> None:
    data = b"In\n" + b"1\n" * 1000
    sizes: list[int] = []
    assert len(list(read_rows(io.BytesIO(data), "csv", sizes.append))) == 1000
    assert sum(sizes) == len(data)
