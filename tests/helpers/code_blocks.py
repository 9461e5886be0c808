"""The Python code in the documents, as programs that can be run.

The code blocks of a document are one program, in their order: a later block may use the names of an earlier one. HTML
comments, which a reader does not see, give instructions:

    <!-- a program of its own -->   another program begins with the next block
    <!-- setup ... -->              code that runs before a block that shows only a part of a program
    <!-- prints -->                 the text block that follows is the output since the last such block
    <!-- needs NAME, NAME -->       packages or servers without which this program is not run
    <!-- not run: why -->           the next block is not run
"""

import json
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field

from places import SCRIPTS

PART = re.compile(
    r"<!-- (?P<comment>.*?)\s*-->|^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass
class Program:
    """Blocks that run in one process."""

    name: str
    blocks: list = field(default_factory=list)  # [line, code, output since the last block that has one, or None]
    needs: set = field(default_factory=set)


def programs(path, name):
    """Return the programs in a document (list of Program)."""
    text = path.read_text()
    found, prints, run = [Program(name)], False, True
    for part in PART.finditer(text):
        line = text.count("\n", 0, part.start()) + 1
        comment, language = part["comment"], part["language"]
        if comment is not None:
            word, _, rest = comment.partition("\n") if comment.startswith("setup") else comment.partition(" ")
            if comment == "a program of its own":
                found.append(Program(f"{name}:{line}"))
            elif word == "setup":
                found[-1].blocks.append([line + 1, textwrap.dedent(rest), None])
            elif comment == "prints":
                prints = True
            elif word == "needs":
                found[-1].needs |= {each.strip() for each in rest.split(",")}
            elif comment.startswith("not run:"):
                run = False
        elif prints:
            found[-1].blocks[-1][2] = part["code"]
            prints = False
        elif language == "python":
            if run:
                code = re.sub(rf"^{part['indent']}", "", part["code"], flags=re.MULTILINE)
                found[-1].blocks.append([line + 1, code, None])
            run = True
    return [program for program in found if program.blocks]


def run(program, folder, environment=None):
    """Run a program in a process of its own, and check its output. `environment`: by default that of this process."""
    document = program.name.partition(":")[0]
    result = subprocess.run(
        [sys.executable, SCRIPTS / "code_blocks.py", document, folder],
        input=json.dumps([block[:2] for block in program.blocks]),
        capture_output=True, text=True, timeout=100, check=False, cwd=folder, env=environment,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    printed = ""
    for (line, _, wanted), text in zip(program.blocks, result.stdout.split("\x1e\n"), strict=False):
        printed += text
        if wanted is not None:
            assert printed == wanted, f"{document}, line {line}"
            printed = ""
