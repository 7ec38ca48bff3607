"""The corpora that can be named instead of uploaded, and the one among them that every Python brings along."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class BuiltIn:
    """A corpus that can be named instead of uploaded."""

    key: str
    title: str
    description: str
    needs_internet: bool = False  # once; NLTK keeps what it has downloaded


BUILT_IN: dict[str, BuiltIn] = {
    entry.key: entry
    for entry in (
        BuiltIn(
            "agreement",
            "Agreement at a distance",
            "Sentences from a small grammar in which 'her' or 'his' must agree with a queen or king a chosen number "
            "of words earlier, and with nothing else.",
        ),
        BuiltIn(
            "python",
            "The Python language reference",
            "The prose of the reference that comes with every Python: about 50,000 words of technical English.",
        ),
        BuiltIn("gutenberg", "Gutenberg (NLTK)", "18 books from Project Gutenberg, Austen to Whitman.", True),
        BuiltIn("brown", "Brown (NLTK)", "A million words of American English of 1961, in 15 genres.", True),
        BuiltIn("inaugural", "Inaugural addresses (NLTK)", "The speeches with which US presidents took office.", True),
        BuiltIn("state_union", "State of the Union (NLTK)", "Speeches of US presidents since 1945.", True),
        BuiltIn("webtext", "Web text (NLTK)", "Forum posts, overheard talk, film scripts and small ads.", True),
        BuiltIn("movie_reviews", "Film reviews (NLTK)", "2,000 reviews of films, 1.5 million words.", True),
    )
}


_TABLE_OR_RULE = re.compile(r"\s*[+|]|\s*([-=*~^])\1{2,}\s*$")
_CODE = re.compile(r">>>|::=|^(\.\.\. |def |class |@|if |for |while |try:|#|return )", flags=re.MULTILINE)


def python_reference() -> list[str]:
    """The language reference as one document for each topic, paragraphs apart by blank lines.

    It is in every CPython as `pydoc_data.topics` (65,000 words in 3.11, more since). Code, grammar and tables
    are left out: what remains, some 50,000 words, is prose.
    """
    from pydoc_data.topics import topics

    documents = []
    for _, text in sorted(topics.items()):
        paragraphs = []
        for paragraph in re.split(r"\n\s*\n", text):
            lines = [line.strip() for line in paragraph.split("\n") if not _TABLE_OR_RULE.match(line)]
            joined = "\n".join(lines).strip()
            # Prose ends like a sentence; a title, a line of code or a name in a list does not.
            if len(joined.split()) >= 4 and joined[-1] in ".:!?)" and not _CODE.search(joined):
                paragraphs.append(joined)
        if paragraphs:
            documents.append("\n\n".join(paragraphs))
    return documents
