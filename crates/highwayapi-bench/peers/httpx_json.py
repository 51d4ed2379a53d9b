"""httpx, as its quickstart has it: https://www.python-httpx.org/quickstart/ (`json=`, `content`)."""

import base64
from pathlib import Path

import httpx
from measure import bench, url

client = httpx.Client(base_url=url("plain"), timeout=60)


def task(first, last):
    return {"image": data_uri(first), "last_image": data_uri(last), "prompt": "dusk falls"}


def data_uri(frame):
    return "data:image/png;base64," + base64.b64encode(Path(frame).read_bytes()).decode()


def submit(first, last):
    return client.post("/submit", json=task(first, last)).raise_for_status().json()["task_id"]


async def submit_async(first, last):
    async with httpx.AsyncClient(base_url=url("plain"), timeout=60) as client:
        return (await client.post("/submit", json=task(first, last))).raise_for_status().json()["task_id"]


def poll(task_id):
    answer = client.get("/task-result", params={"task_id": task_id}).raise_for_status()
    return answer.json()["task"]["status"]


def download(file):
    Path(file).write_bytes(client.get("/clip.mp4").raise_for_status().content)


bench("httpx", submit, submit_async, poll, download)
