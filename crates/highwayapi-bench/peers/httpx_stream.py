"""The best that plain Python does: a generator that encodes piece by piece, its length said beforehand, and a download
in pieces. https://www.python-httpx.org/quickstart/ (binary request data, streaming responses)"""

import base64
import os

import httpx
from measure import bench, url

client = httpx.Client(base_url=url("plain"), timeout=60)
PIECE = 3 << 16  # a multiple of three, so that no piece but the last is padded


def body(first, last):
    yield b'{"prompt":"dusk falls","image":"data:image/png;base64,'
    yield from encoded(first)
    yield b'","last_image":"data:image/png;base64,'
    yield from encoded(last)
    yield b'"}'


def encoded(frame):
    with open(frame, "rb") as file:
        while piece := file.read(PIECE):
            yield base64.b64encode(piece)


def headers(first, last):
    around = sum(map(len, body(os.devnull, os.devnull)))
    length = around + sum((os.path.getsize(frame) + 2) // 3 * 4 for frame in (first, last))
    return {"content-type": "application/json", "content-length": str(length)}


def submit(first, last):
    answer = client.post("/submit", content=body(first, last), headers=headers(first, last))
    return answer.raise_for_status().json()["task_id"]


async def submit_async(first, last):
    async def pieces():
        for piece in body(first, last):
            yield piece

    async with httpx.AsyncClient(base_url=url("plain"), timeout=60) as client:
        answer = await client.post("/submit", content=pieces(), headers=headers(first, last))
        return answer.raise_for_status().json()["task_id"]


def poll(task_id):
    answer = client.get("/task-result", params={"task_id": task_id}).raise_for_status()
    return answer.json()["task"]["status"]


def download(file):
    with client.stream("GET", "/clip.mp4") as answer, open(file, "wb") as video:
        answer.raise_for_status()
        for chunk in answer.iter_bytes():
            video.write(chunk)


bench("httpx", submit, submit_async, poll, download)
