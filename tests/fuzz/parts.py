"""A part of a program: an object that several greenlets and threads use, the calls that they make, and the counts."""


class Part:
    """The base of all parts. Methods marked with @verb are what actors do."""

    #: Whether the part is in every program. If not, `weight` says how often it is, compared to other parts.
    always = False
    weight = 1
    #: How often an actor's steps are this part's verbs, compared to those of other parts.
    share = 1
    #: Arguments of the class: name -> values to pick from.
    arguments: dict = {}

    name = ""

    def stop(self):
        """Wake the actors that wait without a limit. Called again and again at the end, in a plain thread."""

    def close(self):
        """Give resources back. Called when no actor runs any more."""

    def check(self):
        """Yield (kind, text) for each count that is wrong. Called when no actor runs any more."""
        return ()
