"""HTML taken apart: its elements, in order and well nested, and its texts."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"meta", "link", "img", "br", "hr", "input", "col", "base", "wbr"})
Attributes = list[tuple[str, str | None]]


@dataclass(frozen=True)
class Element:
    """A beginning element, its attributes, and all text in it."""

    name: str
    attributes: dict[str, str | None]
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.texts)


class Markup(HTMLParser):
    """A document; one whose elements are not well nested is refused."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        self.elements.append(Element(tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(self.elements[-1])

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().name == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def find(self, name: str, **attributes: str) -> list[Element]:
        """Give the elements of a name with these attributes; a class is one of several."""
        return [
            each
            for each in self.elements
            if each.name == name
            and all(
                wanted in (each.attributes.get("class") or "").split()
                if key == "class_"
                else each.attributes.get(key) == wanted
                for key, wanted in attributes.items()
            )
        ]

    @property
    def skeleton(self) -> list[tuple[str, tuple[str, ...]]]:
        """Give the names of elements and of their attributes, in order: what no text may change."""
        return [(each.name, tuple(each.attributes)) for each in self.elements]
