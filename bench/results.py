"""The file of results: parts under headings of the first level, each written by the bench that made it."""

from __future__ import annotations

import os


def write_part(path: str, title: str, text: str) -> None:
    """Put `text` under `# title`, in the place of what stood there; the other parts stay."""
    parts: dict[str, str] = {}
    heading = ""
    if os.path.exists(path):
        with open(path) as file:
            for line in file:
                if line.startswith("# "):
                    heading = line[2:].strip()
                parts[heading] = parts.get(heading, "") + line
    parts[title] = f"# {title}\n\n{text.strip()}\n"
    with open(path, "w") as file:
        file.write("\n".join(part.strip() + "\n" for part in parts.values()))
