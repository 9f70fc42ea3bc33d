"""The interactive prompt of `farvault admin`: editing, history of this session, completion of command words.

History is kept in memory only: commands hold passwords.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory

from farvault.admin.grammar import is_continued, split_commands
from farvault.admin.registry import all_commands
from farvault.model.attribute import abbreviates


def read_commands(prompt: Callable[[], str]) -> Iterator[str]:
    """Commands as they are typed or pasted, until end of input. A line that ends in `-` or `\\` goes on."""
    session: PromptSession[str] = PromptSession(
        history=InMemoryHistory(), completer=CommandWords(), complete_while_typing=False
    )
    while True:
        try:
            text = session.prompt(f"{prompt()} ")
            while is_continued(text):
                text += "\n" + session.prompt("cont> ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        yield from split_commands(text.splitlines())


class CommandWords(Completer):
    """Completes command words, then keywords of the command."""

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        del complete_event
        typed = document.text_before_cursor.split()
        last = "" if not typed or document.text_before_cursor[-1].isspace() else typed.pop()
        for word in sorted(self._next_words(typed)):
            if word.upper().startswith(last.upper()):
                yield Completion(word.lower(), start_position=-len(last))

    def _next_words(self, typed: list[str]) -> set[str]:
        found: set[str] = set()
        for command in all_commands():
            pairs = zip(typed, command.words, strict=False)
            if not all(abbreviates(text, word) for text, word in pairs):
                continue
            if len(typed) < len(command.words):
                found.add(command.words[len(typed)])
            else:
                found |= {f"{parameter.keyword}=" for parameter in command.keywords}
        return found
