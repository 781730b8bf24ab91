from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from referral_engine.base.errors import Problem
from referral_engine.channels.scan import Place, scan
from referral_engine.channels.source import NESTING_MAX, TEXT_CHARACTERS_MAX, Source, read_source
from tests.channels.shipped import shipped_files

BARE = st.text("abcxyz019_-", min_size=1, max_size=6)
QUOTED = st.text(st.characters(codec="utf-8", exclude_characters='"\\', exclude_categories=["Cc", "Cs"]), max_size=6)
KEYS = BARE | QUOTED.map(lambda text: f'"{text}"')
SCALARS = st.one_of(
    st.integers(-99, 99).map(str),
    st.sampled_from(
        ["true", "1.5", "2025-03-03", "2025-03-03 09:00:00", "07:32:00", "'[x] # = ,'", '"""a\n"b" ] c"""', "'''x\n'''"]
    ),
    QUOTED.map(lambda text: f'"{text}"'),
    st.just(r'"a \" # ] b"'),
)


def _inline(pairs: list[tuple[str, str]]) -> str:
    return (
        "{ "
        + ", ".join(f"k{index}-{key.strip(chr(34))[:0]} = {value}" for index, (key, value) in enumerate(pairs))
        + " }"
    )


VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(
            lambda values: "[\n  " + ", # why ]\n  ".join(values) + "\n]" if values else "[ ]"
        ),
        st.lists(st.tuples(KEYS, inner.filter(lambda text: "\n" not in text)), max_size=3).map(_inline),
    ),
    max_leaves=6,
)


@st.composite
def files(draw: st.DrawFn) -> str:
    lines = []
    for index in range(draw(st.integers(0, 4))):
        heading = draw(KEYS)
        lines.append(
            draw(
                st.sampled_from(
                    [f"[t{index}.{heading}]", f"[[t{index}]]\n[t{index}.{heading}]", f"[[rows]] # {index}", ""]
                )
            )
        )
        seen = set()
        for number in range(draw(st.integers(0, 4))):
            key = draw(KEYS)
            lines.append(f"  k{index}{number}.{key} = {draw(VALUES)} # it's [fine]")
            seen.add(key)
    return "\n".join(lines)


def _places(tree: object, place: Place = ()) -> list[Place]:
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [one for key, child in children for one in ((*place, key), *_places(child, (*place, key)))]


def _at(tree: object, place: Place) -> object:
    for part in place:
        tree = tree[part]  # type: ignore[index]  # any tree of TOML
    return tree


@given(files())
def test_every_value_of_a_good_file_has_a_place_and_stands_there(text: str) -> None:
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return

    spans = scan(text)

    lines = text.split("\n")
    for place in _places(tree):
        if place not in spans and isinstance(_at(tree, place), dict):
            continue  # a table above a heading is nowhere written
        span = spans[place]
        value = lines[span.value_line - 1][span.value_column - 1 : span.value_column - 1 + span.value_width]
        last = place[-1]
        found = lines[span.line - 1][span.column - 1 : span.column - 1 + span.width]
        assert found
        if isinstance(last, str) and not found.startswith("["):
            assert last in "".join(tomllib_key(found))
        if (
            not isinstance(_at(tree, place), dict | list)
            and span.value_line == span.line
            and not value.startswith(("'''", '"""'))
        ):
            assert tomllib.loads(f"x = {value}")["x"] == _at(tree, place)


def tomllib_key(text: str) -> list[str]:
    """The parts of a dotted key."""
    tree: object = tomllib.loads(f"{text} = 0")
    parts = []
    while isinstance(tree, dict):
        ((key, tree),) = tree.items()
        parts.append(key)
    return parts


def test_every_key_of_the_shipped_files_is_found_where_it_is_written() -> None:
    for file, text in shipped_files().items():
        source = read_source(file, text)
        assert isinstance(source, Source)
        for place in _places(source.tree):
            last = place[-1]
            if place in source.spans and isinstance(last, str):
                span = source.spans[place]
                assert last.split(".")[0] in source.line(span.line)[span.column - 1 :]


@given(st.text(max_size=200))
def test_any_text_is_either_a_source_or_one_problem_with_a_line(text: str) -> None:
    found = read_source("x.toml", text)

    assert isinstance(found, Source | Problem)
    if isinstance(found, Problem) and found.line:
        assert found.line <= text.count("\n") + 1


def test_a_huge_file_is_not_read() -> None:
    found = read_source("x.toml", "#" * (TEXT_CHARACTERS_MAX + 1))

    assert isinstance(found, Problem)
    assert found.code == "CH003"


def test_brackets_without_end_do_not_exhaust_the_stack() -> None:
    found = read_source("x.toml", "x = " + "[" * 100_000)

    assert isinstance(found, Problem)
    assert found.code == "CH003"
    assert NESTING_MAX < 100


def test_windows_line_ends_and_a_byte_order_mark_change_no_line_number() -> None:
    found = read_source("x.toml", "\ufeff[channel]\r\nname = 1\r\n")

    assert isinstance(found, Source)
    assert found.spans["channel", "name"].line == 2
    assert found.line(2) == "name = 1"
