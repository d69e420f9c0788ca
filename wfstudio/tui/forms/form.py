"""The form: a field with its draft, what can be done to it, and how it is laid out in rows.

    form = Form(describe(schema))           untouched
    form = form.put(path, Typed("ada"))     each act gives another form
    form.rows()                             what there is to draw, from top to bottom
    form.read()                             the value, or the problems

A path says where in the draft: names of properties, places of items and entries, and `INSIDE` for what is in the
chosen variant of a union. Acts on a path that is not there raise `LookupError`: they are mistakes of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from wfstudio.tui.forms.drafts import (
    Draft,
    Entries,
    Given,
    Items,
    Kind,
    Problem,
    Reading,
    blank,
    fill,
    join,
    read,
)
from wfstudio.tui.forms.fields import (
    Field,
    ListField,
    MapField,
    ObjectField,
    UnionField,
    name_type,
)

INSIDE: Final = -1
"""The step of a path into a union's variant."""

Step = str | int
Path = tuple[Step, ...]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a form: something to edit, or the head of rows that are one deeper.

    `place` is its path as problems name it. An optional property that is left out has no draft. `kinds` are the
    variants of a union, `kind` the chosen one; a union of simple variants shares its row with the chosen one.
    `key` is the key of a map's entry. The row that ends a list or a map `is_adder`: it adds to what is at its path,
    and has no place.
    """

    path: Path
    place: str | None
    label: str
    depth: int
    field: Field
    draft: Draft | None = None
    note: str | None = None
    is_optional: bool = False
    fallback: str | None = None
    union: Path | None = None
    kinds: tuple[str, ...] = ()
    kind: int = 0
    key: str | None = None
    is_removable: bool = False
    is_adder: bool = False

    @property
    def type(self) -> str:
        return name_type(self.field)

    @property
    def whole(self) -> Path:
        """Give the path of what the row's label names: of a union all of it, not its variant."""
        return self.path if self.union is None else self.union

    @property
    def is_head(self) -> bool:
        """Tell whether it is not edited itself: what is in it has rows of its own."""
        return isinstance(self.field, (ListField, MapField, ObjectField, UnionField))


class Form(msgspec.Struct, frozen=True):
    field: Field
    draft: Draft

    # -- acts

    def put(self, path: Path, draft: Draft) -> Form:
        """Have another draft at a path. A property that was left out is given then."""
        return Form(self.field, _change(self.field, self.draft, path, lambda field, old: draft))

    def give(self, path: Path) -> Form:
        """Give an optional property, blank."""
        return Form(self.field, _change(self.field, self.draft, path, lambda field, old: blank(field)))

    def leave_out(self, path: Path) -> Form:
        *parent, name = path

        def forget(field: Field, old: Draft | None) -> Draft:
            assert isinstance(old, Given)
            return Given({one: draft for one, draft in old.given.items() if one != name})

        return Form(self.field, _change(self.field, self.draft, tuple(parent), forget))

    def add(self, path: Path) -> Form:
        """Add an item to a list, or an entry with an empty key to a map, at its end."""

        def grow(field: Field, old: Draft | None) -> Draft:
            if isinstance(field, ListField) and isinstance(old, Items):
                return Items((*old.items, blank(field.item)))
            assert isinstance(field, MapField)
            assert isinstance(old, Entries)
            return Entries((*old.entries, ("", blank(field.item))))

        return Form(self.field, _change(self.field, self.draft, path, grow))

    def remove(self, path: Path) -> Form:
        """Remove an item of a list, or an entry of a map."""
        *parent, place = path

        def shrink(field: Field, old: Draft | None) -> Draft:
            if isinstance(old, Items):
                return Items(tuple(one for index, one in enumerate(old.items) if index != place))
            assert isinstance(old, Entries)
            return Entries(tuple(one for index, one in enumerate(old.entries) if index != place))

        return Form(self.field, _change(self.field, self.draft, tuple(parent), shrink))

    def rename(self, path: Path, key: str) -> Form:
        """Give an entry of a map another key."""
        *parent, place = path

        def rekey(field: Field, old: Draft | None) -> Draft:
            assert isinstance(old, Entries)
            pairs = enumerate(old.entries)
            return Entries(tuple((key if index == place else name, one) for index, (name, one) in pairs))

        return Form(self.field, _change(self.field, self.draft, tuple(parent), rekey))

    def choose(self, path: Path, index: int) -> Form:
        """Choose a variant of a union; it is blank then."""

        def turn(field: Field, old: Draft | None) -> Draft:
            assert isinstance(field, UnionField)
            return Kind(index, blank(field.variants[index].field))

        return Form(self.field, _change(self.field, self.draft, path, turn))

    def fill(self, value: Any) -> Form:
        return Form(self.field, fill(self.field, value))

    def carry_over(self, older: Form) -> Form:
        """Take over what was filled in before the schema changed: the properties that are asked for as they were."""
        mine, theirs = self.field, older.field
        if mine == theirs:
            return Form(mine, older.draft)
        if not isinstance(mine, ObjectField) or not isinstance(theirs, ObjectField):
            return self
        assert isinstance(self.draft, Given)
        assert isinstance(older.draft, Given)
        before = {one.name: one.field for one in theirs.properties}
        given = older.draft.given
        kept = {
            one.name: given[one.name]
            for one in mine.properties
            if one.name in given and before.get(one.name) == one.field
        }
        return Form(mine, Given({**self.draft.given, **kept}))

    def clear(self) -> Form:
        return Form(self.field, blank(self.field))

    # -- readings

    def read(self) -> Reading:
        return read(self.field, self.draft)

    def rows(self) -> list[Row]:
        """Lay the form out. The properties of the whole have no head above them."""
        if isinstance(self.field, ObjectField) and isinstance(self.draft, Given):
            return list(_lay_out_object(self.field, self.draft, (), "", 0))
        return list(_lay_out(_Spot((), "", "value", 0), self.field, self.draft))


