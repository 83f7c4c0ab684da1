"""Reads spans back from Phoenix by its REST API, and says where to look at them.

    phoenix.py URL PROJECT          of the demonstration: closed departures are whole
    phoenix.py URL PROJECT TOLD     of the story of three processes: each span that
                                    the file TOLD names is there, under its parent

Phoenix does not keep which process sent a span: that is in TOLD.
"""

import collections
import json
import sys
import time
import urllib.parse
import urllib.request

PATIENCE_S = 60


def get(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def spans(base, project):
    found, cursor = [], None
    while True:
        query = {"limit": 1000, **({"cursor": cursor} if cursor else {})}
        page = get(f"{base}/v1/projects/{project}/spans?{urllib.parse.urlencode(query)}")
        found += page["data"]
        cursor = page.get("next_cursor")
        if not cursor:
            return found


def closed(found):
    cases = collections.defaultdict(list)
    for span in found:
        case = span["attributes"].get("offboard.case.id")
        if case:
            cases[case].append(span)
    return {c: s for c, s in cases.items() if any(x["name"] == "close case" for x in s)}


def told(base, project, file):
    with open(file, encoding="utf-8") as text:
        story = json.load(text)
    until = time.monotonic() + PATIENCE_S
    while True:
        there = {(s["context"]["trace_id"], s["context"]["span_id"]): s for s in spans(base, project)}
        missing = [s for s in story if (s["trace"], s["id"]) not in there]
        if not missing or time.monotonic() > until:
            break
        time.sleep(1)
    if missing:
        sys.exit(f"{len(missing)} of {len(story)} spans did not arrive, such as {missing[0]}")
    of = {(s["trace"], s["id"]): s for s in story}
    ways = collections.Counter()
    for place, span in of.items():
        parent = there[place]["parent_id"] or ""
        if parent != span["parent"]:
            sys.exit(f"the parent of {span} is '{parent}' there")
        above = of.get((span["trace"], parent))
        if above and above["service"] != span["service"]:
            ways[above["service"], span["service"]] += 1
    # Out to a worker and back.
    for way in (("offboard-dispatcher", "offboard-worker"), ("offboard-worker", "offboard-dispatcher")):
        if not ways[way]:
            sys.exit(f"no span of {way[1]} is under one of {way[0]}; there are {dict(ways)}")
    attempts = [int(there[p]["attributes"].get("offboard.attempt") or 0) for p in of]
    if max(attempts) < 2:
        sys.exit("no second attempt is there")
    again = [p for p in of if str(there[p]["attributes"].get("offboard.redelivered")).lower() == "true"]
    if not again:
        sys.exit("no attempt is there that was delivered again")
    ids = {p["name"]: p["id"] for p in get(f"{base}/v1/projects")["data"]}
    print(f"\nIn Phoenix: all {len(story)} spans of the story, each under its parent; up to attempt {max(attempts)}.")
    for (above, below), n in sorted(ways.items()):
        print(f"{n} spans of {below} are under spans of {above}.")
    print(f"An attempt that was delivered again: {base}/projects/{ids[project]}/traces/{again[0][0]}")


def main():
    base, project, *file = sys.argv[1:]
    if file:
        told(base, project, file[0])
        return
    until = time.monotonic() + PATIENCE_S
    while True:
        found = spans(base, project)
        whole = closed(found)
        if whole or time.monotonic() > until:
            break
        time.sleep(1)
    if not whole:
        sys.exit(f"{len(found)} spans arrived, and no closed departure is among them: the share that is traced is chosen by chance; run it again")
    case, story = max(whole.items(), key=lambda c: len(c[1]))
    names = {s["name"] for s in story}
    for name in ("accept departure", "publish ob.v1.identity.urgent", "process ob.v1.identity.urgent"):
        if name not in names:
            sys.exit(f"'{name}' of {case} did not arrive; there are {sorted(names)}")
    traces = collections.Counter(s["context"]["trace_id"] for s in story)
    accept = next(s for s in story if s["name"] == "accept departure")
    trace = accept["context"]["trace_id"]
    ids = {p["name"]: p["id"] for p in get(f"{base}/v1/projects")["data"]}
    print(f"\nIn Phoenix: {len(found)} spans, {len(whole)} departures from acceptance to closing.")
    print(f"Case {case}: {len(story)} spans in {len(traces)} traces (episodes).")
    print(f"Its first episode, {traces[trace]} spans: {base}/projects/{ids[project]}/traces/{trace}")


main()
