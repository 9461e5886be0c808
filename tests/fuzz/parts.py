"""What a part of a program is: an object that is used by several, the things that are done with it, and its counts."""


class Part:
    """The base of all parts. Methods marked with @verb are what actors do."""

    #: In every program, or else how often.
    always = False
    weight = 1
    #: How often its verbs are taken, compared to those of other parts.
    share = 1
    #: Arguments of the class: name -> values to pick from.
    arguments: dict = {}

    name = ""

    def stop(self):
        """The end has come: let those go on who wait without a limit. Called again and again, in a plain thread."""

    def close(self):
        """Nobody acts any more: give back what was taken."""

    def check(self):
        """Nobody acts any more: yield (kind, text) for each count that is wrong."""
        return ()
