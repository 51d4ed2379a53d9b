"""requests, as its quickstart has it: https://requests.readthedocs.io/en/latest/user/quickstart/ (`json=`, `content`)."""

import base64
from pathlib import Path

import requests
from measure import bench, url

session = requests.Session()


def data_uri(frame):
    return "data:image/png;base64," + base64.b64encode(Path(frame).read_bytes()).decode()


def submit(first, last):
    task = {"image": data_uri(first), "last_image": data_uri(last), "prompt": "dusk falls"}
    answer = session.post(url("plain") + "/submit", json=task)
    answer.raise_for_status()
    return answer.json()["task_id"]


def poll(task_id):
    answer = session.get(url("plain") + "/task-result", params={"task_id": task_id})
    answer.raise_for_status()
    return answer.json()["task"]["status"]


def download(file):
    answer = session.get(url("plain") + "/clip.mp4")
    answer.raise_for_status()
    Path(file).write_bytes(answer.content)


bench("requests", submit, poll=poll, download=download)
