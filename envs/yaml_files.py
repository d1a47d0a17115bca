"""Files that people write: YAML, checked by a pydantic model, with errors that name file, line and field."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from navstack.errors import InputError, nearest

LARGEST = 1 << 20  # bytes; a specification is text that someone wrote
MOST_NODES = 100_000  # after aliases are written out: a few lines of them can stand for billions
DEEPEST = 40  # levels
Model = TypeVar("Model", bound=BaseModel)
Location = list[str | int]


def load_yaml_model(path: Path, model: type[Model], context: dict[str, Any] | None = None) -> Model:
    """The model in a YAML file. Raises InputError naming file, line, field and what is allowed."""
    tree, values = _parse(path, _read(path))
    if tree is None or not isinstance(values, dict):
        found = "nothing" if values is None else f"a {type(values).__name__}"
        raise InputError(f"{path}:1: expected fields ({', '.join(model.model_fields)}), found {found}")
    try:
        return model.model_validate(values, context=context)
    except ValidationError as error:
        raise InputError(_sentence(path, tree, model, error)) from error


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path}: larger than {LARGEST >> 20} MiB; a specification is a short text file")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{path}: cannot be read: there is no such file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read: it is not UTF-8 text") from error
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def _parse(path: Path, text: str) -> tuple[yaml.Node | None, Any]:
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        if tree is not None:
            _count(path, tree, {}, 0)
        return tree, yaml.safe_load(text)
    except InputError:
        raise
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise InputError(f"{path}{where}: not YAML: {' '.join(problem.split())}") from error
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        # What PyYAML's constructors raise for a value that does not suit its tag, such as a 13th month.
        raise InputError(f"{path}: not YAML: a value that cannot be read ({error})") from error


def _count(path: Path, node: yaml.Node, counted: dict[int, int], depth: int) -> int:
    """Nodes from this one on, aliases written out. Raises InputError: too many, too deep, a field twice."""
    line = node.start_mark.line + 1
    if counted.setdefault(id(node), 0):
        return counted[id(node)]
    if depth > DEEPEST:
        raise InputError(f"{path}:{line}: nested more than {DEEPEST} levels deep, or an alias within itself")
    number = 1
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in keys:
                raise InputError(f"{path}:{key.start_mark.line + 1}: {_shown(key.value)}: given twice")
            keys.add(str(key.value))
            number += _count(path, key, counted, depth + 1) + _count(path, value, counted, depth + 1)
    elif isinstance(node, yaml.SequenceNode):
        number += sum(_count(path, child, counted, depth + 1) for child in node.value)
    if number > MOST_NODES:
        raise InputError(f"{path}:{line}: more than {MOST_NODES} values, aliases written out")
    counted[id(node)] = number
    return number


def _sentence(path: Path, tree: yaml.Node, model: type[BaseModel], error: ValidationError) -> str:
    errors = error.errors(include_url=False)
    first, location = errors[0], _location(errors[0])
    # A union is refused once for each of its members: one sentence for all of them.
    same = [e for e in errors if _location(e) == location]
    message = " or ".join(dict.fromkeys(_message(e, model) for e in same))
    field = ".".join(_shown(part) for part in location) or "the file"
    silent = ("missing", "extra_forbidden", "value_error")
    found = "" if first["type"] in silent else f"; found {first['input']!r:.60}"
    allowed = "" if first["type"] == "value_error" else _allowed(model, location)
    others = len({tuple(_location(e)) for e in errors}) - 1
    more = f" (and {others} more)" if others else ""
    return f"{path}:{_line(tree, location)}: {field}: {message}{found}{allowed}{more}"


def _location(error: Any) -> Location:
    """Where an error is, without pydantic's own names for the members of unions."""
    if not error["loc"]:
        return []
    *above, last = error["loc"]
    path = [part for part in above if isinstance(part, int) or not ("[" in part or "-" in part)]
    own = error["type"] not in ("missing", "extra_forbidden") and isinstance(last, str)
    return path if own and ("[" in last or "-" in last) else [*path, last]


def _shown(part: object) -> str:
    """A field's name, as short and plain as a message needs it, whatever stands in the file."""
    name = str(part)
    return name if name.isprintable() and 0 < len(name) <= 60 else f"{name!r:.60}"


def _message(error: Any, model: type[BaseModel]) -> str:
    if error["type"] == "extra_forbidden":
        *above, name = _location(error)
        fields = [field for owner in _models(model, above) for field in owner.model_fields]
        return f"there is no such field here{nearest(_shown(name), fields)} (fields: {', '.join(fields)})"
    if error["type"] == "missing":
        return "is missing"
    if error["type"] in ("list_type", "tuple_type"):
        return "must be a list"
    message = str(error["msg"]).removeprefix("Value error, ").replace(" after validation", "")
    for beginning in ("Input should", "List should", "Tuple should", "String should"):
        message = message.replace(beginning, "must")
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        choices = [word.strip("'") for word in error["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        message += nearest(error["input"], choices)
    return message


def _models(model: type[BaseModel], location: Location) -> list[type[BaseModel]]:
    """The models that may stand at a location."""
    models = [model]
    for part in location:
        if isinstance(part, str):
            fields = [m.model_fields[part] for m in models if part in m.model_fields]
            models = [m for field in fields for m in _within(field.annotation) if isinstance(m, type)]
    return models


def _within(annotation: Any) -> Iterator[Any]:
    """The models and field descriptions in an annotation."""
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    if is_model or isinstance(annotation, FieldInfo):
        yield annotation
    for part in (*get_args(annotation), *getattr(annotation, "__metadata__", ())):
        yield from _within(part)


def _allowed(model: type[BaseModel], location: Location) -> str:
    """What the deepest field of a location says of itself."""
    names = [number for number, part in enumerate(location) if isinstance(part, str)]
    if not names:
        return ""
    for owner in _models(model, location[: names[-1]]):
        field = owner.model_fields.get(str(location[names[-1]]))
        if field is not None:
            inner = (f.description for f in _within(field.annotation) if isinstance(f, FieldInfo))
            description = field.description or next((d for d in inner if d), None)
            return f" (expected {description})" if description else ""
    return ""


def _line(node: yaml.Node, location: Location) -> int:
    """Line of the deepest part of the location that stands in the file."""
    line = node.start_mark.line
    for part in location:
        child = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    child, line = value, key.start_mark.line
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            child = node.value[part]
            line = child.start_mark.line
        if child is None:
            break
        node = child
    return int(line) + 1
