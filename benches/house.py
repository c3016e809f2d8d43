#!/usr/bin/env python3
"""Figures of the source, by which two commits are compared: `just house`, or `python3 benches/house.py CHECKOUT`.

It reads the files and runs nothing. The product is src/ without the sandbox, without files and modules of tests. What a
figure counts stands behind it.
"""

import collections
import pathlib
import re
import statistics
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent)
COMMENT = re.compile(r"^\s*//")
STRINGS = re.compile(r'b?r(#*)".*?"\1|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'', re.S)


def is_product(path):
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return "sandbox" not in parts and not {"tests", "fuzz"} & set(parts)


def sources(folder):
    base = ROOT / folder
    return sorted(base.rglob("*.rs")) if base.is_dir() else []


def text(path):
    """A file without its modules of tests."""
    return re.split(r"#\[cfg\(test\)\]\nmod tests", path.read_text(encoding="utf-8"))[0]


def code(path):
    """The same without comments, and with empty strings."""
    lines = (line for line in text(path).split("\n") if not COMMENT.match(line))
    return STRINGS.sub('""', "\n".join(lines))


def block(source, start):
    """Where the braces that open behind `start` close; none if a semicolon comes first."""
    opened = source.find("{", start)
    ended = source.find(";", start)
    if opened < 0 or 0 <= ended < opened:
        return None
    depth = 0
    for at in range(opened, len(source)):
        depth += {"{": 1, "}": -1}.get(source[at], 0)
        if depth == 0:
            return opened, at
    return None


def functions(path):
    source = code(path)
    for found in re.finditer(r"\bfn (\w+)", source):
        place = block(source, found.end())
        if place:
            yield found[1], source.count("\n", found.start(), place[1]) + 1


def traits(path):
    source = code(path)
    for found in re.finditer(r"\btrait (\w+)", source):
        place = block(source, found.end())
        if place:
            body = source[place[0] : place[1]]
            yield found[1], len(re.findall(r"^    (?:async )?fn ", body, re.M))


def types(path):
    return re.findall(r"^\s*(?:pub(?:\([^)]*\))? )?(?:struct|enum|trait|union|type) ([A-Z]\w*)(?!\w* *:)", code(path), re.M)


def module(path):
    return path.relative_to(ROOT / "src").with_suffix("").parts


def imports(path, known):
    """The modules of ours that a file names in its paths: from the crate on, from the module above, or its own children."""
    own, found = module(path), set()
    for use in re.finditer(r"(?<![\w:])(crate|super|self|[a-z]\w*)((?:::\w+)+)", code(path)):
        parts = tuple(use[2].split("::")[1:])
        if use[1] == "crate":
            base = ()
        elif use[1] == "super":
            base = own[:-1]
            while parts and parts[0] == "super":
                base, parts = base[:-1], parts[1:]
        elif use[1] == "self":
            base = own
        elif own + (use[1],) in known:
            base = own + (use[1],)
        else:
            continue
        parts = base + parts
        while parts and parts not in known:
            parts = parts[:-1]
        if parts and parts != own:
            found.add(parts)
    return found


def circles(edges):
    """Strongly connected components of more than one (Tarjan)."""
    order, low, stack, on_stack, result = {}, {}, [], set(), []

    def visit(node):
        work = [(node, iter(sorted(edges.get(node, ()))))]
        order[node] = low[node] = len(order)
        stack.append(node)
        on_stack.add(node)
        while work:
            at, others = work[-1]
            for other in others:
                if other not in order:
                    order[other] = low[other] = len(order)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(sorted(edges.get(other, ())))))
                    break
                if other in on_stack:
                    low[at] = min(low[at], order[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[at])
                if low[at] == order[at]:
                    component = []
                    while True:
                        component.append(stack.pop())
                        on_stack.discard(component[-1])
                        if component[-1] == at:
                            break
                    if len(component) > 1:
                        result.append(component)

    for node in sorted(edges):
        if node not in order:
            visit(node)
    return result


def clones(folders):
    return sum(
        code(path).count(".clone()")
        for path in sources("src")
        if is_product(path) and module(path)[: len(folders[0])] and any(module(path)[: len(f)] == f for f in folders)
    )


def settings(path):
    """Lines of a commented TOML file that show a setting."""
    if not path.is_file():
        return 0
    return len(re.findall(r"^#?\s?[a-z_]+\s*=", path.read_text(encoding="utf-8"), re.M))


def lines(name):
    path = ROOT / name
    return len(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else 0


def say(name, value, what):
    print(f"{name:<34} {value!s:<26} {what}")


def main():
    product = [path for path in sources("src") if is_product(path)]
    lengths = sorted(text(path).count("\n") for path in product)
    say("files", len(product), "of the product")
    say("lines", sum(lengths), "of the product, comments and blank lines among them")
    percentile = lengths[int(len(lengths) * 0.9)]
    say("lines a file", f"{statistics.median(lengths):.0f} / {percentile} / {lengths[-1]}", "median, p90, most")
    whole = [(len(code(path).splitlines()), path) for path in sources("src")]
    over = [f"{path.relative_to(ROOT)}: {count}" for count, path in whole if count > 400]
    say("files over 400 lines", len(over), "of code, in src/: " + ", ".join(sorted(over)))
    every = [path for folder in ("src", "sandbox", "tests", "benches", "examples") for path in sources(folder)]
    wide = sum(len(line) > 120 for path in every for line in path.read_text(encoding="utf-8").split("\n"))
    say("lines over 120 columns", wide, "in all Rust files")
    long = [(count, name) for path in product for name, count in functions(path) if count > 60]
    say("functions over 60 lines", len(long), ", ".join(name for _, name in sorted(long, reverse=True)[:6]))
    big = [(count, name) for path in product for name, count in traits(path) if count > 8]
    say("traits over 8 methods", len(big), ", ".join(f"{name} {count}" for count, name in sorted(big, reverse=True)))
    names = collections.Counter(name for path in product for name in types(path))
    shared = sum(count for count in names.values() if count > 1)
    say("types that share their name", f"{shared / names.total():.1%}", f"of {names.total()}")
    top = {module(path)[0] for path in sources("src")} - {"lib", "main"}
    say("modules under src/", len(top), ", ".join(sorted(top)))
    known = {module(path) for path in sources("src")}
    files = {module(path): imports(path, known) for path in sources("src") if is_product(path) or "sandbox" in module(path)}
    rooms = collections.defaultdict(set)
    for name, found in files.items():
        if name[0] not in ("lib", "main", "cli", "testing"):
            rooms[name[0]] |= {other[0] for other in found if other[0] != name[0]}
    found = circles(files)
    say("import circles of files", len(found), "the largest of " + str(max(map(len, found), default=0)) + " files")
    found = circles(rooms)
    say("import circles of modules", len(found), "the largest of " + str(max(map(len, found), default=0)) + " modules")
    comments = sum(bool(COMMENT.match(line)) for path in product for line in text(path).split("\n"))
    say("comments", f"{comments / sum(lengths):.0%}", "of the lines")
    delivery = [("delivery",), ("typing",), ("outbox",), ("pace",)]
    for name, folders in (("turn", [("turn",)]), ("store", [("store",)]), ("delivery", delivery)):
        say(f"clones in {name}", clones(folders), "calls of .clone()")
    providers = sorted((ROOT / "templates/providers").glob("*.toml"))
    shown = settings(ROOT / "templates/threedots.toml")
    say("settings shown", shown + sum(map(settings, providers)), f"{shown} in the default file, the rest by provider")
    say("lines of README", lines("README.md"), "")
    say("lines of ARCHITECTURE", lines("ARCHITECTURE.md"), "")


main()
