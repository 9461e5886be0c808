"""How long importing and patching take, greenio beside gevent: medians of fresh processes, in turn.

pip install '.[bench]' && python benchmarks/startup.py [--rounds 21]
"""

import argparse
import statistics
import subprocess
import sys

# Each process prints the CPU time of one statement.
MEASURE = """
import sys, time
{before}
started = time.process_time()
{statement}
print(time.process_time() - started)
"""
#: The title of a row -> a statement to run first, and the one to measure. The library's name goes in.
ROWS = {
    "import": ("", "import {library}"),
    "import, and the hub made": ("", "import {library}; {library}.get_hub().loop; {library}.sleep(0)"),
    "patch_all(), with the import": ("", "from {library} import monkey; monkey.patch_all()"),
    "patch_all(), imported before": ("from {library} import monkey", "monkey.patch_all()"),
    "patch_all() after what a web application imports": (
        "import asyncio, concurrent.futures, http.client, json, logging, sqlite3, ssl, subprocess, urllib.request",
        "from {library} import monkey; monkey.patch_all()",
    ),
}


def measure(library, before, statement):
    """Return seconds of CPU time, from a fresh process."""
    script = MEASURE.format(before=before.format(library=library), statement=statement.format(library=library))
    command = [sys.executable, "-W", "ignore", "-c", script]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def main():
    parser = argparse.ArgumentParser(description="Compare how long importing and patching take.")
    parser.add_argument("--rounds", type=int, default=21, help="default: %(default)s")
    options = parser.parse_args()
    print("| milliseconds of CPU | greenio | gevent | gevent / greenio |\n| --- | --- | --- | --- |")
    for title, (before, statement) in ROWS.items():
        figures = {"greenio": [], "gevent": []}
        for _ in range(options.rounds):
            for library, found in figures.items():
                found.append(measure(library, before, statement))
        ours, theirs = (statistics.median(found) * 1000 for found in figures.values())
        print(f"| {title} | {ours:.1f} | {theirs:.1f} | {theirs / ours:.2f} |", flush=True)


if __name__ == "__main__":
    main()
