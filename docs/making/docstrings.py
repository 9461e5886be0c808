"""Docstrings of compiled modules, for the reference: an extension of griffe, which reads Python but not Cython.

A compiled module has a stub (`.pyi`) beside it. Griffe takes the signatures from that; the docstrings stand in the
source (`.pyx`), where this finds them. So the reference is right without anything being compiled or imported. Of a
module's own docstring only the first paragraph is kept.
"""

import inspect
import re

import griffe

#: The head of a class or a function, up to its name.
HEAD = re.compile(r"^( *)(?:cdef class|class|async def|cpdef [^(\n]*?|def) ?\b(\w+)(?=[(:\[])", re.MULTILINE)
#: A docstring, behind the colon that ends the head.
DOCSTRING = re.compile(r'\s*(?:#[^\n]*\n\s*)*"""(.*?)"""', re.DOTALL)


def docstrings_of(source):
    """The docstrings in the text of a `.pyx` file: {dotted name within the module: text}; "" is the module's own."""
    found = {}
    own = re.match(DOCSTRING, source)
    if own:
        found[""] = inspect.cleandoc(own[1])
    enclosing = []  # (indentation, name) of the classes and functions around
    for head in HEAD.finditer(source):
        indentation, name = len(head[1]), head[2]
        while enclosing and enclosing[-1][0] >= indentation:
            enclosing.pop()
        enclosing.append((indentation, name))
        text = DOCSTRING.match(source, end_of_head(source, head.end()))
        if text:
            # The first of a name counts: a property's getter comes before its setter.
            found.setdefault(".".join(part for _, part in enclosing), inspect.cleandoc(text[1]))
    return found


def end_of_head(source, position):
    """The position behind the colon that ends a head."""
    depth = 0
    while position < len(source):
        character = source[position]
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character == ":" and depth == 0:
            return position + 1
        position += 1
    return position


class CompiledDocstrings(griffe.Extension):
    """Gives the objects of a stub the docstrings of the `.pyx` file beside it."""

    def on_package(self, *, pkg, **kwargs):
        for module in self.modules_in(pkg):
            self.keep_overloaded(module)
            path = module.filepath
            source = path.with_suffix(".pyx") if not isinstance(path, list) and path.suffix == ".pyi" else None
            if source is not None and source.exists():
                for name, text in docstrings_of(source.read_text()).items():
                    self.give(module, name, text)
            if module.docstring is not None:
                # The rest of a file's heading is for those who change it: its rules, and what does not belong there.
                module.docstring.value = module.docstring.value.split("\n\n")[0]

    def modules_in(self, module):
        yield module
        for member in list(module.members.values()):
            if not member.is_alias and member.is_module:
                yield from self.modules_in(member)

    @staticmethod
    def keep_overloaded(module):
        """Make a member of each function that the module's stub has overloads of only: griffe has none for those."""
        for name, overloads in module.overloads.items():
            if name not in module.members:
                module.set_member(name, griffe.Function(name, parameters=overloads[0].parameters))
                module.members[name].overloads = overloads

    @staticmethod
    def give(module, name, text):
        found = module
        for part in filter(None, name.split(".")):
            if found.is_alias or part not in found.members:
                return  # not public: it is not in the stub
            found = found.members[part]
        if not found.is_alias and found.docstring is None:
            found.docstring = griffe.Docstring(text, parent=found)
