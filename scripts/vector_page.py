"""The blocks of test vectors in a specification page: found, compared with what is generated, written."""

import argparse
import json
import re
import sys

BLOCK = re.compile(
    r"```hex vector (?P<name>[a-z0-9-]+)\n(?P<hex>.*?)```\n\n```json expected\n(?P<json>.*?)```", re.DOTALL
)


def fill(page, blocks):
    """The page with generated blocks; a JSON block that already says the same keeps its layout."""
    found = [match["name"] for match in BLOCK.finditer(page)]
    if sorted(found) != sorted(blocks) or page.count("```hex") != len(found):
        lacking = sorted(set(blocks) - set(found))
        unknown = sorted(set(found) - set(blocks))
        sys.exit(f"vectors missing on the page: {lacking}; unknown: {unknown}; or one occurs twice")

    def replace(match):
        annotated, expected = blocks[match["name"]]
        try:
            keep = json.loads(match["json"]) == expected
        except ValueError:
            keep = False
        text = match["json"] if keep else json.dumps(expected, indent=2, ensure_ascii=False) + "\n"
        return f"```hex vector {match['name']}\n{annotated}\n```\n\n```json expected\n{text}```"

    return BLOCK.sub(replace, page)


def check_or_write(page, blocks, description):
    """The command line of a script that generates the blocks of one page."""
    parser = argparse.ArgumentParser(description=description)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true", help="exit 1 if the page differs")
    action.add_argument("--write", action="store_true", help="update the page")
    arguments = parser.parse_args()

    before = page.read_text(encoding="utf-8")
    after = fill(before, blocks)
    if arguments.write:
        page.write_text(after, encoding="utf-8")
    elif before != after:
        sys.exit(f"{page.name} differs from the generated vectors: run with --write")
    print(f"{len(blocks)} vectors")
