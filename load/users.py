"""Who puts load on the aggregation path: executives who read, and HR who closes and releases."""

import time

import gevent
from locust import HttpUser, between, events, task
from locust.exception import StopUser

RELEASE_WITHIN_SECONDS = 600.0


class Phase:
    """Which part of the run is on; reads are counted under its name."""

    name = "idle"


class Reader(HttpUser):
    """Reads the pages of a released report, in the order the tabs stand."""

    wait_time = between(0.05, 0.15)

    def on_start(self) -> None:
        """Take the address of the report from the command line."""
        self.pages = self.environment.parsed_options.pages

    @task
    def read(self) -> None:
        """Read each tab once, as a whole page or as the part that htmx swaps in."""
        for number, tab in enumerate(("", "teams", "drivers", "explanations", "method")):
            headers = {"HX-Request": "true"} if number % 2 else {}
            self.client.get(f"{self.pages}/{tab}", headers=headers, name=f"read while {Phase.name}")


class Closer(HttpUser):
    """Closes a full cycle after an idle stretch, and waits for its release."""

    fixed_count = 1
    wait_time = between(1, 1)

    @task
    def close_and_release(self) -> None:
        """Close, release, and end the run."""
        options = self.environment.parsed_options
        time.sleep(options.idle_seconds)
        headers = {"authorization": f"Bearer {options.hr_key}"}
        cycle = f"{options.survey}/hr/cycles/{options.cycle}"
        Phase.name = "releasing"
        start = time.perf_counter()
        self.client.post(f"{cycle}/close", headers=headers, name="close")
        state = self.client.post(f"{cycle}/release", headers=headers, name="release").json()
        while state["state"] == "running" and time.perf_counter() - start < RELEASE_WITHIN_SECONDS:
            time.sleep(0.2)
            state = self.client.get(f"{cycle}/release", headers=headers, name="release state").json()
        seconds = time.perf_counter() - start
        events.request.fire(
            request_type="JOB",
            name="close and release",
            response_time=seconds * 1000,
            response_length=0,
            exception=None if state["state"] == "released" else RuntimeError("not released"),
            context={},
        )
        # From a greenlet of its own: a user that ends the run would wait for itself.
        gevent.spawn(self.environment.runner.quit)
        raise StopUser
