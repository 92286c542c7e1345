"""Hold the documentation against the project: links lead somewhere, nothing names a path of one machine."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
MACHINE_PATH = re.compile(r"(?<![\w.`/])/(home|root|work|Users)/")


def slugs(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def faults(page: Path) -> list[str]:
    """Say what is wrong on one page, a line each."""
    found = []
    text = page.read_text()
    for target, anchor in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path = (page.parent / target).resolve()
        if not path.exists():
            found.append(f"{page.relative_to(ROOT)}: link to {target}: no such file")
        elif anchor and path.suffix == ".md" and anchor[1:] not in slugs(path):
            found.append(f"{page.relative_to(ROOT)}: link to {target}{anchor}: no such heading")
    found += [f"{page.relative_to(ROOT)}: names a machine's own path" for _ in MACHINE_PATH.findall(text)]
    return found


def main() -> int:
    """Check README, CHANGELOG and every page; print what is wrong."""
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
    wrong = [fault for page in pages for fault in faults(page)]
    sys.stdout.write("".join(f"{line}\n" for line in wrong) or f"documentation: {len(pages)} pages, no fault\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
