"""Masking as it should be, said simply; and texts that try to get around it."""

from collections.abc import Sequence

from hypothesis import strategies as st

from hongyan.engine.folding import fold

#: Words that lie in each other, overlap, and have characters of other lengths when folded.
WORDS = ["bad", "adam", "ss", "坏蛋", "蛋", "大坏蛋们", "fuß", "kg", "x y", "😀b", "Ａ１", 'say "no"', "aaa", "a/b"]
#: The same characters in other clothes, and some between them.
DISGUISES = 'bｂBＢaａAＡdｄDmＭsSｓßſẞ坏蛋大们fﬁuUＵkKｋ㎏gxXy 　😀1１①\u200b\u00ad"\\/no,，*'
texts = st.lists(
    st.sampled_from([*WORDS, *(word.upper() for word in WORDS)]) | st.text(st.sampled_from(DISGUISES), max_size=4),
    max_size=8,
).map("".join)


def masked(text: str, words: Sequence[str] = WORDS) -> str:
    """The text with each occurrence of a word replaced by three asterisks; those that overlap count as one."""
    folded = [(place, part) for place, character in enumerate(text) for part in fold(character).text]
    whole = "".join(part for _, part in folded)
    found = sorted(
        (folded[at][0], folded[at + len(word) - 1][0])
        for word in {fold(word).text for word in words}
        for at in range(len(whole))
        if whole.startswith(word, at)
    )
    answer, done = "", 0
    while found:
        first, last = found.pop(0)
        while found and found[0][0] <= last:
            last = max(last, found.pop(0)[1])
        answer += text[done:first] + "***"
        done = last + 1
    return answer + text[done:]
