"""What is wrong with a command line, in the words of every other message.

Found, where, what to give instead. Only the wording is ours: cyclopts and pydantic find the faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args, get_origin

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnusedCliTokensError,
    ValidationError,
)

from annoseq.errors import describe_expected

if TYPE_CHECKING:
    import pydantic
    from cyclopts import Argument

_TYPES = {int: "a whole number", float: "a number", bool: "nothing, or =true or =false"}


def explain(error: CycloptsError) -> str:
    """Say what was found on the command line, and what to give instead."""
    import pydantic  # which `annoseq --help` does without

    if isinstance(error.__cause__, pydantic.ValidationError):
        return _setting(error, error.__cause__)
    if isinstance(error, (CoercionError, ValidationError)) and error.argument is not None:
        return _value(error, error.argument)
    match error:
        case MissingArgumentError():
            fault = _missing(error)
        case RepeatArgumentError():
            fault = f"{error.token.keyword} is given more than once. Give it once."
        case UnusedCliTokensError():
            unused = " ".join(map(repr, error.unused_tokens or ()))
            fault = f"found {unused}, which is one argument too many."
        case _:
            fault = str(error)
    return f"{fault} See `{' '.join(['annoseq', *(error.command_chain or ())])} --help`."


def _value(error: CoercionError | ValidationError, argument: Argument) -> str:
    """Explain a value that an option does not take."""
    if isinstance(error, ValidationError):
        return f"{argument.name}: found {argument.tokens[0].value!r}. {error.exception_message}"
    found = f"found {error.token.value!r}. " if error.token else ""
    return f"{argument.name}: {found}Give {_kind(error.target_type)}."


def _setting(error: CycloptsError, cause: pydantic.ValidationError) -> str:
    """Explain a value that a section of the settings does not take."""
    faults = cause.errors(include_url=False)
    fault = faults[0]
    if fault["type"] == "value_error":  # a validator of ours, which names the options
        return f"{fault['msg'].removeprefix('Value error, ')}."
    above = error.argument.keys if error.argument else ()
    setting = _faulty(error.argument, (*above, *fault["loc"]))
    name, found = setting.name if setting else "the command line", f"found {fault['input']!r}."
    if setting is None or setting.children:
        names = ", ".join(one.name for one in setting.children) if setting else ""
        return f"{name}: {found} Give one of its settings: {names}."
    # The place of a fault goes on with the type, where a setting has several.
    wanted = describe_expected(
        one for one in faults if (*above, *one["loc"])[: len(setting.keys)] == setting.keys
    )
    return f"{name}: {found} Give {f'{wanted}.' if wanted else setting.parameter.help}"


def _faulty(argument: Argument | None, place: tuple[int | str, ...]) -> Argument | None:
    """Find the setting at a place among the settings of settings."""
    for one in argument.children if argument else ():
        if one.keys == place[: len(one.keys)]:
            return _faulty(one, place)
    return argument


def _missing(error: MissingArgumentError) -> str:
    wanted = (error.argument.parameter.help if error.argument else None) or ""
    fault = f"{error.keyword} has no value" if error.keyword else f"{_name(error)} is missing"
    return f"{fault}: {wanted[:1].lower()}{wanted[1:]}"


def _kind(target: type | None) -> str:
    if get_origin(target) is Literal:
        return "one of " + ", ".join(map(str, get_args(target)))
    return _TYPES.get(target, "another value") if target else "another value"


def _name(error: CycloptsError) -> str:
    return error.argument.name if error.argument else "the command line"
