"""Files that people write: YAML, checked by a pydantic model, with errors that name file, line and field."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from navstack.errors import InputError

LARGEST = 1 << 20  # bytes; a specification is text that someone wrote
Model = TypeVar("Model", bound=BaseModel)


def load_yaml_model(path: Path, model: type[Model], context: dict[str, Any] | None = None) -> Model:
    """The model that a YAML file describes. Raises InputError naming file, line, field and what is allowed."""
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path}: larger than {LARGEST >> 20} MiB; a specification is a short text file")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise InputError(f"{path}{where}: not YAML: {problem}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}:1: expected fields ({', '.join(model.model_fields)}), found {type(values).__name__}")
    try:
        return model.model_validate(values, context=context)
    except ValidationError as error:
        raise InputError(_sentence(path, tree, error)) from error


def _sentence(path: Path, tree: yaml.Node, error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    location = [part for part in first["loc"] if not isinstance(part, str) or not part.startswith("function-")]
    field = ".".join(map(str, location)) or "the file"
    message = str(first["msg"]).removeprefix("Value error, ")
    found = "" if first["type"] in ("missing", "extra_forbidden", "value_error") else f"; found {first['input']!r:.60}"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{path}:{_line(tree, location)}: {field}: {message}{found}{more}"


def _line(node: yaml.Node, location: list[Any]) -> int:
    """Line of the deepest part of the location that stands in the file."""
    for part in location:
        child = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    child = value if not isinstance(value, yaml.ScalarNode) else key
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            child = node.value[part]
        if child is None:
            break
        node = child
    return int(node.start_mark.line) + 1
