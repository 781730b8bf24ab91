from __future__ import annotations

import tomllib
from random import Random

import pytest
from hypothesis import given, settings
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


@settings(max_examples=40)
@given(files(), st.randoms(use_true_random=False))
def test_places_are_the_same_in_whatever_order_they_are_asked_for(text: str, chance: Random) -> None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    whole = dict(scan(text))
    asked = list(whole)
    chance.shuffle(asked)

    spans = scan(text)

    assert {place: spans[place] for place in asked} == whole
    assert len(spans) == len(whole)


def test_a_place_that_is_not_written_is_not_found() -> None:
    spans = scan("[a]\nb = { c = [1, 2] }\n\"d.e\" = 'x'\n")

    assert ("a", "b", "c", 1) in spans
    assert ("a", "b", "c", 2) not in spans
    assert ("a", "b", "x") not in spans
    assert ("a", "d", "e") not in spans
    assert spans["a", "d.e"].line == 3
    assert spans.get(("z",)) is None
    assert next(iter(spans)) == ("a",)


@pytest.mark.parametrize(
    "hiding",
    [
        'x = [ \'a]\', "b]\\"]", # ]\n 1 ]',
        'x = { a = "}", b = [ "[" ] }',
        'x = ["""a"]b""", 1]',
        "x = ['''a']b''', {a = 1}]",
        'x = """\n[no]\nheading = 1\n"""',
        "x = '''\n[no]\n'''",
        'x = ""\n',
        "x = []",
        "x = {}",
    ],
)
def test_brackets_in_texts_and_remarks_end_nothing(hiding: str) -> None:
    text = f"{hiding}\nbehind = 1\n[table]\nkey = 2\n"
    assert set(tomllib.loads(text)) == {"x", "behind", "table"}

    spans = scan(text)

    assert [place for place in spans if len(place) == 1] == [("x",), ("behind",), ("table",)]
    assert spans["behind",].line == hiding.count("\n") + 2
    assert spans["table", "key"].value_column == 7


def test_a_newer_form_of_toml_is_read_too() -> None:
    found = read_source("x.toml", "steps = { at = 2026-03-02 09:00,\n  receive = 'a' }\nafter = 1\n")

    assert isinstance(found, Source)
    assert found.spans["steps", "receive"].line == 2
    assert found.spans["after",].line == 3


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
