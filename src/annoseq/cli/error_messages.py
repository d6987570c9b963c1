"""Messages about errors in a command line: what was found, where, and what to give instead.

cyclopts and pydantic find the errors; only the wording is ours.
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


def usage_error_message(error: CycloptsError) -> str:
    """Return the message about an error in a command line."""
    import pydantic  # which `annoseq --help` does without

    if isinstance(error.__cause__, pydantic.ValidationError):
        return _config_error(error, error.__cause__)
    if isinstance(error, (CoercionError, ValidationError)) and error.argument is not None:
        return _value_error(error, error.argument)
    match error:
        case MissingArgumentError():
            message = _missing_argument(error)
        case RepeatArgumentError():
            message = f"{error.token.keyword} is given more than once. Give it once."
        case UnusedCliTokensError():
            unused = " ".join(map(repr, error.unused_tokens or ()))
            message = f"found {unused}, which is one argument too many."
        case _:
            message = str(error)
    return f"{message} See `{' '.join(['annoseq', *(error.command_chain or ())])} --help`."


def _value_error(error: CoercionError | ValidationError, argument: Argument) -> str:
    """Return the message about a value that an option does not accept."""
    if isinstance(error, ValidationError):
        return f"{argument.name}: found {argument.tokens[0].value!r}. {error.exception_message}"
    found = f"found {error.token.value!r}. " if error.token else ""
    return f"{argument.name}: {found}Give {_describe_type(error.target_type)}."


def _config_error(error: CycloptsError, cause: pydantic.ValidationError) -> str:
    """Return the message about a value that a section of the configuration does not accept."""
    details = cause.errors(include_url=False)
    first = details[0]
    if first["type"] == "value_error":  # a validator of ours, which names the options
        return f"{first['msg'].removeprefix('Value error, ')}."
    prefix = error.argument.keys if error.argument else ()
    argument = _argument_at(error.argument, (*prefix, *first["loc"]))
    name, found = argument.name if argument else "the command line", f"found {first['input']!r}."
    if argument is None or argument.children:
        names = ", ".join(child.name for child in argument.children) if argument else ""
        return f"{name}: {found} Give one of its settings: {names}."
    # A location ends with the type, where a setting has several.
    expected = describe_expected(
        detail
        for detail in details
        if (*prefix, *detail["loc"])[: len(argument.keys)] == argument.keys
    )
    return f"{name}: {found} Give {f'{expected}.' if expected else argument.parameter.help}"


def _argument_at(argument: Argument | None, location: tuple[int | str, ...]) -> Argument | None:
    """Return the innermost argument that contains a location of a nested configuration."""
    for child in argument.children if argument else ():
        if child.keys == location[: len(child.keys)]:
            return _argument_at(child, location)
    return argument


def _missing_argument(error: MissingArgumentError) -> str:
    help_text = (error.argument.parameter.help if error.argument else None) or ""
    name = error.argument.name if error.argument else "the command line"
    problem = f"{error.keyword} has no value" if error.keyword else f"{name} is missing"
    return f"{problem}: {help_text[:1].lower()}{help_text[1:]}"


def _describe_type(target: type | None) -> str:
    if get_origin(target) is Literal:
        return "one of " + ", ".join(map(str, get_args(target)))
    return _TYPES.get(target, "another value") if target else "another value"