def place_problems(rows: Sequence[Row], problems: Sequence[Problem]) -> dict[int, str]:
    """Say at which row, by its number, which problem is told: the last one of its place, else the first one."""
    told: dict[int, str] = {}
    for problem in problems:
        places = [index for index, row in enumerate(rows) if row.place == problem.path]
        told.setdefault(places[-1] if places else 0, problem.message)
    return told


def make_form(field: Field) -> Form:
    """Make an untouched form."""
    return Form(field, blank(field))


# -- paths -----------------------------------------------------------------------------------------


def _change(field: Field, draft: Draft | None, path: Path, act: Callable[[Field, Draft | None], Draft]) -> Draft:
    """Give the draft with another one at the end of a path."""
    if not path:
        return act(field, draft)
    step, rest = path[0], path[1:]
    match field, draft:
        case UnionField(), Kind() if step == INSIDE:
            inner = field.variants[draft.index].field
            return Kind(draft.index, _change(inner, draft.draft, rest, act))
        case ObjectField(), Given() if isinstance(step, str):
            one = next(one for one in field.properties if one.name == step)
            return Given({**draft.given, step: _change(one.field, draft.given.get(step), rest, act)})
        case ListField(), Items() if isinstance(step, int):
            items = list(draft.items)
            items[step] = _change(field.item, items[step], rest, act)
            return Items(tuple(items))
        case MapField(), Entries() if isinstance(step, int):
            entries = list(draft.entries)
            name, old = entries[step]
            entries[step] = (name, _change(field.item, old, rest, act))
            return Entries(tuple(entries))
    raise LookupError(f"nothing is at {path!r} of {name_type(field)}")


# -- rows ------------------------------------------------------------------------------------------


class _Spot(msgspec.Struct, frozen=True):
    """Where a row stands, and what is known of it whatever its field is."""

    path: Path
    place: str
    label: str
    depth: int
    is_optional: bool = False
    fallback: str | None = None
    union: Path | None = None
    kinds: tuple[str, ...] = ()
    kind: int = 0
    key: str | None = None
    is_removable: bool = False
    note: str | None = None


def _lay_out(spot: _Spot, field: Field, draft: Draft | None) -> Iterator[Row]:
    if isinstance(field, UnionField) and isinstance(draft, Kind):
        if spot.kinds:  # a union in a union: it gets a row below that of the outer one
            yield _make_row(spot, field, draft)
            spot = _Spot(spot.path, spot.place, spot.label, spot.depth + 1)
        kinds = tuple(variant.label for variant in field.variants)
        spot = msgspec.structs.replace(
            spot, path=(*spot.path, INSIDE), union=spot.path, kinds=kinds, kind=draft.index, note=field.note
        )
        yield from _lay_out(spot, field.variants[draft.index].field, draft.draft)
        return
    yield _make_row(spot, field, draft)
    match field, draft:
        case ObjectField(), Given():
            yield from _lay_out_object(field, draft, spot.path, spot.place, spot.depth + 1)
        case ListField(), Items():
            for index, one in enumerate(draft.items):
                place = f"{spot.place}[{index}]"
                item = _Spot((*spot.path, index), place, str(index), spot.depth + 1, is_removable=True)
                yield from _lay_out(item, field.item, one)
            yield _make_adder(spot, field)
        case MapField(), Entries():
            for index, (key, one) in enumerate(draft.entries):
                place = join(spot.place, key)
                entry = _Spot((*spot.path, index), place, key, spot.depth + 1, key=key, is_removable=True)
                yield from _lay_out(entry, field.item, one)
            yield _make_adder(spot, field)


def _lay_out_object(field: ObjectField, draft: Given, path: Path, place: str, depth: int) -> Iterator[Row]:
    for one in field.properties:
        spot = _Spot(
            (*path, one.name),
            join(place, one.name),
            one.name,
            depth,
            is_optional=not one.is_required,
            fallback=one.fallback,
        )
        if one.name in draft.given:
            yield from _lay_out(spot, one.field, draft.given[one.name])
        else:
            yield _make_row(spot, one.field, None)


def _make_adder(spot: _Spot, field: ListField | MapField) -> Row:
    label = "+ add an item" if isinstance(field, ListField) else "+ add a key"
    return Row(path=spot.path, place=None, label=label, depth=spot.depth + 1, field=field, is_adder=True)


def _make_row(spot: _Spot, field: Field, draft: Draft | None) -> Row:
    return Row(
        path=spot.path,
        place=spot.place,
        label=spot.label,
        depth=spot.depth,
        field=field,
        draft=draft,
        note=spot.note or field.note,
        is_optional=spot.is_optional,
        fallback=spot.fallback,
        union=spot.union,
        kinds=spot.kinds,
        kind=spot.kind,
        key=spot.key,
        is_removable=spot.is_removable,
    )


__all__ = ["INSIDE", "Form", "Path", "Row", "make_form", "place_problems"]
