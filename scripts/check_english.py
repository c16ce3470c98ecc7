"""Search the repository for phrases that a native speaker would not write, and print them.

    python scripts/check_english.py [FILE...]

Reads comments and strings of Python files, the manifest, shell scripts and Markdown files. Exits
with 1 if it finds a phrase.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("src", "docs", "tests", "benchmarks", "scripts")
SUFFIXES = {".py", ".md", ".yaml", ".yml", ".sh"}

# Pattern to avoid: suggested replacement.
PHRASES = {
    r"\b(is|are|was|were|be|been|being) (said|told)\b": "name who reports what: 'Predict reports'",
    r"\b(as|than) (said|told)\b": "as described",
    r"\bsays? (it|so|that|what|which|how|why|where|whether|nothing)\b": "show, report, describe",
    r"\btells? (it|so|that|what|which|how|why|where|whether|apart|of)\b": "show, report, describe",
    r"\btold apart\b": "distinguished",
    r"\bgives?\b(?! up\b)": "return, produce, set",
    r"\bgave\b": "returned, produced",
    r"\bgiven back\b": "returned",
    r"\b[Ff]ores(ee|aw|een)\b": "predict, expect",
    r"\b(the )?other way (a)?round\b": "vice versa",
    r"\bby itself\b": "on its own, alone",
    r"\bwhat is (learned|learnt|kept|written|found|done|there)\b": "name the thing",
    r"\bfor ever\b": "forever, or name the loop",
    r"\bgo(es)? on\b": "continue",
    r"\bwent on\b": "continued",
    r"\bgoing on\b": "continuing",
    r"\bis a model like any other\b": "an ordinary model",
    r"\bwhoever\b": "anyone who",
    r"\bnobody\b": "no one, or name what is missing",
    r"\bsomebody\b": "someone, or the user",
    r"\banew\b": "again",
    r"\bmeanwhile\b": "while that runs",
    r"\bwhere there (is|are)\b": "if there is",
    r"\bwhere (it|they) (is|are) (missing|known|there)\b": "if it is",
    r"\bmend(s|ed|ing)?\b": "fix, repair",
    r"\blearnt\b": "learned",
    r"\bLabels layer that is right\b": "ground-truth labels",
}
# Words that must not begin the docstring of a function.
FIRST_WORDS = {
    "Give", "Gives", "Say", "Says", "Tell", "Tells", "Let", "Lets", "Take", "What", "How", "Where",
    "Which", "Why", "Who", "Whether", "Hand", "Hold", "Go", "Bring", "Begin", "Put", "Do", "Look",
    "Know", "Note", "Note.",
}  # fmt: skip


def texts_of_python(source: str) -> Iterator[tuple[int, str]]:
    """Yield the comments and strings of a module with their line numbers."""
    kinds = {
        tokenize.COMMENT,
        tokenize.STRING,
        getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING),
    }
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in kinds:
            yield token.start[0], token.string


def first_words(source: str) -> Iterator[tuple[int, str]]:
    """Yield the docstrings of functions, except properties, that begin with a wrong word."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        decorators = {ast.unparse(d).rpartition(".")[2] for d in node.decorator_list}
        text = ast.get_docstring(node)
        if text and not decorators & {"property", "cached_property", "setter", "fixture"}:
            word = text.split(maxsplit=1)[0]
            if word in FIRST_WORDS:
                yield node.lineno, f'docstring of {node.name} begins with "{word}"'


def findings(path: Path) -> Iterator[str]:
    """Yield a line for each phrase to replace in a file."""
    source = path.read_text("utf-8")
    python = path.suffix == ".py"
    texts = list(texts_of_python(source)) if python else [(1, source)]
    for line, text in texts:
        for pattern, better in PHRASES.items():
            for match in re.finditer(pattern, text):
                at = line + text.count("\n", 0, match.start())
                yield f"{path.relative_to(ROOT)}:{at}: '{match[0]}' ({better})"
    if python and "tests" not in path.parts:
        for line, what in first_words(source):
            yield f"{path.relative_to(ROOT)}:{line}: {what}"


def files() -> Iterator[Path]:
    """Yield the files of the repository to check."""
    for folder in FOLDERS:
        yield from sorted(p for p in (ROOT / folder).rglob("*") if p.suffix in SUFFIXES)
    yield from sorted(ROOT.glob("*.md"))


def main(names: list[str]) -> int:
    """Print all findings; return 1 if there are any, otherwise 0."""
    chosen = [Path(name).resolve() for name in names] or list(files())
    left = [
        finding
        for path in chosen
        if path != Path(__file__).resolve() and path.is_file()
        for finding in findings(path)
    ]
    print(*left, sep="\n")
    print(f"{len(left)} phrase(s) left in {len(chosen)} files.")
    return bool(left)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
