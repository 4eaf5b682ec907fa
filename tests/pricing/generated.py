"""Generated expressions: every operator and function, nested, with values near every boundary."""

from __future__ import annotations

from hypothesis import strategies as st

# fmt: off
BOUNDARIES = [
    "0", "1", "2", "3", "7", "10", "0.1", "0.5", "0.30", "1.5", "2.5", "1e-3", ".25", "5.",
    "1_000", "33.3", "1e-24", "5e-25", "1e-40", "1e13", "1e25", "1e26",
    "99999999999999999999999999", "49999999999999999999999999.5", "0.000000000001",
]
# fmt: on
LITERALS = st.one_of(
    st.integers(0, 1000).map(str),
    st.sampled_from(BOUNDARIES),
    st.decimals(0, 10**6, places=4, allow_nan=False, allow_infinity=False).map(str),
)
METRICS = st.sampled_from(["input_tokens", "output_tokens", "total_tokens", "requests"])
METRIC_TEXTS = st.one_of(
    st.integers(0, 10**6).map(str),
    st.sampled_from(["0", "1", "0.5", "1" + "0" * 26, "0." + "0" * 39 + "1", "1.10", "12345.678"]),
)


def _wrap(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    grouped = inner.map(lambda text: f"({text})")
    several = st.lists(inner, min_size=1, max_size=4).map(", ".join)
    pairs = st.lists(st.tuples(inner, inner).map(", ".join), min_size=1, max_size=3).map(", ".join)
    return st.one_of(
        st.tuples(grouped, st.sampled_from(["+", "-", "*", "/", "//", "%"]), grouped).map(" ".join),
        st.tuples(grouped, st.sampled_from(["and", "or"]), grouped).map(" ".join),
        st.tuples(grouped, _comparisons(), grouped).map(" ".join),
        st.tuples(grouped, _comparisons(), grouped, _comparisons(), grouped).map(" ".join),
        st.tuples(grouped, st.sampled_from(["in", "not in"]), several).map(
            lambda parts: f"{parts[0]} {parts[1]} ({parts[2]},)"
        ),
        st.tuples(grouped, st.integers(0, 16)).map(lambda parts: f"{parts[0]} ** {parts[1]}"),
        st.tuples(st.sampled_from(["-", "+", "not "]), grouped).map("".join).map(_grouped),
        st.tuples(inner, inner, inner)
        .map(lambda p: f"{p[0]} if ({p[1]}) else {p[2]}")
        .map(_grouped),
        st.tuples(inner, inner, inner).map(lambda p: f"if({p[0]}, {p[1]}, {p[2]})"),
        st.tuples(st.sampled_from(["ceil", "floor", "round"]), grouped).map("".join),
        st.tuples(inner, st.integers(-27, 41)).map(lambda p: f"round({p[0]}, {p[1]})"),
        st.tuples(st.sampled_from(["min", "max"]), several).map(lambda p: f"{p[0]}({p[1]})"),
        st.tuples(inner, inner, inner).map(lambda p: f"clamp({p[0]}, {p[1]}, {p[2]})"),
        st.tuples(inner, pairs).map(lambda p: f"tier({p[0]}, {p[1]})"),
        st.tuples(inner, pairs, inner).map(lambda p: f"tier({p[0]}, {p[1]}, {p[2]})"),
        _graduated(inner),
        st.tuples(st.integers(-1, 101), several).map(lambda p: f"percentile({p[0]}, {p[1]})"),
        st.tuples(inner, several).map(lambda p: f"percentile({p[0]}, {p[1]})"),
    )


def _comparisons() -> st.SearchStrategy[str]:
    return st.sampled_from(["<", "<=", "==", "!=", ">=", ">"])


def _grouped(text: str) -> str:
    return f"({text})"


def _graduated(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Mostly thresholds that ascend, which chance seldom gives."""
    thresholds = st.lists(st.integers(-5, 2000), min_size=1, max_size=4, unique=True).map(sorted)
    ascending = st.tuples(inner, thresholds, st.lists(inner, min_size=5, max_size=5)).map(
        lambda p: (
            f"graduated({p[0]}, "
            + ", ".join(f"{t}, {rate}" for t, rate in zip(p[1], p[2], strict=False))
            + f", {p[2][-1]})"
        )
    )
    any_order = st.tuples(inner, inner, inner, inner, inner, inner).map(
        lambda p: f"graduated({', '.join(p)})"
    )
    return st.one_of(ascending, ascending, any_order)


def expressions() -> st.SearchStrategy[str]:
    """Valid expressions, except that a few exceed a limit of the language."""
    return st.recursive(st.one_of(LITERALS, METRICS), _wrap, max_leaves=14)
