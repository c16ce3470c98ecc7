"""Print the requirements of pyproject.toml: `requirements.py EXTRA... [--without NAME]`."""

import argparse
import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text("utf-8"))


def requirements(extras: list[str]) -> list[str]:
    own = PROJECT["project"]["name"]
    found = list(PROJECT["project"]["dependencies"])
    for extra in extras:
        for requirement in PROJECT["project"]["optional-dependencies"][extra]:
            # An extra may refer to other extras of this project.
            inner = re.fullmatch(rf"{own}\[(.*)\]", requirement)
            found += requirements(inner[1].split(",")) if inner else [requirement]
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("extras", nargs="*")
    parser.add_argument("--without", action="append", default=[])
    chosen = parser.parse_args()
    for requirement in requirements(chosen.extras):
        if re.match(r"[\w.-]+", requirement)[0] not in chosen.without:
            print(requirement)
