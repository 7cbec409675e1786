"""What the tests of the report share: the manifest of a run, and a page read by its tags."""

import copy
from html.parser import HTMLParser

MANIFEST = {
    "specification": {
        "problem": "mnist_mlp",
        "run": "sgd",
        "threads": 1,
        "optimizer": "sgd",
        "optimizer_settings": {"learning_rate": 0.125, "nesterov": False},
        "batch_size": 48,
        "schedule": {"kind": "cosine"},
    },
    "seeds": [{"seed": seed, "status": "finished", "diverged_at_step": None} for seed in range(3)],
    "data": {"name": "mnist_5k", "verified": True},
    "device": {"type": "cpu", "name": "cpu"},
    "machine": {"processor": "Some CPU", "machine": "x86_64", "system": "Linux"},
    "environment": {"python": "3.11.7", "torch": "2.13.0", "secondorder": "0.1.0"},
    "commit": {"revision": "0123456789abcdef0123", "dirty": False},
    "wall_seconds": 12.4,
}
VOID = {"meta", "link", "img", "br", "hr", "input", "col", "wbr", "source"}


def manifest(**changes):
    """The manifest of a run, with parts of its parts replaced."""
    made = copy.deepcopy(MANIFEST)
    for part, values in changes.items():
        made[part] = {**made[part], **values} if isinstance(values, dict) and values else values
    return made


class Page(HTMLParser):
    """What a page holds: its tags, ids, addresses and texts; unbalanced tags are an error."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.addresses, self.texts, self._open = [], [], [], {}, []
        self.feed(text)
        self.close()
        assert self._open == [], "every tag is closed"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in {"href", "src", "srcset", "action", "poster", "data", "background", "xlink:href"}:
                self.addresses.append(value)
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data):
        for tag in self._open:
            self.texts[tag] = self.texts.get(tag, "") + data

    def text(self, tag="body"):
        return " ".join(self.texts.get(tag, "").split())

    def warnings(self):
        return [attributes for _, attributes in self.tags if attributes.get("class") == "warning"]
