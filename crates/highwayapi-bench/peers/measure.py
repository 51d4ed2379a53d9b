"""What every Python peer's program shares: it runs one scenario and prints one line of JSON.

A program hands over how its library submits, polls and downloads in the documented way. What it does before that, its
imports and its client, is not measured: memory counts from there, CPU only during the call.
"""

import asyncio
import json
import os
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

TINY = str(Path(__file__).parent / "tiny.png")


def url(peer):
    """The stub's folder for this peer: answers.json says what is there."""
    return f"{os.environ['BENCH_URL']}/{peer}"


def bench(package, submit=None, submit_async=None, poll=None, download=None):
    """Runs the scenario of the command line.

    submit(first, last) gives what poll() takes, submit_async() is the same where the library has an async client,
    download(file) leaves the video in that file.
    """
    scenario, *arguments = sys.argv[1:]
    call = {
        "submit": submit and (lambda count, first, last: many(int(count), first, last, submit, submit_async)),
        "poll": poll and (lambda count: [poll(task) for _ in range(int(count))]),
        "download": download,
        "start": submit and (lambda first=TINY, last=TINY: submit(first, last)),
    }[scenario]
    if call is None:
        print(json.dumps({"unsupported": f"{package} has no {scenario} of its own"}))
        return
    if scenario == "poll":
        task = submit(TINY, TINY)
        poll(task)  # so that the connection is there
    Path("/proc/self/clear_refs").write_text("5")
    idle, cpu, wall = peak_kib(), cpu_s(), time.perf_counter()
    call(*arguments)
    cpu, wall = cpu_s() - cpu, time.perf_counter() - wall
    line = {"version": f"{package} {version(package)}", "idle_kib": idle, "peak_kib": peak_kib()}
    print(json.dumps({**line, "cpu_s": cpu, "wall_s": wall}))


def many(count, first, last, submit, submit_async):
    """One submit, or so many at once: by the async client, else each in a thread of its own."""
    if count == 1:
        submit(first, last)
    elif submit_async:

        async def all_at_once():
            await asyncio.gather(*(submit_async(first, last) for _ in range(count)))

        asyncio.run(all_at_once())
    else:
        with ThreadPoolExecutor(count) as threads:
            list(threads.map(lambda _: submit(first, last), range(count)))


def peak_kib():
    """The most memory since the mark was last reset."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
