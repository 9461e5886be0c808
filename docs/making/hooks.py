"""What MkDocs calls while it makes the site (see `hooks` in mkdocs.yml).

Pages that stand elsewhere in the repository, or are made of something else, become pages of the site: CONTRIBUTING.md
and CHANGES.md, each example, each module of the reference. Tables of gevent's names are filled in. Links to files of
the repository are turned to their pages, so that the same link works in the repository and on the site.
"""

import ast
import posixpath
import re
from pathlib import Path

import coming_from_gevent
import reference
from mkdocs.structure.files import File

CHECKOUT = Path(__file__).resolve().parents[2]
#: Files outside docs/ that are pages of the site.
PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGES.md": "changes.md", "tests/README.md": "tests.md"}
#: A sentence that the section takes the place of.
SECTION = re.compile(r"^The section \*(.+)\* in (\S+\.md) has the list\.$", re.MULTILINE)
LINK = re.compile(r"(?<!!)\]\(([^)#\s:]+)(#[^)\s]*)?\)")


def on_config(config):
    """Complete the navigation with the pages that are made here."""
    for section in config["nav"]:
        if "Reference" in section:
            section["Reference"] += reference.navigation()
        if "Examples" in section:
            section["Examples"] += [page_of_example(path) for path in examples()]
    return config


def on_files(files, config):
    """Add the pages that are no files of docs/."""
    made = {place: (CHECKOUT / name).read_text() for name, place in PAGES.items()}
    made |= {page_of_example(path): example_page(path) for path in examples()}
    made["examples/index.md"] = list_of_examples()
    made |= reference.pages()
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    """Fill in the tables of gevent's names, and turn links to files of the repository to their pages."""
    source = page.file.src_uri
    markdown = SECTION.sub(lambda found: section(found[1], found[2]), markdown)
    for mark, table in coming_from_gevent.TABLES.items():
        if mark in markdown:
            markdown = markdown.replace(mark, table())
    return LINK.sub(lambda found: f"]({turned(found[1], source)}{found[2] or ''})", markdown)


def section(title, name):
    """The text of a section of a file, without its heading."""
    text = (CHECKOUT / name).read_text().partition(f"\n## {title}\n")[2]
    if not text:
        raise RuntimeError(f"{name} has no section {title!r}")
    return text.partition("\n## ")[0].strip()


def turned(link, source):
    """The link on the site for a link in a page's text."""
    folder = posixpath.dirname(next((name for name, place in PAGES.items() if place == source), f"docs/{source}"))
    target = posixpath.normpath(posixpath.join(folder, link))
    if target in PAGES:
        place = PAGES[target]
    elif target.startswith("examples/") and (CHECKOUT / target).is_file():
        place = page_of_example(Path(target))
    elif target == "examples":
        place = "examples/index.md"
    elif target.startswith("docs/"):
        place = target.removeprefix("docs/")
    else:
        return link
    return posixpath.relpath(place, posixpath.dirname(source) or ".")


def examples():
    return sorted((CHECKOUT / "examples").glob("*.py"))


def page_of_example(path):
    return f"examples/{path.stem}.md"


def purpose_of(path):
    """The first sentence of an example's docstring."""
    return ast.get_docstring(ast.parse(path.read_text())).split("\n\n")[0].replace("\n", " ")


def example_page(path):
    return f"# {path.name}\n\n```python\n{path.read_text().rstrip()}\n```\n"


def list_of_examples():
    rows = "".join(f"| [{path.name}]({path.stem}.md) | {purpose_of(path)} |\n" for path in examples())
    head = "# Examples\n\nWhole programs, each of which the tests run.\n\n| program | what it does |\n| --- | --- |\n"
    return head + rows
