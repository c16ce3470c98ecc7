"""Shorten the types of arguments: without modules, and "array of float32" for arrays of NumPy."""

import re

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

MODULES = re.compile(r"(?<![\w.])(?:[a-z_]\w*\.)+(?=\w)")
ARRAY = "ndarray"
ELEMENT = re.compile(r"dtype\[([\w.]+)\[?")


def shorten_types(_app: Sphinx, doctree: nodes.document) -> None:
    """Shorten every type in the fields of a signature's description."""
    for field in list(doctree.findall(nodes.field_body)):
        for paragraph in list(field.findall(nodes.paragraph)):
            _drop_modules(paragraph)
            _name_arrays(paragraph)


def _drop_modules(paragraph: nodes.paragraph) -> None:
    for reference in paragraph.findall(pending_xref):
        if reference.get("refdomain") == "py" and reference.get("reftype") == "class":
            for text in list(reference.findall(nodes.Text)):
                text.parent.replace(text, nodes.Text(MODULES.sub("", text)))


def _name_arrays(paragraph: nodes.paragraph) -> None:
    """Replace `ndarray[tuple[Any, ...], dtype[float32]]`, which is many nodes."""
    children = list(paragraph.children)
    texts = [child.astext() for child in children]
    for start in [i for i, text in enumerate(texts) if text == ARRAY]:
        end, depth = start + 1, 0
        while end < len(texts):
            depth += texts[end].count("[") - texts[end].count("]")
            end += 1
            if depth <= 0:
                break
        found = ELEMENT.search("".join(texts[start:end]))
        name = found[1].split(".")[-1] if found else "Any"
        words = "array" if name == "Any" else f"array of {name}"
        words += texts[end - 1].rpartition("]")[2]  # such as " | "
        paragraph.replace(children[start], nodes.emphasis(words, words))
        for child in children[start + 1 : end]:
            paragraph.remove(child)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("doctree-read", shorten_types)
    return {"parallel_read_safe": True}
