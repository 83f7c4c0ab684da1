"""Reads the demonstration's spans back from Phoenix by its REST API, checks that
the closed departures are whole there, and says where to look at one.

    phoenix.py URL PROJECT
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


def main():
    base, project = sys.argv[1:]
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
