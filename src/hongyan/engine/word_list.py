"""The word list of an app: what is taken for one, and finding its words in texts.

Looking through 5 KB of Chinese for 20,000 words takes about 0.3 ms, two thirds of it for the folding; through English
0.05 ms; a list of 100,000 words costs 0.3 ms more. A list is kept as several automata of bounded size, because building
one keeps all threads waiting: some 30 ms each, where 100,000 words at once took 300 ms.
"""

from collections.abc import Iterable, Iterator, Sequence

from ahocorasick_rs import AhoCorasick, Implementation

from hongyan.engine.folding import Span, fold

WORDS_MAX = 100_000
WORD_MAX = 64
#: Characters of all words together.
CHARACTERS_MAX = 1_000_000
#: What words are replaced with. No word contains it, so that no word can arise from a replacement.
MASK = "***"

#: Words and characters of one automaton.
_PART_WORDS, _PART_CHARACTERS = 20_000, 160_000
#: Characters looked through at once: as many words as are long may end at each of them.
_WINDOW = 1_024


def parse(lines: Iterable[str]) -> list[str]:
    """The words, one a line; empty lines and repetitions are left out. Raises ValueError with a sentence."""
    words: dict[str, None] = {}
    characters = 0
    for number, line in enumerate(lines, 1):
        word = line.strip()
        if not word or word in words:
            continue
        _check(word, number)
        words[word] = None
        characters += len(word)
        if len(words) > WORDS_MAX:
            raise ValueError(f"A word list has at most {WORDS_MAX:,} words.")
        if characters > CHARACTERS_MAX:
            raise ValueError(f"The words of a list have at most {CHARACTERS_MAX:,} characters together.")
    return list(words)


def _check(word: str, number: int) -> None:
    if len(word) > WORD_MAX:
        raise ValueError(f"Line {number} of the word list has {len(word):,} characters; a word has at most {WORD_MAX}.")
    if any(character < " " or "\x7f" <= character < "\xa0" for character in word):
        raise ValueError(f"Line {number} of the word list contains a control character.")
    folded = fold(word).text
    if not folded:
        raise ValueError(f"Line {number} of the word list has characters only that nobody sees.")
    if "*" in folded:
        raise ValueError(f"Line {number} of the word list contains an asterisk, which stands for masked words.")


class Finder:
    """Finds the words of a list, at least one."""

    def __init__(self, words: Iterable[str]) -> None:
        folded = sorted({fold(word).text for word in words})
        self._longest = max(map(len, folded))
        self._automata = [
            AhoCorasick(part, store_patterns=False, implementation=Implementation.ContiguousNFA)
            for part in _parts(folded)
        ]

    def find(self, text: str) -> list[Span]:
        """Where words are, in order; what overlaps is one."""
        traced = fold(text)
        found: list[Span] = []
        for start in range(0, len(traced.text), _WINDOW):
            window = traced.text[start : start + _WINDOW + self._longest - 1]
            found += merged((start + first, start + end) for first, end in self._find(window))
        return merged(map(traced.origin, merged(found)))

    def _find(self, window: str) -> Iterator[Span]:
        """Of the words of an automaton that end at one place the longest, which it names first."""
        for automaton in self._automata:
            matches = automaton.find_matches_as_indexes(window, overlapping=True)
            for end, start in {end: start for _, start, end in reversed(matches)}.items():
                yield start, end


def merged(spans: Iterable[Span]) -> list[Span]:
    """In order, those that overlap as one."""
    answer: list[Span] = []
    for start, end in sorted(spans):
        if answer and start < answer[-1][1]:
            answer[-1] = (answer[-1][0], max(end, answer[-1][1]))
        else:
            answer.append((start, end))
    return answer


def _parts(words: Sequence[str]) -> Iterator[list[str]]:
    part: list[str] = []
    characters = 0
    for word in words:
        if part and (len(part) == _PART_WORDS or characters + len(word) > _PART_CHARACTERS):
            yield part
            part, characters = [], 0
        part.append(word)
        characters += len(word)
    yield part
