"""DEFINE and UPDATE from a noun's attributes: their parameters, defaults by variant, and checks that follow from them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from farvault.admin.command import Call, Parameter
from farvault.admin.kinds import Clearable
from farvault.base.errors import BadInput
from farvault.base.messages import Message, message
from farvault.model.attribute import REQUIRED, Attribute, Kind, Name, Noun, attributes


def define_parameters(noun: type[Noun], *, without: Collection[str] = ()) -> tuple[Parameter, ...]:
    """Positional and keyword operands of DEFINE; what a variant needs is checked by `defined`."""
    return tuple(
        _parameter(field, attribute, required=attribute.default is REQUIRED, with_default=True)
        for field, attribute in attributes(noun).items()
        if (attribute.positional or attribute.keyword) and field not in without
    )


def update_parameters(noun: type[Noun]) -> tuple[Parameter, ...]:
    """Every attribute that UPDATE may change, by keyword; none is required, none has a default."""
    return tuple(
        _parameter(field, attribute, required=False)
        for field, attribute in attributes(noun).items()
        if attribute.keyword and attribute.update and field not in noun.KEY
    )


def key_parameters(noun: type[Noun]) -> tuple[Parameter, ...]:
    """The operands that name one object, by place (a copy group's TYPE by keyword, with its default)."""
    return tuple(
        _parameter(field, attribute, required=attribute.default is REQUIRED, with_default=True)
        for field, attribute in attributes(noun).items()
        if field in noun.KEY
    )


def _parameter(field: str, attribute: Attribute, *, required: bool, with_default: bool = False) -> Parameter:
    """Defaults that depend on the variant are told in the help; `defined` applies them."""
    help_text, default = attribute.help, None
    if with_default and isinstance(attribute.default, dict):
        help_text += f"; {_variants(attribute)}"
    elif with_default and not required:
        default = attribute.default
    return Parameter(
        name=field,
        keyword=attribute.keyword,
        kind=_kind(attribute),
        help=help_text,
        default=default,
        required=required,
        secret=attribute.secret,
    )


def _kind(attribute: Attribute) -> Kind:
    """A name that may be empty can be cleared by `""`."""
    defaults = attribute.default.values() if isinstance(attribute.default, dict) else (attribute.default,)
    can_be_empty = isinstance(attribute.kind, Name) and any(default == "" for default in defaults)
    return Clearable(attribute.kind) if can_be_empty else attribute.kind


def _variants(attribute: Attribute) -> str:
    shown = [
        f"{variant} "
        + ("required" if value is REQUIRED else f"default {attribute.kind.show(value) or 'empty'}")
        for variant, value in attribute.default.items()
    ]
    return ", ".join(shown)


def defined(noun: type[Noun], call: Call, variant: str = "") -> dict[str, Any]:
    """Field values of a new object: typed, else the variant's default. `BadInput` for what the variant lacks or needs."""
    refuse_foreign(noun, call, variant)
    values: dict[str, Any] = {}
    for field, attribute in attributes(noun).items():
        if field in call.given:
            values[field] = call[field]
        elif attribute.applies_to(variant) and (attribute.keyword or attribute.positional):
            default = attribute.default_for(variant)
            if default is REQUIRED:
                raise BadInput(
                    "ANR2022E",
                    command=call.command.name,
                    parameter=attribute.keyword.upper() or field,
                    syntax=f"{attribute.keyword or field}={attribute.kind.describe()}",
                )
            values[field] = default
    return values


def changed(noun: type[Noun], call: Call, variant: str = "") -> dict[str, Any]:
    """Field values that UPDATE gives; `BadInput` where the variant does not have one of them, or where none is given."""
    refuse_foreign(noun, call, variant)
    values = {
        field: call[field]
        for field, attribute in attributes(noun).items()
        if field in call.given and field not in noun.KEY and attribute.update
    }
    places = {field for field, attribute in attributes(noun).items() if attribute.positional}
    if not call.given - set(noun.KEY) - places:
        raise BadInput("ANR2026E", command=call.command.name)
    return values


def refuse_foreign(noun: type[Noun], call: Call, variant: str) -> None:
    """`BadInput` for a typed attribute that this variant does not have."""
    for field, attribute in attributes(noun).items():
        if field in call.given and not attribute.applies_to(variant):
            raise BadInput(
                "ANR2027E",
                command=call.command.name,
                keyword=attribute.keyword.upper(),
                noun=noun.TITLE,
                variant=variant,
            )


def without_effect(
    noun: type[Noun], call: Call, fields: Collection[str], name: str, reason: str
) -> Iterator[Message]:
    """Say which of these were typed: they are kept and shown, and nothing follows from them."""
    if typed := [attributes(noun)[field].keyword.upper() for field in fields if field in call.given]:
        yield message("ANR2994W", keywords=", ".join(typed), noun=noun.TITLE, name=name, reason=reason)


def replace(item: Noun, **values: Any) -> Any:
    """A copy with other values."""
    return msgspec.structs.replace(item, **values)
