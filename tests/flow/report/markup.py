"""A strict reading of a page: what a browser would repair or refuse is an error here."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input", "path", "rect", "line", "circle"}
REFERENCES = ("aria-labelledby", "aria-describedby", "for")
FETCHING = ("src", "srcset", "data", "poster", "action", "formaction", "background")


@dataclass
class Markup(HTMLParser):
    """Elements, ids, classes and texts of a page, and everything that is wrong with it."""

    faults: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)
    references: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    elements: list[str] = field(default_factory=list)
    text: str = ""
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element and what its attributes would make a browser do."""
        self.elements.append(tag)
        names = [name for name, _ in attrs]
        if len(set(names)) != len(names):
            self.faults.append(f"<{tag}> has an attribute twice")
        for name, value in attrs:
            self._attribute(tag, name, value or "")
        if tag == "script" and "src" not in names:
            self.faults.append("script without an address")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that closes itself, as those of SVG do."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Close an element; it has to be the last one opened."""
        if tag in VOID:
            return
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> closes something else")

    def handle_data(self, data: str) -> None:
        """Collect the words, without styles."""
        if self._open[-1:] != ["style"]:
            self.text += data

    def _attribute(self, tag: str, name: str, value: str) -> None:
        if name == "style" or name.startswith(("on", "hx-on")):
            self.faults.append(f"<{tag}> has the attribute {name}")
        if name == "id":
            self.ids.append(value)
        if name == "class":
            self.classes |= set(value.split())
        if name in REFERENCES:
            self.references += value.split()
        if name in FETCHING or (name == "href" and tag == "link"):
            self.fetched.append(value)
        if name == "href" and tag == "a":
            self.links.append(value)
        if name in ("src", "href") and "//" in value:
            self.faults.append(f"<{tag}> leads outside")


def check(page: str, *, whole: bool = True) -> Markup:
    """Return what is in ``page`` after asserting that nothing is wrong with it."""
    markup = Markup()
    markup.feed(page)
    markup.close()
    assert markup.faults == []
    assert markup._open == []
    assert len(set(markup.ids)) == len(markup.ids), "an id stands twice"
    assert set(markup.references) <= set(markup.ids)
    if whole:
        assert page.startswith("<!doctype html>")
        assert [markup.elements.count(tag) for tag in ("html", "head", "body", "main", "h1")] == [1] * 5
    return markup
