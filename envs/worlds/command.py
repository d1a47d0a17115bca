"""What `navstack worlds` does with its arguments."""

from __future__ import annotations

import json
import re
from importlib import resources

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from navstack.envs.commands.worlds import Check, New, Preview
from navstack.envs.worlds.spec import NAME_PATTERN, WorldSpec, describe_world, load_world, world_names
from navstack.errors import InputError
from navstack.files import check_new_file, write_atomically

SPLITS = ("train", "dev", "held-out")


def list_worlds() -> int:
    """Print the library, in the order of its splits."""
    specs = sorted(map(describe_world, world_names()), key=lambda spec: (SPLITS.index(spec.split), spec.name))
    table = Table()
    for column in ("world", "split", "description"):
        table.add_column(column)
    for spec in specs:
        table.add_row(spec.name, spec.split, escape(spec.description))
    Console().print(table)
    return 0


def preview(arguments: Preview) -> int:
    """Write the sheets and print where they are."""
    from navstack.envs.worlds.preview import write_previews

    worlds = arguments.worlds or tuple(world_names())
    with Progress(transient=True) as progress:
        bar = progress.add_task("drawing", total=len(worlds))

        def on_world(name: str) -> None:
            progress.update(bar, advance=1, description=f"drew {name}")

        written = write_previews(worlds, arguments.out, arguments.seed, arguments.draws, on_world)
    for path in written:
        print(path)
    return 0


def schema_text() -> str:
    """The JSON schema of world files; `world.schema.json` is a copy of it."""
    return json.dumps(WorldSpec.model_json_schema(), indent=2)


def print_schema() -> int:
    """Print the JSON schema of world files."""
    print(schema_text())
    return 0


def new(arguments: New) -> int:
    """Write the starter file under its own name. Raises InputError for a name that no world can have."""
    path = arguments.file
    if path.suffix not in (".yaml", ".yml"):
        raise InputError(f"{path}: a world file ends in .yaml")
    check_new_file(path)
    text = (resources.files("navstack.envs.worlds") / "starter.yaml").read_text()
    text = text.replace("THIS_FILE", str(path)).replace("name: NAME ", f"name: {path.stem} ")
    if not re.fullmatch(NAME_PATTERN, path.stem):
        raise InputError(f"{path}: a world's name is made of letters, digits, - and _; '{path.stem}' is not")
    write_atomically(path, text.encode())
    print(f"{path}: edit it, then run: navstack worlds preview {path} --out {path.stem}-sheets")
    return 0


def check(arguments: Check) -> int:
    """Load a world and build several draws of it. Raises InputError that says what is wrong where."""
    from navstack.envs.navigation import NavigationEnv

    if arguments.draws < 0:
        raise InputError(f"--draws is {arguments.draws}; it must be 0 or more")
    spec = load_world(arguments.world)
    environment = NavigationEnv(world=arguments.world, purpose="evaluate", camera=False)
    try:
        for seed in range(arguments.draws):
            environment.reset(seed=seed)
    finally:
        environment.close()
    print(f"{arguments.world}: '{spec.name}' ({spec.split}) is in order; built {arguments.draws} draws of it")
    return 0
